// Package depth keeps how deep the queues of a broker are, for monitors that are
// asked for it: however often that is, and however long the broker takes.
package depth

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy/broker"
)

// A broker is not asked more often than each fresh, and a reader waits for the
// answer no longer than wait. An answer older than stale tells nothing any more.
const (
	fresh   = 5 * time.Second
	wait    = time.Second
	timeout = 10 * time.Second
	stale   = time.Minute
)

// Queues is what tells how deep the queues of a broker are; every broker.Broker
// does.
type Queues interface {
	Queues(ctx context.Context) ([]broker.Queue, error)
}

// Reader reads the queues of one broker. Its zero value reads none.
type Reader struct {
	mu     sync.Mutex
	broker Queues        // nil for none; guarded by mu, as is all below
	asking chan struct{} // nil unless the broker is asked; closed when it has answered
	asked  time.Time
	last   []broker.Queue
	at     time.Time // of the last answer
}

// Watch has the reader read those of b from now on.
func (r *Reader) Watch(b Queues) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broker, r.at, r.asked, r.asking = b, time.Time{}, time.Time{}, nil
}

// Read returns the queues by the names that their kinds have, those of one name
// added up; none when nothing is known of them.
func (r *Reader) Read(name func(kind string) string) []broker.Queue {
	now := time.Now()
	if answered := r.refresh(now); answered != nil {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-answered:
		case <-t.C:
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broker == nil || r.at.IsZero() || now.Sub(r.at) > stale {
		return nil
	}
	var sums []broker.Queue
	for _, q := range r.last {
		q.Kind = name(q.Kind)
		i := slices.IndexFunc(sums, func(s broker.Queue) bool { return s.Kind == q.Kind })
		if i < 0 {
			sums = append(sums, q)
			continue
		}
		sums[i].Ready += q.Ready
		sums[i].Unacked += q.Unacked
		sums[i].Dead += q.Dead
	}
	return sums
}

// refresh asks the broker when it is time. The channel is closed when it has
// answered; nil: there is nothing to wait for.
func (r *Reader) refresh(now time.Time) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.broker == nil:
		return nil
	case r.asking != nil:
		return r.asking
	case !r.asked.IsZero() && now.Sub(r.asked) < fresh:
		return nil
	}
	r.asked, r.asking = now, make(chan struct{})
	go r.ask(r.broker, r.asking)
	return r.asking
}

func (r *Reader) ask(b Queues, answered chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	all, err := b.Queues(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(answered)
	if r.asking != answered {
		return // another broker is asked by now
	}
	r.asking = nil
	if err == nil {
		r.last, r.at = all, time.Now()
	}
}
