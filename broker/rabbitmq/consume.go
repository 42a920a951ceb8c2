package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// giveBackTime is how long Consume takes at its end to give back what the broker
// has delivered and nobody has taken.
const giveBackTime = 5 * time.Second

// Consume implements occamy.Source.
func (b *Broker) Consume(ctx context.Context, in occamy.Intake) error {
	info := in.Info()
	for _, kind := range info.Kinds {
		if err := broker.CheckKind(kind); err != nil {
			return err
		}
	}
	life, end, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer end()

	err = newConsumer(b, in, info).run(life)
	if ctx.Err() != nil {
		return nil
	}
	if life.Err() != nil {
		return context.Cause(life)
	}
	return err
}

// consumer is one call of Consume: a lane for each kind, among which it divides
// the credit.
type consumer struct {
	b     *Broker
	in    occamy.Intake
	keys  occamy.HeaderKeys
	slots int
	lanes []*lane

	paused    atomic.Bool                     // the server takes no requests
	over      atomic.Bool                     // nor will it: Consume ends, whatever the server says now
	withdrawn atomic.Pointer[<-chan struct{}] // closed when the server takes none
	restless  atomic.Bool                     // some kind would use more credit
	poked     chan struct{}
	work      sync.WaitGroup  // what is settled without the intake
	spare     context.Context // for that work
	giveUp    context.CancelFunc
	fail      context.CancelCauseFunc
}

func newConsumer(b *Broker, in occamy.Intake, info occamy.Info) *consumer {
	c := &consumer{
		b: b, in: in, keys: info.Keys,
		slots: min(max(info.Slots, 1), maxPrefetch),
		poked: make(chan struct{}, 1),
	}
	for _, kind := range info.Kinds {
		c.lanes = append(c.lanes, &lane{
			c: c, kind: kind, wake: make(chan struct{}, 1), renewal: renewal{calm: b.calm, wait: b.calm.least},
		})
	}
	return c
}

// maxPrefetch is AMQP's.
const maxPrefetch = 1<<16 - 1

// run consumes until ctx ends, and then gives back what nobody has taken.
func (c *consumer) run(ctx context.Context) error {
	ctx, c.fail = context.WithCancelCause(ctx)
	defer c.fail(nil)
	c.spare, c.giveUp = context.WithCancel(context.Background())
	defer c.giveUp()
	c.balance()

	var lanes, rest sync.WaitGroup
	for _, l := range c.lanes {
		lanes.Go(func() { l.run(ctx) })
	}
	rest.Go(func() {
		if err := c.b.consumeControl(ctx, c.in, c.unacked); err != nil && ctx.Err() == nil {
			c.fail(err)
		}
	})
	rest.Go(func() { c.heed(ctx) })
	if len(c.lanes) > 1 && c.slots > len(c.lanes) {
		rest.Go(func() { c.keepBalance(ctx) })
	}
	<-ctx.Done()
	late := time.AfterFunc(giveBackTime, c.giveUp)
	defer late.Stop()
	lanes.Wait()
	c.work.Wait()
	rest.Wait()
	return context.Cause(ctx)
}

// heed stops the lanes while the server takes no requests, for good once it
// shuts down.
func (c *consumer) heed(ctx context.Context) {
	for {
		withdrawn := c.in.Withdrawn()
		c.withdrawn.Store(&withdrawn)
		if c.paused.Load() {
			c.pause(false)
		}
		select {
		case <-withdrawn:
		case <-ctx.Done():
			return
		}
		c.pause(true)
		n, err := c.in.Acquire(ctx, 1)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, occamy.ErrServerClosed) {
				c.fail(fmt.Errorf("rabbitmq: consume: %w", err))
			}
			return
		}
		c.in.Release(n)
	}
}

// idle says whether no requests are to come. The server says so before it hands
// back what it has, which must not come back here.
func (c *consumer) idle() bool {
	if c.over.Load() || c.paused.Load() {
		return true
	}
	if w := c.withdrawn.Load(); w != nil {
		select {
		case <-*w:
			return true
		default:
		}
	}
	return false
}

func (c *consumer) pause(paused bool) {
	c.paused.Store(paused)
	for _, l := range c.lanes {
		l.rouse()
	}
}

// unacked is how many requests of each kind are with the server.
func (c *consumer) unacked() map[string]int {
	out := make(map[string]int, len(c.lanes))
	for _, l := range c.lanes {
		if s := l.current(); s != nil {
			s.mu.Lock()
			out[l.kind] += s.used
			s.mu.Unlock()
		}
	}
	return out
}

// arrived takes in one delivery, in the order in which they come. It is handed
// to the intake unless it is not to run: not any more, or not here.
func (c *consumer) arrived(s *session, k *block, raw amqp.Delivery) {
	m := newDelivery(s, k, raw)
	if !s.add(m) {
		return
	}
	switch {
	case m.unreadable():
		c.aside("bury", m, func(ctx context.Context) error {
			return m.RejectFor(ctx, "its headers are nested too deeply, or too many, to be read")
		})
	case m.crashes >= c.b.cfg.MaxDeliver:
		c.aside("bury", m, m.limitReached)
	case m.suspect():
		c.aside("set apart", m, m.setApart)
	case m.uncounted():
		c.aside("count", m, m.giveBack)
	case c.idle():
		c.aside("give back", m, func(ctx context.Context) error {
			s.awaitQuiet(ctx)
			return m.giveBack(ctx)
		})
	default:
		c.in.HandleRequest(m)
	}
}

// aside settles a delivery that the intake does not get.
func (c *consumer) aside(what string, m *delivery, settle func(context.Context) error) {
	c.work.Go(func() {
		err := settle(c.spare)
		if err == nil || errors.Is(err, occamy.ErrDeliveryLost) {
			return
		}
		c.b.cfg.OnError(fmt.Errorf("rabbitmq: %s %q: %w", what, m.id, err))
		select {
		case <-time.After(time.Second): // so that it does not come back at once
		case <-c.spare.Done():
		}
		m.s.refuse(m, m.crashes < c.b.cfg.MaxDeliver)
	})
}

// balanceTime is how long the credit stays as it is after it was divided anew.
const balanceTime = 20 * time.Millisecond

// poke has the credit divided anew, soon.
func (c *consumer) poke() {
	if len(c.lanes) < 2 {
		return
	}
	select {
	case c.poked <- struct{}{}:
	default:
	}
}

// settled is told of each settlement, and of credit that was given back.
func (c *consumer) settled() {
	if c.restless.Load() {
		c.poke()
	}
}

func (c *consumer) keepBalance(ctx context.Context) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-c.poked:
		case <-ctx.Done():
			return
		}
		c.balance()
		tick.Reset(balanceTime)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// balance divides the credit. A kind gets more only once another has given back
// as much.
func (c *consumer) balance() {
	claims := make([]claim, len(c.lanes))
	has := make([]int, len(c.lanes)) // with what consumers that were cancelled have out
	free := max(c.slots, len(c.lanes))
	for i, l := range c.lanes {
		claims[i] = l.claim()
		has[i] = max(l.held(), claims[i].credit)
		free -= has[i]
	}
	restless := false
	for i, want := range share(c.slots, claims) {
		restless = restless || claims[i].hungry()
		if want > has[i] {
			grant := min(want-has[i], max(free, 0))
			free -= grant
			want = has[i] + grant
		}
		if want != claims[i].credit {
			c.lanes[i].aim(want)
		}
	}
	c.restless.Store(restless)
}
