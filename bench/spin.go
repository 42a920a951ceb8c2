package main

import (
	"context"
	"time"
)

// What the rows about jobs have in common: work that is an amount of
// computation and not a time, so that a core which is shared does less of it.
// It comes in chunks that take look on a core of their own, after each of
// which the context is looked at.

// calibrate returns the steps of a chunk. The quickest try counts, as no other
// process has disturbed that one.
func calibrate() int {
	const steps = 100_000
	best := time.Hour
	for range 200 {
		begin := time.Now()
		step(steps)
		best = min(best, time.Since(begin))
	}
	return int(steps * look / best)
}

func step(n int) {
	x := uint64(n) | 1
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	sink.Store(x)
}

// spin computes so many chunks, or until ctx ends.
func spin(ctx context.Context, chunks, steps int) error {
	for range chunks {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		step(steps)
	}
	return nil
}
