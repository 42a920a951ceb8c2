package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy"
)

// refillFamily: how long a slot stands idle between two helpers of an owner
// that wants more.
func refillFamily() family {
	return family{
		rows: []row{{
			name: "refill", unit: "µs", constant: 100, goal: "≤ 1.0",
			about: "p50 from the return of a helper until the next one's Do, 8 slots, RefillDelay off",
			extra: func(values, _ []sample) string {
				return fmt.Sprintf("p99 %.4g", median(column(values, "refill p99")))
			},
		}},
		value: refillSample,
	}
}

func refillSample(p plan) (_ sample, err error) {
	leave := make(chan struct{})
	left := make(chan time.Time, 1)
	begun := make(chan time.Time, 8)
	helper := task(func(ctx context.Context) error {
		begun <- time.Now()
		select {
		case <-leave:
			left <- time.Now()
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	s, err := newServer(occamy.Config{Slots: 8, RefillDelay: -1}, map[string]func(occamy.Request) occamy.Task{
		"owner": func(occamy.Request) occamy.Task {
			return owner{task(untilStopped), func() occamy.Task { return helper }}
		},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.occupy("owner", 1); err != nil {
		return nil, err
	}
	if err := s.full(); err != nil {
		return nil, err
	}
	for range 7 {
		<-begun
	}
	waits := make([]float64, p.count(3000))
	for i := range waits {
		leave <- struct{}{}
		from := <-left
		waits[i] = float64((<-begun).Sub(from).Nanoseconds()) / 1e3
	}
	return sample{"refill": median(waits), "refill p99": percentile(waits, 99)}, nil
}
