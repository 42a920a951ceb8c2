package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/internal/natsd"
)

// book is what the tasks themselves wrote down.
type book struct {
	mu   sync.Mutex
	runs map[string][]time.Time // when each request began, by ID
	ends []time.Time
}

func (b *book) began(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[id] = append(b.runs[id], time.Now())
}

func (b *book) ended() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ends = append(b.ends, time.Now())
}

func (b *book) done() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.runs)
}

// gap is the longest time in which nothing ended.
func (b *book) gap() (longest time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.SortFunc(b.ends, time.Time.Compare)
	for i := 1; i < len(b.ends); i++ {
		longest = max(longest, b.ends[i].Sub(b.ends[i-1]))
	}
	return longest
}

type job struct {
	book *book
	id   string
}

func (j job) Details() occamy.Details { return occamy.Details{} }

func (j job) Do(ctx context.Context) error {
	j.book.began(j.id)
	defer j.book.ended()
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// serve runs a server on b until the test ends.
func serve(t *testing.T, b broker.Broker, log *book) {
	t.Helper()
	var mux occamy.Mux
	mux.AddFunc("work", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return job{log, r.ID}, nil
	})
	s, err := occamy.New(occamy.Config{Handler: &mux, Slots: 8, SettleTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), b) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served); err != nil && !errors.Is(err, occamy.ErrServerClosed) {
			t.Errorf("shutdown: %v", err)
		}
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	over := time.After(patience)
	for !ok() {
		select {
		case <-again.C:
		case <-over:
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// Servers whose only address is that of one node, with its credentials, go to
// another when theirs is killed: one has lost its own node, one the leader of
// the stream (which may be the same), one neither.
func TestANodeIsKilledInMidWork(t *testing.T) {
	const requests = 900
	c := natsd.StartCluster(t, "u", "p4ssword")
	js := c.Connect(t)
	log := &book{runs: make(map[string][]time.Time)}
	for _, n := range c.Nodes {
		url := "nats://u:p4ssword@" + n.URL()[len("nats://"):]
		serve(t, open(t, nats.Config{URL: url, Replicas: 3}), log)
	}
	client := open(t, nats.Config{URL: c.URLs(), User: "u", Password: "p4ssword", Replicas: 3})

	submitted := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		for i := range requests {
			if err := client.Submit(ctx, broker.Request{Kind: "work", ID: fmt.Sprintf("r%d", i)}); err != nil {
				submitted <- err
				return
			}
		}
		submitted <- nil
	}()

	eventually(t, "a third is done", func() bool { return log.done() >= requests/3 })
	leader := c.Leader(t.Context(), js, "OCCAMY_REQUESTS")
	if leader == nil {
		t.Fatal("the stream has no leader")
	}
	killed := time.Now()
	leader.Kill()
	eventually(t, "two thirds are done", func() bool { return log.done() >= 2*requests/3 })
	recovered := time.Now()
	leader.Restart(t)
	if err := <-submitted; err != nil {
		t.Fatalf("Submit: %v", err)
	}
	eventually(t, "all are done", func() bool { return log.done() == requests })
	eventually(t, "all are settled", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		queues, err := client.Queues(ctx)
		return err == nil && len(queues) == 1 && queues[0] == broker.Queue{Kind: "work"}
	})

	repeated := 0
	for id, runs := range log.runs {
		if len(runs) == 1 {
			continue
		}
		repeated++
		if runs[0].Before(killed.Add(-time.Second)) || runs[0].After(recovered) {
			t.Errorf("%s ran %d times, and the fault did not hit it: it began %v after the kill", id, len(runs), runs[0].Sub(killed))
		}
	}
	t.Logf("requests %d, completed %d, lost %d, run again %d, longest gap %v", requests, len(log.runs), requests-len(log.runs), repeated, log.gap().Round(time.Millisecond))
}

// With two nodes of three killed no stream has a leader. Every call waits, and
// says so when its time is over; nothing is reported as lost or not there.
func TestAStreamWithoutLeader(t *testing.T) {
	c := natsd.StartCluster(t, "", "")
	survivor := c.Nodes[0]
	b := open(t, nats.Config{URL: survivor.URL(), Replicas: 3, AckWait: 5 * patience})
	in := consume(t, b, 2, "work")
	for _, id := range []string{"held", "waits"} {
		if err := b.Submit(t.Context(), broker.Request{Kind: "work", ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	held := in.next(t)
	m := in.next(t)
	if err := m.(occamy.OutcomePublisher).PublishOutcome(t.Context(), occamy.Outcome{ID: "waits", Status: occamy.Completed}); err != nil {
		t.Fatal(err)
	}
	if err := m.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}

	c.Nodes[1].Kill()
	c.Nodes[2].Kill()
	for name, call := range map[string]func(context.Context) error{
		"Submit": func(ctx context.Context) error {
			return b.Submit(ctx, broker.Request{Kind: "work", ID: "later"})
		},
		"Result":      func(ctx context.Context) error { _, err := b.Result(ctx, "waits"); return err },
		"DeadLetters": func(ctx context.Context) error { _, err := b.DeadLetters(ctx, 0); return err },
		"Queues":      func(ctx context.Context) error { _, err := b.Queues(ctx); return err },
		"PublishProgress": func(ctx context.Context) error {
			return held.(occamy.ProgressKeeper).PublishProgress(ctx, []byte("half"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			// A leader that has lost the others steps down after some seconds,
			// and answers reads from what it has until then.
			eventually(t, "it waits until its context ends", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := call(ctx)
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v; want that it waits", err)
				}
				return err != nil
			})
		})
	}

	js := c.Connect(t)
	c.Nodes[1].Restart(t)
	c.Nodes[2].Restart(t)
	eventually(t, "each stream has a leader again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return c.Leader(ctx, js, "OCCAMY_REQUESTS") != nil && c.Leader(ctx, js, "OCCAMY_OUTCOMES") != nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Submit(ctx, broker.Request{Kind: "work", ID: "later"}); err != nil {
		t.Errorf("Submit, once there is a leader again: %v", err)
	}
	if o, err := b.Result(ctx, "waits"); err != nil || o.Status != occamy.Completed {
		t.Errorf("Result, once there is a leader again: %+v, %v", o, err)
	}
	if err := held.Ack(ctx); err != nil {
		t.Errorf("Ack, once there is a leader again: %v", err)
	}
	in.Free(2)
	if err := in.next(t).Ack(ctx); err != nil {
		t.Errorf("Ack of the request that was submitted afterwards: %v", err)
	}
}

func TestMoreReplicasThanServers(t *testing.T) {
	c := natsd.StartCluster(t, "", "")
	b := open(t, nats.Config{URL: c.URLs(), Replicas: 5})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := b.Submit(ctx, broker.Request{Kind: "work", ID: "r1"})
	wantAdvice(t, err, "Replicas is 5", "start more of them")

	// Streams that are there are taken as they are, whatever Replicas says.
	js := c.Connect(t)
	if err := open(t, nats.Config{URL: c.URLs(), Prefix: "other"}).Submit(ctx, broker.Request{Kind: "work", ID: "r1"}); err != nil {
		t.Fatal(err)
	}
	if err := open(t, nats.Config{URL: c.URLs(), Prefix: "other", Replicas: 3}).Submit(ctx, broker.Request{Kind: "work", ID: "r2"}); err != nil {
		t.Fatal(err)
	}
	if n := replicas(t, js, "OTHER_REQUESTS"); n != 1 {
		t.Errorf("a stream with one replica has %d now", n)
	}
}

func replicas(t *testing.T, js jetstream.JetStream, stream string) int {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config.Replicas
}
