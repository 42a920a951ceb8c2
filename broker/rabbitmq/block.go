package rabbitmq

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// block is one AMQP consumer, and with it a share of the credit. A running
// consumer's prefetch cannot be changed, so credit comes and goes in blocks.
type block struct {
	tag       string
	prefetch  int
	out       int           // guarded by session.mu
	cancelled bool          // guarded by session.mu
	draining  atomic.Bool   // as cancelled, for who does not hold mu
	done      chan struct{} // closed when the last delivery has been taken in
}

// draw starts a consumer with that much credit.
func (s *session) draw(prefetch int) error {
	k, err := s.start(prefetch, nil, func(k *block, raw amqp.Delivery) { s.c.arrived(s, k, raw) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.blocks = append(s.blocks, k)
	s.mu.Unlock()
	return nil
}

func (s *session) start(prefetch int, args amqp.Table, arrived func(*block, amqp.Delivery)) (*block, error) {
	if err := s.ch.Qos(prefetch, 0, false); err != nil {
		return nil, err
	}
	k := &block{tag: s.c.b.messageID(), prefetch: prefetch, done: make(chan struct{})}
	s.mu.Lock()
	s.drawn += prefetch
	if s.running++; s.running == 1 {
		s.quiet = make(chan struct{})
	}
	s.mu.Unlock()
	deliveries, err := s.ch.Consume(s.c.b.names.requestQueue(s.kind), k.tag, false, false, false, false, args)
	if err != nil {
		return nil, err // and the session is over
	}
	go func() {
		defer close(k.done)
		for raw := range deliveries {
			arrived(k, raw)
		}
		s.mu.Lock()
		expected := k.cancelled || s.over
		if s.running--; s.running == 0 {
			close(s.quiet)
		}
		s.mu.Unlock()
		if !expected && !s.ch.IsClosed() {
			s.fail(errCancelled)
		}
	}()
	return k, nil
}

// dropBlocks cancels consumers until at most credit is held, the newest first.
// What they have out counts until it is settled.
func (s *session) dropBlocks(credit int) (dropped bool, err error) {
	for ; ; dropped = true {
		s.mu.Lock()
		n := len(s.blocks)
		if n == 0 || s.drawn+s.leftover <= credit {
			s.mu.Unlock()
			return dropped, nil
		}
		k := s.blocks[n-1]
		s.blocks = s.blocks[:n-1]
		s.mu.Unlock()
		if err := s.drop(k); err != nil {
			return true, err
		}
	}
}

// drop cancels a consumer and takes in what it has got.
func (s *session) drop(k *block) error {
	s.mu.Lock()
	k.cancelled = true
	k.draining.Store(true)
	s.drawn -= k.prefetch
	s.leftover += k.out
	s.mu.Unlock()
	if err := s.ch.Cancel(k.tag, false); err != nil {
		return err
	}
	select {
	case <-k.done:
	case <-s.life.Done():
	}
	return nil
}

// quietTime is how long awaitQuiet waits at most.
const quietTime = 2 * time.Second

// awaitQuiet returns once no consumer runs, where the server takes no requests.
// What is handed back before that may come to a consumer that is being cancelled,
// and a quorum queue counts it as lost then, although nobody has seen it.
func (s *session) awaitQuiet(ctx context.Context) {
	if !s.c.idle() {
		return
	}
	s.mu.Lock()
	quiet := s.quiet
	s.mu.Unlock()
	late := time.NewTimer(quietTime)
	defer late.Stop()
	select {
	case <-quiet:
	case <-late.C:
	case <-s.life.Done():
	case <-ctx.Done():
	}
}

// smallest removes the block with the least credit from those that run.
func (s *session) smallest() *block {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.blocks) < maxBlocks {
		return nil
	}
	at := 0
	for i, k := range s.blocks {
		if k.prefetch < s.blocks[at].prefetch {
			at = i
		}
	}
	k := s.blocks[at]
	s.blocks = append(s.blocks[:at], s.blocks[at+1:]...)
	return k
}

// maxBlocks is how many consumers a kind has at most.
const maxBlocks = 6

// settleUp returns once the broker has taken all acks. A quorum queue takes them
// in the background: RabbitMQ holds back those beyond 32 that it has not taken,
// and loses them when the channel is closed just then, so that the requests are
// delivered again. To begin and end a consumer makes it catch up.
func (s *session) settleUp() error {
	k, err := s.start(1, amqp.Table{"x-priority": int32(math.MinInt32)}, s.giveBack)
	if err != nil {
		return err
	}
	return s.drop(k)
}

// giveBack takes in what comes while nobody wants it.
func (s *session) giveBack(k *block, raw amqp.Delivery) {
	m := newDelivery(s, k, raw)
	if !s.add(m) {
		return
	}
	ctx, cancel := context.WithTimeout(s.life, giveBackTime)
	defer cancel()
	if err := m.giveBack(ctx); err != nil {
		s.refuse(m, true)
	}
}
