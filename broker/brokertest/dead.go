package brokertest

import (
	"slices"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var deadTests = []test{
	{name: "dead letters are listed oldest first and shown by key or ID", run: listDead},
	{name: "a dead letter that is retried is a first attempt", run: retryDead},
}

// kill makes dead letters of requests.
func (f *fixture) kill(c *consumer, kind string, ids ...string) {
	f.Helper()
	for _, id := range ids {
		f.submit(kind, id)
		m := f.next(c)
		c.Free(1)
		f.wantID(m, id)
		f.check("RejectFor", as[occamy.ReasonedRejecter](f, m).RejectFor(f.within(), "reason of "+id))
		f.deadLetter(id)
	}
}

func (f *fixture) deadIDs(limit int) (ids []string) {
	f.Helper()
	all, err := f.client.DeadLetters(f.within(), limit)
	f.check("DeadLetters", err)
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return ids
}

func listDead(f *fixture) {
	if ids := f.deadIDs(0); len(ids) != 0 {
		f.Errorf("dead letters before there is one: %v", ids)
	}
	_, err := f.client.DeadLetter(f.within(), "r1")
	f.wantIs("DeadLetter before there is one", err, broker.ErrNotFound)
	c := f.consume("a", 1, "j", "k")
	f.kill(c, "k", "r1", "r2")
	f.kill(c, "j", "r3")
	f.kill(c, "k", "r4")
	if ids := f.deadIDs(0); !slices.Equal(ids, []string{"r1", "r2", "r3", "r4"}) {
		f.Errorf("the dead letters are %v", ids)
	}
	if ids := f.deadIDs(3); !slices.Equal(ids, []string{"r1", "r2", "r3"}) {
		f.Errorf("the first three dead letters are %v", ids)
	}
	byID := f.deadLetter("r3")
	byKey, err := f.client.DeadLetter(f.within(), byID.Key)
	f.check("DeadLetter by key", err)
	for _, d := range []broker.DeadLetter{byID, byKey} {
		if d.ID != "r3" || d.Kind != "j" || d.Reason != "reason of r3" || string(d.Body) != "body of r3" || d.Key != byID.Key {
			f.Errorf("the dead letter is %+v", d)
		}
	}
}

func retryDead(f *fixture) {
	f.wantIs("Retry of none", f.client.Retry(f.within(), "r1"), broker.ErrNotFound)
	c := f.consume("a", 1, "k")
	f.check("Submit", f.client.Submit(f.within(), broker.Request{Kind: "k", ID: "r1", Headers: occamy.Headers{"X-Who": "me"}, Body: []byte("b")}))
	m := f.next(c)
	f.check("requeue", m.Reject(f.within(), true))
	c.Free(1)
	m = f.next(c)
	rejected := occamy.Outcome{ID: "r1", Kind: "k", Status: occamy.Rejected, Reason: "why", Attempt: 2, Server: "a"}
	f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), rejected))
	f.check("RejectFor", as[occamy.ReasonedRejecter](f, m).RejectFor(f.within(), "why"))
	d := f.deadLetter("r1")
	if d.Attempts != 2 {
		f.Errorf("the dead letter tells of %d attempts, want 2", d.Attempts)
	}
	c.Free(1)
	f.kill(c, "k", "r2")

	f.check("Retry by key", f.client.Retry(f.within(), d.Key))
	_, err := f.client.Result(f.within(), "r1")
	f.wantIs("Result of a retried request", err, broker.ErrNotFound)
	_, err = f.client.DeadLetter(f.within(), "r1")
	f.wantIs("DeadLetter of a retried request", err, broker.ErrNotFound)
	f.wantIs("Retry of a retried request", f.client.Retry(f.within(), "r1"), broker.ErrNotFound)
	if ids := f.deadIDs(0); !slices.Equal(ids, []string{"r2"}) {
		f.Errorf("the dead letters are %v, want r2 alone", ids)
	}
	for range 2 { // a second time within the window in which duplicates are dropped
		events := f.watch(f.client, "r1")
		m = f.next(c)
		c.Free(1)
		if n := f.attempt(m); n != 1 || f.id(m) != "r1" || string(m.Body()) != "b" {
			f.Errorf("the retried request came as attempt %d of %s with body %q", n, f.id(m), m.Body())
		}
		f.wantHeaders(m.Headers(), occamy.Headers{"X-Who": "me", f.keys.Kind: "k", f.keys.RequestID: "r1"})
		f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), rejected))
		if o := f.lastEvent(events).Outcome; o.Reason != "why" {
			f.Errorf("a client that waits for the retried request gets %+v", o)
		}
		f.check("Reject", m.Reject(f.within(), false))
		f.deadLetter("r1")
		f.check("Retry by ID", f.client.Retry(f.within(), "r1"))
	}
	f.ack(f.next(c))
	f.settled("k")
}
