package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

var errWork = errors.New("the work failed")

// returns makes a Do that waits for its context to end, if stop is true, and
// then returns err.
func returns(stop bool, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		if stop {
			<-ctx.Done()
		}
		return err
	}
}

func TestR07_SettlesByWhatHappened(t *testing.T) {
	const wait = true
	panics := func(ctx context.Context) error { <-ctx.Done(); panic("late") }
	shutdown := func(f *fixture, _ *occamytest.Delivery) {
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		if err := f.server.Shutdown(ctx); err != nil {
			f.Error(err)
		}
	}
	cancel := func(f *fixture, _ *occamytest.Delivery) { f.command("cancel", "r") }
	lose := func(_ *fixture, m *occamytest.Delivery) { m.Lose() }
	expire := func(*fixture, *occamytest.Delivery) { after(time.Minute) }
	then := func(steps ...func(*fixture, *occamytest.Delivery)) func(*fixture, *occamytest.Delivery) {
		return func(f *fixture, m *occamytest.Delivery) {
			for _, s := range steps {
				s(f, m)
				synctest.Wait()
			}
		}
	}
	slowly := func(err error) func(context.Context) error {
		return func(ctx context.Context) error { <-ctx.Done(); after(time.Second / 2); return err }
	}

	for name, tt := range map[string]struct {
		do     func(context.Context) error
		cause  func(*fixture, *occamytest.Delivery)
		fate   occamytest.Fate
		reason string
		delay  time.Duration
	}{
		"lost":                           {returns(wait, nil), lose, occamytest.Unsettled, "", 0},
		"lost, then cancelled":           {slowly(nil), then(lose, cancel), occamytest.Unsettled, "", 0},
		"cancelled, then lost":           {slowly(nil), then(cancel, lose), occamytest.Unsettled, "", 0},
		"done":                           {returns(!wait, nil), nil, occamytest.Acked, "", 0},
		"cancelled":                      {returns(wait, errWork), cancel, occamytest.Acked, "", 0},
		"cancelled, done all the same":   {returns(wait, nil), cancel, occamytest.Acked, "", 0},
		"cancelled, panicked":            {panics, cancel, occamytest.Acked, "", 0},
		"cancelled, wants a requeue":     {returns(wait, occamy.ErrRequeue), cancel, occamytest.Acked, "", 0},
		"cancelled, then shut down":      {slowly(errWork), then(cancel, shutdown), occamytest.Acked, "", 0},
		"shut down, then cancelled":      {slowly(errWork), then(func(f *fixture, m *occamytest.Delivery) { go shutdown(f, m) }, cancel), occamytest.Acked, "", 0},
		"timed out, then cancelled":      {slowly(errWork), then(expire, cancel), occamytest.Acked, "", 0},
		"timed out":                      {returns(wait, errWork), expire, occamytest.Rejected, "time limit", 0},
		"timed out, done all the same":   {returns(wait, nil), expire, occamytest.Acked, "", 0},
		"timed out, wants a requeue":     {returns(wait, occamy.ErrRequeue), expire, occamytest.Rejected, "time limit", 0},
		"shut down":                      {returns(wait, errWork), shutdown, occamytest.Requeued, "", 0},
		"shut down, done all the same":   {returns(wait, nil), shutdown, occamytest.Acked, "", 0},
		"shut down, panicked":            {panics, shutdown, occamytest.Requeued, "", 0},
		"wants a requeue":                {returns(!wait, occamy.ErrRequeue), nil, occamytest.Requeued, "", 0},
		"wants a requeue, wrapped":       {returns(!wait, fmt.Errorf("busy: %w", occamy.Requeue(errWork, 0))), nil, occamytest.Requeued, "", 0},
		"wants a requeue, with a delay":  {returns(!wait, occamy.Requeue(nil, time.Hour)), nil, occamytest.Requeued, "", time.Hour},
		"wants a requeue, negative":      {returns(!wait, occamy.Requeue(nil, -time.Hour)), nil, occamytest.Requeued, "", 0},
		"failed":                         {returns(!wait, errWork), nil, occamytest.Rejected, errWork.Error(), 0},
		"panicked":                       {func(context.Context) error { panic("oh") }, nil, occamytest.Rejected, "Do panicked: oh", 0},
		"panicked with a wish":           {func(context.Context) error { panic(occamy.ErrRequeue) }, nil, occamytest.Rejected, "Do panicked", 0},
		"ended its goroutine":            {func(context.Context) error { runtime.Goexit(); return nil }, nil, occamytest.Rejected, "runtime.Goexit", 0},
		"result too large":               {func(ctx context.Context) error { return occamy.SetResult(ctx, []byte("huge")) }, nil, occamytest.Rejected, "too large", 0},
		"an error of a type that is nil": {func(context.Context) error { var e *fragileError; return e }, nil, occamytest.Rejected, "panicked", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				r.details.Timeout = time.Minute
				r.do = tt.do
				f.give(r)
				m := delivery("r")
				m.OnOutcome = func(_ context.Context, o occamy.Outcome) error {
					if string(o.Result) == "huge" {
						return fmt.Errorf("refused: %w", occamy.ErrTooLarge)
					}
					return nil
				}
				f.server.HandleRequest(m)
				synctest.Wait()
				if tt.cause != nil {
					tt.cause(f, m)
				}
				after(2 * time.Second)
				f.wantFate(m, tt.fate)
				s := m.Settlement()
				if !strings.Contains(s.Reason, tt.reason) || tt.reason == "" && s.Reason != "" {
					f.Errorf("reason %q, want %q in it", s.Reason, tt.reason)
				}
				if s.Delay != tt.delay {
					f.Errorf("delay %v, want %v", s.Delay, tt.delay)
				}
				f.want("-")
			})
		})
	}
}

// fragileError is an error whose methods panic when it is nil, as those of a
// nil pointer in an interface do.
type fragileError struct{ err error }

func (e *fragileError) Error() string { return e.err.Error() }
func (e *fragileError) Unwrap() error { return e.err }

func TestR07_AStuckTaskIsSettledOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		cause func(f *fixture)
		fate  occamytest.Fate
	}{
		"cancelled": {func(f *fixture) { f.command("cancel", "r") }, occamytest.Acked},
		"timed out": {func(*fixture) { after(time.Minute) }, occamytest.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newSlow("r", time.Hour)
				r.details.Timeout = time.Minute
				m := f.request(r)
				f.slots()
				tt.cause(f)
				synctest.Wait()
				f.wantFate(m, occamytest.Unsettled)
				after(time.Second) // KillTimeout
				f.want("P:r!")
				f.wantFate(m, tt.fate)
				f.wantErrors(occamy.ErrStuck, 1)
				after(2 * time.Hour)
				f.wantFate(m, tt.fate)
				f.want("-")
				f.stillServes()
			})
		})
	}
}

func TestR07_TheOutcomeIsPublishedBeforeTheMessageIsSettled(t *testing.T) {
	asked := occamy.Headers{"Occamy-Outcome": "true"}
	for name, tt := range map[string]struct {
		headers occamy.Headers
		do      func(context.Context) error
		cancel  bool
		want    []occamy.Outcome // Reason: a part of it
	}{
		"completed with a result": {nil, func(ctx context.Context) error {
			_ = occamy.SetResult(ctx, []byte("first"))
			return occamy.SetResult(ctx, []byte("last"))
		}, false, []occamy.Outcome{{Status: occamy.Completed, Result: []byte("last")}}},
		"completed, asked for": {asked, returns(false, nil), false, []occamy.Outcome{{Status: occamy.Completed}}},
		"completed, bare":      {nil, returns(false, nil), false, nil},
		"cancelled, asked for": {asked, returns(true, errWork), true, []occamy.Outcome{{Status: occamy.Cancelled}}},
		"rejected, asked for":  {asked, returns(false, errWork), false, []occamy.Outcome{{Status: occamy.Rejected, Reason: errWork.Error()}}},
		"rejected, bare":       {nil, returns(false, errWork), false, nil},
		"requeued is no end":   {asked, returns(false, occamy.ErrRequeue), false, nil},
		"rejected with a result: it is of no use": {nil, func(ctx context.Context) error {
			_ = occamy.SetResult(ctx, []byte("half"))
			return errWork
		}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				r.do = tt.do
				f.give(r)
				m := occamytest.NewDelivery(occamytest.With(occamytest.RequestHeaders(kind, "r"), tt.headers), nil)
				m.Number = 3
				m.OnSettle = func(context.Context, occamytest.Settlement, int) error {
					if len(m.Outcomes()) != len(tt.want) {
						f.Errorf("outcomes when it was settled: %v", m.Outcomes())
					}
					return nil
				}
				f.server.HandleRequest(m)
				synctest.Wait()
				if tt.cancel {
					f.command("cancel", "r")
				}
				<-m.Settled()
				for i, o := range m.Outcomes() {
					w := tt.want[i]
					if o.Status != w.Status || string(o.Result) != string(w.Result) || !strings.Contains(o.Reason, w.Reason) ||
						o.ID != "r" || o.Kind != kind || o.Attempt != 3 || o.Server != "server" {
						f.Errorf("outcome %+v, want %+v", o, w)
					}
				}
			})
		})
	}
}

func TestR07_AResultThatIsTooLargeIsAReasonToReject(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error { return occamy.SetResult(ctx, make([]byte, 100)) }
		f.give(r)
		m := delivery("r")
		m.OnOutcome = func(_ context.Context, o occamy.Outcome) error {
			if len(o.Result) > 10 {
				return occamy.ErrTooLarge
			}
			return nil
		}
		f.server.HandleRequest(m)
		f.wantFate(m, occamytest.Rejected)
		f.wantErrors(occamy.ErrTooLarge, 1)
		for _, o := range m.Outcomes() {
			if o.Status != occamy.Rejected {
				f.Errorf("outcome %+v", o)
			}
		}
		if l := f.latency(occamy.StageSettle); len(l) != 1 || l[0].Outcome != "rejected" {
			f.Errorf("recorded %+v", l)
		}
	})
}

func TestR07_ADelayIsWaitedOutWhereTheBrokerCannot(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = returns(false, occamy.Requeue(errWork, time.Hour))
		f.give(r)
		bare := occamytest.NewMessage(occamytest.RequestHeaders(kind, "r"), nil)
		bare.OnSettle = func(ctx context.Context, _ occamytest.Settlement, _ int) error { return ctx.Err() }
		begun := time.Now()
		f.server.HandleRequest(bare)
		f.want("-") // the slot does not wait
		<-bare.Settled()
		if d := time.Since(begun); d != time.Hour {
			f.Errorf("requeued after %v", d)
		}
		f.wantFate(bare, occamytest.Requeued)
		f.wantErrors(occamy.ErrNotSettled, 0)

		bare = occamytest.NewMessage(occamytest.RequestHeaders(kind, "r"), nil)
		f.server.HandleRequest(bare)
		synctest.Wait()
		begun = time.Now()
		if err := f.server.Shutdown(f.Context()); err != nil {
			f.Error(err)
		}
		if d := time.Since(begun); d != 0 {
			f.Errorf("shutdown waited %v for a delay", d)
		}
		f.wantFate(bare, occamytest.Requeued)
	})
}
