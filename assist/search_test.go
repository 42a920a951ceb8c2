package assist_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/client"
)

// countdown is a search in which each step is one better than the best that is
// known, so it proceeds only as fast as solutions travel.
type countdown struct {
	From   int           `json:"from"`
	Target float64       `json:"target"`
	Time   time.Duration `json:"time"`
	Step   time.Duration `json:"step"`

	tasks *atomic.Int64 // that search
}

func (c *countdown) Search(ctx context.Context, b *assist.Board[int]) error {
	c.tasks.Add(1)
	for {
		select {
		case <-time.After(c.Step):
		case <-b.News():
			continue
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		best, _, ok := b.Best()
		if !ok {
			best = c.From
		}
		if best == 0 {
			return nil
		}
		if _, err := b.Post(best - 1); err != nil {
			return err
		}
	}
}

func (c *countdown) Cost(s int) (float64, error) {
	if s < 0 {
		return 0, errors.New("below zero")
	}
	return float64(s), nil
}

func (c *countdown) Result(_ context.Context, best int) ([]byte, error) { return json.Marshal(best) }

func (c *countdown) Limits() assist.Limits {
	l := assist.Limits{Time: c.Time}
	if c.Target > 0 {
		l.Target = &c.Target
	}
	return l
}

func countdowns(tasks *atomic.Int64) func(context.Context, occamy.Request) (assist.SearchJob[int], error) {
	return func(_ context.Context, r occamy.Request) (assist.SearchJob[int], error) {
		c := &countdown{tasks: tasks}
		return c, json.Unmarshal(r.Body, c)
	}
}

func searches(tasks *atomic.Int64, cfg assist.Config) func(client.Broker) occamy.Handler {
	return func(b client.Broker) occamy.Handler {
		cfg := cfg
		cfg.Broker = b
		return assist.Search(countdowns(tasks), cfg)
	}
}

func TestASearchEndsAtItsTarget(t *testing.T) {
	f := newFleet(t, inMemory(t))
	var tasks atomic.Int64
	h := searches(&tasks, assist.Config{OnError: func(err error) { t.Log(err) }})
	f.serve(2, h)
	f.serve(2, h)
	o, err := f.client.SubmitAndWait(t.Context(), client.Request{Kind: f.kind, ID: "job", Body: []byte(`{"from":1000,"target":800,"step":10000000}`)}, func(p []byte) { t.Logf("%s", p) })
	var best int
	if jsonErr := json.Unmarshal(o.Result, &best); err != nil || jsonErr != nil || best > 800 {
		t.Errorf("got %s, %v, want at most 800", o.Result, err)
	}
	if n := tasks.Load(); n < 4 {
		t.Errorf("%d tasks have searched, want all 4 slots", n)
	}
}

func TestASearchGoesOnFromItsBest(t *testing.T) {
	f := newFleet(t, inMemory(t))
	var tasks atomic.Int64
	h := searches(&tasks, assist.Config{Store: &checkpoint.Memory{}, OnError: func(err error) { t.Log(err) }})
	first := f.serve(1, h)
	done := make(chan struct{})
	progress := make(chan []byte, 100)
	go func() {
		defer close(done)
		o, err := f.client.SubmitAndWait(t.Context(), client.Request{Kind: f.kind, ID: "job", Body: []byte(`{"from":100,"step":10000000,"time":1500000000}`)}, func(p []byte) { progress <- p })
		t.Logf("%+v %s", o, o.Result)
		if err != nil || o.Attempt != 2 && len(o.Result) == 0 {
			t.Errorf("got %+v, %v", o, err)
		}
	}()
	for p := range progress {
		var said assist.Progress
		if err := json.Unmarshal(p, &said); err != nil {
			t.Fatal(err)
		}
		if said.Cost != nil && *said.Cost < 80 {
			break
		}
	}
	first.stop(0)
	begin := time.Now()
	f.serve(1, h)
	<-done
	if took := time.Since(begin); took > 1400*time.Millisecond || math.IsNaN(took.Seconds()) {
		t.Errorf("the second attempt took %v, although the first has used time", took)
	}
}
