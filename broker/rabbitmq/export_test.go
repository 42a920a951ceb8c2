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

// Sweep removes what a world has left on the broker.
func (b *Broker) Sweep(ctx context.Context) error {
	kinds, err := b.Queues(ctx)
	if err != nil {
		return err
	}
	n := b.names
	queues, exchanges := []string{n.kinds}, []string{n.requests, n.dead, n.control, n.event}
	for _, k := range kinds {
		queues = append(queues, n.requestQueue(k.Kind), n.deadQueue(k.Kind))
	}
	for i := range 8 {
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
