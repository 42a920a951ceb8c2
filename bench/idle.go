package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// What the rows about an idle system have in common: one request at a time,
// each long after the one before, and the wait from the call that publishes it
// until its work begins.

const idleGap = 3 * time.Millisecond

// idleWaits submits requests through b, the same publisher for both sides, and
// gives the median wait in milliseconds. begun gets the moment in which the work
// of each begins.
func idleWaits(ctx context.Context, p plan, name string, b broker.Broker, begun <-chan time.Time) (sample, error) {
	one := func(id string) (float64, error) {
		time.Sleep(idleGap)
		sent := time.Now()
		if err := b.Submit(ctx, broker.Request{Kind: rateKind, ID: id}); err != nil {
			return 0, err
		}
		select {
		case at := <-begun:
			return float64(at.Sub(sent)) / float64(time.Millisecond), nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	for i := range 50 {
		if _, err := one("warm-" + strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	waits := make([]float64, p.count(800))
	for i := range waits {
		var err error
		if waits[i], err = one(strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	return sample{name: median(waits), name + " p99": percentile(waits, 99)}, nil
}

// serveIdle is the value's side: a server whose tasks say when they begin.
func serveIdle(ctx context.Context, p plan, name string, b broker.Broker, source occamy.Source) (_ sample, err error) {
	begun := make(chan time.Time, 1)
	s, err := newServer(occamy.Config{Slots: rateSlots}, map[string]func(occamy.Request) occamy.Task{
		rateKind: func(occamy.Request) occamy.Task {
			return task(func(context.Context) error { begun <- time.Now(); return nil })
		},
	})
	if err != nil {
		return nil, err
	}
	serving := make(chan error, 1)
	go func() { serving <- s.Serve(ctx, source) }()
	defer func() { err = errors.Join(err, s.stop(), <-serving) }()
	return idleWaits(ctx, p, name, b, begun)
}
