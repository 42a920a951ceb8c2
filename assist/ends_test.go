package assist_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/client"
)

// running counts the tasks that compute.
type running struct{ atomic.Int64 }

func (r *running) compute(ctx context.Context, u []byte) ([]byte, error) {
	r.Add(1)
	defer r.Add(-1)
	return u, pause(ctx, time.Minute)
}

func (r *running) wantNone(f *fleet, within time.Duration) {
	f.t.Helper()
	begin := time.Now()
	f.await("no assistant computes", func() bool { return r.Load() == 0 })
	if took := time.Since(begin); took > within {
		f.t.Errorf("the assistants ended after %v, want %v", took, within)
	}
}

func cancelled(t *testing.T, p place) {
	f := newFleet(t, p)
	var r running
	h := plays(assist.Config{Least: 1}, func(occamy.Request) *play { return &play{n: 100, compute: r.compute} })
	f.serve(2, h)
	f.serve(2, h)
	done := make(chan error, 1)
	go func() {
		_, err := f.run("cancelled", "")
		done <- err
	}()
	f.await("all slots compute", func() bool { return r.Load() == 4 })
	if err := f.client.Cancel(t.Context(), "cancelled"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, occamy.ErrCancelled) {
		t.Errorf("got %v", err)
	}
	r.wantNone(f, time.Second)
}

func failed(t *testing.T, p place) {
	f := newFleet(t, p)
	var r running
	var fails atomic.Bool
	h := plays(assist.Config{Least: 1, Retries: -1}, func(occamy.Request) *play {
		return &play{n: 100, compute: func(ctx context.Context, _ []byte) ([]byte, error) {
			r.Add(1)
			defer r.Add(-1)
			for ctx.Err() == nil {
				if r.Load() == 4 && fails.CompareAndSwap(false, true) { // all slots compute
					return nil, errors.New("bad luck")
				}
				_ = pause(ctx, time.Millisecond)
			}
			return nil, context.Cause(ctx)
		}}
	})
	f.serve(2, h)
	f.serve(2, h)
	o, err := f.run("failed", "")
	wantReason(t, o, err, "bad luck")
	r.wantNone(f, time.Second)
}

// The master needs an assistant that finds no slot until the master has ended,
// and which is not cancelled since no server hears of that.
func waited(t *testing.T, p place) {
	f := newFleet(t, p)
	var made atomic.Int64
	h := plays(assist.Config{Most: -1, Patience: time.Hour}, func(occamy.Request) *play {
		made.Add(1)
		return &play{n: 1}
	})
	s := f.serve(1, h)
	o, err := f.run("waited", "")
	wantResult(t, o, err, "done")
	before := made.Load()
	// What the master would have sent.
	headers := occamy.Headers{"Occamy-Assist-Master": "waited", "Occamy-Assist-Job": "0011223344556677"}
	_, err = f.client.SubmitAndWait(t.Context(), client.Request{Kind: f.kind, ID: "waited/n1", Headers: headers}, nil)
	if err != nil || made.Load() != before+1 {
		t.Errorf("got %v, and %d assistants were made", err, made.Load()-before)
	}
	s.stop(time.Second)
}

func takenOver(t *testing.T, p place) {
	f := newFleet(t, p)
	var c collected
	var hold atomic.Bool
	hold.Store(true)
	var onSecond atomic.Int64 // values made there
	cfg := assist.Config{Store: &checkpoint.Memory{}, Least: 2, Most: 2, Patience: 20 * time.Second}
	lay := func(occamy.Request) *play {
		return &play{n: 60, collect: c.collect, compute: func(ctx context.Context, u []byte) ([]byte, error) {
			for hold.Load() {
				if err := pause(ctx, time.Millisecond); err != nil {
					return nil, err
				}
			}
			return u, pause(ctx, time.Millisecond)
		}}
	}
	first := f.serve(1, plays(cfg, lay))
	done := make(chan error, 1)
	go func() {
		o, err := f.run("taken-over", "")
		if err == nil && o.Attempt != 2 {
			err = fmt.Errorf("attempt %d", o.Attempt)
		}
		done <- err
	}()
	f.await("the master has begun", func() bool {
		all, err := f.client.Servers(t.Context(), 100*time.Millisecond)
		return err == nil && len(all) == 1 && len(all[0].Slots) == 1 && all[0].Slots[0].Status == occamy.Protected
	})
	f.serve(2, plays(cfg, func(r occamy.Request) *play {
		onSecond.Add(1)
		return lay(r)
	}))
	f.await("assistants", func() bool { return onSecond.Load() == 2 })
	first.stop(0)
	c.mu.Lock()
	c.order = nil // the next attempt collects anew
	c.mu.Unlock()
	f.serve(1, plays(cfg, lay)) // the second server is full
	f.await("the next master", func() bool {
		all, err := f.client.Servers(t.Context(), 100*time.Millisecond)
		return err == nil && len(all) == 2 && len(all[0].Slots)+len(all[1].Slots) == 3 &&
			all[0].Slots[0].Status == occamy.Protected && all[1].Slots[0].Status == occamy.Protected
	})
	hold.Store(false)
	if err := <-done; err != nil {
		t.Errorf("got %v", err)
	}
	c.check(t, 60, false)
	if n := onSecond.Load(); n != 2 {
		t.Errorf("%d assistants were made on the second server, want the first two alone", n)
	}
}

func lostServer(t *testing.T, p place) {
	f := newFleet(t, p)
	var c collected
	var stuck atomic.Bool
	cfg := assist.Config{LeaseTimeout: time.Second, Most: 1}
	first := func(lost bool) func(occamy.Request) *play {
		return func(occamy.Request) *play {
			return &play{n: 20, collect: c.collect, compute: func(ctx context.Context, u []byte) ([]byte, error) {
				if lost {
					stuck.Store(true)
					return nil, pause(ctx, time.Minute)
				}
				for !stuck.Load() && ctx.Err() == nil {
					_ = pause(ctx, time.Millisecond)
				}
				return u, pause(ctx, 20*time.Millisecond)
			}}
		}
	}
	f.serve(1, plays(cfg, first(false)))
	done := make(chan error, 1)
	go func() {
		_, err := f.run("lost", "")
		done <- err
	}()
	f.await("the master has begun", func() bool {
		all, err := f.client.Servers(t.Context(), 100*time.Millisecond)
		return err == nil && len(all) == 1 && all[0].Slots[0].Status == occamy.Protected
	})
	second := f.serve(1, plays(cfg, first(true)))
	f.await("the assistant computes", stuck.Load)
	if err := second.broker.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("got %v", err)
	}
	c.check(t, 20, false)
}
