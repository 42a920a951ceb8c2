package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
)

// backlogFamily: whether expansion gets into the way of a full queue.
func backlogFamily() family {
	one := func(expand bool) side {
		return func(p plan) (sample, error) { return backlogSample(p, expand) }
	}
	return family{
		rows: []row{{
			name: "backlog", unit: "requests/s", goal: "≥ 0.9",
			about: "requests of 10 ms from a full queue through 8 slots, one of which has an owner for good; all can expand, and helpers take 50 ms to stop; reference: nobody expands",
			extra: func(values, _ []sample) string {
				return fmt.Sprintf("%.4g preemptions in a round", median(column(values, "preemptions")))
			},
		}},
		value: one(true), reference: one(false),
	}
}

func backlogSample(p plan, expand bool) (_ sample, err error) {
	newTask := func(do task) func(occamy.Request) occamy.Task {
		return func(occamy.Request) occamy.Task {
			if !expand {
				return do
			}
			return owner{do, func() occamy.Task { return task(slowToStop) }}
		}
	}
	s, err := newServer(occamy.Config{Slots: 8}, map[string]func(occamy.Request) occamy.Task{
		"owner": newTask(untilStopped),
		"request": newTask(func(ctx context.Context) error {
			select {
			case <-time.After(10 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.occupy("owner", 1); err != nil {
		return nil, err
	}
	if expand {
		if err := s.full(); err != nil {
			return nil, err
		}
	}

	// The queue never runs dry: it is asked for as many as there is room for.
	ctx, cancel := context.WithTimeout(context.Background(), p.duration(3*time.Second))
	defer cancel()
	t := newTally(-1)
	var sent atomic.Int64
	begin := time.Now()
	for ctx.Err() == nil {
		room, err := s.Acquire(ctx, 8)
		if err != nil {
			break
		}
		for range room {
			s.HandleRequest(newMessage(t, "request", strconv.FormatInt(sent.Add(1), 10)))
			s.Release(1)
		}
	}
	done, took := t.acks.Load(), time.Since(begin)
	if err := eventually("the last ack", func() bool { return t.acks.Load()+t.rejects.Load()+t.requeues.Load() == sent.Load() }); err != nil {
		return nil, err
	}
	return sample{
		"backlog":     float64(done) / took.Seconds(),
		"preemptions": float64(s.Snapshot().Preemptions),
	}, t.allAcked()
}
