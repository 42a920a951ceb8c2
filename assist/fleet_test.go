package assist_test

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/client"
)

// place is where a test runs: connect opens a connection to the same broker for
// each server.
type place struct {
	connect    func(t *testing.T) broker.Broker
	maxPayload int
}

func inMemory(*testing.T) place {
	b := memory.New(memory.Options{MaxPayload: 4 << 20})
	return place{func(*testing.T) broker.Broker { return b.Connect() }, 4 << 20}
}

func onNATS(t *testing.T) place {
	t.Helper()
	s, err := embedded.Start(embedded.Config{Dir: t.TempDir(), NoListen: true, RelaxSync: true, MaxPayload: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return place{func(t *testing.T) broker.Broker {
		t.Helper()
		b, err := nats.Open(t.Context(), nats.Config{Options: s.InProcess()})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}, 4 << 20}
}

// fleet is servers that share a broker.
type fleet struct {
	place
	t      *testing.T
	kind   string
	broker broker.Broker
	client *client.Client

	mu   sync.Mutex
	over bool // the test is, so nothing is logged; guarded by mu
}

func newFleet(t *testing.T, p place) *fleet {
	t.Helper()
	f := &fleet{place: p, t: t, kind: "job-" + rand.Text()[:8], broker: p.connect(t)}
	f.client = client.New(f.broker)
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.over = true
	})
	t.Cleanup(func() { f.close(f.broker) })
	return f
}

func (f *fleet) close(b broker.Broker) {
	if err := b.Close(); err != nil {
		f.t.Error(err)
	}
}

// server is one of a fleet.
type server struct {
	broker broker.Broker
	stop   func(grace time.Duration) // once; waits so long for its tasks
}

// serve starts a server of so many slots.
func (f *fleet) serve(slots int, handler func(client.Broker) occamy.Handler) *server {
	f.t.Helper()
	b := f.connect(f.t)
	var mux occamy.Mux
	mux.Add(f.kind, handler(b))
	s, err := occamy.New(occamy.Config{Handler: &mux, Slots: slots, Monitors: occamy.Monitors{Error: f}})
	if err != nil {
		f.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), b) }()
	stopped := false
	is := &server{broker: b}
	is.stop = func(grace time.Duration) {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served); err != nil && !errors.Is(err, broker.ErrClosed) {
			f.t.Errorf("shutdown: %v", err)
		}
		f.close(b)
	}
	f.t.Cleanup(func() { is.stop(time.Second) })
	return is
}

// RecordError implements occamy.ErrorMonitor. A server may call it still when it
// has been shut down.
func (f *fleet) RecordError(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.t.Logf("recorded: %v", err)
	}
}

// run submits a request and waits for its end.
func (f *fleet) run(id, body string) (occamy.Outcome, error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	return f.client.SubmitAndWait(ctx, client.Request{Kind: f.kind, ID: id, Body: []byte(body)}, nil)
}

// await waits for a condition.
func (f *fleet) await(what string, ok func() bool) {
	f.t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			f.t.Fatal("not after 20 s: " + what)
		}
	}
}

// play is a job of units that a test lays out. The parts that it leaves out do
// nothing.
type play struct {
	n       int // units, which are their numbers as text
	units   iter.Seq2[[]byte, error]
	compute func(ctx context.Context, u []byte) ([]byte, error)
	collect func(i int, r []byte) error
	result  func() ([]byte, error)
}

func (p *play) Units(context.Context) iter.Seq2[[]byte, error] {
	if p.units != nil {
		return p.units
	}
	return func(yield func([]byte, error) bool) {
		for i := range p.n {
			if !yield([]byte(strconv.Itoa(i)), nil) {
				return
			}
		}
	}
}

func (p *play) Compute(ctx context.Context, u []byte) ([]byte, error) {
	if p.compute == nil {
		return u, nil
	}
	return p.compute(ctx, u)
}

func (p *play) Collect(_ context.Context, i int, r []byte) error {
	if p.collect == nil {
		return nil
	}
	return p.collect(i, r)
}

func (p *play) Result(context.Context) ([]byte, error) {
	if p.result == nil {
		return []byte("done"), nil
	}
	return p.result()
}

// plays makes handlers of jobs that a test lays out.
func plays(cfg assist.Config, lay func(r occamy.Request) *play) func(client.Broker) occamy.Handler {
	return func(b client.Broker) occamy.Handler {
		cfg := cfg
		cfg.Broker = b
		return assist.Units(func(_ context.Context, r occamy.Request) (assist.UnitsJob[[]byte, []byte], error) {
			return lay(r), nil
		}, cfg)
	}
}

// pause stands for computing.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
