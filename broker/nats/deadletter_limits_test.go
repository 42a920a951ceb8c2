package nats_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// refuser is the handler of a server that refuses every request for a reason.
func serveRefusals(t *testing.T, b *nats.Broker, reason string) {
	t.Helper()
	s, err := occamy.New(occamy.Config{Slots: 2, Kinds: []string{"work"}, Handler: occamy.HandlerFunc(
		func(context.Context, occamy.Request) (occamy.Task, error) { return nil, errors.New(reason) })})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, b) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		over, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if err := s.Shutdown(over); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// awaitOutcome submits a request and returns its outcome.
func awaitOutcome(t *testing.T, b *nats.Broker, r broker.Request) occamy.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if r.Headers == nil {
		r.Headers = occamy.Headers{}
	}
	r.Headers[occamy.DefaultHeaderKeys().Outcome] = "true"
	events, err := b.Watch(ctx, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(ctx, r); err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.Outcome != nil {
			return *e.Outcome
		}
	}
	t.Fatalf("no outcome of %q: %v", r.ID, ctx.Err())
	return occamy.Outcome{}
}

// awaitDead returns the dead letter of an ID, which is there soon after the
// outcome, once its request has left the queue.
func awaitDead(t *testing.T, b *nats.Broker, id string) broker.DeadLetter {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		d, err := b.DeadLetter(ctx, id)
		if err == nil {
			queues, err := b.Queues(ctx)
			if err == nil && len(queues) == 1 && queues[0].Ready+queues[0].Unacked == 0 {
				return d
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%q is no dead letter, or still in its queue: %v", id, err)
		}
	}
}

// NATS bounds headers apart from bodies. A rejection whose reason would not fit
// must reach the dead letters all the same, or the request is delivered for ever.
func TestR07_RejectionWithALongReason(t *testing.T) {
	for _, c := range []struct{ name, reason string }{
		{"ASCII", strings.Repeat("reason ", 20_000)},
		{"lines of a stack", strings.Repeat("\tfile.go:12 +0x1f\n", 4_000)},
		{"escaped", strings.Repeat("☃", 20_000)},
		{"binary", strings.Repeat("\xff\x00", 40_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startServer(t, embedded.Config{RelaxSync: true})
			b := open(t, nats.Config{URL: s.URL()})
			serveRefusals(t, b, c.reason)
			o := awaitOutcome(t, b, broker.Request{Kind: "work", ID: "long"})
			if o.Status != occamy.Rejected {
				t.Errorf("outcome is %q", o.Status)
			}
			d := awaitDead(t, b, "long")
			if n := min(len(d.Reason), 1000); n < 100 || !strings.HasPrefix(strings.ToValidUTF8(c.reason, ""), strings.ToValidUTF8(d.Reason[:n/2], "")) {
				t.Errorf("the dead letter's reason begins %.100q", d.Reason)
			}
		})
	}
}

// A request whose headers are as large as Submit takes can be dead-lettered.
func TestR07_RejectionOfARequestWithLargeHeaders(t *testing.T) {
	s := startServer(t, embedded.Config{RelaxSync: true})
	b := open(t, nats.Config{URL: s.URL()})
	serveRefusals(t, b, "no")
	size := 70_000
	for ; size > 0; size -= 500 {
		id := "wide"
		r := broker.Request{Kind: "work", ID: id, Headers: occamy.Headers{"wide": strings.Repeat("w", size), "Occamy-Outcome": "true"}}
		err := b.Submit(t.Context(), r)
		if err == nil {
			break
		}
		if !errors.Is(err, occamy.ErrTooLarge) {
			t.Fatalf("Submit with headers of %d bytes: %v, want ErrTooLarge", size, err)
		}
	}
	if size < 40_000 {
		t.Errorf("Submit takes no more than %d bytes of headers", size)
	}
	d := awaitDead(t, b, "wide")
	if got := d.Headers["wide"]; got != strings.Repeat("w", size) {
		t.Errorf("the dead letter's header has %d bytes, want %d", len(got.(string)), size)
	}
}

// A "*" is a name like any other, not all dead letters.
func TestDeadLetterNamedByAStar(t *testing.T) {
	s := startServer(t, embedded.Config{RelaxSync: true})
	b := open(t, nats.Config{URL: s.URL()})
	serveRefusals(t, b, "no")
	awaitOutcome(t, b, broker.Request{Kind: "work", ID: "other"})
	awaitDead(t, b, "other")
	if d, err := b.DeadLetter(t.Context(), "*"); !errors.Is(err, broker.ErrNotFound) {
		t.Errorf("DeadLetter of * is that of %q, %v; want ErrNotFound", d.ID, err)
	}
	if err := b.Retry(t.Context(), "*"); !errors.Is(err, broker.ErrNotFound) {
		t.Errorf("Retry of *: %v, want ErrNotFound", err)
	}
	awaitOutcome(t, b, broker.Request{Kind: "work", ID: "*"})
	if d := awaitDead(t, b, "*"); d.ID != "*" {
		t.Errorf("DeadLetter of * is that of %q", d.ID)
	}
	if d, err := b.DeadLetter(t.Context(), "other"); err != nil || d.ID != "other" {
		t.Errorf("DeadLetter of other: %q, %v", d.ID, err)
	}
}
