package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// progressQueues remembers which requests have a queue for their progress, and
// since when it is surely there.
type progressQueues struct {
	mu    sync.Mutex
	known map[string]time.Time
}

func (p *progressQueues) fresh(key string, age time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.known[key]
	return ok && time.Since(at) < age
}

func (p *progressQueues) set(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = make(map[string]time.Time)
	}
	p.known[key] = time.Now()
}

func (p *progressQueues) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, key)
}

// publishProgress replaces the progress of the request that has the key.
func (b *Broker) publishProgress(ctx context.Context, key string, progress []byte, replyTo string) error {
	msg := amqp.Publishing{
		Headers:      amqp.Table{hdrID: key, "BCC": watchers(key, replyTo)},
		DeliveryMode: amqp.Persistent,
		Body:         progress,
	}
	for try := 0; ; try++ {
		if err := b.ensureProgress(ctx, key); err != nil {
			return err
		}
		err := b.publish(ctx, b.names.event, progressKey(key), true, msg)
		if !errors.Is(err, errNoRoute) {
			return err
		}
		b.progress.forget(key)
		b.setup.reset()
		if err := b.pause(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

// ensureProgress declares the queue again now and then: that a message comes is
// no use of a queue, as the broker sees it, so it would expire.
func (b *Broker) ensureProgress(ctx context.Context, key string) error {
	if b.progress.fresh(key, b.cfg.ProgressAge/4) {
		return nil
	}
	if err := b.ensureExchange(ctx, b.names.event, amqp.ExchangeDirect); err != nil {
		return err
	}
	args := b.browsed(amqp.Table{"x-max-length": int64(1), "x-overflow": "drop-head", "x-expires": lasting(b.cfg.ProgressAge)})
	q := queue{name: b.names.progressQueue(key), args: args, exchange: b.names.event, key: progressKey(key)}
	_, err := ask(ctx, b, func(ch *amqp.Channel) (struct{}, error) {
		if _, err := ch.QueueDeclare(q.name, true, false, false, false, q.args); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, ch.QueueBind(q.name, q.key, q.exchange, false, nil)
	})
	if hasCode(err, amqp.PreconditionFailed) {
		err = b.declareQueue(ctx, q) // made by somebody with another config
	}
	if err != nil {
		return fmt.Errorf("rabbitmq: keep the progress of %q: %w", key, err)
	}
	b.progress.set(key)
	return nil
}

// The waits of who finds a queue for progress empty: somebody else reads it now
// and has not given it back yet.
var progressWaits = []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond}

// lastProgress returns what was reported last, nil when there is nothing.
func (b *Broker) lastProgress(ctx context.Context, key string) ([]byte, error) {
	name := b.names.progressQueue(key)
	for try := 0; ; try++ {
		d, err := ask(ctx, b, func(ch *amqp.Channel) (amqp.Delivery, error) {
			d, ok, err := ch.Get(name, false)
			if err == nil && ok {
				err = d.Nack(false, true) // it stays until there is a newer one
			}
			return d, err
		})
		switch {
		case notFound(err):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("rabbitmq: last progress of %q: %w", key, err)
		case d.Acknowledger != nil:
			if d.Body == nil {
				return []byte{}, nil
			}
			return d.Body, nil
		case try == len(progressWaits):
			return nil, nil
		}
		if err := b.pause(ctx, progressWaits[try]); err != nil {
			return nil, err
		}
	}
}

// forgetProgress removes the progress of a request, in the background. What it
// cannot remove expires.
func (b *Broker) forgetProgress(key string) {
	ctx, end, err := b.begin(context.Background())
	if err != nil {
		return
	}
	go func() {
		defer end()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := b.removeProgress(ctx, key); err != nil && ctx.Err() == nil {
			b.cfg.OnError(err)
		}
	}()
}

func (b *Broker) removeProgress(ctx context.Context, key string) error {
	b.progress.forget(key)
	_, err := ask(ctx, b, func(ch *amqp.Channel) (int, error) {
		return ch.QueueDelete(b.names.progressQueue(key), false, false, false)
	})
	if err != nil && !notFound(err) {
		return fmt.Errorf("rabbitmq: remove the progress of %q: %w", key, err)
	}
	return nil
}
