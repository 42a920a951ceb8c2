package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
)

// session is one channel over which requests of one kind come: the epoch of
// their deliveries. What was delivered in it is settled in it or not at all,
// since on another channel its number would name another delivery.
type session struct {
	c    *consumer
	lane *lane
	kind string
	ch   *amqp.Channel
	life context.Context // ends, with the cause, when the session is over
	end  context.CancelCauseFunc

	finishing atomic.Bool

	mu       sync.Mutex
	over     bool
	retired  bool          // no more deliveries come: close when all are settled
	blocks   []*block      // that may still deliver
	unacked  *delivery     // a ring; the deliveries that are out, by their tags
	acks     acks          // that are to be sent
	used     int           // how many those are
	came     uint64        // how many deliveries there were
	peak     int           // the most they were since the last look at it
	drawn    int           // the prefetches of the consumers that run
	leftover int           // deliveries that are out of consumers that were cancelled
	running  int           // consumers whose deliveries are still taken in
	quiet    chan struct{} // closed while none run
}

var (
	errCancelled = errors.New("rabbitmq: the broker cancelled the consumer")
	errOver      = errors.New("rabbitmq: the channel is closed")
)

func newSession(l *lane, ch *amqp.Channel) *session {
	s := &session{c: l.c, lane: l, kind: l.kind, ch: ch}
	s.life, s.end = context.WithCancelCause(context.Background())
	l.c.b.sessions.add(s)
	closes := ch.NotifyClose(make(chan *amqp.Error, 1))
	go func() {
		cause := errOver
		if e := <-closes; e != nil {
			cause = e
		}
		s.lose(cause)
		l.c.b.sessions.remove(s)
	}()
	return s
}

// lose ends the session: what is out of it belongs to the broker again.
func (s *session) lose(cause error) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over = true
	var tell []func()
	for s.unacked != nil {
		m := s.unacked
		s.unlink(m)
		m.state = lost
		if m.progressed {
			s.c.b.progress.forget(m.key) // who has the request next may remove its queue
		}
		if m.onLost != nil {
			tell = append(tell, m.onLost)
		}
	}
	s.mu.Unlock()
	s.end(cause)
	for _, f := range tell {
		f()
	}
}

// fail closes the channel, for a reason of our own.
func (s *session) fail(cause error) {
	s.lose(cause)
	go func() { _ = s.ch.Close() }() // it may be closed, and the connection gone
}

// lostError is what who comes too late gets.
func (s *session) lostError() error {
	cause := context.Cause(s.life)
	if cause == nil || errors.Is(cause, errOver) {
		return fmt.Errorf("rabbitmq: the channel of the delivery is closed: %w", occamy.ErrDeliveryLost)
	}
	return fmt.Errorf("rabbitmq: the channel of the delivery is closed (%w): %w", cause, occamy.ErrDeliveryLost)
}

// add takes note of a delivery; false when the session is over.
func (s *session) add(m *delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.acks.saw(m.raw.DeliveryTag)
	s.link(m)
	if s.used >= s.drawn {
		s.c.poke()
	}
	return true
}

// link puts m into the ring of what is out, by its tag. Deliveries of several
// consumers may come in a slightly different order. mu is held.
func (s *session) link(m *delivery) {
	s.used++
	s.came++
	s.peak = max(s.peak, s.used)
	m.block.out++
	if m.block.cancelled {
		s.leftover++
	}
	head := s.unacked
	if head == nil {
		m.prev, m.next, s.unacked = m, m, m
		return
	}
	after := head.prev
	for after != head && after.raw.DeliveryTag > m.raw.DeliveryTag {
		after = after.prev
	}
	if after == head && head.raw.DeliveryTag > m.raw.DeliveryTag {
		after, s.unacked = head.prev, m
	}
	m.prev, m.next = after, after.next
	after.next.prev, after.next = m, m
}

// unlink is called with mu held.
func (s *session) unlink(m *delivery) {
	if m.next == m {
		s.unacked = nil
	} else {
		m.prev.next, m.next.prev = m.next, m.prev
		if s.unacked == m {
			s.unacked = m.next
		}
	}
	m.prev, m.next = nil, nil
	s.used--
	m.block.out--
	if m.block.cancelled {
		s.leftover--
	}
}

// ack has the broker told that a delivery is done with, once. done is called
// when that is written, or cannot be, perhaps at once; it does not block.
func (s *session) ack(m *delivery, done func(error)) {
	s.mu.Lock()
	state := m.state
	send := false
	if state == out {
		m.state, m.acked = settled, done
		s.unlink(m)
		s.acks.waiting = append(s.acks.waiting, m)
		send, s.acks.sender = !s.acks.sender, true
	}
	s.mu.Unlock()
	switch {
	case state == settled:
		done(nil)
	case state == lost:
		done(s.lostError())
	case send:
		go s.sendAcks()
	}
}

// ackNow returns once the ack is written.
func (s *session) ackNow(m *delivery) error {
	written := make(chan error, 1)
	s.ack(m, func(err error) { written <- err })
	return <-written
}

// freed has the credit of a delivery that was settled used.
func (s *session) freed(m *delivery) {
	if m.block.draining.Load() {
		s.lane.rouse()
	}
	s.c.settled()
}

// refuse gives a delivery back to the broker, which counts that, or has the
// broker make a dead letter of it. Until that is sent, it counts as being out.
func (s *session) refuse(m *delivery, requeue bool) {
	s.mu.Lock()
	if m.state != out {
		s.mu.Unlock()
		return
	}
	m.state = settled
	s.mu.Unlock()
	if err := s.ch.Nack(m.raw.DeliveryTag, false, requeue); err != nil {
		s.lose(err) // so it goes back by itself
		return
	}
	s.mu.Lock()
	if !s.over {
		s.unlink(m)
	}
	s.mu.Unlock()
	s.freed(m)
	s.closeIfDone()
}

// sendAcks writes acks until none wait. Each time it lets those go first that
// can run, since most of them are about to ack too.
func (s *session) sendAcks() {
	for {
		runtime.Gosched()
		sent, err := s.writeAcks()
		if len(sent) == 0 {
			return
		}
		for i, m := range sent {
			if err == nil {
				s.freed(m)
			}
			m.acked(err)
			sent[i] = nil
		}
	}
}

// writeAcks writes the acks that wait. When there are none the sender is done.
func (s *session) writeAcks() (sent []*delivery, err error) {
	s.acks.sending.Lock()
	defer s.acks.sending.Unlock()
	s.mu.Lock()
	if len(s.acks.waiting) == 0 {
		s.acks.sender = false
		s.mu.Unlock()
		return nil, nil
	}
	lowest := s.acks.seen + 1
	if s.unacked != nil {
		lowest = min(lowest, s.unacked.raw.DeliveryTag)
	}
	sent, tags, upTo := s.acks.take(lowest)
	over, last := s.over, s.retired && s.used == 0
	s.mu.Unlock()
	if over {
		err = errOver
	}
	if upTo > 0 && err == nil {
		err = s.ch.Ack(upTo, true)
		s.acks.wrote()
	}
	for i := 0; i < len(tags) && err == nil; i++ {
		err = s.ch.Ack(tags[i], false)
		s.acks.wrote()
	}
	if err == nil {
		if last {
			s.finish()
		}
		return sent, nil
	}
	s.lose(err)
	s.mu.Lock()
	for _, m := range sent {
		m.state = lost
	}
	s.mu.Unlock()
	return sent, s.lostError()
}

// retire closes the channel once all its deliveries are settled.
func (s *session) retire() {
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.closeIfDone()
}

func (s *session) closeIfDone() {
	s.acks.sending.Lock() // so that nothing is on its way
	defer s.acks.sending.Unlock()
	s.mu.Lock()
	done := s.retired && s.used == 0 && len(s.acks.waiting) == 0
	s.mu.Unlock()
	if done {
		s.finish()
	}
}

// finish closes the channel, with nothing out, in the background.
func (s *session) finish() {
	if s.finishing.Swap(true) {
		return
	}
	go func() {
		if s.acks.fresh() {
			if err := s.settleUp(); err != nil {
				s.fail(err)
				return
			}
		}
		s.fail(errOver)
	}()
}

// held is the credit that the session has drawn and not given back.
func (s *session) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drawn + s.leftover
}

// hasLeftover says whether consumers that were cancelled have deliveries out.
func (s *session) hasLeftover() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leftover > 0
}

// claim says what the session used at most since it was asked last, whether it
// uses less now, and what credit it has.
func (s *session) claim() (peak int, less bool, held int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	peak, s.peak = s.peak, s.used
	return peak, s.used < peak, s.drawn + s.leftover
}

// hold runs f while the session lasts: its context ends with it, and it is not
// run after that.
func (s *session) hold(ctx context.Context, m *delivery, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	state := m.state
	s.mu.Unlock()
	if state == lost {
		return s.lostError()
	}
	held, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(occamy.ErrDeliveryLost) })()
	err := f(held)
	if err != nil && ctx.Err() == nil && s.life.Err() != nil {
		return fmt.Errorf("%w; %w", s.lostError(), err)
	}
	return err
}
