package routing

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/examples/routing/internal/search"
)

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
			length, err := in.Check(in.tour(s.Tour(nil)))
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

func TestATaskEndsAtItsTimeLimit(t *testing.T) {
	m := mustHandle[*master](t, newHub(), request(t, "ch150", occamy.Headers{"time-limit": "30ms"}))
	if err := m.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	best := m.best.Load()
	if length, err := m.in.Check(m.in.tour(best.order)); err != nil || length != best.length {
		t.Errorf("says %d, is %d, %v", best.length, length, err)
	}
}

func TestATaskEndsAtItsTarget(t *testing.T) {
	m := mustHandle[*master](t, nil, request(t, "berlin52", occamy.Headers{"time-limit": "24h", "target": "8500"}))
	if err := m.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.best.Load().length; got > 8500 {
		t.Errorf("ended at %d", got)
	}
}

func TestATaskEndsWhenNothingIsShorter(t *testing.T) {
	r := request(t, "eil51", occamy.Headers{"time-limit": "24h"})
	r.Body = []byte(triangle)
	m := mustHandle[*master](t, newHub(), r)
	if err := m.Do(t.Context()); err != nil || m.best.Load().length != 12 {
		t.Errorf("%v, %+v", err, m.best.Load())
	}
}

func TestATaskThatIsStoppedSaysWhy(t *testing.T) {
	for name, task := range map[string]func(h *hub) occamy.Task{
		"master":    func(h *hub) occamy.Task { return mustHandle[*master](t, h, request(t, "a280", nil)) },
		"assistant": func(h *hub) occamy.Task { return newAssistant(h, mustParse(t, cloud(200)), "trip") },
		"envoy": func(h *hub) occamy.Task {
			return newEnvoy(h, mustParse(t, cloud(200)), "trip", time.Now().Add(time.Hour))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub()
			stop := start(task(h))
			h.waitFor(t, "the task sent something", func() bool {
				h.mu.Lock()
				defer h.mu.Unlock()
				return len(h.sent)+len(h.optional) > 0
			})
			if err := stop(occamy.ErrPreempted); !errors.Is(err, occamy.ErrPreempted) {
				t.Errorf("got %v", err)
			}
		})
		t.Run(name+" before it began", func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(occamy.ErrShutdown)
			if err := task(newHub()).Do(ctx); !errors.Is(err, occamy.ErrShutdown) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAControlMessageChangesTheGoals(t *testing.T) {
	m := mustHandle[*master](t, nil, request(t, "a280", occamy.Headers{"time-limit": "24h"}))
	done := make(chan error, 1)
	go func() { done <- m.Do(t.Context()) }()
	<-m.news // it has a tour
	if err := m.Control(t.Context(), occamy.Headers{"time-limit": "1ms"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Do: %v", err)
	}
	if err := m.Control(t.Context(), occamy.Headers{"target": "2600"}, nil); err != nil || m.target.Load() != 2600 {
		t.Errorf("target %d, %v", m.target.Load(), err)
	}
}

// deafSender is a broker that does not answer.
type deafSender struct{}

func (deafSender) Control(ctx context.Context, _ string, _ occamy.Headers, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func (deafSender) Optional(ctx context.Context, _ broker.Request) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestADeafBrokerHoldsNothingUp(t *testing.T) {
	m := mustHandle[*master](t, deafSender{}, request(t, "eil51", occamy.Headers{"time-limit": "20ms"}))
	m.audience.Store(true)
	if err := m.Do(t.Context()); err != nil {
		t.Error(err)
	}
	stop := start(newAssistant(deafSender{}, mustParse(t, cloud(100)), "trip"))
	if err := stop(occamy.ErrPreempted); !errors.Is(err, occamy.ErrPreempted) {
		t.Error(err)
	}
}

// BenchmarkCancel measures from a cancel, at any moment of the search, until Do
// has returned. The p99 matters more than the mean that is printed as ns/op.
func BenchmarkCancel(b *testing.B) {
	for _, n := range []int{442, 10_000, 100_000} {
		in := mustParse(b, cloud(n))
		b.Run(in.Name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				m := newMaster(newHub(), occamy.Request{Kind: Kind, ID: "x"}, in, goals{limit: time.Hour})
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- m.Do(ctx) }()
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
