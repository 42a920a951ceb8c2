package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// consumer is one call of Consume.
type consumer struct {
	conn *Broker
	in   occamy.Intake
	info occamy.Info
	wake chan struct{} // says that there may be a request to take

	// feeding is held while in is given a control message, so that each gets
	// them in one order, and none after Consume has returned.
	feeding sync.Mutex
	ended   bool // guarded by feeding

	// The rest is guarded by world.mu.
	gone  bool
	turn  int            // the index in info.Kinds of the kind whose turn it is
	tasks map[string]int // the IDs that it wants control messages for
}

// Consume implements occamy.Source. Requests of the kinds are taken in turn,
// those of one kind in their order. It asks for a promise only when there is a
// request, so it keeps none for later.
func (b *Broker) Consume(ctx context.Context, in occamy.Intake) error {
	w := b.world
	c := &consumer{conn: b, in: in, info: in.Info(), wake: make(chan struct{}, 1), tasks: make(map[string]int)}
	if c.info.Keys != w.opts.Keys {
		return fmt.Errorf("memory: server %q has other header keys than the broker: %+v, not %+v", c.info.ID, c.info.Keys, w.opts.Keys)
	}
	w.mu.Lock()
	w.consumers = append(w.consumers, c)
	for _, kind := range c.info.Kinds {
		q := w.queue(kind)
		q.consumers = append(q.consumers, c)
	}
	w.mu.Unlock()
	stop := in.WatchTasks(c)

	both, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(b.life, cancel)
	c.feed(both)
	release()
	cancel()

	stop()
	c.detach()
	if ctx.Err() != nil {
		return nil
	}
	return broker.ErrClosed
}

// feed hands requests over until ctx ends.
func (c *consumer) feed(ctx context.Context) {
	for {
		if ctx.Err() != nil {
			return
		}
		if !c.anyReady() {
			select {
			case <-c.wake:
			case <-ctx.Done():
			}
			continue
		}
		n, err := c.in.Acquire(ctx, 1)
		if err != nil {
			// After Shutdown its tasks may still run, and get control messages
			// until the end.
			<-ctx.Done()
			return
		}
		if d := c.take(ctx); d != nil {
			c.in.HandleRequest(d)
		}
		c.in.Release(n)
	}
}

// signal does not block; one signal stands for all that follow until it is
// seen.
func (c *consumer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *consumer) anyReady() bool {
	w := c.conn.world
	w.mu.Lock()
	defer w.mu.Unlock()
	return c.conn.usable() && slices.ContainsFunc(c.info.Kinds, func(kind string) bool { return w.kinds[kind].ready.len() > 0 })
}

// take returns the next request whose turn it is, nil when there is none.
func (c *consumer) take(ctx context.Context) *delivery {
	w := c.conn.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil || !c.conn.usable() {
		return nil
	}
	for range c.info.Kinds {
		q := w.kinds[c.info.Kinds[c.turn]]
		c.turn = (c.turn + 1) % len(c.info.Kinds)
		if q.ready.len() == 0 {
			continue
		}
		r := q.ready.pop()
		r.deliveries++
		d := &delivery{conn: c.conn, request: r, attempt: r.deliveries}
		if w.opts.AckWait > 0 {
			d.expires = time.Now().Add(w.opts.AckWait)
		}
		w.held.push(d)
		w.arm()
		return d
	}
	return nil
}

// detach has nothing come in any more.
func (c *consumer) detach() {
	w := c.conn.world
	w.mu.Lock()
	c.gone = true
	w.consumers = without(w.consumers, c)
	for _, kind := range c.info.Kinds {
		w.kinds[kind].consumers = without(w.kinds[kind].consumers, c)
	}
	for id := range c.tasks {
		w.unroute(id, c)
	}
	w.mu.Unlock()

	c.feeding.Lock()
	c.ended = true
	c.feeding.Unlock()
}

func without[T comparable](s []T, v T) []T {
	return slices.DeleteFunc(s, func(x T) bool { return x == v })
}
