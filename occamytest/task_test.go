package occamytest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// counting returns a factory of citizens that are changed in one point.
func counting(change func(c *citizen)) func() occamy.Task {
	return func() occamy.Task {
		c := &citizen{}
		change(c)
		return c
	}
}

func doing(do func(ctx context.Context, c *citizen) error) func() occamy.Task {
	return counting(func(c *citizen) { c.do = do })
}

func expanding(expand func(ctx context.Context, h *helped, n int) []occamy.Task) func() occamy.Task {
	return func() occamy.Task { return &helped{expand: expand} }
}

func controlling(control func(ctx context.Context, h occamy.Headers, body []byte) error) func() occamy.Task {
	return func() occamy.Task { return &controlled{control: control} }
}

func TestGoodCitizensPass(t *testing.T) {
	for _, c := range []struct {
		name    string
		factory func() occamy.Task
		options []occamytest.Option
	}{
		{"one that counts", counting(func(*citizen) {}), nil},
		{"one of which the server knows nothing", counting(func(c *citizen) {
			c.details = func() occamy.Details { return occamy.Details{} }
		}), nil},
		{"one that ends at once", doing(func(context.Context, *citizen) error { return nil }), nil},
		{"one that ends soon, whether it is stopped or not", doing(func(ctx context.Context, _ *citizen) error {
			deaf(500 * time.Millisecond)
			return occamy.SetResult(ctx, []byte("done"))
		}), nil},
		{"one that starts anew each time", doing(func(ctx context.Context, _ *citizen) error {
			return pause(ctx, time.Second)
		}), nil},
		{"one with another result each time", func() func() occamy.Task {
			var runs atomic.Int64
			return doing(func(ctx context.Context, c *citizen) error {
				return errors.Join(pause(ctx, time.Second), occamy.SetResult(ctx, fmt.Append(nil, runs.Add(1))))
			})
		}(), nil},
		{"one whose best result so far is good enough", doing(func(ctx context.Context, _ *citizen) error {
			_ = pause(ctx, time.Second)
			return occamy.SetResult(ctx, []byte("some tour"))
		}), []occamytest.Option{occamytest.Complete(func(b []byte) error {
			if string(b) != "some tour" {
				return errors.New("no tour")
			}
			return nil
		})}},
		{"one that gives all of its result at once when it is stopped", doing(func(ctx context.Context, _ *citizen) error {
			for n := range steps {
				_ = occamy.SetResult(ctx, fmt.Append(nil, n+1))
				_ = pause(ctx, stepTime)
			}
			return nil
		}), nil},
		{"one with a goroutine that it waits for", doing(func(ctx context.Context, c *citizen) error {
			var g sync.WaitGroup
			g.Go(func() { _ = pause(ctx, 2*time.Second) })
			defer g.Wait()
			return c.count(ctx)
		}), nil},
		{"one with a goroutine of a library", doing(func(ctx context.Context, c *citizen) error {
			go lingers(10 * time.Second)
			return c.count(ctx)
		}), []occamytest.Option{occamytest.IgnoreGoroutine("occamytest_test.lingers")}},
		{"a helper", func() occamy.Task { return endless() }, []occamytest.Option{occamytest.Endless(time.Second)}},
		{"one that expands", func() occamy.Task { return &helped{} }, nil},
		{"one that needs no help", expanding(func(context.Context, *helped, int) []occamy.Task { return nil }), nil},
		{"one whose helpers end first", expanding(func(_ context.Context, _ *helped, n int) (tasks []occamy.Task) {
			for range n {
				tasks = append(tasks, doing(func(ctx context.Context, _ *citizen) error { return pause(ctx, stepTime) })())
			}
			return tasks
		}), nil},
		{"one that refuses control messages", func() occamy.Task { return &controlled{} }, nil},
		{"one that takes its time over control messages", controlling(func(ctx context.Context, _ occamy.Headers, _ []byte) error {
			return pause(ctx, time.Minute)
		}), nil},
		{"one that takes long to stop, where that is allowed", doing(func(ctx context.Context, c *citizen) error {
			err := c.count(ctx)
			if err != nil {
				deaf(2 * time.Second)
			}
			return err
		}), []occamytest.Option{occamytest.KillTimeout(3 * time.Second)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				occamytest.Task(t, c.factory, c.options...)
				deaf(time.Minute) // the bubble wants every goroutine to end
			})
		})
	}
}

func lingers(d time.Duration) { deaf(d) }

func TestBadCitizensAreCaught(t *testing.T) {
	within := func(d time.Duration) []occamytest.Option { return []occamytest.Option{occamytest.Within(d)} }
	errBroken := errors.New("broken")
	for _, c := range []struct {
		name    string
		factory func() occamy.Task
		options []occamytest.Option
		want    []string // see recorder.want
	}{
		// Stopping.
		{"ignores its context", doing(func(ctx context.Context, _ *citizen) error {
			deaf(10 * time.Second)
			return occamy.SetResult(ctx, []byte("done"))
		}), nil, []string{"stop|the context was cancelled before Do began|[Do] had not returned 3s later|within the kill time, 1s|look at ctx|occamytest_test.deaf"}},
		{"stops late", doing(func(ctx context.Context, c *citizen) error {
			err := c.count(ctx)
			if err != nil {
				deaf(1500 * time.Millisecond)
			}
			return err
		}), nil, []string{"stop|its last call returned 1.5s later|occamytest_test.deaf"}},
		{"stops late once it is half through", counting(func(c *citizen) {
			c.step = func(_ context.Context, n int) error {
				if n == steps/2 {
					deaf(2 * time.Second)
				}
				return nil
			}
		}), nil, []string{"stop|after Do began"}},
		{"stops later than its server allows", doing(func(ctx context.Context, c *citizen) error {
			err := c.count(ctx)
			if err != nil {
				deaf(50 * time.Millisecond)
			}
			return err
		}), []occamytest.Option{occamytest.KillTimeout(20 * time.Millisecond)}, []string{"stop|20ms"}},
		{"does not stop during Expand", expanding(func(context.Context, *helped, int) []occamy.Task {
			deaf(20 * time.Second)
			return nil
		}), nil, []string{"stop|[Expand] had not returned"}},
		{"does not stop during Control", controlling(func(context.Context, occamy.Headers, []byte) error {
			deaf(20 * time.Second)
			return nil
		}), nil, []string{"stop|[Control] had not returned"}},
		{"has helpers that do not stop", expanding(func(_ context.Context, _ *helped, n int) (tasks []occamy.Task) {
			for range n {
				tasks = append(tasks, doing(func(context.Context, *citizen) error { deaf(20 * time.Second); return nil })())
			}
			return tasks
		}), nil, []string{"stop|the task of the request had ended|Do of a helper Do of a helper Do of a helper|had not returned"}},

		// Success.
		{"returns nil and half of the result when it was stopped", doing(func(ctx context.Context, _ *citizen) error {
			for n := range steps {
				_ = occamy.SetResult(ctx, fmt.Append(nil, n+1))
				if pause(ctx, stepTime) != nil {
					return nil
				}
			}
			return nil
		}), nil, []string{`success|Do returned nil|its result is "1", and that of the runs that nobody stopped "100"|context.Cause(ctx)`}},
		{"returns nil and no result when it was stopped", doing(func(ctx context.Context, _ *citizen) error {
			_ = pause(ctx, time.Second)
			return nil
		}), nil, []string{"success|before Do began|it had run for 0s, and when nobody stops it it takes 1s|Complete"}},
		{"returns nil with a result that is not complete", doing(func(ctx context.Context, _ *citizen) error {
			_ = occamy.SetResult(ctx, []byte("half"))
			if pause(ctx, time.Second) == nil {
				_ = occamy.SetResult(ctx, []byte("whole"))
			}
			return nil
		}), []occamytest.Option{occamytest.Complete(func(b []byte) error {
			if string(b) != "whole" {
				return errBroken
			}
			return nil
		})}, []string{"success|its result \"half\" is not complete: broken"}},
		{"searches by chance and returns nil when it was stopped", doing(func(ctx context.Context, _ *citizen) error {
			_ = pause(ctx, time.Second)
			return occamy.SetResult(ctx, []byte("some tour"))
		}), []occamytest.Option{occamytest.Varying(), occamytest.Complete(func(b []byte) error {
			if string(b) != "some tour" {
				return errBroken
			}
			return nil
		})}, []string{"success|it had run for 0s"}},
		{"is endless and returns nil when it was stopped", doing(func(ctx context.Context, _ *citizen) error {
			<-ctx.Done()
			return nil
		}), []occamytest.Option{occamytest.Endless(time.Second)}, []string{"success|never complete"}},
		{"is endless and ends", doing(func(ctx context.Context, _ *citizen) error { return pause(ctx, 500*time.Millisecond) }),
			[]occamytest.Option{occamytest.Endless(time.Second)}, []string{"end|after 500ms|leave out Endless"}},

		// Goroutines.
		{"leaves a goroutine behind", doing(func(ctx context.Context, c *citizen) error {
			go lingers(5 * time.Second)
			return c.count(ctx)
		}), nil, []string{"goroutine|1 goroutine(s)|occamytest_test.lingers|Wait for them"}},
		{"leaves a goroutine behind when it is stopped", doing(func(ctx context.Context, c *citizen) error {
			err := c.count(ctx)
			if err != nil {
				go func() { go lingers(5 * time.Second) }()
			}
			return err
		}), nil, []string{"goroutine|the context was cancelled|occamytest_test.lingers"}},
		{"has Expand leave a goroutine behind", expanding(func(_ context.Context, _ *helped, n int) []occamy.Task {
			go lingers(5 * time.Second)
			return nil
		}), nil, []string{"goroutine|occamytest_test.lingers"}},

		// Expand.
		{"is slow to expand", expanding(func(ctx context.Context, _ *helped, n int) []occamy.Task {
			_ = pause(ctx, 150*time.Millisecond)
			return nil
		}), []occamytest.Option{occamytest.ExpandTimeout(50 * time.Millisecond)},
			[]string{"expand|Expand took 150ms|expected at most 50ms|belongs into their Do"}},
		{"offers too many", expanding(func(_ context.Context, _ *helped, n int) []occamy.Task { return helpers(n + 1) }),
			nil, []string{"offers|at most 3 tasks and returned 4"}},
		{"offers nil", expanding(func(context.Context, *helped, int) []occamy.Task { return []occamy.Task{(*citizen)(nil)} }),
			nil, []string{"offers|a nil task (of type *occamytest_test.citizen)"}},
		{"offers one task twice", expanding(func(context.Context, *helped, int) []occamy.Task {
			h := helpers(1)
			return append(h, h...)
		}), nil, []string{"offers|one task|twice|a new task for each slot"}},
		{"offers itself", expanding(func(_ context.Context, h *helped, _ int) []occamy.Task { return []occamy.Task{h} }),
			nil, []string{"offers|the task itself"}},

		// Details.
		{"changes its ID", func() occamy.Task {
			var n atomic.Int64
			return &citizen{details: func() occamy.Details { return occamy.Details{ID: fmt.Sprint(n.Add(1) / 2)} }}
		}, nil, []string{"details|expected the same each time", "start|its ID was"}},
		{"changes its priority while it runs", func() occamy.Task {
			var n atomic.Int64
			c := &citizen{step: func(context.Context, int) error { n.Store(1); return nil }}
			c.details = func() occamy.Details { return occamy.Details{ID: "count", Priority: int(n.Load())} }
			return c
		}, nil, []string{"details|the task said {ID:count|Priority:0|Priority:1|while it runs"}},
		{"changes its deadline at the end", func() occamy.Task {
			var over atomic.Bool
			at := time.Now().Add(time.Hour)
			return &citizen{
				do: func(ctx context.Context, c *citizen) error {
					defer over.Store(true)
					return c.count(ctx)
				},
				details: func() occamy.Details {
					if over.Load() {
						return occamy.Details{ID: "count", Deadline: at.Add(1)}
					}
					return occamy.Details{ID: "count", Deadline: at}
				},
			}
		}, nil, []string{"details|after its end"}},
		{"has helpers that change their details", expanding(func(_ context.Context, _ *helped, n int) (tasks []occamy.Task) {
			h := endless()
			var calls atomic.Int64
			h.details = func() occamy.Details { return occamy.Details{Priority: int(calls.Add(1))} }
			return []occamy.Task{h}
		}), nil, []string{"details|a helper that Expand returned said"}},
		{"has another ID each time", func() func() occamy.Task {
			var n int
			return counting(func(c *citizen) {
				n++
				id := fmt.Sprint("task ", n)
				c.details = func() occamy.Details { return occamy.Details{ID: id} }
			})
		}(), nil, []string{`details|two tasks of the factory have the ID "task 1"|"task 2"|Take the ID from the request`}},

		// Running again.
		{"cannot be resumed", doing(func(ctx context.Context, c *citizen) error {
			if b, _ := occamy.LastProgress(ctx); b != nil {
				return errBroken
			}
			return c.count(ctx)
		}), nil, []string{`resume|Do returned "broken"|attempt 2, with the 2 bytes of progress|rejected`}},
		{"does not end when it is resumed", doing(func(ctx context.Context, c *citizen) error {
			if b, _ := occamy.LastProgress(ctx); b != nil {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return c.count(ctx)
		}), within(5 * time.Second), []string{"resume|had not returned after 5s|attempt 2"}},
		{"gives another result when it is resumed", doing(func(ctx context.Context, c *citizen) error {
			b, _ := occamy.LastProgress(ctx)
			return errors.Join(c.count(ctx), occamy.SetResult(ctx, bytes.Join([][]byte{[]byte("from"), b}, []byte(" "))))
		}), nil, []string{`resume|the result "from 5|expected "from "|Complete`}},
		{"cannot run a second time in one process", func() func() occamy.Task {
			var runs atomic.Int64
			return doing(func(ctx context.Context, c *citizen) error {
				if runs.Add(1) > 1 {
					return errBroken
				}
				return c.count(ctx)
			})
		}(), nil, []string{`failure|Do returned "broken", though nobody stopped it`}},

		// Panics.
		{"panics", doing(func(context.Context, *citizen) error { panic("ouch") }),
			nil, []string{"panic|Do panicked: ouch|citizens_test.go"}},
		{"ends its goroutine", doing(func(context.Context, *citizen) error { runtime.Goexit(); return nil }),
			nil, []string{"panic|Do ended its goroutine"}},
		{"panics when it is stopped", doing(func(ctx context.Context, c *citizen) error {
			if err := c.count(ctx); err != nil {
				panic(err)
			}
			return nil
		}), nil, []string{"panic|Do panicked: occamy: server is shutting down"}},
		{"panics in Details", counting(func(c *citizen) { c.details = func() occamy.Details { panic("ouch") } }),
			nil, []string{"panic|the factory or Details panicked: ouch"}},
		{"panics in Expand", expanding(func(context.Context, *helped, int) []occamy.Task { panic("ouch") }),
			nil, []string{"panic|Expand panicked: ouch"}},
		{"panics in Settled", func() occamy.Task {
			return &settler{settled: func(occamy.Settlement) { panic("ouch") }}
		}, nil, []string{"panic|Settled panicked: ouch"}},
		{"panics over garbage in Control", controlling(func(_ context.Context, h occamy.Headers, _ []byte) error {
			if v, ok := h["a"]; ok {
				_ = v.(string)
			}
			return nil
		}), nil, []string{"panic|Control panicked: interface conversion"}},
		{"panics over a message of its own", controlling(func(_ context.Context, _ occamy.Headers, b []byte) error {
			if string(b) == "louder" {
				panic("ouch")
			}
			return nil
		}), []occamytest.Option{occamytest.ControlMessage(nil, []byte("louder"))}, []string{"panic|Control panicked: ouch"}},

		// What is no task, or no good example of one.
		{"is nil", func() occamy.Task { return nil }, nil, []string{"factory|nil task"}},
		{"is always the same", func() func() occamy.Task {
			c := &citizen{}
			return func() occamy.Task { return c }
		}(), nil, []string{"factory|twice|Make the task in the factory"}},
		{"fails", doing(func(context.Context, *citizen) error { return errBroken }),
			nil, []string{`failure|Do returned "broken"|rejected`}},
		{"takes too long", func() occamy.Task { return &citizen{} },
			within(500 * time.Millisecond), []string{"time|had not returned after 500ms|Within|Endless"}},
		{"is not wanted any more", counting(func(c *citizen) {
			c.details = func() occamy.Details { return occamy.Details{Deadline: time.Unix(1, 0)} }
		}), nil, []string{"start|Do was never called|rejected|deadline"}},
		{"has a Complete that knows better", counting(func(*citizen) {}),
			[]occamytest.Option{occamytest.Complete(func([]byte) error { return errBroken })},
			[]string{`result|"counted to 100"|Complete says: broken`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r recorder
				occamytest.Task(&r, c.factory, c.options...)
				r.want(t, c.want...)
				deaf(time.Minute) // the bubble wants every goroutine to end
			})
		})
	}
}

// CPU time is real, so these do not run in a bubble.
func TestCPUTime(t *testing.T) {
	const work = 100 * time.Millisecond
	// spin computes in as many goroutines, and looks at its context.
	spin := func(goroutines int) func() occamy.Task {
		return doing(func(ctx context.Context, _ *citizen) error {
			var all sync.WaitGroup
			for range goroutines {
				all.Go(func() {
					for begun := time.Now(); time.Since(begun) < work && ctx.Err() == nil; {
					}
				})
			}
			all.Wait()
			return context.Cause(ctx)
		})
	}
	t.Run("one core in a slot of two", func(t *testing.T) {
		var r recorder
		occamytest.Task(&r, spin(1), occamytest.Cores(2))
		r.want(t)
	})
	// A busy machine leaves the process less than the cores that it asks for, so
	// the slot is small.
	t.Run("many cores in a small slot", func(t *testing.T) {
		var r recorder
		occamytest.Task(&r, spin(2*runtime.NumCPU()), occamytest.Cores(0.1))
		r.want(t, "cpu|cores while the task ran alone|expected at most 0.10|return helpers from Expand")
	})
	t.Run("too short to tell", func(t *testing.T) {
		var r recorder
		occamytest.Task(&r, doing(func(context.Context, *citizen) error { return nil }))
		if i := slices.IndexFunc(r.logs, func(s string) bool { return strings.Contains(s, "CPU time is not judged") }); i < 0 {
			t.Errorf("the log does not say that CPU time was not judged: %q", r.logs)
		}
		r.want(t)
	})
}

// What a task reports and gives goes through a server, and the context is one
// of a server's.
func TestTasksRunOnAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts sync.Map
		occamytest.Task(t, doing(func(ctx context.Context, c *citizen) error {
			info, ok := occamy.InfoFromContext(ctx)
			if !ok || info.Status != occamy.Protected || info.ID != "count" || info.Kind != "counts" {
				return fmt.Errorf("not the task of a request: %+v", info)
			}
			attempts.Store(info.Attempt, true)
			return c.count(ctx)
		}))
		for _, n := range []int{1, 2} {
			if _, ok := attempts.Load(n); !ok {
				t.Errorf("there was no attempt %d", n)
			}
		}
	})
}
