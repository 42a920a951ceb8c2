package rabbitmq

import (
	"context"
	"maps"
	"slices"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker"
)

// kinds are those that this connection knows of.
type kinds struct {
	mu    sync.Mutex
	known map[string]bool
}

// maxKinds bounds what is believed of what others say.
const maxKinds = 10_000

func (k *kinds) add(kinds ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = make(map[string]bool)
	}
	for _, kind := range kinds {
		if len(k.known) < maxKinds {
			k.known[kind] = true
		}
	}
}

func (k *kinds) sorted() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.known))
}

// kindsQueue holds a message for each kind, since AMQP has no way to list
// queues. Whoever creates the queue of a kind adds it, so it is there once, or a
// few times when several were as quick.
func (b *Broker) kindsQueue() queue { return queue{name: b.names.kinds, args: b.browsed(amqp.Table{})} }

// noteKind keeps a kind for those who list the queues.
func (b *Broker) noteKind(ctx context.Context, kind string) error {
	if err := b.ensureQueue(ctx, b.kindsQueue()); err != nil {
		return err
	}
	return b.publish(ctx, "", b.names.kinds, true, amqp.Publishing{
		Headers: amqp.Table{hdrKind: kind}, DeliveryMode: amqp.Persistent,
	})
}

// readKinds adds what is kept to what this connection knows, and returns all,
// sorted.
func (b *Broker) readKinds(ctx context.Context) ([]string, error) {
	noted, err := browse(ctx, b, b.names.kinds, 0, func(amqp.Delivery) bool { return true }, func(_ *shelf, kept []amqp.Delivery) ([]string, error) {
		var all []string
		for _, d := range kept {
			if kind := text(d.Headers, hdrKind); broker.CheckKind(kind) == nil {
				all = append(all, kind)
			}
		}
		return all, nil
	})
	if err != nil {
		return nil, err
	}
	b.kinds.add(noted...)
	return b.kinds.sorted(), nil
}
