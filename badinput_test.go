package occamy_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// Each of these leaves the server able to take requests, which stillServes
// checks.

func TestBadInput_RequestHeaders(t *testing.T) {
	keys := occamy.DefaultHeaderKeys()
	for name, tt := range map[string]struct {
		headers occamy.Headers
		want    error
	}{
		"no headers at all":          {nil, occamy.ErrInvalidHeader},
		"kind of the wrong type":     {occamy.Headers{keys.Kind: 7}, occamy.ErrInvalidHeader},
		"kind empty":                 {occamy.Headers{keys.Kind: ""}, occamy.ErrInvalidHeader},
		"kind unknown":               {occamy.Headers{keys.Kind: "other"}, occamy.ErrUnknownKind},
		"ID of the wrong type":       {occamy.Headers{keys.RequestID: []string{"r"}}, occamy.ErrInvalidHeader},
		"ID nil":                     {occamy.Headers{keys.RequestID: nil}, occamy.ErrInvalidHeader},
		"ID empty":                   {occamy.Headers{keys.RequestID: ""}, occamy.ErrInvalidHeader},
		"timeout without a unit":     {occamy.Headers{keys.Timeout: "90"}, occamy.ErrInvalidHeader},
		"timeout of zero":            {occamy.Headers{keys.Timeout: "0s"}, occamy.ErrInvalidHeader},
		"timeout negative":           {occamy.Headers{keys.Timeout: "-1s"}, occamy.ErrInvalidHeader},
		"timeout a number":           {occamy.Headers{keys.Timeout: 90}, occamy.ErrInvalidHeader},
		"deadline no time":           {occamy.Headers{keys.Deadline: "tomorrow"}, occamy.ErrInvalidHeader},
		"deadline a number":          {occamy.Headers{keys.Deadline: 1234567890}, occamy.ErrInvalidHeader},
		"deadline past":              {occamy.Headers{keys.Deadline: "1999-12-31T23:59:59Z"}, occamy.ErrTimeout},
		"priority no number":         {occamy.Headers{keys.Priority: "high"}, occamy.ErrInvalidHeader},
		"priority not whole":         {occamy.Headers{keys.Priority: 1.5}, occamy.ErrInvalidHeader},
		"priority out of range":      {occamy.Headers{keys.Priority: "9223372036854775808"}, occamy.ErrInvalidHeader},
		"outcome neither yes nor no": {occamy.Headers{keys.Outcome: "maybe"}, occamy.ErrInvalidHeader},
		"outcome a number":           {occamy.Headers{keys.Outcome: 1}, occamy.ErrInvalidHeader},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				f.give(r)
				h := tt.headers
				if h != nil {
					h = occamytest.With(occamytest.RequestHeaders(kind, "r"), h)
				}
				m := occamytest.NewDelivery(h, nil)
				f.server.HandleRequest(m)
				f.wantFate(m, occamytest.Rejected)
				if reason := m.Settlement().Reason; !strings.Contains(reason, strings.TrimPrefix(tt.want.Error(), "occamy: ")) {
					f.Errorf("reason %q", reason)
				}
				f.wantErrors(tt.want, 1)
				if r.runs.Load() != 0 {
					f.Error("it ran")
				}
				f.stillServes()
			})
		})
	}
}

func TestBadInput_HeadersThatAreFine(t *testing.T) {
	keys := occamy.DefaultHeaderKeys()
	for name, h := range map[string]occamy.Headers{
		"priority as a string":   {keys.Priority: "-3"},
		"priority as an int":     {keys.Priority: -3},
		"priority as an int64":   {keys.Priority: int64(math.MaxInt64)},
		"priority as an int32":   {keys.Priority: int32(3)},
		"outcome as a string":    {keys.Outcome: "true"},
		"outcome as a boolean":   {keys.Outcome: false},
		"deadline as a time":     {keys.Deadline: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)},
		"timeout":                {keys.Timeout: "1h30m"},
		"one that means nothing": {"whatever": struct{}{}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				m := f.requestWith(r, h)
				f.want("P:r")
				r.finish <- nil
				f.wantFate(m, occamytest.Acked)
			})
		})
	}
}

func TestBadInput_Body(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		f.give(r)
		m := occamytest.NewDelivery(occamytest.RequestHeaders(kind, "r"), make([]byte, 101))
		f.server.HandleRequest(m)
		f.wantFate(m, occamytest.Rejected)
		if !strings.Contains(m.Settlement().Reason, "101 bytes") {
			f.Errorf("reason %q", m.Settlement().Reason)
		}
		f.wantTaskError(occamy.ErrInvalidBody, occamy.TaskError{ID: "r", Kind: kind, Status: occamy.Empty})

		l := newListener("l")
		f.request(l)
		f.slots()
		c := occamytest.NewMessage(occamytest.ControlHeaders("l"), make([]byte, 101))
		f.server.HandleControl(c)
		f.wantFate(c, occamytest.Acked)
		o := occamytest.NewMessage(occamytest.RequestHeaders(kind, "r"), make([]byte, 101))
		f.server.HandleControl(o)
		f.wantFate(o, occamytest.Acked)
		f.wantErrors(occamy.ErrInvalidBody, 3)
		l.wantHeard(f)
		l.finish <- nil

		fits := occamytest.NewDelivery(occamytest.RequestHeaders(kind, "r"), make([]byte, 100))
		f.server.HandleRequest(fits)
		f.want("P:r")
	}, func(c *occamy.Config) { c.MaxBody = 100 })
}

func TestBadInput_Handler(t *testing.T) {
	var nilTask *task
	for name, tt := range map[string]struct {
		handle func(ctx context.Context) (occamy.Task, error)
		want   error
		panics string // the Op
		fate   occamytest.Fate
	}{
		"fails":               {func(context.Context) (occamy.Task, error) { return nil, errWork }, errWork, "", occamytest.Rejected},
		"fails, with a task":  {func(context.Context) (occamy.Task, error) { return newTask("r"), errWork }, errWork, "", occamytest.Rejected},
		"gives nil":           {func(context.Context) (occamy.Task, error) { return nil, nil }, occamy.ErrNilTask, "", occamytest.Rejected},
		"gives a nil pointer": {func(context.Context) (occamy.Task, error) { return nilTask, nil }, nil, "Details", occamytest.Rejected},
		"panics":              {func(context.Context) (occamy.Task, error) { panic(errWork) }, errWork, "Handle", occamytest.Rejected},
		"panics with a wish":  {func(context.Context) (occamy.Task, error) { panic(occamy.ErrRequeue) }, nil, "Handle", occamytest.Rejected},
		"ends its goroutine":  {func(context.Context) (occamy.Task, error) { runtime.Goexit(); return nil, nil }, nil, "Handle", occamytest.Rejected},
		"a nil error pointer": {func(context.Context) (occamy.Task, error) { var e *fragileError; return nil, e }, nil, "Handle", occamytest.Rejected},
		"wants a requeue":     {func(context.Context) (occamy.Task, error) { return nil, occamy.Requeue(errWork, time.Minute) }, nil, "", occamytest.Requeued},
		"details panic": {func(context.Context) (occamy.Task, error) {
			return badDetails{func() occamy.Details { panic(errWork) }}, nil
		}, errWork, "Details", occamytest.Rejected},
		"details end goroutine": {func(context.Context) (occamy.Task, error) {
			return badDetails{func() occamy.Details { runtime.Goexit(); return occamy.Details{} }}, nil
		}, nil, "Handle", occamytest.Rejected},
		"details change the ID": {func(context.Context) (occamy.Task, error) { return &fickle{}, nil }, occamy.ErrDetails, "", occamytest.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				f.plan("r", func(ctx context.Context, _ occamy.Request) (occamy.Task, error) { return tt.handle(ctx) })
				m := f.requestID("r")
				f.wantFate(m, tt.fate)
				s, errs := m.Settlement(), f.monitor.Errors()
				if tt.fate == occamytest.Requeued {
					if s.Delay != time.Minute || len(errs) != 0 {
						f.Errorf("requeued %+v, recorded %v", s, errs)
					}
					f.stillServes()
					return
				}
				var te *occamy.TaskError
				if len(errs) != 1 || !errors.As(errs[0], &te) || te.Kind != kind || te.Status != occamy.Empty {
					f.Fatalf("recorded %v", errs)
				}
				if tt.want != nil && !errors.Is(errs[0], tt.want) {
					f.Errorf("recorded %v, want %v", errs[0], tt.want)
				}
				var p *occamy.PanicError
				if tt.panics != "" && (!errors.As(errs[0], &p) || p.Op != tt.panics || !strings.Contains(string(p.Stack), "goroutine")) {
					f.Errorf("recorded %v, want a panic of %s with its stack", errs[0], tt.panics)
				}
				if s.Reason != te.Err.Error() {
					f.Errorf("reason %q, recorded %q", s.Reason, te.Err)
				}
				f.stillServes()
			})
		})
	}
}

// fickle changes its ID each time.
type fickle struct{ n int }

func (t *fickle) Details() occamy.Details {
	t.n++
	return occamy.Details{ID: strings.Repeat("x", t.n)}
}
func (*fickle) Do(context.Context) error { return nil }

func TestBadInput_Do(t *testing.T) {
	for name, do := range map[string]func(context.Context) error{
		"panics":             func(context.Context) error { panic(errWork) },
		"ends its goroutine": func(context.Context) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(f *fixture) {
				r := newTask("r")
				r.do = do
				m := f.request(r)
				f.wantFate(m, occamytest.Rejected)
				if reason := m.Settlement().Reason; !strings.Contains(reason, "goroutine ") || !strings.Contains(reason, "badinput_test.go") {
					f.Errorf("no stack in the reason %q", reason)
				}
				errs := f.monitor.Errors()
				var p *occamy.PanicError
				var te *occamy.TaskError
				if len(errs) != 1 || !errors.As(errs[0], &p) || p.Op != "Do" || !errors.As(errs[0], &te) || te.ID != "r" || te.Status != occamy.Protected {
					f.Errorf("recorded %v", errs)
				}
				if name == "panics" && !errors.Is(errs[0], errWork) {
					f.Errorf("%v is not the value of the panic", errs[0])
				}
				f.stillServes()
			})
		})
	}
}

func TestBadInput_TheSameMessageTwiceAndOneIDTwice(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		r := newTask("r")
		first := f.request(r)
		f.want("P:r -")
		again := first.Redeliver()
		f.server.HandleRequest(again)
		f.want("P:r P:r")
		r.finish <- nil
		r.finish <- errWork
		f.want("- -")
		fates := []occamytest.Fate{first.Settlement().Fate, again.Settlement().Fate}
		if len(first.Settlements()) != 1 || len(again.Settlements()) != 1 || fates[0] == fates[1] {
			f.Errorf("settled %v and %v", first.Settlements(), again.Settlements())
		}
		f.stillServes()
	})
}

func TestBadInput_AMessageWhoseMethodsPanic(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(ctx context.Context) error {
			_ = occamy.ReportProgress(ctx, []byte("half"))
			return occamy.SetResult(ctx, []byte("x"))
		}
		f.give(r)
		m := delivery("r")
		m.OnOutcome = func(context.Context, occamy.Outcome) error { panic("broker") }
		m.OnProgress = func(context.Context, []byte) error { panic("broker") }
		f.server.HandleRequest(m)
		after(time.Minute)
		f.wantErrors(occamy.ErrNotSettled, 1)
		f.stillServes()
	})
}
