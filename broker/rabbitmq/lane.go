package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// lane consumes one kind, over one session after the other.
type lane struct {
	c    *consumer
	kind string
	wake chan struct{} // holds one token when there is reason to adjust

	patience time.Duration // with a broker that does not answer; of the goroutine of run

	mu      sync.Mutex
	target  int      // the credit that it should have
	session *session // nil while there is none
}

func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// aim sets the credit that the lane should have.
func (l *lane) aim(credit int) {
	l.mu.Lock()
	l.target = credit
	l.mu.Unlock()
	l.rouse()
}

func (l *lane) goal() int {
	if l.c.idle() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.target
}

func (l *lane) current() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

func (l *lane) held() int {
	if s := l.current(); s != nil {
		return s.held()
	}
	return 0
}

// claim says what the lane made of its credit. While it has not drawn all of it,
// it does not ask for more.
func (l *lane) claim() claim {
	l.mu.Lock()
	s, target := l.session, l.target
	l.mu.Unlock()
	if s == nil {
		return claim{credit: target}
	}
	peak, less, held := s.claim()
	if less {
		l.c.poke() // to look again when that has lasted a while
	}
	if held < target {
		peak = min(peak, target-1)
	}
	return claim{credit: target, used: peak}
}

// run consumes until ctx ends, again when the session is over.
func (l *lane) run(ctx context.Context) {
	for try := 0; ctx.Err() == nil; try++ {
		began := time.Now()
		err := l.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if hasCode(err, amqp.AccessRefused) {
			l.c.fail(fmt.Errorf("rabbitmq: consume %q: %w", l.kind, err))
			return
		}
		if !passing(err) && !errors.Is(err, errOver) {
			l.c.b.cfg.OnError(fmt.Errorf("rabbitmq: consume %q: %w; trying again", l.kind, err))
		}
		if time.Since(began) > time.Second {
			try = 0
		}
		if err := l.c.b.pause(ctx, backoff(try)); err != nil {
			return
		}
	}
}

// serve consumes over one session, until it is over or ctx ends; then it gives
// back what nobody has taken, and leaves what was handed over to be settled.
func (l *lane) serve(ctx context.Context) error {
	b := l.c.b
	if err := b.ensureKind(ctx, l.kind); err != nil {
		return err
	}
	if err := b.awaitQueue(ctx, b.names.requestQueue(l.kind)); err != nil {
		return err
	}
	ch, err := b.channel(ctx)
	if err != nil {
		return err
	}
	s := newSession(l, ch)
	l.mu.Lock()
	l.session = s
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.session = nil
		l.mu.Unlock()
	}()
	soon := time.NewTimer(time.Hour)
	defer soon.Stop()
	for {
		answered := l.mind()
		err := l.adjust(s)
		answered()
		if err != nil {
			s.fail(err)
			return err
		}
		l.patience = leastPatience
		l.c.settled() // what this lane gave back another may take
		wake := l.wake
		if s.hasLeftover() {
			// Credit comes back by the piece: take it up together.
			wake = nil
			soon.Reset(balanceTime)
		}
		select {
		case <-wake:
		case <-soon.C:
		case <-s.life.Done():
			b.setup.forget("kind " + l.kind)
			return context.Cause(s.life)
		case <-ctx.Done():
			l.c.over.Store(true)
			_, err := abandon(l.c.spare, func() (struct{}, error) { return struct{}{}, l.adjust(s) }, func(struct{}) {})
			if err != nil {
				s.fail(err)
				return err
			}
			s.retire()
			return nil
		}
	}
}

// How long a lane waits for the answer to a consume.
const (
	leastPatience = 500 * time.Millisecond
	mostPatience  = 8 * time.Second
)

// mind sees to it that the broker answers. A quorum queue that is about to
// start loses what it is asked: RabbitMQ answers after a minute, by closing the
// connection. So that is dropped, unless somebody has work from it.
func (l *lane) mind() (answered func()) {
	wait := max(l.patience, leastPatience)
	l.patience = min(2*wait, mostPatience)
	var again *time.Timer
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	again = time.AfterFunc(wait, func() {
		if !l.c.b.sessions.busy() {
			l.c.b.in.drop()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		again.Reset(wait)
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		again.Stop()
	}
}

// adjust brings the session to the credit that the lane should have, as far as
// what is out allows.
func (l *lane) adjust(s *session) error {
	goal := l.goal()
	if err := s.dropBlocks(goal); err != nil {
		return err
	}
	if goal <= s.held() {
		return nil
	}
	if k := s.smallest(); k != nil {
		if err := s.drop(k); err != nil {
			return err
		}
	}
	if more := goal - s.held(); more > 0 {
		return s.draw(more)
	}
	return nil
}
