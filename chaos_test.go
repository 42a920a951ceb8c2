package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// chaos is user code that does all that it should not: it panics, lies, ends
// its goroutine, dawdles, calls the server from everywhere, and keeps what it
// was given.
type chaos struct {
	server atomic.Pointer[occamy.Server]
	kept   sync.Map // contexts, used after their end
	n      atomic.Int64
	live   atomic.Int64 // calls of Do that run
	most   atomic.Int64
	slots  int
}

func (c *chaos) call() {
	s := c.server.Load()
	if s == nil {
		return
	}
	switch rand.IntN(12) {
	case 0:
		s.Expand()
	case 1:
		s.Snapshot()
	case 2:
		s.Drain()
		s.Resume()
	case 3:
		s.HandleControl(occamytest.NewMessage(occamytest.CommandHeaders(occamy.CommandCancel, c.id()), nil))
	case 4:
		s.HandleControl(occamytest.NewMessage(occamytest.ControlHeaders(c.id()), []byte("x")))
	case 5:
		s.HandleControl(occamytest.NewDelivery(occamytest.RequestHeaders(kind, "opt"+c.id()), nil))
	case 6:
		c.kept.Range(func(k, _ any) bool {
			ctx := k.(context.Context)
			_ = occamy.SetResult(ctx, []byte("late"))
			_ = occamy.ReportProgress(ctx, []byte("late"))
			_, _ = occamy.LastProgress(ctx)
			_, _ = occamy.InfoFromContext(ctx)
			_ = context.Cause(ctx)
			return rand.IntN(4) > 0
		})
	}
}

func (c *chaos) id() string { return strconv.Itoa(rand.IntN(40)) }

func (c *chaos) misbehave(what string) {
	c.call()
	switch rand.IntN(30) {
	case 0:
		panic(what)
	case 1:
		panic(fmt.Errorf("%s: %w", what, occamy.ErrRequeue))
	case 2:
		runtime.Goexit()
	case 3:
		<-time.After(time.Duration(rand.IntN(30)) * time.Millisecond)
	case 4:
		for range 1000 {
			runtime.Gosched()
		}
	}
}

func (c *chaos) Handle(ctx context.Context, r occamy.Request) (occamy.Task, error) {
	c.misbehave("Handle")
	switch rand.IntN(20) {
	case 0:
		return nil, nil
	case 1:
		return nil, occamy.Requeue(nil, time.Duration(rand.IntN(5))*time.Millisecond)
	case 2:
		return nil, errors.New("no")
	case 3:
		return (*badTask)(nil), nil
	case 4:
		return looseTask{func() {}, c}, nil
	case 5:
		return r2task{c: c}, nil
	}
	return c.task(r.ID), nil
}

func (c *chaos) task(id string) *badTask { return &badTask{c: c, id: id} }

type badTask struct {
	c  *chaos
	id string
}

func (b *badTask) Details() occamy.Details {
	b.c.misbehave("Details")
	d := occamy.Details{ID: b.id, Priority: rand.IntN(5) - 1}
	switch rand.IntN(20) {
	case 0:
		d.Deadline = time.Now().Add(time.Duration(rand.IntN(20)-2) * time.Millisecond)
	case 1:
		d.Timeout = time.Duration(1 + rand.IntN(int(5*time.Millisecond)))
	case 2:
		d.ID += "!"
	case 3:
		d.Timeout = -1
	}
	return d
}

func (b *badTask) Do(ctx context.Context) error { return b.c.do(ctx) }

func (c *chaos) do(ctx context.Context) error {
	n := c.live.Add(1)
	defer c.live.Add(-1)
	for {
		m := c.most.Load()
		if n <= m || c.most.CompareAndSwap(m, n) {
			break
		}
	}
	k := c.n.Add(1)
	if k%16 == 0 {
		c.kept.Store(ctx, nil)
	}
	if k%512 == 0 {
		c.kept.Clear()
	}
	c.misbehave("Do")
	_ = occamy.ReportProgress(ctx, []byte("p"))
	_ = occamy.SetResult(ctx, []byte("r"))
	_, _ = occamy.LastProgress(ctx)
	switch rand.IntN(8) {
	case 0:
		<-ctx.Done()
		return context.Cause(ctx)
	case 1:
		<-ctx.Done()
		return nil
	case 2:
		<-ctx.Done()
		panic(ctx.Err())
	case 3:
		<-ctx.Done()
		<-time.After(time.Duration(rand.IntN(40)) * time.Millisecond) // at times stuck
		return errors.New("late")
	case 4:
		return occamy.Requeue(errors.New("again"), time.Millisecond)
	case 5:
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(5)) * time.Millisecond):
		}
	}
	return nil
}

func (b *badTask) Expand(ctx context.Context, n int) []occamy.Task {
	b.c.misbehave("Expand")
	switch rand.IntN(8) {
	case 0:
		return []occamy.Task{b, b, nil}
	case 1:
		many := make([]occamy.Task, 1000)
		for i := range many {
			many[i] = b.c.task(b.id)
		}
		return many
	case 2:
		one := b.c.task("same")
		return []occamy.Task{one, one, (*badTask)(nil), looseTask{func() {}, b.c}, r2task{c: b.c}}
	case 3:
		return nil
	}
	var offers []occamy.Task
	for range n {
		offers = append(offers, b.c.task(b.id))
	}
	return offers
}

func (b *badTask) Control(ctx context.Context, h occamy.Headers, body []byte) error {
	b.c.misbehave("Control")
	return errors.New("bad control")
}

// looseTask cannot be compared; r2task has no identity.
type looseTask struct {
	f func()
	c *chaos
}

func (l looseTask) Details() occamy.Details      { return occamy.Details{} }
func (l looseTask) Do(ctx context.Context) error { return l.c.do(ctx) }

type r2task struct {
	c *chaos
	_ [0]func()
}

func (r r2task) Details() occamy.Details      { return occamy.Details{} }
func (r r2task) Do(ctx context.Context) error { return r.c.do(ctx) }
func (r r2task) Expand(_ context.Context, n int) []occamy.Task {
	return []occamy.Task{r, r, r}
}

func (c *chaos) RecordError(error)            { c.misbehave("RecordError") }
func (c *chaos) RecordLatency(occamy.Latency) { c.misbehave("RecordLatency") }
func (c *chaos) RecordSlot(occamy.SlotChange) { c.misbehave("RecordSlot") }

// settle decides what becomes of a call that settles a message.
func (c *chaos) settle(ctx context.Context, _ occamytest.Settlement, n int) error {
	c.call()
	if n > 4 {
		return nil
	}
	switch rand.IntN(25) {
	case 0:
		return errors.New("not now")
	case 1:
		panic("settle")
	case 2:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// R7, R16, R18: whatever user code does, each message is settled once or given
// up, and a shutdown in the middle of it all ends, with nothing left behind.
func TestR16_ChaosEndsInOrder(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		for _, procs := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%d on %d", round, procs), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				oneChaos(t, 1+rand.IntN(12))
			})
		}
	}
}

func oneChaos(t *testing.T, slots int) {
	c := &chaos{slots: slots}
	s, err := occamy.New(occamy.Config{
		Slots: slots, Kinds: []string{kind}, Handler: c,
		Monitors:        occamy.Monitors{Error: c, Latency: c, Resource: c},
		KillTimeout:     10 * time.Millisecond,
		SettleTimeout:   300 * time.Millisecond,
		HandlerTimeout:  20 * time.Millisecond,
		ExpandTimeout:   5 * time.Millisecond,
		ExpansionPeriod: 3 * time.Millisecond,
		RefillDelay:     time.Millisecond,
		MaxBacklog:      5, InboxSize: 3, Headroom: rand.IntN(slots),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.server.Store(s)
	var mu sync.Mutex
	var all []*occamytest.Delivery
	var senders sync.WaitGroup
	const each = 150
	for range 4 {
		senders.Go(func() {
			for range each {
				h := occamytest.RequestHeaders(kind, c.id())
				switch rand.IntN(20) {
				case 0:
					h[occamy.DefaultHeaderKeys().Priority] = []string{"x"}
				case 1:
					h[occamy.DefaultHeaderKeys().Outcome] = "true"
				case 2:
					h[occamy.DefaultHeaderKeys().Timeout] = "1ms"
				}
				d := occamytest.NewDelivery(h, nil)
				d.OnSettle = c.settle
				if rand.IntN(10) == 0 {
					d.Wait = 30 * time.Millisecond
					d.OnKeepAlive = func(context.Context, int) error {
						if rand.IntN(4) == 0 {
							return errors.New("no keep-alive")
						}
						return nil
					}
				}
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
				s.HandleRequest(d)
				c.call()
				if rand.IntN(3) == 0 {
					<-time.After(time.Duration(rand.IntN(2000)) * time.Microsecond)
				}
				if rand.IntN(40) == 0 {
					d.Lose()
				}
			}
		})
	}
	if rand.IntN(2) == 0 {
		senders.Wait()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(100))*time.Millisecond)
	defer cancel()
	begun := time.Now()
	var shutdowns sync.WaitGroup
	for range 3 {
		shutdowns.Go(func() { _ = s.Shutdown(ctx) })
	}
	shutdowns.Wait()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("Shutdown took %v", took)
	}
	senders.Wait()
	over, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if err := s.Shutdown(over); err != nil {
		t.Errorf("the last Shutdown: %v", err)
	}
	for _, slot := range s.Snapshot().Slots {
		if slot.Status != occamy.Empty {
			t.Errorf("slot after the end: %+v", slot)
		}
	}
	if n := int(c.most.Load()); n > slots {
		t.Errorf("%d tasks ran at once on %d slots", n, slots)
	}
	for _, d := range all {
		if n := len(d.Settlements()); n > 1 {
			t.Errorf("settled %v", d.Settlements())
		}
	}
}
