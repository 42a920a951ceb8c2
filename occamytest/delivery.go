package occamytest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

// Delivery is a Message with every optional ability. To test with fewer of
// them, wrap it so that only those show:
//
//	struct {
//		occamy.Message
//		occamy.Leased
//	}{d, d}
//
// A field that is to be changed is set before it is handed to a server.
type Delivery struct {
	*Message

	// Wait is the AckWait; zero for no lease.
	Wait time.Duration
	// Number is the Attempt.
	Number int
	// OnKeepAlive, where it is not nil, decides what the n-th keep-alive
	// returns, counted from 1; it may block.
	OnKeepAlive func(ctx context.Context, n int) error
	// OnOutcome, where it is not nil, is called before an outcome is recorded,
	// which fails with what it returns.
	OnOutcome func(ctx context.Context, o occamy.Outcome) error
	// OnProgress, where it is not nil, is called before progress is recorded,
	// which fails with what it returns.
	OnProgress func(ctx context.Context, b []byte) error

	mu       sync.Mutex
	alive    int              // guarded by mu
	lost     bool             // guarded by mu
	notify   []func()         // guarded by mu
	outcomes []occamy.Outcome // guarded by mu
	progress [][]byte         // guarded by mu
	last     []byte           // guarded by mu
}

var _ interface {
	occamy.Message
	occamy.Leased
	occamy.LossNotifier
	occamy.DelayedRequeuer
	occamy.ReasonedRejecter
	occamy.Attempter
	occamy.OutcomePublisher
	occamy.ProgressKeeper
} = (*Delivery)(nil)

// NewDelivery makes a first delivery without a lease.
func NewDelivery(h occamy.Headers, body []byte) *Delivery {
	return &Delivery{Message: NewMessage(h, body), Number: 1}
}

// AckWait implements occamy.Leased.
func (d *Delivery) AckWait() time.Duration { return d.Wait }

// KeepAlive implements occamy.Leased.
func (d *Delivery) KeepAlive(ctx context.Context) error {
	d.mu.Lock()
	d.alive++
	n := d.alive
	d.mu.Unlock()
	if d.OnKeepAlive != nil {
		return d.OnKeepAlive(ctx, n)
	}
	return nil
}

// KeepAlives returns how often KeepAlive was called.
func (d *Delivery) KeepAlives() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.alive
}

// NotifyLost implements occamy.LossNotifier.
func (d *Delivery) NotifyLost(f func()) {
	d.mu.Lock()
	if !d.lost {
		d.notify = append(d.notify, f)
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	f()
}

// Lose makes the delivery a lost one and tells the server so, unless the
// message has been settled.
func (d *Delivery) Lose() {
	if d.Settlement().Fate != Unsettled {
		return
	}
	d.mu.Lock()
	d.lost = true
	tell := d.notify
	d.notify = nil
	d.mu.Unlock()
	for _, f := range tell {
		f()
	}
}

// RequeueAfter implements occamy.DelayedRequeuer.
func (d *Delivery) RequeueAfter(ctx context.Context, delay time.Duration) error {
	return d.settle(ctx, Settlement{Fate: Requeued, Delay: delay})
}

// RejectFor implements occamy.ReasonedRejecter.
func (d *Delivery) RejectFor(ctx context.Context, reason string) error {
	return d.settle(ctx, Settlement{Fate: Rejected, Reason: reason})
}

// Attempt implements occamy.Attempter.
func (d *Delivery) Attempt() int { return d.Number }

// PublishOutcome implements occamy.OutcomePublisher.
func (d *Delivery) PublishOutcome(ctx context.Context, o occamy.Outcome) error {
	if d.OnOutcome != nil {
		if err := d.OnOutcome(ctx, o); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outcomes = append(d.outcomes, o)
	return nil
}

// Outcomes returns what was published.
func (d *Delivery) Outcomes() []occamy.Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.outcomes)
}

// PublishProgress implements occamy.ProgressKeeper.
func (d *Delivery) PublishProgress(ctx context.Context, b []byte) error {
	if d.OnProgress != nil {
		if err := d.OnProgress(ctx, b); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress = append(d.progress, b)
	d.last = b
	return nil
}

// Progress returns what was published, oldest first.
func (d *Delivery) Progress() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.progress)
}

// LastProgress implements occamy.ProgressKeeper.
func (d *Delivery) LastProgress(context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last, nil
}

// Redeliver returns the delivery that follows when this one was requeued or
// lost: the same headers, body and last progress, one attempt more.
func (d *Delivery) Redeliver() *Delivery {
	next := NewDelivery(d.headers, d.body)
	next.Wait, next.Number = d.Wait, d.Number+1
	d.mu.Lock()
	defer d.mu.Unlock()
	next.last = d.last
	return next
}
