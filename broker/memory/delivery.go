package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// delivery is a request message in somebody's hands.
type delivery struct {
	conn    *Broker
	request *request
	attempt int

	// The rest is guarded by world.mu.
	state      state
	expires    time.Time // the end of the lease
	prev, next *delivery // in world.held, while state is isHeld
	onLost     []func()
}

type state uint8

const (
	isHeld state = iota
	isSettled
	isLost
)

var _ interface {
	occamy.Message
	occamy.Leased
	occamy.LossNotifier
	occamy.DelayedRequeuer
	occamy.ReasonedRejecter
	occamy.Attempter
	occamy.OutcomePublisher
	occamy.ProgressKeeper
} = (*delivery)(nil)

func (d *delivery) Headers() occamy.Headers { return d.request.headers }
func (d *delivery) Body() []byte            { return d.request.body }
func (d *delivery) Attempt() int            { return d.attempt }
func (d *delivery) AckWait() time.Duration  { return max(d.conn.world.opts.AckWait, 0) }

// enter locks world.mu once the connection is usable, if the delivery is still
// its holder's then.
func (d *delivery) enter(ctx context.Context) error {
	err := d.conn.enter(ctx)
	if err == nil {
		switch d.state {
		case isHeld:
			return nil
		case isSettled:
			err = fmt.Errorf("memory: request %q: %w: it is settled already", d.request.id, occamy.ErrDeliveryLost)
		case isLost:
			err = fmt.Errorf("memory: request %q: %w", d.request.id, occamy.ErrDeliveryLost)
		}
		d.conn.world.mu.Unlock()
		return err
	}
	if errors.Is(err, broker.ErrClosed) {
		return fmt.Errorf("memory: request %q: %w: %w", d.request.id, occamy.ErrDeliveryLost, err)
	}
	return fmt.Errorf("memory: request %q: %w", d.request.id, err)
}

// settle ends the delivery and does then with the request.
func (d *delivery) settle(ctx context.Context, then func(w *world, r *request)) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	w := d.conn.world
	defer w.mu.Unlock()
	d.state = isSettled
	d.onLost = nil
	w.held.remove(d)
	then(w, d.request)
	return nil
}

func (d *delivery) Ack(ctx context.Context) error {
	return d.settle(ctx, func(w *world, r *request) { delete(w.progress, r.id) })
}

func (d *delivery) Reject(ctx context.Context, requeue bool) error {
	if requeue {
		return d.RequeueAfter(ctx, 0)
	}
	return d.RejectFor(ctx, "rejected without a reason")
}

func (d *delivery) RejectFor(ctx context.Context, reason string) error {
	return d.settle(ctx, func(w *world, r *request) { w.bury(r, reason) })
}

func (d *delivery) RequeueAfter(ctx context.Context, delay time.Duration) error {
	return d.settle(ctx, func(w *world, r *request) {
		if delay > 0 {
			w.putOff(r, delay)
		} else {
			w.putBack(r)
		}
	})
}

func (d *delivery) KeepAlive(ctx context.Context) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	w := d.conn.world
	defer w.mu.Unlock()
	w.held.remove(d)
	d.expires = time.Now().Add(w.opts.AckWait)
	w.held.push(d)
	return nil
}

func (d *delivery) NotifyLost(f func()) {
	w := d.conn.world
	w.mu.Lock()
	if d.state == isHeld {
		d.onLost = append(d.onLost, f)
	}
	lost := d.state == isLost
	w.mu.Unlock()
	if lost {
		f()
	}
}

func (d *delivery) PublishOutcome(ctx context.Context, o occamy.Outcome) error {
	w := d.conn.world
	if err := w.fits("outcome", len(o.Result)+len(o.Reason)); err != nil {
		return err
	}
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer w.mu.Unlock()
	o.Result = bytes.Clone(o.Result)
	w.keepOutcome(d.request.id, o)
	return nil
}

func (d *delivery) PublishProgress(ctx context.Context, progress []byte) error {
	w := d.conn.world
	if err := w.fits("progress", len(progress)); err != nil {
		return err
	}
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer w.mu.Unlock()
	id := d.request.id
	w.progress[id] = append([]byte{}, progress...)
	for _, wt := range slices.Clone(w.watchers[id]) {
		w.tell(wt, w.progress[id], nil)
	}
	return nil
}

func (d *delivery) LastProgress(ctx context.Context) ([]byte, error) {
	if err := d.conn.enter(ctx); err != nil {
		return nil, err
	}
	defer d.conn.world.mu.Unlock()
	return bytes.Clone(d.conn.world.progress[d.request.id]), nil
}
