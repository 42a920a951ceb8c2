package assist_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// squares is a job that adds up the squares of the numbers below N.
type squares struct {
	N    int           `json:"n"`
	Each time.Duration `json:"each"` // of a unit

	sum       int
	collected map[int]bool
	computed  *atomic.Int64
	fail      func(u int) error
}

func (s *squares) Units(context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range s.N {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (s *squares) Compute(ctx context.Context, u int) (int, error) {
	if s.computed != nil {
		s.computed.Add(1)
	}
	select {
	case <-time.After(s.Each):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if s.fail != nil {
		if err := s.fail(u); err != nil {
			return 0, err
		}
	}
	return u * u, nil
}

func (s *squares) Collect(_ context.Context, i, r int) error {
	if r != i*i || s.collected[i] {
		return fmt.Errorf("unit %d: %d, collected before: %v", i, r, s.collected[i])
	}
	s.collected[i] = true
	s.sum += r
	return nil
}

func (s *squares) Result(context.Context) ([]byte, error) {
	if len(s.collected) != s.N {
		return nil, fmt.Errorf("%d of %d units were collected", len(s.collected), s.N)
	}
	return json.Marshal(s.sum)
}

// sumOfSquares is the result that squares must have.
func sumOfSquares(n int) string { return fmt.Sprint((n - 1) * n * (2*n - 1) / 6) }

// counted makes squares whose computed units are counted.
func counted(n *atomic.Int64) func(context.Context, occamy.Request) (assist.UnitsJob[int, int], error) {
	return func(_ context.Context, r occamy.Request) (assist.UnitsJob[int, int], error) {
		s := &squares{collected: map[int]bool{}, computed: n}
		if err := json.Unmarshal(r.Body, s); err != nil {
			return nil, err
		}
		return s, nil
	}
}

// fleet is servers that share a broker in memory.
type fleet struct {
	t      *testing.T
	broker *memory.Broker
	client *client.Client
}

func newFleet(t *testing.T) *fleet {
	b := memory.New(memory.Options{})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fleet{t: t, broker: b, client: client.New(b)}
}

// serve starts a server; stop shuts it down, and waits grace for its tasks.
func (f *fleet) serve(slots int, h occamy.Handler) (s *occamy.Server, stop func(grace time.Duration)) {
	f.t.Helper()
	var mux occamy.Mux
	mux.Add("squares", h)
	s, err := occamy.New(occamy.Config{Handler: &mux, Slots: slots, Monitors: occamy.Monitors{Error: f}})
	if err != nil {
		f.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), f.broker) }()
	stopped := false
	stop = func(grace time.Duration) {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served); err != nil {
			f.t.Errorf("shutdown: %v", err)
		}
	}
	f.t.Cleanup(func() { stop(time.Second) })
	return s, stop
}

// RecordError implements occamy.ErrorMonitor.
func (f *fleet) RecordError(err error) { f.t.Logf("recorded: %v", err) }
