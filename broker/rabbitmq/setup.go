package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// setup remembers what is there, until there is reason to doubt it: a new
// connection, or a message that no queue took.
type setup struct {
	mu    sync.Mutex
	known map[string]*fact
}

type fact struct {
	gate chan struct{} // holds one token; who has it may look
	ok   atomic.Bool
}

func (s *setup) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = make(map[string]*fact)
}

// forget has the next ensure of what look again.
func (s *setup) forget(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, what)
}

func (s *setup) fact(what string) *fact {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.known[what]
	if f == nil {
		f = &fact{gate: make(chan struct{}, 1)}
		f.gate <- struct{}{}
		s.known[what] = f
	}
	return f
}

// ensure calls make unless it succeeded before, on this connection, for the same
// what.
func (b *Broker) ensure(ctx context.Context, what string, make func(context.Context) error) error {
	f := b.setup.fact(what)
	if f.ok.Load() {
		return nil
	}
	select {
	case <-f.gate:
	case <-ctx.Done():
		return ended(ctx)
	}
	defer func() { f.gate <- struct{}{} }()
	if f.ok.Load() {
		return nil
	}
	if err := make(ctx); err != nil {
		return err
	}
	f.ok.Store(true)
	return nil
}

// queue is a durable queue and where it gets its messages from.
type queue struct {
	name          string
	args          amqp.Table
	exchange, key string // empty exchange: no binding
	missing       func() // called where it is not there and about to be declared; nil: nothing is
}

// ensureQueue creates a queue that is missing, and its binding. One that is
// there is left as it is, so an operator may tune it.
func (b *Broker) ensureQueue(ctx context.Context, q queue) error {
	return b.ensure(ctx, "queue "+q.name, func(ctx context.Context) error { return b.declareQueue(ctx, q) })
}

func (b *Broker) declareQueue(ctx context.Context, q queue) error {
	there, err := b.hasQueue(ctx, q.name)
	if err != nil {
		return err
	}
	if !there && q.missing != nil {
		q.missing()
	}
	if !there && q.args[amqp.QueueTypeArg] == amqp.QueueTypeQuorum {
		return b.exclusively(ctx, q.name, func() error { return b.declareAndBind(ctx, q, false) })
	}
	return b.declareAndBind(ctx, q, there)
}

func (b *Broker) declareAndBind(ctx context.Context, q queue, there bool) error {
	_, err := ask(ctx, b, func(ch *amqp.Channel) (struct{}, error) {
		if !there {
			if _, err := ch.QueueDeclare(q.name, true, false, false, false, q.args); err != nil {
				return struct{}{}, err
			}
		}
		if q.exchange == "" {
			return struct{}{}, nil
		}
		return struct{}{}, ch.QueueBind(q.name, q.key, q.exchange, false, nil)
	})
	if hasCode(err, amqp.PreconditionFailed) {
		// Somebody with another config was faster.
		if there, again := b.hasQueue(ctx, q.name); again == nil && there {
			return b.declareAndBind(ctx, q, true)
		}
	}
	if err != nil {
		return fmt.Errorf("rabbitmq: declare the queue %s: %w", q.name, err)
	}
	return nil
}

// awaitQueue returns once it is safe to consume from a queue. A quorum queue that
// another connection is just declaring is there before it is ready, and RabbitMQ
// breaks the connection of who consumes from it then.
func (b *Broker) awaitQueue(ctx context.Context, name string) error {
	if b.cfg.QueueType != Quorum || b.cfg.Declared {
		return nil
	}
	return b.ensure(ctx, "ready "+name, func(ctx context.Context) error {
		q, err := ask(ctx, b, func(ch *amqp.Channel) (amqp.Queue, error) {
			return ch.QueueDeclarePassive(name, true, false, false, false, nil)
		})
		if err != nil || q.Messages > 0 || q.Consumers > 0 {
			return err
		}
		return b.exclusively(ctx, name, func() error { return nil })
	})
}

// hasQueue says whether a queue is there.
func (b *Broker) hasQueue(ctx context.Context, name string) (bool, error) {
	_, err := ask(ctx, b, func(ch *amqp.Channel) (amqp.Queue, error) {
		return ch.QueueDeclarePassive(name, true, false, false, false, nil)
	})
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("rabbitmq: look for the queue %s: %w", name, err)
	}
	return true, nil
}

// ensureExchange creates a durable exchange that is missing. One that is there
// is left as it is.
func (b *Broker) ensureExchange(ctx context.Context, name, kind string) error {
	if name == "" {
		return nil
	}
	return b.ensure(ctx, "exchange "+name, func(ctx context.Context) error {
		_, err := ask(ctx, b, func(ch *amqp.Channel) (struct{}, error) {
			return struct{}{}, ch.ExchangeDeclarePassive(name, kind, true, false, false, false, nil)
		})
		if notFound(err) {
			_, err = ask(ctx, b, func(ch *amqp.Channel) (struct{}, error) {
				return struct{}{}, ch.ExchangeDeclare(name, kind, true, false, false, false, nil)
			})
		}
		if err != nil {
			return fmt.Errorf("rabbitmq: declare the exchange %s: %w", name, err)
		}
		return nil
	})
}

// ensureKind creates what requests of a kind need, and its dead letters.
func (b *Broker) ensureKind(ctx context.Context, kind string) error {
	return b.ensure(ctx, "kind "+kind, func(ctx context.Context) error {
		create := b.createKind
		if b.cfg.Declared {
			create = b.findKind
		}
		if err := create(ctx, kind); err != nil {
			return err
		}
		b.kinds.add(kind)
		return nil
	})
}

func (b *Broker) createKind(ctx context.Context, kind string) error {
	err := errors.Join(
		b.ensureExchange(ctx, b.names.requests, amqp.ExchangeDirect),
		b.ensureExchange(ctx, b.names.dead, amqp.ExchangeDirect),
	)
	if err != nil {
		return err
	}
	if err := b.ensureQueue(ctx, b.deadQueue(kind)); err != nil {
		return err
	}
	q := b.requestQueue(kind)
	there, err := b.hasQueue(ctx, q.name)
	if err == nil && !there {
		err = b.noteKind(ctx, kind) // first, so that a queue is never there alone
	}
	if err != nil {
		return err
	}
	return b.ensureQueue(ctx, q)
}

// manyReturns is a delivery limit for queues whose messages come back by being
// looked at.
const manyReturns = 1 << 30

// browsed returns the arguments of a queue whose messages are looked at.
func (b *Broker) browsed(args amqp.Table) amqp.Table {
	if b.cfg.QueueType == Quorum {
		args["x-delivery-limit"] = int64(manyReturns)
	}
	return b.ofType(args)
}

// ofType returns the arguments of a queue of the config's type.
func (b *Broker) ofType(args amqp.Table) amqp.Table {
	args[amqp.QueueTypeArg] = string(b.cfg.QueueType)
	return args
}

func (b *Broker) requestQueue(kind string) queue {
	n := b.names
	args := b.ofType(amqp.Table{
		"x-dead-letter-exchange":    n.dead,
		"x-dead-letter-routing-key": n.deadKey(kind),
		"x-consumer-timeout":        b.cfg.ConsumerTimeout.Milliseconds(),
	})
	if b.cfg.QueueType == Quorum {
		// The adapter counts, and publishes the dead letter with its reason;
		// this catches what kills every server before it can.
		args["x-delivery-limit"] = int64(max(100, 4*b.cfg.MaxDeliver))
		args["x-dead-letter-strategy"] = "at-least-once"
		args["x-overflow"] = "reject-publish"
	}
	return queue{name: n.requestQueue(kind), args: args, exchange: n.requests, key: n.requestKey(kind)}
}

func (b *Broker) deadQueue(kind string) queue {
	n := b.names
	return queue{name: n.deadQueue(kind), args: b.browsed(amqp.Table{}), exchange: n.dead, key: n.deadKey(kind)}
}

// publishRequest publishes to the queue of a kind, which it makes sure is there.
func (b *Broker) publishRequest(ctx context.Context, kind string, msg amqp.Publishing) error {
	return b.toKind(ctx, kind, b.names.requests, b.names.requestKey(kind), msg)
}

// publishDead publishes to the dead letters of a kind.
func (b *Broker) publishDead(ctx context.Context, kind string, msg amqp.Publishing) error {
	return b.toKind(ctx, kind, b.names.dead, b.names.deadKey(kind), msg)
}

func (b *Broker) toKind(ctx context.Context, kind, exchange, key string, msg amqp.Publishing) error {
	msg.DeliveryMode = amqp.Persistent
	if msg.MessageId == "" {
		msg.MessageId = b.messageID()
	}
	for try := 0; ; try++ {
		if err := b.ensureKind(ctx, kind); err != nil {
			return err
		}
		err := b.publish(ctx, exchange, key, true, msg)
		if !errors.Is(err, errNoRoute) {
			return err
		}
		if b.cfg.Declared && try > 0 {
			return fmt.Errorf("rabbitmq: publish to %q with the key %q: %w; Config.Declared says that one is bound there: bind it", exchange, key, err)
		}
		b.setup.reset()
		if err := b.pause(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

// lasting is d in the unit of queue arguments.
func lasting(d time.Duration) int64 { return max(d.Milliseconds(), 1) }
