package occamy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

var errBroker = errors.New("the broker is away")

func TestR08_TheSlotIsFreeWhenDoReturns(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = returns(false, nil)
		f.give(r)
		m := delivery("r")
		release := make(chan struct{})
		m.OnSettle = func(context.Context, occamytest.Settlement, int) error { <-release; return nil }
		f.server.HandleRequest(m)
		f.want("-")
		f.wantFate(m, occamytest.Unsettled)
		f.stillServes()
		close(release)
		f.wantFate(m, occamytest.Acked)
	})
}

func TestR08_SettlingIsRetried(t *testing.T) {
	for name, fails := range map[string]func(n int) error{
		"errors": func(n int) error {
			if n < 4 {
				return errBroker
			}
			return nil
		},
		"panics": func(n int) error {
			if n < 4 {
				panic(errBroker)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				r.do = returns(false, nil)
				f.give(r)
				m := delivery("r")
				m.OnSettle = func(_ context.Context, _ occamytest.Settlement, n int) error { return fails(n) }
				f.server.HandleRequest(m)
				<-m.Settled()
				f.wantFate(m, occamytest.Acked)
				if n := m.Calls(); n != 4 {
					f.Errorf("%d calls, want 4", n)
				}
				f.wantErrors(occamy.ErrNotSettled, 0)
			})
		})
	}
}

func TestR08_AFailureToSettleIsRecorded(t *testing.T) {
	for name, fails := range map[string]func(ctx context.Context) error{
		"fails":           func(context.Context) error { return errBroker },
		"waits":           func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"hangs":           func(context.Context) error { after(time.Hour); return nil },
		"hangs and fails": func(context.Context) error { after(time.Hour); return errBroker },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				r.do = returns(false, nil)
				f.give(r)
				m := delivery("r")
				m.OnSettle = func(ctx context.Context, _ occamytest.Settlement, _ int) error { return fails(ctx) }
				begun := time.Now()
				f.server.HandleRequest(m)
				err := f.monitor.WaitError(f.Context(), occamy.ErrNotSettled)
				if d := time.Since(begun); d > 30*time.Second {
					f.Errorf("recorded after %v", d)
				}
				if name == "fails" && !errors.Is(err, errBroker) {
					f.Errorf("%v does not say why", err)
				}
				f.wantTaskError(occamy.ErrNotSettled, occamy.TaskError{ID: "r", Kind: kind, Status: occamy.Protected})
				f.stillServes()
				f.wantErrors(occamy.ErrNotSettled, 1)
				after(2 * time.Hour)
				acked := 0 // that of stillServes
				for _, l := range f.latency(occamy.StageSettle) {
					if l.Outcome == "acked" {
						acked++
					}
				}
				if acked != 1 {
					f.Errorf("recorded %+v", f.latency(occamy.StageSettle))
				}
			})
		})
	}
}

// releasable stays with its holder until it is settled or released.
type releasable struct {
	*occamytest.Delivery
	released chan struct{} // closed by the first release
}

func (m *releasable) Release() { close(m.released) }

func TestR08_WhatCannotBeSettledIsReleased(t *testing.T) {
	for name, fails := range map[string]func(ctx context.Context) error{
		"fails": func(context.Context) error { return errBroker },
		"hangs": func(context.Context) error { after(time.Hour); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				r.do = returns(false, nil)
				f.give(r)
				m := &releasable{delivery("r"), make(chan struct{})}
				m.OnSettle = func(ctx context.Context, _ occamytest.Settlement, _ int) error { return fails(ctx) }
				begun := time.Now()
				f.server.HandleRequest(m)
				<-m.released
				if d := time.Since(begun); d < 25*time.Second || d > 30*time.Second {
					f.Errorf("released after %v", d)
				}
				f.wantErrors(occamy.ErrNotSettled, 1)
				after(2 * time.Hour)
			})
		})
	}
}

func TestR08_AnOutcomeIsRetriedTooAndSaidOnce(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error { return occamy.SetResult(ctx, []byte("x")) }
		f.give(r)
		m := delivery("r")
		n := 0
		m.OnOutcome = func(context.Context, occamy.Outcome) error {
			if n++; n < 3 {
				return errBroker
			}
			return nil
		}
		m.OnSettle = func(_ context.Context, _ occamytest.Settlement, n int) error {
			if n < 3 {
				return errBroker
			}
			return nil
		}
		f.server.HandleRequest(m)
		<-m.Settled()
		f.wantFate(m, occamytest.Acked)
		if o := m.Outcomes(); len(o) != 1 {
			f.Errorf("published %v", o)
		}
	})
}

func TestR07_AReasonThatIsTooLargeDoesNotHoldUpTheRejection(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = returns(false, errWork)
		f.give(r)
		m := occamytest.NewDelivery(occamytest.With(occamytest.RequestHeaders(kind, "r"), occamy.Headers{"Occamy-Outcome": true}), nil)
		m.OnOutcome = func(context.Context, occamy.Outcome) error { return occamy.ErrTooLarge }
		f.server.HandleRequest(m)
		f.wantFate(m, occamytest.Rejected)
		f.wantErrors(occamy.ErrTooLarge, 1)
	})
}
