package nats

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

// lease is how long a delivery is ours. NATS does not tell an ack of a lost
// delivery from a good one: it would remove the message that somebody else is
// working on. So whoever holds it must know by its own clock.
type lease struct {
	wait time.Duration // less the margin

	mu      sync.Mutex
	since   time.Time
	settled bool
}

func newLease(ackWait time.Duration, since time.Time) lease {
	margin := max(ackWait/10, min(ackWait/5, 500*time.Millisecond))
	return lease{wait: ackWait - margin, since: since}
}

// gone is how long ago t was. The wall clock counts too, since the monotonic
// one may stand still while a machine sleeps.
func gone(t, now time.Time) time.Duration {
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// leaseBegan is a moment at or before which NATS delivered a message: it was
// asked for then at the earliest, and NATS does not deliver before it has
// stored. The latter is by the clock of NATS, and of use only for what came just
// then.
func leaseBegan(asked, received, stored time.Time, ackWait time.Duration) time.Time {
	lag := received.Sub(stored)
	if at := received.Add(-lag); lag > 0 && lag <= ackWait/4 && at.After(asked) {
		return at
	}
	return asked
}

// isStale says whether a message that was read just now may have been given to
// somebody else, since it lay unread while this process or its connection stood
// still: what an inbox has asked for comes within three eighths of AckWait (see
// useful and life).
func isStale(asked, read time.Time, ackWait time.Duration) bool {
	return gone(asked, read) > ackWait/2
}

// left is how long the lease lasts from now.
func (l *lease) left() time.Duration {
	l.mu.Lock()
	since := l.since
	l.mu.Unlock()
	return l.wait - gone(since, time.Now())
}

func (l *lease) lost() error {
	if l.left() > 0 {
		return nil
	}
	return errLeaseOver
}

var errLeaseOver = fmt.Errorf("nats: the lease has ended: %w", occamy.ErrDeliveryLost)

// renew counts the lease from since.
func (l *lease) renew(since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since.After(l.since) {
		l.since = since
	}
}

func (l *lease) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled = true
}

func (l *lease) isSettled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled
}

// hold runs f while the delivery is ours: its context ends with the lease, and
// it is not run after that.
func (l *lease) hold(ctx context.Context, f func(context.Context) error) error {
	if err := l.lost(); err != nil {
		return err
	}
	held, cancel := context.WithTimeout(ctx, l.left())
	defer cancel()
	err := f(held)
	if err != nil && ctx.Err() == nil {
		if lost := l.lost(); lost != nil {
			return fmt.Errorf("%w; %w", lost, err)
		}
	}
	return err
}
