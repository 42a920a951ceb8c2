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

	// Of the goroutine of run.
	patience time.Duration // with a broker that does not answer
	served   bool          // there was a session
	renewal  renewal

	mu      sync.Mutex
	target  int  // the credit that it should have
	grown   bool // it has got more since the last claim
	doubt   time.Duration
	content time.Time // until when it gets no more, since it did not use what it got
	session *session  // nil while there is none
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
	l.grown = credit > l.target
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

// How long a lane that did not use the last credit it got gets no more: longer
// each time, so that consumers do not come and go.
const (
	leastDoubt = 100 * time.Millisecond
	mostDoubt  = 2 * time.Second
)

// claim says what the lane made of its credit. While it has not drawn all of it,
// it does not ask for more.
func (l *lane) claim() claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := claim{credit: l.target}
	if l.session == nil {
		return c
	}
	peak, less, held := l.session.claim()
	if less {
		l.c.poke() // to look again when that has lasted a while
	}
	c.used = peak
	switch {
	case held < l.target:
		c.content = true
	case peak >= l.target && l.grown:
		l.grown, l.doubt = false, 0
	case l.grown:
		l.grown, l.doubt = false, min(max(2*l.doubt, leastDoubt), mostDoubt)
		l.content = time.Now().Add(l.doubt)
		time.AfterFunc(l.doubt, l.c.poke)
	}
	c.content = c.content || time.Now().Before(l.content)
	return c
}

// run consumes until ctx ends, again when the session is over.
func (l *lane) run(ctx context.Context) {
	for try := 0; ctx.Err() == nil; try++ {
		began := time.Now()
		err := l.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRenewed) {
			try = -1
			l.renewal.begin()
			continue
		}
		l.renewal.beginAnew()
		if hasCode(err, amqp.AccessRefused) || errors.Is(err, errMissing) && !l.served {
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
	calm := time.NewTimer(l.renewal.next())
	defer calm.Stop()
	for {
		answered := l.mind()
		changed, err := l.adjust(s)
		answered()
		if err != nil {
			s.fail(err)
			return err
		}
		l.patience, l.served = leastPatience, true
		if changed {
			l.c.settled() // what this lane gave back another may take
		}
		select {
		case <-l.wake:
			if s.hasLeftover() {
				// Credit comes back by the piece: take it up together.
				soon.Reset(balanceTime)
				select {
				case <-soon.C:
				case <-s.life.Done():
				case <-ctx.Done():
				}
			}
		case <-calm.C:
			if err := l.renew(s); err != nil {
				return err
			}
			calm.Reset(l.renewal.next())
		case <-s.life.Done():
			b.setup.forget("kind " + l.kind)
			return context.Cause(s.life)
		case <-ctx.Done():
			l.c.over.Store(true)
			_, err := abandon(l.c.spare, func() (bool, error) { return l.adjust(s) }, func(bool) {})
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
// what is out allows. It says whether it had to do anything.
func (l *lane) adjust(s *session) (changed bool, err error) {
	goal := l.goal()
	changed, err = s.dropBlocks(goal)
	if err != nil || goal <= s.held() {
		return changed, err
	}
	if k := s.smallest(); k != nil {
		if err := s.drop(k); err != nil {
			return true, err
		}
	}
	if more := goal - s.held(); more > 0 {
		return true, s.draw(more)
	}
	return true, nil
}
