package rabbitmq

import (
	"context"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker"
)

var _ broker.Feed = (*Broker)(nil)

// The queue of a listener is bounded: one that does not keep up loses the oldest.
const (
	heardLength = 4096
	heardBytes  = 16 << 20
	heardAhead  = 32 // may be with this process, whatever their size
)

// announceTime is how long an announcement is tried to be sent.
const announceTime = time.Second

// Announce implements broker.Feed. It returns once the broker has handed the
// announcement to the queues of those who listen, or after a second.
func (b *Broker) Announce(ctx context.Context, topic string, body []byte) error {
	if err := broker.CheckTopic(topic); err != nil {
		return err
	}
	if err := b.usable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	return b.tell(ctx, feedKey(topic), false, nil, body)
}

// Listen implements broker.Feed.
func (b *Broker) Listen(ctx context.Context, topic string, take func(body []byte)) error {
	if err := broker.CheckTopic(topic); err != nil {
		return err
	}
	life, end, err := b.begin(ctx)
	if err != nil {
		return err
	}
	listens := make(chan struct{})
	once := sync.OnceFunc(func() { close(listens) })
	box := &mailbox{
		b: b, what: "listen to announcements", keys: newKeys(b.names.control, 0, nil),
		fixed: []string{feedKey(topic)},
		args: amqp.Table{
			"x-max-length": int64(heardLength), "x-max-length-bytes": int64(heardBytes), "x-overflow": "drop-head",
		},
		prefetch: heardAhead,
		take: func(d amqp.Delivery) {
			if ctx.Err() == nil {
				take(d.Body)
			}
		},
		bound: func(*sitting) error { once(); return nil },
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer end()
		box.run(life)
	}()
	select {
	case <-listens:
		return nil
	case <-over:
		return b.in.inVain(life)
	}
}
