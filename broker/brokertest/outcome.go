package brokertest

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var outcomeTests = []test{
	{name: "progress and result reach a client on another connection", run: watchToTheEnd},
	{name: "a result is there before its message is acked", run: resultBeforeAck},
	{name: "an outcome that is there already is the only event", run: watchLate},
	{name: "a slow watcher gets the last progress and the outcome", run: watchSlowly},
	{name: "each watcher gets its own request's events", run: watchersApart},
	{name: "Watch ends with its ctx", run: watchEnds},
	{name: "the last progress is handed to the next attempt", run: progressHandedOn, opts: Options{AckWait: shortLease}},
	{name: "progress is removed when the request is settled for good", run: progressRemoved},
}

func (f *fixture) watch(b broker.Broker, id string) <-chan broker.Event {
	f.Helper()
	events, err := b.Watch(f.ctx, id)
	f.check("Watch", err)
	return events
}

// nextEvent fails the test when the watch has ended.
func (f *fixture) nextEvent(events <-chan broker.Event) broker.Event {
	f.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			f.Fatalf("the watch ended, want another event")
		}
		if (e.Progress == nil) == (e.Outcome == nil) {
			f.Fatalf("got the event %+v, want either progress or an outcome", e)
		}
		return e
	case <-f.within().Done():
		f.Fatalf("the watch tells nothing")
	}
	return broker.Event{}
}

// lastEvent returns the outcome, and checks that it is the last event.
func (f *fixture) lastEvent(events <-chan broker.Event) broker.Event {
	f.Helper()
	for {
		e := f.nextEvent(events)
		if e.Outcome == nil {
			continue
		}
		f.wantClosed(events)
		return e
	}
}

func (f *fixture) wantClosed(events <-chan broker.Event) {
	f.Helper()
	select {
	case e, ok := <-events:
		if ok {
			f.Errorf("got %+v, want the watch to end", e)
		}
	case <-f.within().Done():
		f.Errorf("the watch does not end")
	}
}

func (f *fixture) wantOutcome(b broker.Broker, want occamy.Outcome) {
	f.Helper()
	got, err := b.Result(f.within(), want.ID)
	f.check("Result", err)
	if !reflect.DeepEqual(got, want) {
		f.Errorf("the outcome is %+v, want %+v", got, want)
	}
}

func watchToTheEnd(f *fixture) {
	c := f.consume("a", 1, "k")
	f.submit("k", "r1")
	other := f.world.Connect(f.TB)
	events := f.watch(other, "r1")
	_, err := other.Result(f.within(), "r1")
	f.wantIs("Result before there is one", err, broker.ErrNotFound)

	m := f.next(c)
	for i := range 3 {
		want := fmt.Sprintf(`{"fraction":0.%d}`, i)
		f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), []byte(want)))
		if e := f.nextEvent(events); string(e.Progress) != want {
			f.Errorf("got progress %q, want %q", e.Progress, want)
		}
	}
	want := occamy.Outcome{ID: "r1", Kind: "k", Status: occamy.Completed, Result: []byte{0, 255, '\n'}, Attempt: 1, Server: "a"}
	f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), want))
	f.ack(m)
	if e := f.lastEvent(events); !reflect.DeepEqual(*e.Outcome, want) {
		f.Errorf("the outcome came as %+v, want %+v", *e.Outcome, want)
	}
	f.wantOutcome(other, want)
}

func resultBeforeAck(f *fixture) {
	c := f.consume("a", 2, "k")
	for i, want := range []occamy.Outcome{
		{ID: "r1", Kind: "k", Status: occamy.Completed, Result: []byte("42"), Attempt: 1, Server: "a"},
		{ID: "r2", Kind: "k", Status: occamy.Rejected, Reason: "no such thing\nas ü", Attempt: 1, Server: "a"},
		{ID: "r3", Kind: "k", Status: occamy.Cancelled, Attempt: 1, Server: "a"},
	} {
		f.submit("k", want.ID)
		m := f.next(c)
		c.Free(1)
		f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), want))
		f.wantOutcome(f.client, want) // at once: PublishOutcome has returned
		if q := f.queue("k"); q.Unacked != 1 {
			f.Errorf("outcome %d was published and the queue is %+v, want the message unacked", i, q)
		}
		f.ack(m)
		f.wantOutcome(f.client, want)
	}
}

func watchLate(f *fixture) {
	c := f.consume("a", 1, "k")
	f.submit("k", "r1")
	m := f.next(c)
	f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), []byte("p")))
	f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), occamy.Outcome{ID: "r1", Status: occamy.Cancelled}))
	for range 2 { // before and after the ack
		events := f.watch(f.client, "r1")
		if e := f.nextEvent(events); e.Outcome == nil || e.Outcome.Status != occamy.Cancelled {
			f.Errorf("the first event is %+v, want the outcome", e)
		}
		f.wantClosed(events)
		if f.queue("k").Unacked == 1 {
			f.ack(m)
		}
	}
}

func watchSlowly(f *fixture) {
	c := f.consume("a", 1, "k")
	f.submit("k", "r1")
	events := f.watch(f.client, "r1")
	m := f.next(c)
	const n = 100
	for i := range n {
		f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), fmt.Appendf(nil, "%03d", i)))
	}
	f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), occamy.Outcome{ID: "r1", Status: occamy.Completed}))
	last := ""
	for {
		e := f.nextEvent(events)
		if e.Outcome != nil {
			break
		}
		if string(e.Progress) <= last {
			f.Errorf("progress %q came after %q", e.Progress, last)
		}
		last = string(e.Progress)
	}
	if want := fmt.Sprintf("%03d", n-1); last != want {
		f.Errorf("the last progress was %q, want %q, which no other replaced", last, want)
	}
	f.wantClosed(events)
	f.ack(m)
}

func watchersApart(f *fixture) {
	c := f.consume("a", 3, "k")
	ids := []string{"r", "r.1", "r.>"}
	first, second := make([]<-chan broker.Event, len(ids)), make([]<-chan broker.Event, len(ids))
	other := f.world.Connect(f.TB)
	for i, id := range ids {
		first[i], second[i] = f.watch(f.client, id), f.watch(other, id)
	}
	f.submit("k", ids...)
	for range ids {
		m := f.next(c)
		id := f.id(m)
		f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), []byte("progress of "+id)))
		f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), occamy.Outcome{ID: id, Status: occamy.Completed, Result: []byte(id)}))
		f.ack(m)
	}
	for i, id := range ids {
		for _, events := range []<-chan broker.Event{first[i], second[i]} {
			e := f.nextEvent(events)
			for ; e.Outcome == nil; e = f.nextEvent(events) {
				if string(e.Progress) != "progress of "+id {
					f.Errorf("the watcher of %s got the progress %q", id, e.Progress)
				}
			}
			if string(e.Outcome.Result) != id {
				f.Errorf("the watcher of %s got the result %q", id, e.Outcome.Result)
			}
		}
	}
}

func watchEnds(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	events, err := f.client.Watch(ctx, "r1")
	f.check("Watch", err)
	cancel()
	f.wantClosed(events)
}

func progressHandedOn(f *fixture) {
	c := f.consume("a", 8, "k")
	f.submit("k", "r1", "r2")
	m, other := f.next(c), f.next(c)
	f.hold(other)
	f.wantProgress(m, "")
	for i := range 3 {
		f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), fmt.Appendf(nil, "old %d", i)))
		f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), fmt.Appendf(nil, "state %d\x00", i)))
		if i == 1 {
			f.check("RequeueAfter", as[occamy.DelayedRequeuer](f, m).RequeueAfter(f.within(), 10*time.Millisecond))
		} else {
			f.check("requeue", m.Reject(f.within(), true))
		}
		m = f.next(c)
		f.wantID(m, "r1")
		f.wantProgress(m, fmt.Sprintf("state %d\x00", i))
	}
	f.wantProgress(other, "")
	f.ack(other)
	f.crash(c)
	b := f.consume("b", 1, "k")
	m = f.next(b)
	for f.lacks[ConfirmedAck] != "" && f.id(m) == "r2" { // its ack died with its server
		f.ack(m)
		b.Free(1)
		m = f.next(b)
	}
	f.wantID(m, "r1")
	f.wantProgress(m, "state 2\x00")
	f.ack(m)
}

// wantProgress checks what the next attempt finds; "" stands for nothing.
func (f *fixture) wantProgress(m occamy.Message, want string) {
	f.Helper()
	p, err := as[occamy.ProgressKeeper](f, m).LastProgress(f.within())
	f.check("LastProgress", err)
	if string(p) != want || (p == nil) != (want == "") {
		f.Errorf("the last progress of %s is %q, want %q", f.id(m), p, want)
	}
}

func progressRemoved(f *fixture) {
	c := f.consume("a", 64, "k")
	for _, id := range names("retried", 20) {
		f.submit("k", id)
		m := f.next(c)
		f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), []byte("p")))
		rejected, within := make(chan error, 1), f.within()
		go func(m occamy.Message) { rejected <- m.Reject(within, false) }(m)
		f.deadLetter(id)
		f.check("Retry", f.client.Retry(f.within(), id)) // perhaps before Reject has returned
		m = f.next(c)
		f.wantProgress(m, "")
		f.check("Reject", <-rejected)
		f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), []byte("q")))
		f.wantProgress(m, "q")
		f.ack(m)
	}
	f.submit("k", "r1")
	m := f.next(c)
	f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), []byte("p")))
	f.ack(m)
	f.eventually("the progress of an acked request is gone", func() bool {
		p, err := as[occamy.ProgressKeeper](f, m).LastProgress(f.within())
		f.check("LastProgress", err)
		return p == nil
	})
}
