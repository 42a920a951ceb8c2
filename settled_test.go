package occamy_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// observer is a task that is told how its request was settled.
type observer struct {
	*task
	settled func(ctx context.Context) // nil for nothing

	mu   sync.Mutex
	told []occamy.Settlement // guarded by mu
}

func (o *observer) Settled(ctx context.Context, s occamy.Settlement) {
	o.mu.Lock()
	o.told = append(o.told, s)
	o.mu.Unlock()
	if o.settled != nil {
		o.settled(ctx)
	}
}

// wantTold checks what the task was told, when the server is at rest.
func (o *observer) wantTold(f *fixture, want ...occamy.Settlement) {
	f.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.told, want) {
		f.Errorf("the task was told %q, want %q", o.told, want)
	}
}

func TestR07_ATaskIsToldOnceWhatBecameOfItsMessage(t *testing.T) {
	for name, tt := range map[string]struct {
		do    func(context.Context) error
		cause func(*fixture, *occamytest.Delivery)
		want  occamy.Settlement
	}{
		"done":      {returns(false, nil), nil, occamy.Acked},
		"cancelled": {returns(true, errWork), func(f *fixture, _ *occamytest.Delivery) { f.command("cancel", "r") }, occamy.Acked},
		"failed":    {returns(false, errWork), nil, occamy.RejectedForGood},
		"panicked":  {func(context.Context) error { panic("oh") }, nil, occamy.RejectedForGood},
		"exited":    {func(context.Context) error { runtime.Goexit(); return nil }, nil, occamy.RejectedForGood},
		"requeued":  {returns(false, occamy.ErrRequeue), nil, occamy.Requeued},
		"timed out": {returns(true, errWork), func(*fixture, *occamytest.Delivery) { after(time.Minute) }, occamy.RejectedForGood},
		"lost":      {returns(true, errWork), func(_ *fixture, m *occamytest.Delivery) { m.Lose() }, occamy.Lost},
		"shut down": {returns(true, errWork), func(f *fixture, _ *occamytest.Delivery) {
			if err := <-f.goShutdown(0); err != nil {
				f.Error(err)
			}
		}, occamy.Requeued},
		"stuck": {func(context.Context) error { after(time.Hour); return nil }, func(f *fixture, _ *occamytest.Delivery) {
			f.command("cancel", "r")
		}, occamy.Acked},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := &observer{task: newTask("r")}
				r.details.Timeout = time.Minute
				r.do = tt.do
				m := f.request(r)
				synctest.Wait()
				if tt.cause != nil {
					r.wantTold(f)
					tt.cause(f, m)
				}
				after(2 * time.Second)
				r.wantTold(f, tt.want)
				after(2 * time.Hour)
				r.wantTold(f, tt.want)
			})
		})
	}
}

func TestR07_ATaskIsToldOnlyWhenTheBrokerHasConfirmed(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := &observer{task: newTask("r")}
		r.do = returns(false, nil)
		f.give(r)
		m := delivery("r")
		confirm := make(chan struct{})
		m.OnSettle = func(_ context.Context, _ occamytest.Settlement, n int) error {
			if n < 3 {
				return errBroker
			}
			<-confirm
			return nil
		}
		f.server.HandleRequest(m)
		after(10 * time.Second)
		r.wantTold(f)
		close(confirm)
		r.wantTold(f, occamy.Acked)
	})
}

func TestR07_WhatCannotBeSettledIsLost(t *testing.T) {
	for name, fails := range map[string]func() error{
		"fails": func() error { return errBroker },
		"hangs": func() error { after(time.Hour); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := &observer{task: newTask("r")}
				r.do = returns(false, nil)
				f.give(r)
				m := delivery("r")
				m.OnSettle = func(context.Context, occamytest.Settlement, int) error { return fails() }
				f.server.HandleRequest(m)
				after(31 * time.Second)
				r.wantTold(f, occamy.Lost)
				after(2 * time.Hour)
				r.wantTold(f, occamy.Lost)
			})
		})
	}
}

func TestR07_ATaskThatNeverRanIsToldToo(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.optional(newSlow("helper", time.Second/2))
		f.want("E:helper")
		r := &observer{task: newTask("r")}
		f.request(r)
		f.want("E:helper~")
		f.command("cancel", "r")
		r.wantTold(f, occamy.Acked)
		if r.runs.Load() != 0 {
			f.Error("it ran")
		}
	})
}

func TestR07_OnlyTheTaskOfARequestIsTold(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		helper := &observer{task: newTask("helper")}
		o := newOwner("o", 0)
		o.expand = func(context.Context, int) []occamy.Task { return []occamy.Task{helper} }
		f.request(o)
		f.want("P:o I:helper")
		o.finish <- nil
		f.want("- -")
		help := &observer{task: newTask("help")}
		help.do = returns(false, nil)
		f.optional(help)
		f.want("- -")
		helper.wantTold(f)
		help.wantTold(f)

		late := &observer{task: newTask("late")}
		f.plan("late", func(context.Context, occamy.Request) (occamy.Task, error) { after(time.Minute); return late, nil })
		m := f.requestID("late")
		after(2 * time.Minute)
		f.wantFate(m, occamytest.Rejected)
		late.wantTold(f)
	})
}

func TestR08_SettledTakesNoSlot(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := &observer{task: newTask("r")}
		r.do = returns(false, nil)
		left := make(chan time.Duration, 1)
		r.settled = func(ctx context.Context) {
			until, _ := ctx.Deadline()
			left <- time.Until(until)
			<-ctx.Done()
		}
		m := f.request(r)
		f.want("-")
		f.wantFate(m, occamytest.Acked)
		f.stillServes()
		if d := <-left; d != 30*time.Second {
			f.Errorf("it may take %v, want SettleTimeout", d)
		}
	})
}

func TestR16_APanicInSettledIsRecorded(t *testing.T) {
	for name, does := range map[string]func(context.Context){
		"panic":  func(context.Context) { panic("oh") },
		"Goexit": func(context.Context) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := &observer{task: newTask("r"), settled: does}
				r.do = returns(false, nil)
				m := f.request(r)
				f.wantFate(m, occamytest.Acked)
				synctest.Wait()
				var p *occamy.PanicError
				if errs := f.monitor.Errors(); len(errs) != 1 || !errors.As(errs[0], &p) || p.Op != "Settled" {
					f.Errorf("recorded %v", errs)
				}
				f.stillServes()
			})
		})
	}
}

func TestR18_ShutdownWaitsForSettledWithinItsBound(t *testing.T) {
	forever := func(context.Context) { after(24 * time.Hour) }
	for name, tt := range map[string]struct {
		settled func(context.Context)
		grace   time.Duration
		took    time.Duration
		err     error
	}{
		"returns soon":              {func(context.Context) { after(time.Second) }, time.Hour, time.Second, nil},
		"heeds its context":         {func(ctx context.Context) { <-ctx.Done() }, time.Hour, 30 * time.Second, nil},
		"blocks, for long":          {forever, time.Hour, 30 * time.Second, nil},
		"blocks, when asked to end": {forever, 0, 30 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := &observer{task: newTask("r"), settled: tt.settled}
				r.do = returns(false, nil)
				f.request(r)
				f.want("-")
				begun := time.Now()
				err := <-f.goShutdown(tt.grace)
				if d := time.Since(begun); !errors.Is(err, tt.err) || d != tt.took {
					f.Errorf("Shutdown: %v after %v, want %v after %v", err, d, tt.err, tt.took)
				}
				if name == "blocks, for long" {
					f.wantTaskError(occamy.ErrSettledTimeout, occamy.TaskError{ID: "r", Kind: kind, Status: occamy.Protected})
				}
				after(48 * time.Hour)
			})
		})
	}
	t.Run("is called late", func(t *testing.T) {
		inBubble(t, 1, func(f *fixture) {
			r := &observer{task: newTask("r"), settled: forever}
			f.give(r)
			m := delivery("r")
			m.OnSettle = func(context.Context, occamytest.Settlement, int) error { after(29 * time.Second); return nil }
			f.server.HandleRequest(m)
			synctest.Wait()
			begun := time.Now()
			err := <-f.goShutdown(0)
			if d := time.Since(begun); !errors.Is(err, occamy.ErrSettledTimeout) || d != 31*time.Second {
				f.Errorf("Shutdown: %v after %v, want %v within its bound", err, d, occamy.ErrSettledTimeout)
			}
			after(48 * time.Hour)
		})
	})
}
