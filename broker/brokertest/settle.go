package brokertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var settleTests = []test{
	{name: "an acked request is done with", run: ackEnds},
	{name: "acks that nobody waits for are told of", run: ackAsyncEnds},
	{name: "a rejected request lands with the dead letters", run: rejectKeeps},
	{name: "a requeued request is delivered again", run: requeueReturns},
	{name: "a delayed requeue waits out its delay", run: delayedRequeue},
	{name: "a delayed request holds nobody up", run: delayAside},
	{name: "fifty orderly hand-overs complete", run: fiftyHandOvers, opts: Options{MaxDeliver: 4}},
	{name: "an orderly hand-over goes to another server", run: handOver},
	{name: "what a server that shuts down hands back counts once", run: handBackCounts},
}

func handBackCounts(f *fixture) {
	const slots, n = 8, 4 // so that there is room for what comes back
	for round := range 4 {
		a := f.consume(fmt.Sprint("a", round), slots, "k")
		f.submit("k", names(fmt.Sprint("r", round, "."), n)...)
		held := make([]occamy.Message, n)
		for i := range held {
			held[i] = f.next(a)
		}
		a.Shutdown()
		back := make(chan error)
		for _, m := range held {
			go func() { back <- m.Reject(f.ctx, true) }()
		}
		for range held {
			f.check("Reject", <-back)
		}
		f.stop(a)
		b := f.consume(fmt.Sprint("b", round), slots, "k")
		for range held {
			m := f.next(b)
			if attempt := f.attempt(m); attempt != 2 {
				f.Errorf("%s is attempt %d, want 2", f.id(m), attempt)
			}
			f.ack(m)
		}
		f.stop(b)
	}
}

func ackEnds(f *fixture) {
	c := f.consume("a", 2, "k")
	f.submit("k", "r1")
	m := f.next(c)
	f.ack(m)
	f.settled("k")
	f.quiet(c, 100*time.Millisecond)
	if q := f.queue("k"); q.Dead != 0 {
		f.Errorf("an acked request is a dead letter: %+v", q)
	}
}

// ackAsync begins an ack, as far as the message can do so without one who waits.
func ackAsync(ctx context.Context, m occamy.Message) <-chan error {
	answer := make(chan error, 2) // has room for one too many
	if a, ok := m.(occamy.AsyncAcker); ok {
		a.AckAsync(ctx, func(err error) { answer <- err })
	} else {
		answer <- m.Ack(ctx)
	}
	return answer
}

func ackAsyncEnds(f *fixture) {
	const n = 20
	c := f.consume("a", n, "k")
	f.submit("k", names("r", n)...)
	messages := make([]occamy.Message, n)
	for i := range messages {
		messages[i] = f.next(c)
	}
	ctx := f.within()
	var answers []<-chan error
	for i := range n { // neither as they came nor in the reverse order
		answers = append(answers, ackAsync(ctx, messages[i*7%n]))
	}
	for _, a := range answers {
		f.check("AckAsync", <-a)
	}
	f.settled("k")
	c.Free(n)
	f.quiet(c, 100*time.Millisecond)
	for _, a := range answers {
		if len(a) > 0 {
			f.Error("an ack was answered twice")
		}
	}
}

func rejectKeeps(f *fixture) {
	c := f.consume("a", 3, "k")
	before := time.Now()
	for _, id := range []string{"plain", "reasoned"} {
		f.check("Submit", f.client.Submit(f.within(), broker.Request{
			Kind: "k", ID: id, Headers: occamy.Headers{"X-Who": "ü"}, Body: []byte("body of " + id),
		}))
	}
	reason := "line one\nline two: \"ünquoted\"\n" + strings.Repeat("stack ", 1000)
	f.check("Reject", f.next(c).Reject(f.within(), false))
	f.check("RejectFor", as[occamy.ReasonedRejecter](f, f.next(c)).RejectFor(f.within(), reason))
	f.settled("k")
	f.quiet(c, 100*time.Millisecond)

	for _, want := range []broker.DeadLetter{{ID: "plain"}, {ID: "reasoned", Reason: reason}} {
		d := f.deadLetter(want.ID)
		switch {
		case d.ID != want.ID, d.Kind != "k", string(d.Body) != "body of "+want.ID, d.Attempts != 1, d.Key == "":
			f.Errorf("the dead letter of %s is %+v", want.ID, d)
		case want.Reason != "" && d.Reason != want.Reason:
			f.Errorf("the reason is %q, want %q", d.Reason, want.Reason)
		case d.Time.Before(before.Add(-time.Minute)), d.Time.After(time.Now().Add(time.Minute)):
			f.Errorf("the dead letter of %s is of %v, want about now", want.ID, d.Time)
		}
		f.wantHeaders(d.Headers, occamy.Headers{"X-Who": "ü"})
	}
}

// deadLetter waits for the dead letter of a request, as some brokers move it
// behind a confirmed reject.
func (f *fixture) deadLetter(id string) (d broker.DeadLetter) {
	f.Helper()
	f.eventually(id+" is a dead letter", func() bool {
		var err error
		d, err = f.client.DeadLetter(f.within(), id)
		if err != nil && !errors.Is(err, broker.ErrNotFound) {
			f.Fatalf("DeadLetter: %v", err)
		}
		return err == nil
	})
	return d
}

func requeueReturns(f *fixture) {
	c := f.consume("a", 8, "k")
	f.check("Submit", f.client.Submit(f.within(), broker.Request{
		Kind: "k", ID: "r1", Headers: occamy.Headers{"X-Who": "me"}, Body: []byte("body of r1"),
	}))
	for attempt := 1; attempt <= 4; attempt++ {
		m := f.next(c)
		f.wantID(m, "r1")
		f.wantHeaders(m.Headers(), occamy.Headers{"X-Who": "me", f.keys.Kind: "k"})
		if n := f.attempt(m); n != attempt || string(m.Body()) != "body of r1" {
			f.Errorf("attempt %d came as attempt %d with body %q", attempt, n, m.Body())
		}
		if attempt < 4 {
			f.check("requeue", m.Reject(f.within(), true))
		} else {
			f.ack(m)
		}
	}
	f.settled("k")
	f.quiet(c, 100*time.Millisecond)
}

func delayedRequeue(f *fixture) {
	c := f.consume("a", 8, "k")
	f.submit("k", "r1")
	const delay = 400 * time.Millisecond
	m := f.next(c)
	for attempt := 2; attempt <= 4; attempt++ {
		asked := time.Now()
		f.check("RequeueAfter", as[occamy.DelayedRequeuer](f, m).RequeueAfter(f.within(), delay))
		m = f.next(c)
		if waited := time.Since(asked); waited < delay {
			f.Errorf("attempt %d came after %v, want no sooner than %v", attempt, waited, delay)
		}
		if n := f.attempt(m); n != attempt || string(m.Body()) != "body of r1" {
			f.Errorf("attempt %d came as attempt %d with body %q: it was delivered in between, or changed", attempt, n, m.Body())
		}
	}
	f.ack(m)
	f.settled("k")
}

func delayAside(f *fixture) {
	c := f.consume("a", 1, "k")
	f.submit("k", "slow", "quick")
	m := f.next(c)
	f.wantID(m, "slow")
	f.check("RequeueAfter", as[occamy.DelayedRequeuer](f, m).RequeueAfter(f.within(), 2*time.Second))
	c.Free(1)
	m = f.next(c)
	f.wantID(m, "quick")
	f.ack(m)
	c.Free(1)
	m = f.next(c)
	f.wantID(m, "slow")
	f.ack(m)
}

func fiftyHandOvers(f *fixture) {
	c := f.consume("a", 64, "k")
	f.submit("k", "r1")
	for attempt := 1; attempt <= 50; attempt++ {
		m := f.next(c)
		if n := f.attempt(m); n != attempt {
			f.Fatalf("attempt %d came as attempt %d", attempt, n)
		}
		f.check("requeue", m.Reject(f.within(), true))
	}
	m := f.next(c)
	if string(m.Body()) != "body of r1" {
		f.Errorf("the body is now %q", m.Body())
	}
	f.ack(m)
	f.settled("k")
	if q := f.queue("k"); q.Dead != 0 {
		f.Errorf("hand-overs counted towards the limit for crashes: %+v", q)
	}
}

func handOver(f *fixture) {
	a := f.consume("a", 1, "k")
	f.submit("k", "r1")
	m := f.next(a)
	b := f.consume("b", 1, "k")
	f.check("requeue", m.Reject(f.within(), true))
	m = f.next(b)
	f.wantID(m, "r1")
	f.ack(m)
	f.settled("k")
}
