//go:build unix

package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
)

// endless is a job whose units come until a moment.
type endless struct {
	until time.Time
	count *counts
	taken map[int]bool
}

// counts is what all tasks of a job have done together.
type counts struct {
	units, begun, ended, preempted, orphaned, twice, wrong atomic.Int64
}

func (e *endless) Units(context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := 0; time.Now().Before(e.until); i++ {
			e.count.units.Add(1)
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (e *endless) Compute(ctx context.Context, u int) (int, error) {
	e.count.begun.Add(1)
	if err := pause(ctx, each); err != nil {
		switch {
		case errors.Is(err, occamy.ErrPreempted):
			e.count.preempted.Add(1)
		case errors.Is(err, occamy.ErrOwnerEnded): // its owner was preempted
			e.count.orphaned.Add(1)
		}
		return 0, err
	}
	e.count.ended.Add(1)
	return 3 * u, nil
}

func (e *endless) Collect(_ context.Context, i, r int) error {
	if e.taken[i] {
		e.count.twice.Add(1)
	}
	if r != 3*i {
		e.count.wrong.Add(1)
	}
	e.taken[i] = true
	return nil
}

func (e *endless) Result(context.Context) ([]byte, error) { return json.Marshal(len(e.taken)) }

// urgent is a request that takes a slot for a moment.
type urgent struct{}

func (urgent) Details() occamy.Details      { return occamy.Details{} }
func (urgent) Do(ctx context.Context) error { return pause(ctx, 10*time.Millisecond) }

// An assistant is preempted every 200 ms: each result is right and counted once,
// and at most one unit is thrown away for each preemption.
func TestAssistantsArePreempted(t *testing.T) {
	b := memory.New(memory.Options{})
	defer b.Close()
	var count counts
	until := time.Now().Add(*preempts)
	handler := assist.Units(func(context.Context, occamy.Request) (assist.UnitsJob[int, int], error) {
		return &endless{until: until, count: &count, taken: map[int]bool{}}, nil
	}, assist.Config{Broker: b, Window: 64})
	var first, second occamy.Mux
	first.Add("endless", handler)
	second.Add("endless", handler)
	var urgents atomic.Int64
	second.Add("urgent", occamy.HandlerFunc(func(context.Context, occamy.Request) (occamy.Task, error) {
		urgents.Add(1)
		return urgent{}, nil
	}))
	for _, mux := range []*occamy.Mux{&first, &second} {
		s, err := occamy.New(occamy.Config{Handler: mux, Slots: 2, Kinds: mux.Kinds()})
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(context.Background(), b.Connect()) }()
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if err := errors.Join(s.Shutdown(ctx), <-served); err != nil {
				t.Error(err)
			}
		}()
	}
	c := client.New(b)
	preempting := make(chan error, 1)
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for time.Now().Before(until) {
			<-tick.C
			if _, err := c.Submit(context.Background(), client.Request{Kind: "urgent"}); err != nil {
				preempting <- err
				return
			}
		}
		preempting <- nil
	}()
	ctx, cancel := context.WithTimeout(t.Context(), *preempts+30*time.Second)
	defer cancel()
	o, err := c.SubmitAndWait(ctx, client.Request{Kind: "endless", ID: "endless"}, nil)
	if err := errors.Join(err, <-preempting); err != nil {
		t.Fatal(err)
	}
	units, begun := count.units.Load(), count.begun.Load()
	preempted, orphaned := count.preempted.Load(), count.orphaned.Load()
	t.Logf("%d urgent requests; %d units, begun %d times and computed %d times; %d were thrown away as their assistant was preempted, "+
		"%d as the owner of it was; collected twice: %d; wrong: %d", urgents.Load(), units, begun, count.ended.Load(), preempted, orphaned,
		count.twice.Load(), count.wrong.Load())
	switch {
	case string(o.Result) != fmt.Sprint(units), count.twice.Load()+count.wrong.Load() > 0:
		t.Errorf("%s of %d units were collected", o.Result, units)
	case begun-units-orphaned > urgents.Load(): // also of one that was computed and not yet reported
		t.Error("more than one unit was thrown away for an assistant that was stopped")
	case preempted == 0:
		t.Error("nothing was preempted")
	}
}
