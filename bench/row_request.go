package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/occamy-go/occamy"
	"github.com/panjf2000/ants/v2"
)

// requestFamily: what a request costs that does nothing, over a goroutine.
func requestFamily() family {
	return family{
		rows: []row{{
			name: "request", unit: "ns", goal: "≤ 2.0",
			about: "a no-op request through 8 slots, from one producer that acquires its capacity, until its ack; reference: a goroutine behind a channel semaphore",
			extra: cpuNote("request"),
		}},
		value:     func(p plan) (sample, error) { return requestSample(p, "request", 8, 0) },
		reference: bareRequests("request"),
	}
}

func poolFamily(name, about string, value side) family {
	return family{
		rows:  []row{{name: name, unit: "ns", about: about + ", 8 workers; reference: a goroutine behind a channel semaphore", extra: cpuNote(name)}},
		value: value, reference: bareRequests(name),
	}
}

func requestAllocsFamily() family {
	return family{
		rows: []row{{
			name: "request_allocs", unit: "allocations", constant: 3, goal: "≤ 1.0",
			about: "mallocs of the process for a request as in row request, less those of the same producer, messages, handler and tasks without a server",
		}},
		value: requestAllocs,
	}
}

func requestScaleFamily() family {
	one := func(slots int) side {
		return func(p plan) (sample, error) { return requestSample(p, "request_scale", slots, slots-1) }
	}
	return family{
		rows: []row{{
			name: "request_scale", unit: "ns", goal: "≤ 1.3",
			about: "a no-op request through the one free slot of 10,000; reference: of 8",
		}},
		value: one(10_000), reference: one(8),
	}
}

// doNothing has no state, so it costs no allocation.
type doNothing struct{}

func (doNothing) Details() occamy.Details  { return occamy.Details{} }
func (doNothing) Do(context.Context) error { return nil }

var noopKinds = map[string]func(occamy.Request) occamy.Task{
	"noop": func(occamy.Request) occamy.Task { return doNothing{} },
	"hold": func(occamy.Request) occamy.Task { return task(untilStopped) },
}

// producer hands n no-op requests to an intake, as a source that pulls does.
// Its messages are made before the clock starts; 64 take turns, each settled
// long before it comes again.
type producer struct {
	messages [64]*message
	tally    *tally
}

func newProducer(n int) *producer {
	p := &producer{tally: newTally(n)}
	for i := range p.messages {
		p.messages[i] = newMessage(p.tally, "noop", "request-"+strconv.Itoa(i))
	}
	return p
}

type intake interface {
	Acquire(ctx context.Context, max int) (int, error)
	HandleRequest(m occamy.Message)
	Release(n int)
}

func (p *producer) produce(to intake, n int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for sent := 0; sent < n; {
		room, err := to.Acquire(ctx, min(8, n-sent))
		if err != nil {
			return err
		}
		for range room {
			to.HandleRequest(p.messages[sent%len(p.messages)])
			to.Release(1)
			sent++
		}
	}
	if err := await(p.tally.done, "the last ack"); err != nil {
		return err
	}
	return p.tally.allAcked()
}

// requestSample gives the nanoseconds for a request, with some slots busy.
func requestSample(p plan, name string, slots, busy int) (_ sample, err error) {
	s, err := newServer(occamy.Config{Slots: slots}, noopKinds)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.occupy("hold", busy); err != nil {
		return nil, err
	}
	warm := p.count(20_000)
	if err := newProducer(warm).produce(s, warm); err != nil {
		return nil, err
	}
	n := p.count(200_000)
	made := newProducer(n)
	runtime.GC()
	clock, err := startClock()
	if err != nil {
		return nil, err
	}
	if err := made.produce(s, n); err != nil {
		return nil, err
	}
	return clock.sample(name, time.Nanosecond, n)
}

// alone is an intake without a server: all that is not the server's.
type alone struct{ mux *occamy.Mux }

func (alone) Acquire(_ context.Context, n int) (int, error) { return n, nil }
func (alone) Release(int)                                   {}

func (a alone) HandleRequest(m occamy.Message) {
	ctx := context.Background()
	t, err := a.mux.Handle(ctx, occamy.Request{Kind: "noop", Headers: m.Headers(), Body: m.Body()})
	if err == nil {
		t.Details()
		err = t.Do(ctx)
	}
	if err == nil {
		_ = m.Ack(ctx)
	}
}

func requestAllocs(p plan) (_ sample, err error) {
	var mux occamy.Mux
	mux.AddFunc("noop", func(context.Context, occamy.Request) (occamy.Task, error) { return doNothing{}, nil })
	s, err := occamy.New(occamy.Config{Slots: 8, Handler: &mux})
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err = errors.Join(err, s.Shutdown(ctx))
	}()
	n := p.count(200_000)
	count := func(to intake) (float64, error) {
		if err := newProducer(n).produce(to, n); err != nil { // to warm up
			return 0, err
		}
		made := newProducer(n)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		err := made.produce(to, n)
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs-before.Mallocs) / float64(n), err
	}
	total, err := count(s)
	if err != nil {
		return nil, err
	}
	own, err := count(alone{&mux})
	if err != nil {
		return nil, err
	}
	return sample{"request_allocs": total - own}, nil
}

// bareRequests is what a request costs that is a goroutine behind a semaphore.
func bareRequests(name string) side {
	return func(p plan) (sample, error) {
		n := p.count(200_000)
		slots := make(chan struct{}, 8)
		t := newTally(n)
		clock, err := startClock()
		if err != nil {
			return nil, err
		}
		for range n {
			slots <- struct{}{}
			go func() {
				<-slots
				t.step()
			}()
		}
		<-t.done
		return clock.sample(name, time.Nanosecond, n)
	}
}

func pondRequests(p plan) (sample, error) {
	n := p.count(200_000)
	pool := pond.NewPool(8, pond.WithQueueSize(8))
	defer pool.StopAndWait()
	t := newTally(n)
	clock, err := startClock()
	if err != nil {
		return nil, err
	}
	for range n {
		if err := pool.Go(t.step); err != nil {
			return nil, fmt.Errorf("pond: %w", err)
		}
	}
	<-t.done
	return clock.sample("pond", time.Nanosecond, n)
}

func antsRequests(p plan) (sample, error) {
	n := p.count(200_000)
	pool, err := ants.NewPool(8)
	if err != nil {
		return nil, fmt.Errorf("ants: %w", err)
	}
	defer pool.Release()
	t := newTally(n)
	clock, err := startClock()
	if err != nil {
		return nil, err
	}
	for range n {
		if err := pool.Submit(t.step); err != nil {
			return nil, fmt.Errorf("ants: %w", err)
		}
	}
	<-t.done
	return clock.sample("ants", time.Nanosecond, n)
}
