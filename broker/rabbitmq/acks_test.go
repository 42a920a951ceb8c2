package rabbitmq

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
)

func withTag(tag uint64) *delivery {
	return &delivery{raw: amqp.Delivery{DeliveryTag: tag}}
}

func TestAcksTogether(t *testing.T) {
	var a acks
	for _, tag := range []uint64{1, 2, 4} { // 3 is with another consumer of the channel
		a.saw(tag)
	}
	for _, tag := range []uint64{4, 1, 2} {
		a.waiting = append(a.waiting, withTag(tag))
	}
	_, single, upTo := a.take(a.seen + 1)
	if upTo != 2 || !slices.Equal(single, []uint64{4}) {
		t.Errorf("all up to %d, and %v; want up to 2, and 4, since 3 has not been seen", upTo, single)
	}
	if _, single, upTo := a.take(a.seen + 1); upTo != 0 || len(single) != 0 {
		t.Errorf("all up to %d, and %v a second time", upTo, single)
	}
	a.saw(3)
	if a.seen != 4 {
		t.Errorf("seen up to %d, want 4", a.seen)
	}
}

// Whatever the order of deliveries and acks, each acked delivery is told of
// once, and none that is out or has not come.
// An ack that waits when the channel is lost is never written: there, or on
// another channel, its number would name nothing, or somebody else's delivery.
func TestAcksThatWaitWhenTheChannelIsLostAreNotWritten(t *testing.T) {
	life, end := context.WithCancelCause(context.Background())
	s := &session{c: &consumer{}, life: life, end: end} // to write without a channel would panic
	m := &delivery{s: s, block: &block{}, raw: amqp.Delivery{DeliveryTag: 1}}
	s.add(m)
	s.acks.sending.Lock()
	answer := make(chan error, 1)
	s.ack(m, func(err error) { answer <- err })
	s.lose(errOver)
	s.acks.sending.Unlock()
	if err := <-answer; !errors.Is(err, occamy.ErrDeliveryLost) {
		t.Errorf("the ack says %v; want ErrDeliveryLost", err)
	}
	if err := m.Ack(context.Background()); !errors.Is(err, occamy.ErrDeliveryLost) {
		t.Errorf("another ack says %v; want ErrDeliveryLost", err)
	}
}

func TestAcksHitNoOtherDelivery(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var a acks
		const n = 40
		come := rng.Perm(n)
		for i := range come { // nearly in order
			come[i] = i + 1
		}
		for range 10 {
			i := rng.IntN(n - 1)
			come[i], come[i+1] = come[i+1], come[i]
		}
		out, told := make(map[uint64]bool), make(map[uint64]bool)
		acked, arrived := make(map[uint64]bool), make(map[uint64]bool)
		flush := func() {
			lowest := a.seen + 1
			for tag := range out {
				lowest = min(lowest, tag)
			}
			_, single, upTo := a.take(lowest)
			for tag := uint64(1); tag <= upTo; tag++ {
				if !arrived[tag] || out[tag] {
					t.Fatalf("an ack of all up to %d hits %d", upTo, tag)
				}
				told[tag] = true
			}
			if upTo > 0 && !acked[upTo] {
				t.Fatalf("%d is acked once more", upTo)
			}
			for _, tag := range single {
				if told[tag] || !acked[tag] {
					t.Fatalf("%d is acked once more", tag)
				}
				told[tag] = true
			}
		}
		for len(told) < n {
			switch k := rng.IntN(3); {
			case k == 0 && len(come) > 0:
				tag := uint64(come[0])
				come = come[1:]
				a.saw(tag)
				out[tag], arrived[tag] = true, true
			case k == 1:
				for tag := range out {
					delete(out, tag)
					acked[tag] = true
					a.waiting = append(a.waiting, withTag(tag))
					break
				}
			case k == 2:
				flush()
			}
		}
	}
}
