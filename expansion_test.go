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

func TestR13_ATaskGrowsOntoSpareSlotsAtOnce(t *testing.T) {
	inBubble(t, 4, func(f *fixture) {
		begun := time.Now()
		o := newOwner("o", 2)
		f.request(o)
		f.want("P:o I:o.1 I:o.2 -")
		if at := o.helper(2).beganAt(); !at.Equal(begun) {
			f.Errorf("helped after %v", at.Sub(begun))
		}
		i := o.helper(1).taskInfo()
		if i.Status != occamy.Internal || i.ID != "o.1" || i.Kind != kind || i.Slot != 1 || i.Attempt != 1 {
			f.Errorf("info %+v", i)
		}
		if s := f.server.Snapshot().Slots[1]; s.Owner != "o" {
			f.Errorf("slot %+v", s)
		}
		asks := o.asks.Load()
		after(10*time.Second + time.Millisecond)
		if got := o.asks.Load() - asks; got != 10 {
			f.Errorf("asked %d times in 10 s after it had declined, want once a period", got)
		}
	})
}

func TestR13_ASlotThatFallsEmptyIsRefilledAtOnce(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		o := newOwner("o", 1)
		f.request(o)
		f.want("P:o I:o.1")
		for i := 1; i < 5; i++ {
			o.helper(i).finish <- nil
			f.slots()
			if at := o.helper(i + 1).beganAt(); !at.Equal(time.Now()) {
				f.Errorf("refilled %v late", time.Since(at))
			}
		}
	})
}

func TestR13_ByHandOnly(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		o := newOwner("o", 1)
		f.request(o)
		f.optional(newTask("e"))
		after(time.Hour)
		f.want("P:o -")
		f.server.Expand()
		f.want("P:o I:o.1")
	}, withPeriod(-1))
}

func TestR13_AQueueOfRequestsDoesNotPreemptAFreshHelperEachTime(t *testing.T) {
	for name, tt := range map[string]struct {
		delay time.Duration
		most  uint64
	}{"with the refill delay": {0, 3}, "without": {-1, 1000}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(f *fixture) {
				o := newOwner("o", 1)
				f.request(o)
				f.slots()
				for range 50 {
					r := newTask("r")
					r.do = func(context.Context) error { after(20 * time.Millisecond); return nil }
					<-f.request(r).Settled()
					after(time.Millisecond)
				}
				n := f.server.Snapshot().Preemptions
				if n > tt.most || name == "without" && n < 50 {
					f.Errorf("%d helpers were preempted", n)
				}
				after(time.Second)
				f.want("P:o I:o." + last(o)) // it grows back when the queue is empty
			}, func(c *occamy.Config) { c.RefillDelay = tt.delay })
		})
	}
}

func last(o *owner) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.helpers[len(o.helpers)-1].details.ID[len(o.details.ID)+1:]
}

func TestR14_ProtectedThenInternalThenTheRest(t *testing.T) {
	inBubble(t, 4, func(f *fixture) {
		p := newTask("p")
		p.details.Priority = 1
		f.request(p)
		q := newTask("q")
		f.request(q)
		f.slots()
		f.optional(newTask("e1"))
		f.slots()
		f.optional(newTask("e2"))
		f.slots()
		o := newOwner("o", 3)
		f.request(o) // preempts one external task
		f.slots()
		count := func() (internal, external int) {
			for _, s := range f.server.Snapshot().Slots {
				switch s.Status {
				case occamy.Internal:
					internal++
				case occamy.External:
					external++
				}
			}
			return
		}
		if i, e := count(); i != 0 || e != 1 {
			f.Errorf("%d internal, %d external: %s", i, e, f.slots())
		}
		after(3 * time.Second) // the internal one takes an external slot, once that is old enough
		if i, e := count(); i != 1 || e != 0 {
			f.Errorf("%d internal, %d external: %s", i, e, f.slots())
		}
		p.finish <- nil
		after(time.Second)
		if i, e := count(); i != 2 || e != 0 {
			f.Errorf("%d internal, %d external: %s", i, e, f.slots())
		}
	}, withoutRefill)
}

func TestR14_HeadroomIsLeftEmptyAndNeverRestoredByPreemption(t *testing.T) {
	inBubble(t, 4, func(f *fixture) {
		o := newOwner("o", 9)
		f.request(o)
		f.want("P:o I:o.1 I:o.2 -")
		f.request(newTask("r"))
		after(time.Minute)
		f.want("P:o I:o.1 I:o.2 P:r")
		f.optional(newTask("e"))
		f.want("P:o I:o.1 I:o.2 P:r")
	}, withHeadroom(1))
}

func TestR14_HeadroomAdaptsToWhatRequestsNeed(t *testing.T) {
	inBubble(t, 8, func(f *fixture) {
		headroom := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := f.server.Snapshot().Headroom; got != want {
				t.Errorf("headroom %d, want %d", got, want)
			}
		}
		burst := func() {
			var all []*task
			for range 3 {
				all = append(all, newTask("r"))
				f.give(all[len(all)-1])
				f.requestID("r")
				f.slots()
			}
			after(time.Second)
			for _, r := range all {
				r.finish <- nil
			}
			after(time.Second)
		}
		f.request(newOwner("o", 99))
		f.want("P:o I:o.1 I:o.2 I:o.3 I:o.4 I:o.5 I:o.6 I:o.7")
		headroom(0)
		burst()
		headroom(3)
		f.want("P:o I:o.1 I:o.2 I:o.3 I:o.4 - - -")
		preemptions := f.server.Snapshot().Preemptions
		burst()
		if n := f.server.Snapshot().Preemptions - preemptions; n > 0 {
			t.Errorf("%d preemptions for a burst like the one before", n)
		}
		after(time.Hour)
		headroom(0)
		f.want("P:o I:o.1 I:o.2 I:o.3 I:o.4 I:o.8 I:o.9 I:o.10")
	}, func(c *occamy.Config) { c.MaxHeadroom = 3 })
}

func TestR14_RebalancingAsksFirstAndStopsNothingWithoutAnOffer(t *testing.T) {
	inBubble(t, 6, func(f *fixture) {
		a := newOwner("a", 9)
		f.request(a)
		f.want("P:a I:a.1 I:a.2 I:a.3 I:a.4 I:a.5")
		shy := newOwner("shy", 0)
		f.request(shy)
		f.slots()
		after(10 * time.Second)
		if n := f.server.Snapshot().Preemptions; n != 1 {
			f.Errorf("%d preemptions, want that of the request alone", n)
		}
		b := newOwner("b", 9)
		f.request(b)
		after(10 * time.Second)
		held := map[string]int{}
		for _, s := range f.server.Snapshot().Slots {
			if s.Status == occamy.Internal {
				held[s.Owner]++
			}
		}
		if held["a"] != 2 || held["b"] != 1 && held["b"] != 2 {
			f.Errorf("held %v: %s", held, f.slots())
		}
		before := f.server.Snapshot().Preemptions
		after(time.Minute)
		if n := f.server.Snapshot().Preemptions; n != before {
			f.Errorf("slots go to and fro: %d moves in a minute", n-before)
		}
	})
}

func TestR15_SpareSlotsAreSharedByWeight(t *testing.T) {
	inBubble(t, 12, func(f *fixture) {
		gate := make(chan struct{})
		for id, prio := range map[string]int{"light": 0, "heavy": 4} {
			o := newOwner(id, 20)
			o.details.Priority = prio
			inner := o.expand
			o.expand = func(ctx context.Context, n int) []occamy.Task {
				<-gate
				return inner(ctx, n)
			}
			f.request(o)
		}
		close(gate)
		after(30 * time.Second)
		held := map[string]int{}
		for _, s := range f.server.Snapshot().Slots {
			if s.Status == occamy.Internal {
				held[s.Owner]++
				if s.Owner == "heavy" && s.Priority != 4 {
					f.Errorf("a helper does not inherit: %+v", s)
				}
			}
		}
		if held["light"] != 2 || held["heavy"] != 8 {
			f.Errorf("shares %v, want 2 and 8: %s", held, f.slots())
		}
	})
}

func TestR15_WhatOneLeavesIsOfferedToTheNext(t *testing.T) {
	inBubble(t, 8, func(f *fixture) {
		for _, o := range []*owner{newOwner("few", 1), newOwner("many", 20)} {
			f.request(o)
		}
		after(2 * time.Second)
		many := 0
		for _, s := range f.server.Snapshot().Slots {
			if s.Status == occamy.Internal && s.Owner == "many" {
				many++
			}
		}
		if many != 5 {
			f.Errorf("%d for the one that can use them, want 5: %s", many, f.slots())
		}
	})
}

func TestR16_ABadExpandTakesNobodyDown(t *testing.T) {
	dup := sync.OnceValue(func() *task { return newTask("dup") }) // made in the bubble
	for name, tt := range map[string]struct {
		expand func(ctx context.Context, n int) []occamy.Task
		want   func(error) bool
		rest   string // while the period lasts
	}{
		"panics": {func(context.Context, int) []occamy.Task { panic(errWork) },
			func(err error) bool {
				var p *occamy.PanicError
				return errors.As(err, &p) && p.Op == "Expand" && len(p.Stack) > 0 && errors.Is(err, errWork)
			}, "P:o - -"},
		"ends its goroutine": {func(context.Context, int) []occamy.Task { runtime.Goexit(); return nil },
			func(err error) bool { var p *occamy.PanicError; return errors.As(err, &p) && p.Op == "Expand" }, "P:o - -"},
		"returns nil tasks": {func(_ context.Context, n int) []occamy.Task { return make([]occamy.Task, n) },
			func(err error) bool { return errors.Is(err, occamy.ErrNilTask) }, "P:o - -"},
		"returns too many": {func(_ context.Context, n int) []occamy.Task {
			var many []occamy.Task
			for range n + 5 {
				many = append(many, newTask("h"))
			}
			return many
		}, func(err error) bool { return errors.Is(err, occamy.ErrOfferDropped) }, "P:o I:h I:h"},
		"the same task twice": {func(context.Context, int) []occamy.Task { return []occamy.Task{dup(), dup()} },
			func(err error) bool { return errors.Is(err, occamy.ErrOfferDropped) }, "P:o I:dup -"},
		"details panic": {func(context.Context, int) []occamy.Task {
			return []occamy.Task{badDetails{func() occamy.Details { panic("oh") }}}
		},
			func(err error) bool { var p *occamy.PanicError; return errors.As(err, &p) && p.Op == "Details" }, "P:o - -"},
		"details end the goroutine": {func(context.Context, int) []occamy.Task {
			return []occamy.Task{badDetails{func() occamy.Details { runtime.Goexit(); return occamy.Details{} }}}
		}, func(err error) bool { var p *occamy.PanicError; return errors.As(err, &p) }, "P:o - -"},
		"a task that is a nil pointer": {func(context.Context, int) []occamy.Task { return []occamy.Task{(*task)(nil)} },
			func(err error) bool { var p *occamy.PanicError; return errors.As(err, &p) }, "P:o - -"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				o := &expander{task: newTask("o"), expand: tt.expand}
				m := f.request(o)
				f.want(tt.rest)
				errs := f.monitor.Errors()
				if len(errs) == 0 || !slices.ContainsFunc(errs, tt.want) {
					f.Errorf("recorded %v", errs)
				}
				asks := o.asks.Load()
				after(5 * time.Second)
				if got := o.asks.Load() - asks; tt.rest != "P:o I:h I:h" && (got < 4 || got > 6) {
					f.Errorf("asked %d times in 5 periods", got)
				}
				f.stillServes()
				o.finish <- nil
				f.wantFate(m, occamytest.Acked)
			})
		})
	}
}

type badDetails struct{ details func() occamy.Details }

func (b badDetails) Details() occamy.Details  { return b.details() }
func (b badDetails) Do(context.Context) error { return nil }

func TestR16_AnExpandThatBlocksHoldsNothingBack(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		release := make(chan struct{})
		o := &expander{task: newTask("o")}
		o.expand = func(context.Context, int) []occamy.Task {
			if o.asks.Load() > 1 {
				return nil
			}
			<-release
			return []occamy.Task{newTask("late"), newTask("later")}
		}
		f.request(o)
		f.slots()
		f.optional(newTask("e"))
		f.want("P:o - -") // what it was asked for is held back
		after(100 * time.Millisecond)
		f.want("P:o E:e -")
		f.wantTaskError(occamy.ErrExpandTimeout, occamy.TaskError{ID: "o", Kind: kind, Status: occamy.Protected})
		after(10 * time.Second)
		if n := o.asks.Load(); n != 1 {
			f.Errorf("%d calls of Expand at a time", n)
		}
		f.stillServes()
		close(release)
		synctest.Wait()
		if n := len(f.monitor.Matching(occamy.ErrOfferDropped)); n != 1 {
			f.Errorf("recorded %v", f.monitor.Errors())
		}
	}, withoutRefill)
}

func TestR16_LateOffersOfAnEndedOwnerAreDropped(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		release := make(chan struct{})
		h := newTask("late")
		o := &expander{task: newTask("o"), expand: func(context.Context, int) []occamy.Task {
			<-release
			return []occamy.Task{h}
		}}
		f.request(o)
		f.slots()
		o.finish <- nil
		f.want("- - -")
		close(release)
		f.want("- - -")
		f.wantTaskError(occamy.ErrOwnerEnded, occamy.TaskError{ID: "late", Kind: kind, Status: occamy.Internal})
		f.wantErrors(occamy.ErrOfferDropped, 1)
		if h.runs.Load() != 0 {
			f.Error("it ran")
		}
	})
}

func TestR16_WhenAnOwnerEndsItsExpansionsAreStopped(t *testing.T) {
	for name, end := range map[string]func(f *fixture, o *owner){
		"it completes":    func(_ *fixture, o *owner) { o.finish <- nil },
		"it fails":        func(_ *fixture, o *owner) { o.finish <- errWork },
		"it is cancelled": func(f *fixture, _ *owner) { f.command("cancel", "o") },
		"its time is up":  func(*fixture, *owner) { after(time.Minute) },
		"it is preempted": func(f *fixture, _ *owner) { f.request(newTask("r1")) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				o := newOwner("o", 2)
				o.details.Timeout = time.Minute
				if name == "it is preempted" {
					f.optional(o)
					f.want("E:o E:o.1 E:o.2")
					f.request(newTask("r2"))
					f.slots()
					f.request(newTask("r3"))
					f.slots()
				} else {
					f.request(o)
					f.want("P:o I:o.1 I:o.2")
				}
				end(f, o)
				f.slots()
				stopped := 0
				for i := range 2 {
					if c := o.helper(i + 1).stopCause(); errors.Is(c, occamy.ErrOwnerEnded) {
						stopped++
					} else if name != "it is preempted" {
						f.Errorf("cause %v", c)
					}
				}
				if name != "it is preempted" && f.slots() != "- - -" {
					f.Errorf("slots %s", f.slots())
				}
			})
		})
	}
}
