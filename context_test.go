package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

func TestContext_ATaskLearnsOfItself(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		f.request(newTask("other"))
		f.slots()
		r := newTask("")
		f.plan("r", func(_ context.Context, q occamy.Request) (occamy.Task, error) {
			if q.ID != "r" || q.Kind != kind || q.Optional || q.Attempt != 4 || q.Headers["extra"] != "yes" || string(q.Body) != "body" {
				f.Errorf("request %+v", q)
			}
			return r, nil
		})
		m := occamytest.NewDelivery(occamytest.With(occamytest.RequestHeaders(kind, "r"), occamy.Headers{"extra": "yes", "Occamy-Priority": "7"}), []byte("body"))
		m.Number = 4
		f.server.HandleRequest(m)
		f.want("P:other P:r")
		want := occamy.TaskInfo{ID: "r", Kind: kind, Status: occamy.Protected, Slot: 1, Attempt: 4, Server: "server"}
		if got := r.taskInfo(); got != want {
			f.Errorf("info %+v, want %+v", got, want)
		}
		s := f.server.Snapshot().Slots[1]
		if s.Priority != 7 || s.Attempt != 4 || s.Owner != "r" || s.Kind != kind || !s.Since.Equal(r.beganAt()) {
			f.Errorf("slot %+v", s)
		}
	})
	ctx := context.Background()
	if i, ok := occamy.InfoFromContext(ctx); ok {
		t.Errorf("info %+v of no task", i)
	}
	if err := errors.Join(occamy.SetResult(ctx, nil)); !errors.Is(err, occamy.ErrNoRequest) {
		t.Errorf("SetResult: %v", err)
	}
	if err := occamy.ReportProgress(ctx, nil); !errors.Is(err, occamy.ErrNoRequest) {
		t.Errorf("ReportProgress: %v", err)
	}
	if _, err := occamy.LastProgress(ctx); !errors.Is(err, occamy.ErrNoRequest) {
		t.Errorf("LastProgress: %v", err)
	}
}

func TestContext_TheHandlersIsNoTasks(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		f.plan("r", func(ctx context.Context, _ occamy.Request) (occamy.Task, error) {
			if i, ok := occamy.InfoFromContext(ctx); ok {
				f.Errorf("info %+v in a handler", i)
			}
			if err := occamy.SetResult(ctx, []byte("x")); !errors.Is(err, occamy.ErrNoRequest) {
				f.Errorf("SetResult in a handler: %v", err)
			}
			if err := occamy.ReportProgress(ctx, []byte("x")); !errors.Is(err, occamy.ErrNoRequest) {
				f.Errorf("ReportProgress in a handler: %v", err)
			}
			return r, nil
		})
		m := f.requestID("r")
		f.slots()
		r.finish <- nil
		f.wantFate(m, occamytest.Acked)
		if len(m.Outcomes()) != 0 {
			f.Errorf("published %v", m.Outcomes())
		}
	})
}

func TestContext_HelpersHaveNobodyToReportTo(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		h := newTask("h")
		errs := make(chan error, 3)
		h.do = func(ctx context.Context) error {
			_, err := occamy.LastProgress(ctx)
			errs <- err
			errs <- occamy.SetResult(ctx, nil)
			errs <- occamy.ReportProgress(ctx, nil)
			<-ctx.Done()
			return nil
		}
		o := &expander{task: newTask("o"), expand: func(context.Context, int) []occamy.Task { return []occamy.Task{h} }}
		f.request(o)
		for range 3 {
			if err := <-errs; !errors.Is(err, occamy.ErrNoRequest) {
				f.Errorf("got %v", err)
			}
		}
	})
}

// A result that nobody can get is no reason to reject work that is done.
func TestContext_ABareMessageCarriesNoResult(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error {
			if b, err := occamy.LastProgress(ctx); b != nil || err != nil {
				f.Errorf("last progress %q, %v", b, err)
			}
			return errors.Join(occamy.ReportProgress(ctx, nil), occamy.SetResult(ctx, nil))
		}
		f.give(r)
		m := occamytest.NewMessage(occamytest.RequestHeaders(kind, "r"), nil)
		f.server.HandleRequest(m)
		f.wantFate(m, occamytest.Acked)
	})
}

func TestProgress_ReachesTheNextAttempt(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error {
			last, err := occamy.LastProgress(ctx)
			if err != nil {
				return err
			}
			if string(last) == "99" {
				return occamy.SetResult(ctx, append(last, " and done"...))
			}
			for i := range 100 {
				if err := occamy.ReportProgress(ctx, fmt.Append(nil, i)); err != nil {
					return err
				}
			}
			return occamy.ErrRequeue
		}
		first := f.request(r)
		f.wantFate(first, occamytest.Requeued)
		if got := first.Progress(); string(got[len(got)-1]) != "99" {
			f.Errorf("the last progress is %q", got[len(got)-1])
		}
		second := first.Redeliver()
		f.server.HandleRequest(second)
		f.wantFate(second, occamytest.Acked)
		if o := second.Outcomes(); len(o) != 1 || string(o[0].Result) != "99 and done" || o[0].Attempt != 2 {
			f.Errorf("outcomes %+v", o)
		}
	})
}

func TestProgress_IsSentInTheBackgroundAndTheLastBeforeSettling(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		begun := time.Now()
		r.do = func(ctx context.Context) error {
			for i := range 10 {
				_ = occamy.ReportProgress(ctx, fmt.Append(nil, i))
				if i == 4 {
					after(time.Second)
				}
			}
			if d := time.Since(begun); d != time.Second {
				f.Errorf("reporting took %v", d-time.Second)
			}
			return nil
		}
		f.give(r)
		m := delivery("r")
		m.OnProgress = func(ctx context.Context, _ []byte) error {
			select {
			case <-time.After(300 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		m.OnSettle = func(context.Context, occamytest.Settlement, int) error {
			if p := m.Progress(); string(p[len(p)-1]) != "9" {
				f.Errorf("settled after progress %q", p)
			}
			return nil
		}
		f.server.HandleRequest(m)
		<-m.Settled()
		p := m.Progress()
		if len(p) > 4 || !slices.ContainsFunc(p, func(b []byte) bool { return string(b) == "4" }) {
			f.Errorf("sent %q: newer progress replaces what has not been sent", p)
		}
	})
}

func TestProgress_OfAPreemptedAttemptIsNotLost(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error {
			<-ctx.Done()
			return errors.Join(occamy.ReportProgress(ctx, []byte("on my way out")), context.Cause(ctx))
		}
		m := f.request(r)
		f.slots()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := f.server.Shutdown(ctx); err != nil {
			f.Error(err)
		}
		f.wantFate(m, occamytest.Requeued)
		if p := m.Progress(); len(p) != 1 || string(p[0]) != "on my way out" {
			f.Errorf("kept %q", p)
		}
	})
}

func TestProgress_ThatTheBrokerRefusesIsRecordedAndNoMore(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error {
			_ = occamy.ReportProgress(ctx, []byte("x"))
			after(time.Second)
			return nil
		}
		f.give(r)
		m := delivery("r")
		m.OnProgress = func(context.Context, []byte) error { return occamy.ErrTooLarge }
		f.server.HandleRequest(m)
		<-m.Settled()
		f.wantFate(m, occamytest.Acked)
		f.wantTaskError(occamy.ErrTooLarge, occamy.TaskError{ID: "r", Kind: kind, Status: occamy.Protected})
	})
}

func TestContext_DerivedContextsEndWithTheCause(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); ok || ctx.Err() != nil || ctx.Value("x") != nil {
				f.Error("a context with something in it")
			}
			child, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			called := make(chan struct{})
			context.AfterFunc(child, func() { close(called) })
			<-child.Done()
			<-called
			for _, c := range []context.Context{ctx, child} {
				if !errors.Is(context.Cause(c), occamy.ErrCancelled) || !errors.Is(c.Err(), context.Canceled) {
					f.Errorf("ended with %v because of %v", c.Err(), context.Cause(c))
				}
			}
			return nil
		}
		m := f.request(r)
		synctest.Wait()
		f.command("cancel", "r")
		f.wantFate(m, occamytest.Acked)
	})
}

func TestProgress_ABrokerThatHangsOnItHoldsUpNoSlot(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error { return occamy.ReportProgress(ctx, []byte("x")) }
		f.give(r)
		m := delivery("r")
		m.OnProgress = func(context.Context, []byte) error { after(time.Hour); return nil }
		f.server.HandleRequest(m)
		f.want("-")
		f.stillServes()
		after(31 * time.Second)
		f.wantTaskError(occamy.ErrNotSettled, occamy.TaskError{ID: "r", Kind: kind, Status: occamy.Protected})
		after(2 * time.Hour)
	})
}

func TestProgress_ThatTheEndOfTheTaskCutShortIsSentAgain(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error {
			_ = occamy.ReportProgress(ctx, []byte("x"))
			after(time.Second)
			return occamy.ErrRequeue
		}
		f.give(r)
		m := delivery("r")
		n := 0
		m.OnProgress = func(ctx context.Context, _ []byte) error {
			if n++; n > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		f.server.HandleRequest(m)
		<-m.Settled()
		f.wantFate(m, occamytest.Requeued)
		if p := m.Progress(); len(p) != 1 || string(p[0]) != "x" {
			f.Errorf("kept %q", p)
		}
		if errs := f.monitor.Errors(); len(errs) != 0 {
			f.Errorf("recorded %v", errs)
		}
	})
}
