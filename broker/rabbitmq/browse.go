package rabbitmq

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// AMQP has no way to look at messages but to take them and give them back. While
// somebody looks through a queue others see less of it, so they take turns. A
// queue's own word on exclusive consumers is not enough: quorum queues have none.

// browsing are the turns within this process; those among processes are
// exclusive queues, which go with the connection of who made them.
type browsing struct {
	mu    sync.Mutex
	turns map[string]chan struct{}
}

func (t *browsing) turn(queue string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turns == nil {
		t.turns = make(map[string]chan struct{})
	}
	turn := t.turns[queue]
	if turn == nil {
		turn = make(chan struct{}, 1)
		turn <- struct{}{}
		t.turns[queue] = turn
	}
	return turn
}

const (
	browseSilent = 5 * time.Second       // somebody else took what was to come
	browseReturn = 2 * time.Second       // how long to wait for what is given back
	lockWait     = 50 * time.Millisecond // between tries to have a turn, at most
)

// browse looks through the first limit messages of a queue, or all for zero. It
// keeps those that keep wants, hands them to use, and gives all back but those
// that use acks. Neither may touch what belongs to the caller: they may go on
// when ctx has ended. Nothing is lost when it is interrupted. A queue that is
// missing is empty.
func browse[T any](ctx context.Context, b *Broker, queue string, limit int, keep func(amqp.Delivery) bool, use func(s *shelf, kept []amqp.Delivery) (T, error)) (T, error) {
	return retry(ctx, b, func() (T, error) {
		var none T
		s, err := b.openShelf(ctx, queue)
		if err != nil {
			return none, err
		}
		return started(ctx, func() (T, error) {
			defer s.close()
			kept, err := s.read(limit, keep)
			if err != nil && !notFound(err) {
				return none, err
			}
			return use(s, kept)
		}, func(T) {})
	})
}

// exclusively runs f while no other connection does so, or looks through the
// queue.
func (b *Broker) exclusively(ctx context.Context, queue string, f func() error) error {
	s, err := retry(ctx, b, func() (*shelf, error) { return b.openShelf(ctx, queue) })
	if err != nil {
		return err
	}
	defer func() {
		go func() {
			_ = s.ch.Close()
			s.unlock()
		}()
	}()
	return f()
}

// shelf is a queue while it is looked through.
type shelf struct {
	queue string
	ch    *amqp.Channel // has the messages
	side  *amqp.Channel // has the lock
	lock  string
	turn  chan struct{} // among those of this connection; given back by unlock
	over  chan struct{} // closed with ch
	taken int           // messages
	acked int
}

// openShelf waits for this connection's turn, among its own calls first.
func (b *Broker) openShelf(ctx context.Context, queue string) (*shelf, error) {
	turn := b.browsing.turn(queue)
	select {
	case <-turn:
	case <-ctx.Done():
		return nil, b.in.inVain(ctx)
	}
	for wait := time.Millisecond; ; wait = min(2*wait, lockWait) {
		s := &shelf{queue: queue, lock: b.names.lock(queue), turn: turn, over: make(chan struct{})}
		for _, ch := range []**amqp.Channel{&s.ch, &s.side} {
			var err error
			if *ch, err = b.channel(ctx); err != nil {
				s.leave()
				turn <- struct{}{}
				return nil, err
			}
		}
		abandoned, err := s.lockFor(ctx)
		if err == nil {
			return s, nil
		}
		if abandoned {
			return nil, err
		}
		if !hasCode(err, amqp.ResourceLocked) {
			turn <- struct{}{}
			return nil, err
		}
		if err := b.pause(ctx, wait); err != nil {
			turn <- struct{}{}
			return nil, fmt.Errorf("somebody else looks through %s: %w", queue, err)
		}
	}
}

// lockFor takes the lock. When ctx ends before there is an answer it is abandoned:
// the shelf is left, and the turn given back, once that has come. RabbitMQ breaks
// the connection of who asks on over a channel that is closed.
func (s *shelf) lockFor(ctx context.Context) (abandoned bool, err error) {
	answers := make(chan error, 1)
	go func() { answers <- s.begin() }()
	select {
	case err := <-answers:
		if err != nil {
			s.leave()
		}
		return false, err
	case <-ctx.Done():
		go func() {
			if err := <-answers; err == nil {
				s.close()
				return
			}
			s.leave()
			s.turn <- struct{}{}
		}()
		return true, ended(ctx)
	}
}

// begin takes the lock. It has a consumer so that it goes with its channel,
// whatever becomes of that.
func (s *shelf) begin() error {
	if _, err := s.side.QueueDeclare(s.lock, false, true, true, false, nil); err != nil {
		return err
	}
	_, err := s.side.Consume(s.lock, "", true, true, false, false, nil)
	return err
}

// leave closes the channels in the background.
func (s *shelf) leave() {
	for _, ch := range []*amqp.Channel{s.ch, s.side} {
		if ch != nil {
			go func() { _ = ch.Close() }() // it may be closed already
		}
	}
}

// close gives back what was not acked, and the turn.
func (s *shelf) close() {
	_ = s.ch.Close()
	close(s.over)
	// The queue has its messages back a moment later. Without a connection it
	// has them in any case.
	began := time.Now()
	for time.Since(began) < browseReturn {
		q, err := s.side.QueueDeclarePassive(s.queue, true, false, false, false, nil)
		if err != nil || q.Messages >= s.taken-s.acked {
			break
		}
		time.Sleep(time.Millisecond)
	}
	s.unlock()
}

// unlock gives the turn to another connection. Where it fails the lock went with
// the channel.
func (s *shelf) unlock() {
	_, _ = s.side.QueueDelete(s.lock, false, false, false)
	_ = s.side.Close()
	s.turn <- struct{}{}
}

// ack removes a message from the queue. It returns once the broker has got that,
// which it tells by an answer to what follows.
func (s *shelf) ack(d amqp.Delivery) error {
	if err := d.Ack(false); err != nil {
		return err
	}
	s.acked++
	return s.ch.Qos(1, 0, false)
}

// read takes the messages, in order.
func (s *shelf) read(limit int, keep func(amqp.Delivery) bool) (kept []amqp.Delivery, err error) {
	note := func(d amqp.Delivery) {
		s.taken++
		if keep(d) {
			kept = append(kept, d)
		}
	}
	// A get tells how many follow, and unlike a declaration it is exact.
	first, ok, err := s.ch.Get(s.queue, false)
	if err != nil || !ok {
		return nil, err
	}
	note(first)
	more := int(first.MessageCount)
	if limit > 0 {
		more = min(more, limit-1)
	}
	if more <= 0 {
		return kept, nil
	}
	letters, err := s.consume(more)
	if err != nil {
		return nil, err
	}
	silent := time.NewTimer(browseSilent)
	defer silent.Stop()
	for range more {
		select {
		case d, ok := <-letters:
			if !ok {
				return nil, errCut
			}
			note(d)
			silent.Reset(browseSilent)
		case <-silent.C:
			return kept, nil
		}
	}
	slices.SortFunc(kept, func(a, b amqp.Delivery) int { return cmp.Compare(a.DeliveryTag, b.DeliveryTag) })
	return kept, nil
}

// consume has n messages come, or more. It needs a prefetch, without which a
// quorum queue gives 2,000 at most; that is of 16 bits, so several consumers
// share what is more.
func (s *shelf) consume(n int) (<-chan amqp.Delivery, error) {
	if err := s.ch.Qos(min(n, math.MaxUint16), 0, false); err != nil {
		return nil, err
	}
	all := make(chan amqp.Delivery)
	var open sync.WaitGroup
	defer func() {
		go func() {
			open.Wait()
			close(all)
		}()
	}()
	for ; n > 0; n -= math.MaxUint16 {
		some, err := s.ch.Consume(s.queue, "", false, false, false, false, nil)
		if err != nil {
			return nil, err
		}
		open.Go(func() {
			for d := range some {
				select {
				case all <- d:
				case <-s.over:
				}
			}
		})
	}
	return all, nil
}
