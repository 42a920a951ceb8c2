package occamy

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// lease keeps a message alive and knows until when it is ours: one AckWait from
// the sending of the last confirmed keep-alive, less a margin for the way to
// the broker and back and for clocks that drift. The guard must be local, since
// a broker may confirm a late ack and thereby remove the message that it has
// given to somebody else.
type lease struct {
	job    *job
	leased Leased
	wait   time.Duration

	mu    sync.Mutex
	until time.Time   // guarded by mu
	next  time.Time   // of the next keep-alive; guarded by mu
	busy  bool        // a keep-alive is under way; guarded by mu
	ended bool        // settled or lost; guarded by mu
	timer *time.Timer // of the lease's own, once it is no longer young; guarded by mu

	// guarded by youngLeases.mu
	young      bool
	due        time.Time
	prev, more *lease
}

// youngLeases are those that need no keep-alive yet. Most requests have ended
// before, and have cost no timer: one does for all of these.
type youngLeases struct {
	mu    sync.Mutex
	first *lease      // guarded by mu, as are all below
	timer *time.Timer // nil before there was a lease
	at    time.Time   // when it fires; zero: it is not set
}

func (y *youngLeases) add(l *lease) {
	y.mu.Lock()
	defer y.mu.Unlock()
	l.young, l.more = true, y.first
	if y.first != nil {
		y.first.prev = l
	}
	y.first = l
	if y.at.IsZero() || l.due.Before(y.at) {
		y.set(l.due)
	}
}

// set has the timer fire at a moment. y.mu is held.
func (y *youngLeases) set(at time.Time) {
	y.at = at
	if y.timer == nil {
		y.timer = time.AfterFunc(time.Until(at), y.ripen)
	} else {
		y.timer.Reset(time.Until(at))
	}
}

// remove takes out a lease that may not be there any more.
func (y *youngLeases) remove(l *lease) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !l.young {
		return
	}
	l.young = false
	if l.prev != nil {
		l.prev.more = l.more
	} else {
		y.first = l.more
	}
	if l.more != nil {
		l.more.prev = l.prev
	}
	l.prev, l.more = nil, nil
}

// ripen gives those leases a timer of their own whose first keep-alive is due.
func (y *youngLeases) ripen() {
	y.mu.Lock()
	now := time.Now()
	var due []*lease
	var next time.Time
	for l := y.first; l != nil; l = l.more {
		switch {
		case !l.due.After(now):
			due = append(due, l)
		case next.IsZero() || l.due.Before(next):
			next = l.due
		}
	}
	if y.at = next; !next.IsZero() {
		y.set(next)
	}
	y.mu.Unlock()
	for _, l := range due {
		y.remove(l)
		l.mu.Lock()
		if !l.ended {
			l.timer = time.AfterFunc(0, l.tick)
		}
		l.mu.Unlock()
	}
}

// A keep-alive is sent three times in each AckWait, and again after a tenth of
// it when one failed; the last tenth is the margin.
const (
	leaseBeats  = 3
	leaseMargin = 10
)

// watchDelivery guards the delivery of a message that the server has taken.
func (s *Server) watchDelivery(j *job) {
	if m, ok := j.message.(LossNotifier); ok {
		m.NotifyLost(j.lose)
	}
	m, ok := j.message.(Leased)
	if !ok || m.AckWait() <= 0 || j.settled.Load() {
		return
	}
	wait := m.AckWait()
	arrived := s.start.Add(j.arrived)
	next := arrived.Add(wait / leaseBeats)
	l := &lease{job: j, leased: m, wait: wait, until: arrived.Add(wait - wait/leaseMargin), next: next, due: next}
	j.lease.Store(l)
	s.young.add(l)
	if j.settled.Load() {
		j.endLease()
	}
}

func (l *lease) tick() {
	l.mu.Lock()
	now := time.Now()
	switch {
	case l.ended:
	case !now.Before(l.until):
		l.ended = true
		defer l.job.lose()
	case !l.busy && !now.Before(l.next):
		l.busy = true
		go l.keepAlive(now, l.until)
		l.timer.Reset(l.until.Sub(now))
	case l.busy:
		l.timer.Reset(l.until.Sub(now))
	default:
		l.timer.Reset(l.next.Sub(now))
	}
	l.mu.Unlock()
}

func (l *lease) keepAlive(sent, until time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	err := guard(func() error { return l.leased.KeepAlive(ctx) })
	cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
	if l.ended {
		return
	}
	now := time.Now()
	switch {
	case err == nil:
		l.until = sent.Add(l.wait - l.wait/leaseMargin)
		l.next = sent.Add(l.wait / leaseBeats)
	case errors.Is(err, ErrDeliveryLost):
		l.ended = true
		go l.job.lose()
		return
	default:
		l.next = now.Add(l.wait / leaseMargin)
	}
	at := l.next
	if l.until.Before(at) {
		at = l.until
	}
	l.timer.Reset(max(at.Sub(now), 0))
}

// ours says whether the message may still be settled: it is not lost, nor given
// up after SettleTimeout.
func (j *job) ours() bool {
	if j.lost.Load() || j.settled.Load() {
		return false
	}
	l := j.lease.Load()
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until)
}

func (j *job) endLease() {
	if l := j.lease.Load(); l != nil {
		l.mu.Lock()
		l.ended = true
		if l.timer != nil {
			l.timer.Stop()
		}
		l.mu.Unlock()
		j.server.young.remove(l)
	}
}

// lose: the broker has given the request to somebody else, or may have.
func (j *job) lose() {
	if j.lost.Swap(true) {
		return
	}
	j.settlement.end(ErrDeliveryLost)
	j.server.stepAside(slots.Lost, j)
}
