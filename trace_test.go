package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
)

// tracer notes what it surrounds; the contexts that it gives bear a mark.
type tracer struct {
	mu    sync.Mutex
	spans []string // guarded by mu
}

type markKey struct{}

func markOf(ctx context.Context) string {
	if ctx == nil {
		return ""
	}
	m, _ := ctx.Value(markKey{}).(string)
	return m
}

func (t *tracer) Trace(ctx context.Context, c occamy.Traced) (context.Context, func(error)) {
	mark := fmt.Sprintf("%s %s", c.Stage, c.ID)
	told := fmt.Sprintf("%s as %s %s for %q in %d, attempt %d, under %q, %d headers",
		mark, c.Kind, c.Status, c.Request, c.Slot, c.Attempt, markOf(c.Parent), len(c.Headers))
	return context.WithValue(ctx, markKey{}, mark), func(err error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.spans = append(t.spans, fmt.Sprintf("%s: %v", told, err))
	}
}

func withTracer(t occamy.Tracer) func(*occamy.Config) {
	return func(c *occamy.Config) { c.Tracer = t }
}

func TestTracer_SurroundsHandlersAndTasks(t *testing.T) {
	tr := &tracer{}
	inBubble(t, 2, func(f *fixture) {
		o := newOwner("o", 1)
		offer := o.expand
		o.expand = func(ctx context.Context, n int) []occamy.Task {
			if got := markOf(ctx); got != "run o" {
				f.Errorf("Expand under %q", got)
			}
			return offer(ctx, n)
		}
		f.plan("o", func(ctx context.Context, _ occamy.Request) (occamy.Task, error) {
			if got := markOf(ctx); got != "handle o" {
				f.Errorf("Handle under %q", got)
			}
			return o, nil
		})
		f.requestID("o")
		f.want("P:o I:o.1")
		if i := o.taskInfo(); i.ID != "o" || i.Status != occamy.Protected {
			f.Errorf("info %+v", i)
		}
		c := &controlled{task: newTask("c"), control: func(ctx context.Context, _ string) error {
			if got := markOf(ctx); got != "run c" {
				f.Errorf("Control under %q", got)
			}
			return nil
		}}
		f.request(c)
		f.want("P:o P:c")
		f.control("c", "x")
		f.slots()
		c.finish <- errWork
		f.want("P:o I:o.2")
		o.finish <- nil
		after(time.Second)
		f.requestID("nobody's")
		f.slots()
		want := []string{
			`handle c as work empty for "" in -1, attempt 1, under "", 2 headers: <nil>`,
			`handle nobody's as work empty for "" in -1, attempt 1, under "", 2 headers: no plan for "nobody's"`,
			`handle o as work empty for "" in -1, attempt 1, under "", 2 headers: <nil>`,
			`run c as work protected for "c" in 1, attempt 1, under "", 2 headers: the work failed`,
			`run o as work protected for "o" in 0, attempt 1, under "", 2 headers: <nil>`,
			`run o.1 as work internal for "o" in 1, attempt 1, under "run o", 0 headers: occamy: preempted`,
			`run o.2 as work internal for "o" in 1, attempt 1, under "run o", 0 headers: occamy: owner ended`,
		}
		tr.mu.Lock()
		defer tr.mu.Unlock()
		slices.Sort(tr.spans)
		if !slices.Equal(tr.spans, want) {
			f.Errorf("spans\n%q\nwant\n%q", tr.spans, want)
		}
	}, withTracer(tr), withoutRefill)
}

// tracing is a function as a Tracer.
type tracing func(context.Context, occamy.Traced) (context.Context, func(error))

func (f tracing) Trace(ctx context.Context, t occamy.Traced) (context.Context, func(error)) {
	return f(ctx, t)
}

func TestTracer_OneThatPanicsOrGivesNothingHoldsNothingUp(t *testing.T) {
	for name, tt := range map[string]struct {
		tracer tracing
		panics int // for one request
	}{
		"panics": {func(context.Context, occamy.Traced) (context.Context, func(error)) { panic("trace") }, 2},
		"panics at the end": {func(ctx context.Context, _ occamy.Traced) (context.Context, func(error)) {
			return ctx, func(error) { panic("end") }
		}, 2},
		"gives nothing": {func(context.Context, occamy.Traced) (context.Context, func(error)) { return nil, nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				f.stillServes()
				f.slots()
				n := 0
				for _, err := range f.monitor.Errors() {
					var p *occamy.PanicError
					if errors.As(err, &p) && p.Op == "Trace" {
						n++
					}
				}
				if n != tt.panics || len(f.monitor.Errors()) != n {
					f.Errorf("%d panics, want %d: %v", n, tt.panics, f.monitor.Errors())
				}
			}, withTracer(tt.tracer))
		})
	}
}

func TestTracer_IsToldOfTasksThatPanic(t *testing.T) {
	tr := &tracer{}
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = func(context.Context) error { panic("do") }
		f.request(r)
		f.slots()
		f.stillServes()
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if len(tr.spans) != 4 || tr.spans[1] != `run r as work protected for "r" in 0, attempt 1, under "", 2 headers: occamy: panicked or ended its goroutine` {
			f.Errorf("spans %q", tr.spans)
		}
	}, withTracer(tr))
}
