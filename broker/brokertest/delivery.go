package brokertest

import (
	"slices"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var deliveryTests = []test{
	{name: "exactly one server gets a request", run: oneServer},
	{name: "a request waits for a server", run: waitsForServer},
	{name: "requests of a kind come in order", run: inOrder},
	{name: "headers and body arrive as they were sent", run: asSent},
	{name: "a server that does not know a kind never receives it", run: unknownKind},
	{name: "one connection serves two servers", run: twoOnOneConnection},
	{name: "a request submitted twice runs once", needs: Deduplication, run: duplicates},
	{name: "Queues tells what waits and what is with a server", run: depths},
	{name: "Servers returns a snapshot of each server", run: snapshots},
}

func oneServer(f *fixture) {
	a, b := f.consume("a", 64, "k"), f.consume("b", 64, "k")
	ids := names("r", 60)
	f.submit("k", ids...)
	var got []string
	for range ids {
		var m occamy.Message
		select {
		case m = <-a.Requests():
		case m = <-b.Requests():
		case <-f.within().Done():
			f.Fatalf("got %d of %d requests", len(got), len(ids))
		}
		if n := f.attempt(m); n != 1 {
			f.Errorf("%s is attempt %d, want 1", f.id(m), n)
		}
		got = append(got, f.id(m))
		f.ack(m)
	}
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		f.Errorf("got %v, want each of %v once", got, ids)
	}
	f.settled("k")
	f.quiet(a, 100*time.Millisecond)
	f.quiet(b, 100*time.Millisecond)
}

func waitsForServer(f *fixture) {
	f.submit("k", "r1")
	c := f.consume("a", 1, "k")
	m := f.next(c)
	f.wantID(m, "r1")
	f.ack(m)
}

func inOrder(f *fixture) {
	ids := names("r", 50)
	f.submit("k", ids[:25]...)
	c := f.consume("a", 64, "k")
	f.submit("k", ids[25:]...)
	for _, id := range ids {
		m := f.next(c)
		f.wantID(m, id)
		f.ack(m)
	}
}

func asSent(f *fixture) {
	c := f.consume("a", 4, "k")
	body := make([]byte, 256<<10)
	for i := range body {
		body[i] = byte(i ^ i>>8)
	}
	headers := occamy.Headers{"X-Text": "Zürich, 9:00; a=b", "x-lower": "low", "X-Empty": "", f.keys.Timeout: "5s"}
	f.check("Submit", f.client.Submit(f.within(), broker.Request{Kind: "k", ID: "large", Headers: headers, Body: body}))
	f.check("Submit", f.client.Submit(f.within(), broker.Request{Kind: "k", ID: "empty"}))

	m := f.next(c)
	if !slices.Equal(m.Body(), body) {
		f.Errorf("a body of %d bytes came as another of %d", len(body), len(m.Body()))
	}
	headers[f.keys.Kind], headers[f.keys.RequestID] = "k", "large"
	f.wantHeaders(m.Headers(), headers)
	f.ack(m)

	m = f.next(c)
	f.wantID(m, "empty")
	if len(m.Body()) != 0 {
		f.Errorf("an empty body came as %q", m.Body())
	}
	f.ack(m)
}

// wantHeaders checks that got has all of want; a broker may add its own.
func (f *fixture) wantHeaders(got, want occamy.Headers) {
	f.Helper()
	for key, value := range want {
		if got[key] != value {
			f.Errorf("header %q is %#v, want %#v", key, got[key], value)
		}
	}
}

func unknownKind(f *fixture) {
	c := f.consume("a", 8, "known")
	f.submit("new", "n1", "n2")
	f.submit("known", "k1")
	m := f.next(c)
	f.wantID(m, "k1")
	f.ack(m)
	f.quiet(c, 300*time.Millisecond)

	next := f.consume("b", 8, "known", "new")
	for _, id := range []string{"n1", "n2"} {
		m := f.next(next)
		f.wantID(m, id)
		if n := f.attempt(m); n != 1 {
			f.Errorf("%s is attempt %d: somebody had it before", id, n)
		}
		f.ack(m)
	}
}

func twoOnOneConnection(f *fixture) {
	conn := f.world.Connect(f.TB)
	a := f.consumeOn(conn, NewIntake("a", 1, f.keys, "k", "only-a"))
	b := f.consumeOn(conn, NewIntake("b", 1, f.keys, "k", "only-b"))
	f.submit("only-a", "a1")
	f.submit("only-b", "b1")
	first, second := f.next(a), f.next(b)
	f.wantID(first, "a1")
	f.wantID(second, "b1")
	f.ack(first)
	f.stop(a)
	f.ack(second)
	b.Free(1)
	f.submit("k", "r1")
	m := f.next(b)
	f.wantID(m, "r1")
	f.ack(m)
}

func duplicates(f *fixture) {
	c := f.consume("a", 8, "k")
	f.submit("k", "r1", "r1", "r2")
	for _, id := range []string{"r1", "r2"} {
		m := f.next(c)
		f.wantID(m, id)
		f.ack(m)
	}
	f.submit("k", "r1") // done with, and still the same request
	f.submit("k", "r3")
	m := f.next(c)
	f.wantID(m, "r3")
	f.ack(m)
}

func depths(f *fixture) {
	f.submit("k", "r1", "r2", "r3")
	f.submit("other", "o1")
	want := func(kind string, ready, unacked, dead int) {
		f.Helper()
		var got broker.Queue
		defer func() {
			if f.Failed() {
				f.Logf("the queue of %s was last %+v", kind, got)
			}
		}()
		f.eventually("the depths are as they should be", func() bool {
			got = f.queue(kind)
			return got == broker.Queue{Kind: kind, Ready: ready, Unacked: unacked, Dead: dead}
		})
	}
	want("k", 3, 0, 0)
	c := f.consume("a", 2, "k")
	first, second := f.next(c), f.next(c)
	want("k", 1, 2, 0)
	f.ack(first)
	f.check("Reject", second.Reject(f.within(), false))
	if f.lacks[Pull] == "" {
		want("k", 1, 0, 1)
	} else {
		want("k", 0, 1, 1)
	}
	want("other", 1, 0, 0)
	c.Free(1)
	f.ack(f.next(c))
	want("k", 0, 0, 1)

	queues, err := f.client.Queues(f.within())
	f.check("Queues", err)
	if !slices.IsSortedFunc(queues, func(a, b broker.Queue) int {
		if a.Kind < b.Kind {
			return -1
		}
		return 1
	}) {
		f.Errorf("Queues is not sorted by kind: %v", queues)
	}
}

func snapshots(f *fixture) {
	if ids := f.servers(); len(ids) != 0 {
		f.Errorf("servers before there is one: %v", ids)
	}
	b := f.consume("b.2", 3, "k", "j")
	f.consume("a 1", 2, "k")
	all, err := f.client.Servers(f.within(), time.Second)
	f.check("Servers", err)
	if len(all) != 2 || all[0].Server != "a 1" || all[1].Server != "b.2" {
		f.Fatalf("Servers is %+v, want those of a 1 and b.2 in this order", all)
	}
	if s := all[1]; len(s.Slots) != 3 || !slices.Equal(s.Kinds, []string{"j", "k"}) || s.Time.IsZero() {
		f.Errorf("the snapshot of b.2 came as %+v", s)
	}
	f.stop(b)
	f.eventually("a server that stopped is no longer listed", func() bool { return slices.Equal(f.servers(), []string{"a 1"}) })
}
