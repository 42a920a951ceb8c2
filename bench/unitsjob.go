package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/client"
)

const unitsKind = "units"

// A unitsOrder is the body of a request for a job of computing units.
type unitsOrder struct {
	Units      int // zero: without end
	Chunks     int // that a unit computes
	Steps      int // of a chunk
	Assistants int // as many are needed
	Most       int // as many can be used
	Tell       int // the job's number; each unit begins with saying it. Zero: none
}

// unitsJob adds up the squares of the numbers of its units.
type unitsJob struct {
	unitsOrder
	out    io.Writer
	sum, n int
}

func (j *unitsJob) Assistants() (least, most int) { return j.unitsOrder.Assistants, j.Most }

func (j *unitsJob) Units(ctx context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := 0; (j.unitsOrder.Units == 0 || i < j.unitsOrder.Units) && ctx.Err() == nil; i++ {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (j *unitsJob) Compute(ctx context.Context, u int) (int, error) {
	if j.Tell > 0 {
		fmt.Fprintf(j.out, "begun %d %d\n", j.Tell, time.Now().UnixNano())
	}
	if err := spin(ctx, j.Chunks, j.Steps); err != nil {
		return 0, err
	}
	return u * u, nil
}

func (j *unitsJob) Collect(_ context.Context, _, square int) error {
	j.sum += square
	j.n++
	return nil
}

func (j *unitsJob) Result(context.Context) ([]byte, error) { return json.Marshal(j.sum) }

// unitsHandler makes the jobs. out is where they say what they begin.
func unitsHandler(b client.Broker, out io.Writer) occamy.Handler {
	return assist.Units(func(_ context.Context, r occamy.Request) (assist.UnitsJob[int, int], error) {
		j := &unitsJob{out: out}
		return j, json.Unmarshal(r.Body, &j.unitsOrder)
	}, assist.Config{Broker: b})
}

// newKindServer makes a server of one kind: one that has fewer slots than kinds
// waits at one queue after the other.
func newKindServer(kind string, h occamy.Handler, slots int) (*server, error) {
	var mux occamy.Mux
	mux.Add(kind, h)
	s, err := occamy.New(occamy.Config{Slots: slots, Handler: &mux})
	if err != nil {
		return nil, err
	}
	return &server{Server: s, slots: slots, owners: newTally(-1)}, nil
}

// helpAsServer is a server for jobs.
func helpAsServer(o helperOrder, in *bufio.Reader, out io.Writer) (err error) {
	ctx := context.Background()
	b, err := nats.Open(ctx, nats.Config{URL: o.URL})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	h := unitsHandler(b, out)
	if o.Kind == leaseKind {
		h = leaseHandler(b, nil)
	}
	s, err := newKindServer(o.Kind, h, o.Slots)
	if err != nil {
		return err
	}
	serving := make(chan error, 1)
	go func() { serving <- s.Serve(ctx, b) }()
	defer func() { err = errors.Join(err, s.stop(), <-serving) }()
	fmt.Fprintln(out, "ready")
	_, err = io.Copy(io.Discard, in)
	return err
}

// A fleet is servers in processes of their own, and a client for them.
type fleet struct {
	broker  *nats.Broker
	client  *client.Client
	url     string
	helpers []*helper
}

// withFleet runs f beside a NATS server and no servers yet. It adds the CPU time of
// the servers to the sample.
func withFleet(f func(ctx context.Context, fl *fleet) (sample, error)) (sample, error) {
	return withNATS(func(ctx context.Context, url string) (got sample, err error) {
		b, err := nats.Open(ctx, nats.Config{URL: url})
		if err != nil {
			return nil, err
		}
		fl := &fleet{broker: b, client: client.New(b), url: url}
		defer func() {
			err = errors.Join(err, stopAll(fl.helpers, got), b.Close())
		}()
		return f(ctx, fl)
	})
}

// serve starts a server, and waits until it answers.
func (fl *fleet) serve(ctx context.Context, slots int) (*helper, error) {
	h, err := startHelper(helperOrder{Role: "server", Procs: slots + 1, URL: fl.url, Slots: slots, Kind: unitsKind})
	if err != nil {
		return nil, err
	}
	fl.helpers = append(fl.helpers, h)
	return h, fl.until(ctx, "the servers", func(all []occamy.Snapshot) bool { return len(all) == len(fl.helpers) })
}

// until waits for what the servers say of themselves.
func (fl *fleet) until(ctx context.Context, what string, holds func([]occamy.Snapshot) bool) error {
	var failed error
	err := eventually(what, func() bool {
		all, err := fl.client.Servers(ctx, 20*time.Millisecond)
		failed = err
		return err != nil || holds(all)
	})
	return errors.Join(err, failed)
}

// request is a request for a job of units.
func (o unitsOrder) request(id string) client.Request {
	body, _ := json.Marshal(o) // numbers, so it cannot fail
	return client.Request{Kind: unitsKind, ID: id, Body: body}
}

// run has a job done, and returns how long that took.
func (fl *fleet) run(ctx context.Context, id string, o unitsOrder) (time.Duration, error) {
	begin := time.Now()
	outcome, err := fl.client.SubmitAndWait(ctx, o.request(id), nil)
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	n := o.Units
	if want := fmt.Sprint((n - 1) * n * (2*n - 1) / 6); string(outcome.Result) != want {
		return 0, fmt.Errorf("job %s has result %s; want %s", id, outcome.Result, want)
	}
	return took, nil
}
