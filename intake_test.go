package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

func TestR05_CapacityIsWhatTheSlotsLeave(t *testing.T) {
	inBubble(t, 4, func(f *fixture) {
		capacity := func(want int) {
			f.Helper()
			synctest.Wait()
			if got := f.server.Snapshot().Capacity; got != want {
				f.Errorf("capacity %d, want %d: %s", got, want, f.slots())
			}
		}
		capacity(4)
		f.request(newOwner("o", 3))
		f.want("P:o I:o.1 I:o.2 I:o.3")
		capacity(3) // helpers give way
		release := make(chan struct{})
		f.plan("slow", func(context.Context, occamy.Request) (occamy.Task, error) {
			<-release
			return nil, errors.New("no")
		})
		f.requestID("slow")
		capacity(2) // it converts
		got, err := f.server.Acquire(f.Context(), 1)
		if got != 1 || err != nil {
			f.Errorf("Acquire: %d, %v", got, err)
		}
		capacity(1) // promised
		got, _ = f.server.Acquire(f.Context(), 9)
		if got != 1 {
			f.Errorf("promised %d, want the 1 that is left", got)
		}
		capacity(0)
		f.server.Release(2)
		close(release)
		capacity(3)
	})
}

func TestR05_AcquireWaitsForRoom(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		f.request(r)
		f.slots()
		given := make(chan int, 1)
		go func() {
			n, err := f.server.Acquire(f.Context(), 3)
			if err != nil {
				f.Error(err)
			}
			given <- n
		}()
		synctest.Wait()
		select {
		case n := <-given:
			f.Fatalf("promised %d while the slot was taken", n)
		default:
		}
		r.finish <- nil
		if n := <-given; n != 1 {
			f.Errorf("promised %d, want 1", n)
		}

		ctx, cancel := context.WithCancelCause(f.Context())
		errs := make(chan error, 1)
		go func() { _, err := f.server.Acquire(ctx, 1); errs <- err }()
		synctest.Wait()
		cause := errors.New("enough")
		cancel(cause)
		if err := <-errs; !errors.Is(err, cause) {
			f.Errorf("Acquire returned %v", err)
		}
		f.server.Release(1)
		f.stillServes()
	})
}

func TestR05_WhatComesBeyondTheCapacityIsHeldThenRequeued(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		a, b := newTask("a"), newTask("b")
		f.request(a)
		f.slots()
		f.request(b)
		f.want("P:a P:b")
		var held, over []*occamytest.Delivery
		for i := range 5 {
			m := f.request(newTask(fmt.Sprint("h", i)))
			if i < 2 {
				held = append(held, m)
			} else {
				over = append(over, m)
			}
			synctest.Wait()
		}
		synctest.Wait()
		if n := f.server.Snapshot().Held; n != 2 {
			f.Errorf("%d are held, want 2", n)
		}
		for _, m := range held {
			f.wantFate(m, occamytest.Unsettled)
		}
		var last time.Duration
		for _, m := range over {
			f.wantFate(m, occamytest.Requeued)
			if d := m.Settlement().Delay; d <= 0 {
				f.Errorf("requeued without a delay")
			} else {
				last = max(last, d)
			}
		}
		if first := over[0].Settlement().Delay; last <= first {
			f.Errorf("the delay does not grow: %v, then %v", first, last)
		}
		f.wantErrors(occamy.ErrNoSlot, 3)
		a.finish <- nil
		f.want("P:h0 P:b")
		b.finish <- nil
		f.want("P:h0 P:h1")
	})
}

func TestR05_ABrokerWithoutDelaysGetsNoHotLoop(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.request(newTask("a"))
		f.slots()
		f.request(newTask("held"))
		begun := time.Now()
		bare := occamytest.NewMessage(occamytest.RequestHeaders(kind, "bare"), nil)
		f.server.HandleRequest(bare)
		<-bare.Settled()
		if time.Since(begun) <= 0 {
			f.Error("requeued at once")
		}
		f.wantFate(bare, occamytest.Requeued)
	})
}

func TestR05_WithdrawnTellsOfADrain(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		first := f.server.Withdrawn()
		f.server.Drain()
		<-first
		got := make(chan int, 1)
		go func() { n, _ := f.server.Acquire(f.Context(), 1); got <- n }()
		synctest.Wait()
		if len(got) > 0 {
			f.Error("a draining server gave a promise")
		}
		f.server.Resume()
		if n := <-got; n != 1 {
			f.Errorf("promised %d, want 1", n)
		}
		select {
		case <-f.server.Withdrawn():
			f.Error("withdrawn after Resume")
		default:
		}
		f.server.Release(1)
	})
}

func TestR06_ASlowHandlerDelaysNobody(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		slow := newTask("slow")
		f.plan("slow", func(context.Context, occamy.Request) (occamy.Task, error) {
			after(3 * time.Second)
			return slow, nil
		})
		begun := time.Now()
		f.requestID("slow")
		if time.Since(begun) != 0 {
			f.Error("HandleRequest waited for the handler")
		}
		quick := newTask("quick")
		f.request(quick)
		f.want("P:quick -")
		after(3 * time.Second)
		f.want("P:quick P:slow")
	})
}

func TestR06_RequestsTakeTheirPlaceInTheOrderOfTheirHandlersReturn(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.optional(newSlow("helper", 800*time.Millisecond))
		f.slots()
		late, early := newTask("late"), newTask("early")
		f.plan("late", func(context.Context, occamy.Request) (occamy.Task, error) {
			after(200 * time.Millisecond)
			return late, nil
		})
		f.requestID("late")
		after(100 * time.Millisecond)
		f.request(early) // there is no capacity: held until
		f.want("E:helper")
		after(time.Second)
		f.want("P:late")
		late.finish <- nil
		f.want("P:early")
	})
	inBubble(t, 2, func(f *fixture) {
		f.optional(newSlow("h1", 500*time.Millisecond))
		f.slots()
		f.optional(newSlow("h2", 800*time.Millisecond))
		f.slots()
		late, early := newTask("late"), newTask("early")
		f.plan("late", func(context.Context, occamy.Request) (occamy.Task, error) {
			after(200 * time.Millisecond)
			return late, nil
		})
		begun := time.Now()
		f.requestID("late")
		f.request(early)
		after(2 * time.Second)
		f.slots()
		if e, l := early.beganAt().Sub(begun), late.beganAt().Sub(begun); e >= l {
			f.Errorf("early began after %v, late after %v", e, l)
		}
	})
}

func TestR06_AHandlerCountsAsConvertingUntilItReturns(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		f.plan("blocks", func(context.Context, occamy.Request) (occamy.Task, error) {
			after(time.Minute)
			return newTask("blocks"), nil
		})
		m := f.requestID("blocks")
		after(5 * time.Second) // HandlerTimeout
		f.wantFate(m, occamytest.Rejected)
		f.wantTaskError(occamy.ErrHandlerTimeout, occamy.TaskError{ID: "blocks", Kind: kind, Status: occamy.Empty})
		if s := f.server.Snapshot(); s.Converting != 1 || s.Capacity != 1 {
			f.Errorf("converting %d, capacity %d; want 1 and 1", s.Converting, s.Capacity)
		}
		after(time.Minute)
		f.want("- -") // its task is discarded
		if s := f.server.Snapshot(); s.Converting != 0 || s.Capacity != 2 {
			f.Errorf("converting %d, capacity %d; want 0 and 2", s.Converting, s.Capacity)
		}
	})
}

func TestR06_AHandlerThatReturnsAsItsTimeIsUpLeavesItsTaskAlone(t *testing.T) {
	for range 20 { // which of the two timers fires first is chance
		inBubble(t, 1, func(f *fixture) {
			r := newTask("r")
			f.plan("r", func(context.Context, occamy.Request) (occamy.Task, error) {
				after(5 * time.Second) // HandlerTimeout
				return r, nil
			})
			m := f.requestID("r")
			after(6 * time.Second)
			switch slots := f.slots(); slots {
			case "P:r":
				f.wantErrors(occamy.ErrHandlerTimeout, 0)
				f.wantFate(m, occamytest.Unsettled)
				r.finish <- nil
				f.wantFate(m, occamytest.Acked)
			default:
				if r.runs.Load() != 0 {
					f.Errorf("the task was stopped: %v", r.stopCause())
				}
				f.wantErrors(occamy.ErrHandlerTimeout, 1)
				f.wantFate(m, occamytest.Rejected)
			}
		})
	}
}
