package rabbitmq

import (
	"context"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// mailbox is a queue that this connection alone has. It dies with the
// connection, and what it held is lost; then it is made and bound anew.
type mailbox struct {
	b        *Broker
	what     string // it is for, in errors
	keys     *keys
	fixed    []string   // keys by which it is bound from the beginning, in order
	args     amqp.Table // of the queue
	prefetch int
	take     func(amqp.Delivery)             // called by one goroutine; does not block
	bound    func(s *sitting) error          // called when it is bound by the fixed keys; nil: nothing is
	left     func()                          // called when it is lost; nil: nothing is
	prepare  func(ctx context.Context) error // called before; nil: nothing is
}

// sitting is a mailbox on one connection.
type sitting struct {
	b       *Broker
	ch      *amqp.Channel // takes
	binding *amqp.Channel
	queue   string
	letters <-chan amqp.Delivery
	closes  chan *amqp.Error
	quit    chan struct{}
	failed  chan error // holds one
	once    sync.Once
}

// run takes what comes until ctx ends. It reconnects by itself.
func (m *mailbox) run(ctx context.Context) {
	for try := 0; ; try++ {
		began := time.Now()
		err := m.sit(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !passing(err) && !hasCode(err, amqp.ResourceLocked) {
			m.b.cfg.OnError(fmt.Errorf("rabbitmq: %s: %w", m.what, err))
		}
		if time.Since(began) > 10*time.Second {
			try = 0
		}
		if m.b.pause(ctx, backoff(try)) != nil {
			return
		}
	}
}

// sit takes what comes as long as the connection lasts.
func (m *mailbox) sit(ctx context.Context) error {
	if err := m.b.ensureExchange(ctx, m.keys.exchange, amqp.ExchangeDirect); err != nil {
		return err
	}
	if m.prepare != nil {
		if err := m.prepare(ctx); err != nil {
			return err
		}
	}
	s, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	if m.left != nil {
		defer m.left()
	}
	session := m.keys.begin()
	defer m.keys.end()
	m.b.links.Go(func() { s.fail(m.keys.follow(session, s.binding, s.queue, s.quit)) })
	for {
		select {
		case d, ok := <-s.letters:
			if !ok {
				return s.over()
			}
			m.take(d)
			if err := d.Ack(false); err != nil {
				return err
			}
		case err := <-s.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *mailbox) open(ctx context.Context) (*sitting, error) {
	s := &sitting{b: m.b, quit: make(chan struct{}), failed: make(chan error, 1)}
	for _, ch := range []**amqp.Channel{&s.ch, &s.binding} {
		var err error
		if *ch, err = m.b.channel(ctx); err != nil {
			s.leave()
			return nil, err
		}
	}
	return abandon(ctx, func() (*sitting, error) {
		if err := m.declare(s); err != nil {
			s.leave()
			return nil, err
		}
		return s, nil
	}, (*sitting).leave)
}

func (m *mailbox) declare(s *sitting) error {
	s.closes = s.ch.NotifyClose(make(chan *amqp.Error, 1))
	if err := s.ch.Qos(m.prefetch, 0, false); err != nil {
		return err
	}
	q, err := s.ch.QueueDeclare("", false, true, true, false, m.args)
	if err != nil {
		return err
	}
	s.queue = q.Name
	// With a consumer the queue goes when the channel does.
	if s.letters, err = s.ch.Consume(q.Name, "", false, true, false, false, nil); err != nil {
		return err
	}
	for _, key := range m.fixed {
		if err := s.binding.QueueBind(q.Name, key, m.keys.exchange, false, nil); err != nil {
			return err
		}
	}
	if m.bound != nil {
		return m.bound(s)
	}
	return nil
}

// fail ends the sitting, unless err is nil.
func (s *sitting) fail(err error) {
	if err == nil {
		return
	}
	select {
	case s.failed <- err:
	default:
	}
}

// over says why nothing comes any more.
func (s *sitting) over() error {
	select {
	case e := <-s.closes:
		if e != nil {
			return e
		}
	default:
	}
	return errCut // or the queue was deleted
}

// leave closes the channels in the background, and with them the queue goes.
func (s *sitting) leave() {
	s.once.Do(func() {
		close(s.quit)
		for _, ch := range []*amqp.Channel{s.ch, s.binding} {
			if ch != nil {
				go func() { _ = ch.Close() }() // ends with the connection at the latest
			}
		}
	})
}
