package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// speedupFamily: what is lost of the time of two cores when units are computed by
// assistants. What is bare computes the same in two processes, which get their
// halves at the beginning.
func speedupFamily() family {
	const name = "units_speedup"
	var steps int
	return family{
		rows: []row{{
			name: name, unit: "×", goal: "≥ 0.95",
			about: "the time of a job of computing units of 50 ms on one slot, by that on two, with the assistant in another server process, NATS in a third, from submit until the outcome; reference: the same of one and two bare processes",
		}},
		begin: calibrated(&steps),
		value: func(p plan) (sample, error) {
			return withFleet(func(ctx context.Context, fl *fleet) (sample, error) {
				for range 2 {
					if _, err := fl.serve(ctx, 1); err != nil {
						return nil, err
					}
				}
				job := unitsOrder{Units: 2 * p.count(40), Chunks: 500, Steps: steps}
				alone, err := fl.run(ctx, "alone", job)
				if err != nil {
					return nil, err
				}
				job.Assistants, job.Most = 1, 1
				both, err := fl.run(ctx, "both", job)
				return sample{name: float64(alone) / float64(both)}, err
			})
		},
		reference: func(p plan) (sample, error) {
			return withComputers(steps, func(c computers) (sample, error) {
				chunks := p.count(40) * 500
				alone, err := c[:1].run(2 * chunks)
				if err != nil {
					return nil, err
				}
				both, err := c.run(chunks)
				return sample{name: float64(alone) / float64(both)}, err
			})
		},
	}
}

func smallFamily() family {
	const name = "units_small"
	var steps int
	return family{
		rows: []row{{
			name: name, unit: "s", goal: "≤ 1.15", extra: helperCPUNote,
			about: "10,000 computing units of 1 ms by a master and 8 assistants, which are in another server process, NATS in a third, from submit until the outcome; reference: two bare processes that compute the same",
		}},
		begin: calibrated(&steps),
		value: func(p plan) (sample, error) {
			return withFleet(func(ctx context.Context, fl *fleet) (sample, error) {
				for _, slots := range []int{1, 8} {
					if _, err := fl.serve(ctx, slots); err != nil {
						return nil, err
					}
				}
				took, err := fl.run(ctx, "small", unitsOrder{
					Units: p.count(10_000), Chunks: 10, Steps: steps, Assistants: 8, Most: 8,
				})
				return sample{name: took.Seconds()}, err
			})
		},
		reference: func(p plan) (sample, error) {
			return withComputers(steps, func(c computers) (sample, error) {
				took, err := c.run(p.count(10_000) * 10 / len(c))
				return sample{name: took.Seconds()}, err
			})
		},
	}
}

// helperCPUNote compares the CPU time that the helpers took, which says what the
// work costs even where other programs keep the cores from it.
func helperCPUNote(values, references []sample) string {
	ratios := make([]float64, len(values))
	for i := range values {
		ratios[i] = values[i]["helpers cpu"] / references[i]["helpers cpu"]
	}
	return fmt.Sprintf("CPU time of the servers %.4g s, of the bare processes %.4g s: ratio %.3g",
		median(column(values, "helpers cpu")), median(column(references, "helpers cpu")), median(ratios))
}

// calibrated sets the steps of a chunk before the first round.
func calibrated(steps *int) func() (func() error, error) {
	return func() (func() error, error) {
		*steps = calibrate()
		return func() error { return nil }, nil
	}
}

// computers are bare processes that compute.
type computers []*helper

// withComputers runs f beside as many as there are cores.
func withComputers(steps int, f func(c computers) (sample, error)) (got sample, err error) {
	var c computers
	defer func() { err = errors.Join(err, stopAll(c, got)) }()
	for range 2 {
		h, err := startHelper(helperOrder{Role: "computer", Procs: 2, Steps: steps})
		if err != nil {
			return nil, err
		}
		c = append(c, h)
	}
	return f(c)
}

// run has each compute so many chunks, and returns how long that took.
func (c computers) run(chunks int) (time.Duration, error) {
	begin := time.Now()
	for _, h := range c {
		if err := h.tell("%d", chunks); err != nil {
			return 0, err
		}
	}
	for _, h := range c {
		if err := h.hear("done"); err != nil {
			return 0, fmt.Errorf("a bare process: %w", err)
		}
	}
	return time.Since(begin), nil
}
