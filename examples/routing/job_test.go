package routing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/examples/routing/internal/search"
	"github.com/occamy-go/occamy/occamytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustTrip(t testing.TB, headers occamy.Headers, file string) *trip {
	t.Helper()
	j, err := newTrip(t.Context(), occamy.Request{Kind: Kind, ID: "trip", Headers: headers, Body: []byte(file)})
	if err != nil {
		t.Fatal(err)
	}
	return j.(*trip)
}

func TestTheHandlerRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers occamy.Headers
		body    string
		want    error
	}{
		{"no body", nil, "", ErrInstance},
		{"garbage", nil, "\x00garbage", ErrInstance},
		{"time limit of another type", occamy.Headers{"time-limit": 5}, triangle, occamy.ErrInvalidHeader},
		{"time limit empty", occamy.Headers{"time-limit": ""}, triangle, occamy.ErrInvalidHeader},
		{"time limit without unit", occamy.Headers{"time-limit": "5"}, triangle, occamy.ErrInvalidHeader},
		{"time limit 0", occamy.Headers{"time-limit": "0s"}, triangle, occamy.ErrInvalidHeader},
		{"time limit below 0", occamy.Headers{"time-limit": "-5s"}, triangle, occamy.ErrInvalidHeader},
		{"time limit too long", occamy.Headers{"time-limit": "24h1ns"}, triangle, occamy.ErrInvalidHeader},
		{"target no number", occamy.Headers{"target": "short"}, triangle, occamy.ErrInvalidHeader},
		{"target 0", occamy.Headers{"target": "0"}, triangle, occamy.ErrInvalidHeader},
		{"target of another type", occamy.Headers{"target": []byte("1")}, triangle, occamy.ErrInvalidHeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			task, err := NewHandler(assist.Config{}).Handle(t.Context(),
				occamy.Request{Kind: Kind, ID: "x", Headers: c.headers, Body: []byte(c.body)})
			if task != nil || !errors.Is(err, c.want) {
				t.Errorf("got %v, %v; want an error that wraps %v", task, err, c.want)
			}
		})
	}
}

func TestHeadersSayWhenToEnd(t *testing.T) {
	l := mustTrip(t, occamy.Headers{"time-limit": "90s", "target": "426"}, triangle).Limits()
	if l.Time != 90*time.Second || l.Target == nil || *l.Target != 426 {
		t.Errorf("limits %+v", l)
	}
	if l := mustTrip(t, nil, triangle).Limits(); l.Time != 10*time.Second || l.Target != nil {
		t.Errorf("by default limits %+v", l)
	}
}

func TestAControlMessageChangesTheGoals(t *testing.T) {
	j := mustTrip(t, occamy.Headers{"time-limit": "1h"}, triangle)
	for name, headers := range map[string]occamy.Headers{
		"nothing":                      nil,
		"other headers":                {"colour": "red"},
		"a bad time limit":             {"time-limit": "soon"},
		"a bad target":                 {"time-limit": "1s", "target": "-1"},
		"a time limit of another type": {"time-limit": 5},
	} {
		if err := j.Control(t.Context(), headers, nil); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if got := j.now(); got != (goals{Limit: time.Hour}) {
		t.Errorf("what was refused left %+v", got)
	}
	if err := j.Control(t.Context(), occamy.Headers{"target": "2600"}, nil); err != nil || j.now() != (goals{time.Hour, 2600}) {
		t.Errorf("%+v, %v", j.now(), err)
	}
}

func TestTheNextAttemptKnowsTheGoals(t *testing.T) {
	first := mustTrip(t, nil, triangle)
	if err := first.Control(t.Context(), occamy.Headers{"time-limit": "60s", "target": "100"}, nil); err != nil {
		t.Fatal(err)
	}
	next := mustTrip(t, nil, triangle)
	if err := next.Restore(first.State()); err != nil || next.now() != (goals{time.Minute, 100}) {
		t.Errorf("%+v, %v", next.now(), err)
	}
	for _, b := range []string{
		"{", `"text"`, `{"limit":-1}`, `{"limit":9223372036854775807}`, `{"target":-1}`, `{"limit":1,"target":-1}`,
	} {
		j := mustTrip(t, nil, triangle)
		if err := j.Restore([]byte(b)); err == nil || j.now() != (goals{Limit: defaultLimit}) {
			t.Errorf("%s: %v, left %+v", b, err, j.now())
		}
	}
}

func TestProgressHasTheNamesOfRouting(t *testing.T) {
	cost := 2579.0
	got := string(mustTrip(t, occamy.Headers{"time-limit": "1m"}, triangle).Progress(
		assist.Progress{Fraction: 0.75, Cost: &cost, Elapsed: 45 * time.Second, Assistants: 3, Helped: 2}))
	want := `{"fraction":0.75,"name":"triangle","length":2579,"elapsed_ms":45000,"limit_ms":60000,"assistants":3,"helped":2}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What a fixed number of steps reaches depends on the seed alone, so this is no
// matter of time: the bound is generous, and the tours are measured anew.
func TestTheSearchComesCloseOnAllInstances(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			in := mustParse(t, string(mustFile(t, name)))
			s, _ := search.New(in.points, 1, func() bool { return false })
			for range 400 {
				s.Step()
			}
			length, err := in.Check(in.numbers(s.Tour(nil)))
			if err != nil || length != s.Length() {
				t.Fatalf("the search says %d, the tour %d, %v", s.Length(), length, err)
			}
			best, _ := BestKnown(name)
			if length < best || length > best*110/100 {
				t.Errorf("length %d, the best known is %d", length, best)
			}
		})
	}
}

func TestTheTaskIsAGoodCitizen(t *testing.T) {
	in := mustParse(t, string(mustFile(t, "pcb442")))
	isTour := func(result []byte) error {
		var r Result
		if err := json.Unmarshal(result, &r); err != nil {
			return err
		}
		length, err := in.Check(r.Tour)
		if err == nil && length != r.Length {
			err = fmt.Errorf("its length is %d, not %d", length, r.Length)
		}
		return err
	}
	for name, cfg := range map[string]assist.Config{
		"alone": {}, "with others": {Broker: memory.New(memory.Options{})},
	} {
		t.Run(name, func(t *testing.T) {
			occamytest.Task(t, func() occamy.Task {
				task, err := NewHandler(cfg).Handle(t.Context(), occamy.Request{
					Kind: Kind, ID: "trip", Headers: occamy.Headers{HeaderTimeLimit: "200ms"}, Body: mustFile(t, "pcb442"), Attempt: 1,
				})
				if err != nil {
					t.Fatal(err)
				}
				return task
			}, occamytest.Varying(), occamytest.Complete(isTour),
				occamytest.ControlMessage(occamy.Headers{HeaderTimeLimit: "1h"}, nil))
		})
	}
}

func TestTheHandlerIsAGoodCitizen(t *testing.T) {
	occamytest.Handler(t, NewHandler(assist.Config{Broker: memory.New(memory.Options{})}), occamy.Request{
		Kind: Kind, ID: "trip", Headers: occamy.Headers{HeaderTimeLimit: "5s", HeaderTarget: "426"}, Body: mustFile(t, "eil51"), Attempt: 1,
	})
}

// BenchmarkCancel measures from a cancel, at any moment of the search, until Do
// has returned. The p99 matters more than the mean that is printed as ns/op.
func BenchmarkCancel(b *testing.B) {
	for _, n := range []int{442, 10_000, 100_000} {
		file := []byte(cloud(n))
		b.Run(fmt.Sprint(n, " cities"), func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				task, err := NewHandler(assist.Config{}).Handle(b.Context(),
					occamy.Request{Kind: Kind, ID: "x", Headers: occamy.Headers{HeaderTimeLimit: "1h"}, Body: file})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- task.Do(ctx) }()
				<-time.After(time.Duration(1+i*7919%40) * time.Millisecond)
				b.StartTimer()
				start := time.Now()
				cancel()
				if err := <-done; err == nil {
					b.Error("a task that was stopped says that it is done")
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs")
		})
	}
}
