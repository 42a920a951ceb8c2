package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// What the rows about a broker's throughput have in common: a queue that is full
// of no-op requests before the clock starts, 64 slots or 64 messages on their
// way, and a clock that leaves out the first tenth, in which connections and
// buffers warm up.

const (
	rateSlots = 64
	rateKind  = "noop"
)

// A rate counts what is consumed.
type rate struct {
	name         string // of the row
	n, warm      int64
	count        atomic.Int64
	clock        clock // set before warmed is closed
	clockErr     error
	warmed, done chan struct{}
}

func newRate(name string, n int) *rate {
	return &rate{name: name, n: int64(n), warm: max(1, int64(n)/10), warmed: make(chan struct{}), done: make(chan struct{})}
}

// step notes that a request began.
func (r *rate) step() {
	switch r.count.Add(1) {
	case r.warm:
		r.clock, r.clockErr = startClock()
		close(r.warmed)
	case r.n:
		close(r.done)
	}
}

// sample waits for all requests, and until settled says that the broker has
// none left; it gives the requests a second, and the CPU time of each in µs.
func (r *rate) sample(settled func() (bool, error)) (sample, error) {
	if err := await(r.warmed, "the first tenth of the requests"); err != nil {
		return nil, err
	}
	if err := await(r.done, "the last request"); err != nil {
		return nil, err
	}
	var failed error
	err := eventually("a queue without requests", func() bool {
		ok, err := settled()
		failed = err
		return ok || err != nil
	})
	each, clockErr := r.clock.sample(r.name, time.Microsecond, int(r.n-r.warm))
	if err := errors.Join(err, failed, r.clockErr, clockErr); err != nil {
		return nil, err
	}
	if count := r.count.Load(); count != r.n {
		return nil, fmt.Errorf("%d requests ran; want each of %d once", count, r.n)
	}
	each[r.name] = 1e6 / each[r.name]
	return each, nil
}

// fill submits n requests, many at a time.
func fill(ctx context.Context, b broker.Broker, n int, headers occamy.Headers) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range 256 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := b.Submit(ctx, broker.Request{Kind: rateKind, ID: "fill-" + strconv.FormatInt(i, 10), Headers: headers}); err != nil {
					cancel(fmt.Errorf("submit: %w", err))
					return
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// serveRate is the value's side: a server consumes what is in the queue.
func serveRate(ctx context.Context, r *rate, source occamy.Source, settled func() (bool, error)) (_ sample, err error) {
	return serveMonitored(ctx, r, source, settled, occamy.Config{}, func(*occamy.Server) {})
}

// serveMonitored is serveRate with the monitors of a config, which watch the
// server once it is there.
func serveMonitored(ctx context.Context, r *rate, source occamy.Source, settled func() (bool, error), cfg occamy.Config, watch func(*occamy.Server)) (_ sample, err error) {
	cfg.Slots = rateSlots
	s, err := newServer(cfg, map[string]func(occamy.Request) occamy.Task{
		rateKind: func(occamy.Request) occamy.Task {
			return task(func(context.Context) error { r.step(); return nil })
		},
	})
	if err != nil {
		return nil, err
	}
	watch(s.Server)
	serving := make(chan error, 1)
	go func() { serving <- s.Serve(ctx, source) }()
	defer func() { err = errors.Join(err, s.stop(), <-serving) }()
	return r.sample(settled)
}

func rateNote(name string) func(values, references []sample) string {
	cpu := cpuNote(name)
	return func(values, references []sample) string {
		return "for each request, in µs: " + cpu(values, references)
	}
}
