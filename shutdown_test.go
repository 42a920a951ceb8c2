package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// goShutdown shuts the server down in the background, with d for the protected
// tasks to finish.
func (fx *fixture) goShutdown(d time.Duration) <-chan error {
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		ended <- fx.server.Shutdown(ctx)
	}()
	synctest.Wait()
	return ended
}

func TestR18_WhatHasNotBegunIsRequeuedAtOnce(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		p := newTask("p")
		pm := f.request(p)
		f.slots()
		helper := newSlow("helper", time.Second/2)
		f.optional(helper)
		f.slots()
		waiting := f.request(newTask("waiting"))
		f.want("P:p E:helper~")
		held := f.request(newTask("held"))
		f.slots()
		begun := time.Now()
		ended := f.goShutdown(time.Hour)
		for _, m := range []*occamytest.Delivery{waiting, held} {
			f.wantFate(m, occamytest.Requeued)
			if s := m.Settlement(); s.Delay != 0 || !s.Time.Equal(begun) {
				f.Errorf("requeued %+v", s)
			}
		}
		f.want("P:p E:helper~")
		late := f.request(newTask("late"))
		f.wantFate(late, occamytest.Requeued)
		f.wantFate(f.optional(newTask("help")), occamytest.Acked)
		after(time.Minute)
		f.want("P:p -")
		f.wantFate(pm, occamytest.Unsettled)
		p.finish <- nil
		if err := <-ended; err != nil {
			f.Error(err)
		}
		f.wantFate(pm, occamytest.Acked)
		after2 := f.request(newTask("after"))
		f.wantFate(after2, occamytest.Requeued)
		f.want("- -")
		f.wantErrors(occamy.ErrNoSlot, 0)
	})
}

func TestR18_ConvertingRequestsAreRequeuedAndTheirHandlersTold(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		cause := make(chan error, 1)
		r := newTask("r")
		f.plan("r", func(ctx context.Context, _ occamy.Request) (occamy.Task, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return r, nil
		})
		m := f.requestID("r")
		f.slots()
		if err := <-f.goShutdown(time.Hour); err != nil {
			f.Error(err)
		}
		f.wantFate(m, occamytest.Requeued)
		if c := <-cause; !errors.Is(c, occamy.ErrShutdown) {
			f.Errorf("cause %v", c)
		}
		f.want("-")
		if r.runs.Load() != 0 {
			f.Error("a late result of the handler was run")
		}
	})
}

func TestR18_UnprotectedTasksAreStoppedAtOnceProtectedOnesMayFinish(t *testing.T) {
	inBubble(t, 4, func(f *fixture) {
		o := newOwner("o", 1)
		om := f.request(o)
		f.slots()
		e := newTask("e")
		f.optional(e)
		f.slots()
		r := newTask("r")
		rm := f.request(r)
		f.want("P:o I:o.1 E:e P:r")
		ended := f.goShutdown(time.Minute)
		f.want("P:o - - P:r")
		for _, h := range []*task{o.helper(1), e} {
			if c := h.stopCause(); !errors.Is(c, occamy.ErrShutdown) {
				f.Errorf("cause %v", c)
			}
		}
		after(time.Minute - 1)
		f.want("P:o - - P:r")
		r.finish <- nil
		f.wantFate(rm, occamytest.Acked)
		if err := <-ended; err != nil {
			f.Error(err)
		}
		if c := o.stopCause(); !errors.Is(c, occamy.ErrShutdown) {
			f.Errorf("cause %v", c)
		}
		f.wantFate(om, occamytest.Requeued)
		if d := om.Settlement().Delay; d != 0 {
			f.Errorf("handed over with a delay of %v", d)
		}
	})
}

func TestR18_ItReturnsInTimeAndNamesTheStuck(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		r := newSlow("stubborn", time.Hour)
		m := f.request(r)
		f.slots()
		hung := newTask("hung")
		hung.do = returns(false, nil)
		f.give(hung)
		h := delivery("hung")
		h.OnSettle = func(ctx context.Context, _ occamytest.Settlement, _ int) error { after(time.Hour); return nil }
		f.server.HandleRequest(h)
		f.slots()
		begun := time.Now()
		err := <-f.goShutdown(time.Minute)
		if d := time.Since(begun); d > time.Minute+time.Second+30*time.Second {
			f.Errorf("returned after %v", d)
		}
		if !errors.Is(err, occamy.ErrStuck) || !strings.Contains(err.Error(), "stubborn") {
			f.Errorf("error %v", err)
		}
		f.wantFate(m, occamytest.Requeued)
		f.wantErrors(occamy.ErrStuck, 1)
		after(2 * time.Hour)
		f.want("- -")
		f.wantFate(m, occamytest.Requeued)
	})
}

func TestR18_ItTellsOfMessagesThatAreNotSettled(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		f.give(r)
		m := delivery("r")
		m.OnSettle = func(ctx context.Context, _ occamytest.Settlement, _ int) error { return errBroker }
		f.server.HandleRequest(m)
		f.slots()
		begun := time.Now()
		err := <-f.goShutdown(time.Second)
		if d := time.Since(begun); d > time.Second+time.Second+30*time.Second {
			f.Errorf("returned after %v", d)
		}
		f.wantErrors(occamy.ErrNotSettled, 1)
		if err != nil && !errors.Is(err, occamy.ErrNotSettled) {
			f.Errorf("error %v", err)
		}
	})
}

func TestR18_FromSeveralGoroutinesAndAgain(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		m := f.request(r)
		f.slots()
		begun := time.Now()
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i+1)*time.Minute)
				defer cancel()
				if err := f.server.Shutdown(ctx); err != nil {
					f.Error(err)
				}
			})
		}
		all.Wait()
		if d := time.Since(begun); d != time.Minute {
			f.Errorf("ended after %v, want with the first ctx", d)
		}
		f.wantFate(m, occamytest.Requeued)
		if err := f.server.Shutdown(context.Background()); err != nil {
			f.Error(err)
		}
		if _, err := f.server.Acquire(context.Background(), 1); !errors.Is(err, occamy.ErrServerClosed) {
			f.Errorf("Acquire: %v", err)
		}
		if err := f.server.Serve(context.Background(), source(nil)); !errors.Is(err, occamy.ErrServerClosed) {
			f.Errorf("Serve: %v", err)
		}
		f.server.Expand()
		f.server.Resume()
		f.wantFate(f.request(newTask("late")), occamytest.Requeued)
	})
}

func TestR18_AcquireEndsWithTheServer(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		f.request(r)
		f.slots()
		errs := make(chan error, 1)
		go func() { _, err := f.server.Acquire(context.Background(), 1); errs <- err }()
		synctest.Wait()
		f.goShutdown(time.Minute)
		if err := <-errs; !errors.Is(err, occamy.ErrServerClosed) {
			f.Errorf("Acquire: %v", err)
		}
		<-f.server.Withdrawn()
	})
}

func TestR18_LateOffersAreDiscarded(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		release := make(chan struct{})
		h := newTask("h")
		o := &expander{task: newTask("o"), expand: func(context.Context, int) []occamy.Task {
			<-release
			return []occamy.Task{h}
		}}
		f.request(o)
		f.slots()
		f.goShutdown(time.Minute)
		close(release)
		f.want("P:o -")
		if h.runs.Load() != 0 {
			f.Error("it ran")
		}
	})
}

// source is a function as a Source.
type source func(ctx context.Context, in occamy.Intake) error

func (s source) Consume(ctx context.Context, in occamy.Intake) error { return s(ctx, in) }

func TestServe(t *testing.T) {
	broken := errors.New("credentials are refused")
	for name, tt := range map[string]struct {
		consume source
		end     func(f *fixture, cancel func())
		want    error
	}{
		"ends with its ctx": {
			func(ctx context.Context, _ occamy.Intake) error { <-ctx.Done(); return nil },
			func(_ *fixture, cancel func()) { cancel() }, nil,
		},
		"ends with its ctx, whatever the source says": {
			func(ctx context.Context, _ occamy.Intake) error { <-ctx.Done(); return broken },
			func(_ *fixture, cancel func()) { cancel() }, nil,
		},
		"ends with the server": {
			func(ctx context.Context, _ occamy.Intake) error { <-ctx.Done(); return ctx.Err() },
			func(f *fixture, _ func()) { f.goShutdown(time.Minute) }, nil,
		},
		"ends with an error that the source cannot overcome": {
			func(context.Context, occamy.Intake) error { return broken },
			func(*fixture, func()) {}, broken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- f.server.Serve(ctx, tt.consume) }()
				synctest.Wait()
				tt.end(f, cancel)
				if err := <-ended; !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					f.Errorf("Serve: %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestServe_FeedsTheServer(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		done := make(chan *occamytest.Delivery, 3)
		for i := range 3 {
			r := newTask(fmt.Sprint("r", i))
			r.do = func(context.Context) error { after(time.Second); return nil }
			f.give(r)
		}
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			err := f.server.Serve(ctx, source(func(ctx context.Context, in occamy.Intake) error {
				if i := in.Info(); i.ID != "server" || i.Slots != 2 || len(i.Kinds) != 1 || i.Keys.Kind != "Occamy-Kind" {
					f.Errorf("info %+v", i)
				}
				for i := range 3 {
					n, err := in.Acquire(ctx, 1)
					if n != 1 || err != nil {
						f.Errorf("Acquire: %d, %v", n, err)
					}
					m := delivery(fmt.Sprint("r", i))
					in.HandleRequest(m)
					in.Release(n)
					done <- m
				}
				<-ctx.Done()
				return nil
			}))
			if err != nil {
				f.Error(err)
			}
		}()
		for range 3 {
			m := <-done
			<-m.Settled()
			f.wantFate(m, occamytest.Acked)
		}
		cancel()
	})
}
