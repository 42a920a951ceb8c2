package rabbitmq

import (
	"context"
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
)

var errCrashed = errors.New("the process has died, as far as the broker can tell")

// Crash ends the connections as the death of the process would: nothing is said
// to the broker.
func (b *Broker) Crash() {
	b.setOver(errCrashed)
	for _, l := range []*link{b.in, b.out} {
		l.mu.Lock()
		if l.raw != nil {
			_ = l.raw.Close()
		}
		l.mu.Unlock()
	}
	b.cut()
}

// IsBlocked says whether the broker has said that it takes no messages.
func (b *Broker) IsBlocked() bool { return b.out.blocked() != nil }

// HurryRenewals has channels renewed that nothing has come over for that long,
// the last time being the longest. It is called before Consume.
func (b *Broker) HurryRenewals(least, most time.Duration) { b.calm.least, b.calm.most = least, most }

// Sweep removes what a world has left on the broker.
func (b *Broker) Sweep(ctx context.Context) error {
	kinds, err := b.Queues(ctx)
	if err != nil {
		return err
	}
	n := b.names
	queues, exchanges := []string{n.kinds, n.servers}, []string{n.requests, n.dead, n.control, n.event}
	for _, k := range kinds {
		queues = append(queues, n.requestQueue(k.Kind), n.deadQueue(k.Kind))
	}
	for i := range outcomeStreams {
		queues = append(queues, n.outcomeStream(i))
	}
	seen := make(map[string]bool)
	for d := minDelay; d < time.Hour; d += d/8 + 1 {
		if name, _ := b.delayQueue(d); !seen[name] {
			seen[name] = true
			queues, exchanges = append(queues, name), append(exchanges, name)
		}
	}
	_, err = ask(ctx, b, func(ch *amqp.Channel) (struct{}, error) {
		for _, name := range queues {
			if _, err := ch.QueueDelete(name, false, false, false); err != nil {
				return struct{}{}, err
			}
		}
		for _, name := range exchanges {
			if err := ch.ExchangeDelete(name, false, false); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// Tag is the number of a delivery in its channel.
func Tag(m occamy.Message) uint64 { return m.(*delivery).raw.DeliveryTag }

// HoldDead looks through the dead letters of a kind, says how many there are,
// and never gives them back.
func (b *Broker) HoldDead(ctx context.Context, kind string) <-chan int {
	holds := make(chan int, 1)
	go func() {
		_, _ = browse(ctx, b, b.names.deadQueue(kind), 0, func(amqp.Delivery) bool { return true }, func(s *shelf, kept []amqp.Delivery) (int, error) {
			select {
			case holds <- len(kept):
			default: // it is a further try, after the crash
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
	}()
	return holds
}

// What a delivery does for its holder.

func (b *Broker) PublishOutcome(ctx context.Context, o occamy.Outcome) error {
	return b.publishOutcome(ctx, o, b.hub.addressFor(o.ID)) // as if it was submitted here
}

func (b *Broker) PublishProgress(ctx context.Context, key string, progress []byte) error {
	return b.publishProgress(ctx, key, progress, "")
}

func (b *Broker) LastProgress(ctx context.Context, key string) ([]byte, error) {
	return b.lastProgress(ctx, key)
}

func (b *Broker) ForgetProgress(key string) { b.forgetProgress(key) }

// StreamOf is where the outcome of an ID stands.
func StreamOf(id string) int { return streamOf(id) }
