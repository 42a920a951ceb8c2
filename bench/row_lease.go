package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/client"
)

const (
	leaseName    = "lease_roundtrip"
	leaseKind    = "lease"
	leaseSubject = "bench.echo"
	leaseWarm    = 200
)

// leaseFamily: what a job adds to the way to another process and back.
func leaseFamily() family {
	return family{
		rows: []row{{
			name: leaseName, unit: "µs", goal: "≤ 1.5", extra: p99Note(leaseName),
			about: "p50 from the moment when a job yields a unit until its result is collected, by an assistant in another process that computes nothing, over the embedded broker in the master's process; reference: a bare request and its reply over the same",
		}},
		value: leaseSample, reference: bareRoundTrips,
	}
}

// leaseJob has one unit at a time computed by its assistant, while the master
// computes unit 0.
type leaseJob struct {
	master    *leaseMaster // nil on the assistant
	collected chan time.Time
}

// leaseMaster is what the job leaves to the row.
type leaseMaster struct {
	n     int
	held  chan struct{} // closed when the master has unit 0
	over  chan struct{} // closed when it is to be done with it
	waits []float64
}

func (j *leaseJob) Assistants() (least, most int) { return 1, 1 }

func (j *leaseJob) Units(ctx context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		m := j.master
		defer close(m.over)
		if !yield(0, nil) || await(m.held, "the master's own unit") != nil {
			return
		}
		for i := 1; i <= leaseWarm+m.n; i++ {
			begin := time.Now()
			if !yield(i, nil) {
				return
			}
			var end time.Time
			select {
			case end = <-j.collected:
			case <-ctx.Done():
				return
			}
			if i > leaseWarm {
				m.waits = append(m.waits, float64(end.Sub(begin))/float64(time.Microsecond))
			}
		}
	}
}

func (j *leaseJob) Compute(ctx context.Context, u int) (int, error) {
	switch {
	case u > 0:
		return u, nil
	case j.master == nil:
		return 0, errors.New("the assistant got the master's unit")
	}
	close(j.master.held)
	select {
	case <-j.master.over:
		return 0, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (j *leaseJob) Collect(_ context.Context, i, _ int) error {
	if i > 0 {
		j.collected <- time.Now()
	}
	return nil
}

func (j *leaseJob) Result(context.Context) ([]byte, error) { return []byte("done"), nil }

// leaseHandler has m nil on the assistant's side.
func leaseHandler(b client.Broker, m *leaseMaster) occamy.Handler {
	return assist.Units(func(context.Context, occamy.Request) (assist.UnitsJob[int, int], error) {
		return &leaseJob{master: m, collected: make(chan time.Time, 1)}, nil
	}, assist.Config{Broker: b})
}

func leaseSample(p plan) (sample, error) {
	return withEmbedded(func(ctx context.Context, e *embedded.Server) (_ sample, err error) {
		b, err := nats.Open(ctx, nats.Config{URL: e.URL(), Options: e.InProcess()})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		m := &leaseMaster{n: p.count(5000), held: make(chan struct{}), over: make(chan struct{})}
		s, err := newKindServer(leaseKind, leaseHandler(b, m), 1)
		if err != nil {
			return nil, err
		}
		serving := make(chan error, 1)
		go func() { serving <- s.Serve(ctx, b) }()
		defer func() { err = errors.Join(err, s.stop(), <-serving) }()

		c := client.New(b)
		id, err := c.Submit(ctx, client.Request{Kind: leaseKind})
		if err != nil {
			return nil, err
		}
		if err := await(m.held, "the start of the master"); err != nil {
			return nil, err
		}
		h, err := startHelper(helperOrder{Role: "server", Procs: 2, URL: e.URL(), Slots: 1, Kind: leaseKind})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, h.stop()) }()
		if _, err := c.Wait(ctx, id, nil); err != nil {
			return nil, err
		}
		if len(m.waits) != m.n {
			return nil, fmt.Errorf("%d units went there and back; want %d", len(m.waits), m.n)
		}
		return sample{leaseName: median(m.waits), leaseName + " p99": percentile(m.waits, 99)}, nil
	})
}

// bareRoundTrips has a helper echo what it is asked.
func bareRoundTrips(p plan) (sample, error) {
	return withEmbedded(func(ctx context.Context, e *embedded.Server) (_ sample, err error) {
		nc, err := natsgo.Connect(e.URL(), e.InProcess()...)
		if err != nil {
			return nil, err
		}
		defer nc.Close()
		h, err := startHelper(helperOrder{Role: "echo", Procs: 2, URL: e.URL()})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, h.stop()) }()
		waits := make([]float64, 0, p.count(5000))
		body := make([]byte, 64) // about as large as what a unit takes
		for i := -leaseWarm; i < p.count(5000); i++ {
			begin := time.Now()
			if _, err := nc.RequestWithContext(ctx, leaseSubject, body); err != nil {
				return nil, err
			}
			if i >= 0 {
				waits = append(waits, float64(time.Since(begin))/float64(time.Microsecond))
			}
		}
		return sample{leaseName: median(waits), leaseName + " p99": percentile(waits, 99)}, nil
	})
}

// helpAsEcho answers each request with its body.
func helpAsEcho(o helperOrder, in *bufio.Reader, out io.Writer) error {
	nc, err := natsgo.Connect(o.URL)
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := nc.Subscribe(leaseSubject, func(m *natsgo.Msg) { _ = m.Respond(m.Data) }); err != nil {
		return err
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	_, err = io.Copy(io.Discard, in)
	return err
}
