// Package memory is a broker inside the process, for tests, examples and
// programs that need no other process. It behaves like a real one: a lease on
// each delivery, a delivery limit for lost ones, delayed requeues, dead
// letters, outcomes and progress that any connection sees. A request that is
// requeued at once, or whose delivery is lost, goes back to the head of its queue;
// one that is requeued with a delay comes to the end of it when that is over.
// Nothing outlives the process.
//
// It has no goroutine of its own and takes no time while it is idle; its clock
// is package time's, so it works in a testing/synctest bubble.
package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Options say how the broker works. The zero value is useful.
type Options struct {
	// Keys are the header keys; servers and clients must use the same.
	// Zero: the defaults.
	Keys occamy.HeaderKeys

	// AckWait is how long a delivery stays with a holder that says nothing.
	// Zero: 30 s; negative: for ever.
	AckWait time.Duration

	// MaxDeliver is how many lost deliveries (the lease ran out, or the
	// holder's connection closed) make a request a dead letter. Orderly
	// requeues do not count. Zero: 5; negative: no limit.
	MaxDeliver int

	// MaxPayload is the largest body, result or progress, in bytes. Zero:
	// 64 MiB; negative: no limit.
	MaxPayload int

	// DuplicateWindow is how long a submitted request is remembered by kind
	// and ID, so that submitting it again does not make it two. Zero: 2 min;
	// negative: not at all.
	DuplicateWindow time.Duration

	// OutcomeAge is how long an outcome is kept. Zero: 1 h; negative: for ever.
	OutcomeAge time.Duration

	// MaxOutcomes is how many outcomes are kept; the oldest goes first. Zero:
	// 10,000; negative: no limit.
	MaxOutcomes int
}

func (o Options) withDefaults() Options {
	o.Keys = o.Keys.WithDefaults()
	o.AckWait = orDefault(o.AckWait, 30*time.Second)
	o.MaxDeliver = orDefault(o.MaxDeliver, 5)
	o.MaxPayload = orDefault(o.MaxPayload, 64<<20)
	o.DuplicateWindow = orDefault(o.DuplicateWindow, 2*time.Minute)
	o.OutcomeAge = orDefault(o.OutcomeAge, time.Hour)
	o.MaxOutcomes = orDefault(o.MaxOutcomes, 10_000)
	return o
}

func orDefault[T int | time.Duration](v, preset T) T {
	if v == 0 {
		return preset
	}
	return v
}

// Broker is a connection to a broker in this process. New makes the broker and
// the first connection to it; Connect makes more. The broker is there as long
// as one of its connections is referenced, even when all are closed.
type Broker struct {
	world *world
	life  context.Context // ends with Close; its cause is broker.ErrClosed
	end   context.CancelCauseFunc

	healed chan struct{} // guarded by world.mu; nil unless cut, closed by Heal
}

var _ broker.Broker = (*Broker)(nil)

// New returns a connection to a new broker.
func New(o Options) *Broker { return newWorld(o.withDefaults()).connect() }

// Connect returns a further connection to the same broker.
func (b *Broker) Connect() *Broker { return b.world.connect() }

func (w *world) connect() *Broker {
	b := &Broker{world: w}
	b.life, b.end = context.WithCancelCause(context.Background())
	return b
}

// Name implements broker.Broker.
func (b *Broker) Name() string { return "memory" }

// Close closes the connection. What it held unsettled counts as lost and goes
// to others at once, as when the process of a real connection dies.
func (b *Broker) Close() error {
	w := b.world
	w.mu.Lock()
	if b.life.Err() != nil {
		w.mu.Unlock()
		return nil
	}
	b.end(broker.ErrClosed)
	for _, watchers := range w.watchers {
		for _, wt := range append([]*watcher(nil), watchers...) {
			if wt.conn == b {
				w.unwatch(wt)
			}
		}
	}
	var lost []*delivery
	for d := range w.held.all() {
		if d.conn == b {
			lost = append(lost, d)
		}
	}
	notify := w.lose(lost)
	w.mu.Unlock()
	callAll(notify)
	return nil
}

// Cut interrupts the connection until Heal, for tests: nothing comes in, calls
// wait, and the leases of what it holds run on. It does nothing to a
// connection that is closed or cut.
func (b *Broker) Cut() {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	if b.healed == nil {
		b.healed = make(chan struct{})
	}
}

// Heal ends what Cut began.
func (b *Broker) Heal() {
	w := b.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.healed == nil {
		return
	}
	close(b.healed)
	b.healed = nil
	for _, c := range w.consumers {
		if c.conn == b {
			c.signal()
		}
	}
	for id, watchers := range w.watchers {
		for _, wt := range append([]*watcher(nil), watchers...) {
			if wt.conn == b {
				w.tell(wt, w.progress[id], w.outcome(id))
			}
		}
	}
}

// usable says whether the connection is neither cut nor closed. world.mu is
// held.
func (b *Broker) usable() bool { return b.healed == nil && b.life.Err() == nil }

// enter locks world.mu once the connection is usable. It fails, with the lock
// free, when ctx ends or the connection is closed.
func (b *Broker) enter(ctx context.Context) error {
	for {
		b.world.mu.Lock()
		healed := b.healed
		switch {
		case b.life.Err() != nil:
			b.world.mu.Unlock()
			return broker.ErrClosed
		case ctx.Err() != nil:
			b.world.mu.Unlock()
			return context.Cause(ctx)
		case healed == nil:
			return nil
		}
		b.world.mu.Unlock()
		select {
		case <-healed:
		case <-ctx.Done():
		case <-b.life.Done():
		}
	}
}

// fits returns an error for a body that is too large.
func (w *world) fits(what string, size int) error {
	if w.opts.MaxPayload >= 0 && size > w.opts.MaxPayload {
		return fmt.Errorf("memory: %w: the %s has %d bytes; at most %d are allowed", occamy.ErrTooLarge, what, size, w.opts.MaxPayload)
	}
	return nil
}
