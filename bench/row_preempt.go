package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
)

const helpers = 1024

// preemptFamily: what the decision to preempt costs, with helpers that stop at
// once.
func preemptFamily() family {
	return family{
		rows: []row{{
			name: "preempt", unit: "µs", goal: "≤ 3.0",
			about: "p50 from HandleRequest until Do, one request at a time on 1,024 slots of helpers that sleep (and one of their owner); reference: cancel a context, and the goroutine that wakes up starts the next",
			extra: p99Note("preempt"),
		}},
		value: preemptSample, reference: barePreempt,
	}
}

func burstFamily() family {
	return family{
		rows: []row{{
			name: "preempt_burst", unit: "ms", goal: "≤ 3.0",
			about: "1,024 requests at once on 1,024 slots of helpers that sleep (and one of their owner), until all run, median of the bursts of a round; reference: 1,024 bare cancels and hand-overs",
			extra: cpuNote("preempt_burst"),
		}},
		value: func(p plan) (sample, error) {
			return bursts(p, "preempt_burst", helpers, untilStopped)
		},
		reference: bareBursts,
	}
}

func parallelFamily() family {
	return family{
		rows: []row{{
			name: "preempt_parallel", unit: "ms", constant: 50, goal: "≤ 1.1",
			about: "8 requests at once on 8 slots whose helpers take 50 ms to stop (and one of their owner), until all run",
		}},
		value: func(p plan) (sample, error) {
			return bursts(p, "preempt_parallel", 8, slowToStop)
		},
	}
}

func p99Note(name string) func(values, references []sample) string {
	return func(values, references []sample) string {
		return fmt.Sprintf("p99 %.4g, of the reference %.4g",
			median(column(values, name+" p99")), median(column(references, name+" p99")))
	}
}

// slowToStop needs 50 ms to stop.
func slowToStop(ctx context.Context) error {
	<-ctx.Done()
	time.Sleep(50 * time.Millisecond)
	return context.Cause(ctx)
}

// crowded starts a server whose owner has grown onto all other slots.
// helping is told of each helper that begins.
func crowded(cfg occamy.Config, n int, helper task, helping func(), request func(occamy.Request) occamy.Task) (*server, error) {
	var grown atomic.Int64
	all := make(chan struct{})
	begun := task(func(ctx context.Context) error {
		helping()
		if grown.Add(1) == int64(n) {
			close(all)
		}
		return helper(ctx)
	})
	cfg.Slots = n + 1
	s, err := newServer(cfg, map[string]func(occamy.Request) occamy.Task{
		"owner": func(occamy.Request) occamy.Task {
			return owner{task(untilStopped), func() occamy.Task { return begun }}
		},
		"request": request,
	})
	if err != nil {
		return nil, err
	}
	if err := s.occupy("owner", 1); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if err := await(all, "the growth onto all slots"); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func preemptSample(p plan) (_ sample, err error) {
	n := p.count(3000)
	begun := make(chan time.Time, 1)
	helping := make(chan struct{}, helpers+n)
	s, err := crowded(occamy.Config{RefillDelay: -1}, helpers, untilStopped,
		func() { helping <- struct{}{} },
		func(occamy.Request) occamy.Task {
			return task(func(context.Context) error { begun <- time.Now(); return nil })
		})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for range helpers {
		<-helping
	}
	t := newTally(n)
	waits := make([]float64, n)
	for i := range waits {
		m := newMessage(t, "request", fmt.Sprintf("request-%d", i))
		sent := time.Now()
		s.HandleRequest(m)
		waits[i] = float64((<-begun).Sub(sent).Nanoseconds()) / 1e3
		<-helping // the slot has a helper again
	}
	if err := await(t.done, "the last ack"); err != nil {
		return nil, err
	}
	if err := t.allAcked(); err != nil {
		return nil, err
	}
	return sample{"preempt": median(waits), "preempt p99": percentile(waits, 99)}, nil
}

// sleeper is a goroutine that sleeps on its context and then starts the next.
type sleeper struct {
	cancel context.CancelFunc
	next   func()
}

func newSleeper(ended *sync.WaitGroup) *sleeper {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sleeper{cancel: cancel}
	ended.Go(func() {
		<-ctx.Done()
		if s.next != nil {
			go s.next()
		}
	})
	return s
}

func barePreempt(p plan) (sample, error) {
	var ended sync.WaitGroup
	sleepers := make([]*sleeper, helpers)
	for i := range sleepers {
		sleepers[i] = newSleeper(&ended)
	}
	time.Sleep(10 * time.Millisecond) // until all sleep
	begun := make(chan time.Time, 1)
	waits := make([]float64, p.count(3000))
	for i := range waits {
		s := sleepers[i%helpers]
		s.next = func() { begun <- time.Now() }
		sent := time.Now()
		s.cancel()
		waits[i] = float64((<-begun).Sub(sent).Nanoseconds()) / 1e3
		sleepers[i%helpers] = newSleeper(&ended)
	}
	for _, s := range sleepers {
		s.next = nil
		s.cancel()
	}
	ended.Wait()
	return sample{"preempt": median(waits), "preempt p99": percentile(waits, 99)}, nil
}

// crowd waits until n have come, and holds them until it is let go.
type crowd struct {
	left   atomic.Int64
	all    chan struct{}
	letGo  chan struct{}
	lastAt time.Time
}

func newCrowd(n int) *crowd {
	c := &crowd{all: make(chan struct{}), letGo: make(chan struct{})}
	c.left.Store(int64(n))
	return c
}

func (c *crowd) join() {
	if c.left.Add(-1) == 0 {
		c.lastAt = time.Now()
		close(c.all)
	}
	<-c.letGo
}

// bursts is how long n requests that come at once wait until the last one runs.
func bursts(p plan, name string, n int, helper task) (sample, error) {
	return medians(p.count(10), func() (sample, error) { return burst(name, n, helper) })
}

// medians repeats a measurement.
func medians(n int, measure func() (sample, error)) (sample, error) {
	all := make([]sample, n)
	for i := range all {
		var err error
		if all[i], err = measure(); err != nil {
			return nil, err
		}
	}
	of := make(sample)
	for name := range all[0] {
		of[name] = median(column(all, name))
	}
	return of, nil
}

func burst(name string, n int, helper task) (_ sample, err error) {
	c := newCrowd(n)
	s, err := crowded(occamy.Config{}, n, helper, func() {}, func(occamy.Request) occamy.Task {
		return task(func(context.Context) error { c.join(); return nil })
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	t := newTally(n)
	messages := make([]*message, n)
	for i := range messages {
		messages[i] = newMessage(t, "request", fmt.Sprintf("request-%d", i))
	}
	clock, err := startClock()
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		s.HandleRequest(m)
	}
	if err := await(c.all, "the last of the burst"); err != nil {
		return nil, err
	}
	took, err := clock.sample(name, time.Millisecond, 1)
	if err != nil {
		return nil, err
	}
	close(c.letGo)
	if err := await(t.done, "the last ack"); err != nil {
		return nil, err
	}
	took[name] = float64(c.lastAt.Sub(clock.begin)) / 1e6
	return took, t.allAcked()
}

func bareBursts(p plan) (sample, error) {
	return medians(p.count(10), bareBurst)
}

func bareBurst() (sample, error) {
	var ended sync.WaitGroup
	c := newCrowd(helpers)
	sleepers := make([]*sleeper, helpers)
	for k := range sleepers {
		sleepers[k] = newSleeper(&ended)
		sleepers[k].next = c.join
	}
	time.Sleep(10 * time.Millisecond) // until all sleep
	clock, err := startClock()
	if err != nil {
		return nil, err
	}
	for _, s := range sleepers {
		s.cancel()
	}
	if err := await(c.all, "the last of the bare burst"); err != nil {
		return nil, err
	}
	took, err := clock.sample("preempt_burst", time.Millisecond, 1)
	close(c.letGo)
	ended.Wait()
	took["preempt_burst"] = float64(c.lastAt.Sub(clock.begin)) / 1e6
	return took, err
}
