package brokertest

import (
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var controlTests = []test{
	{name: "every server gets an optional request of a kind that it knows", run: optionalToAll},
	{name: "a control message reaches the servers that run the task, in order", run: controlInOrder},
	{name: "a control message for nobody is reported as such", run: controlForNobody},
	{name: "who tells a task that is just ending is answered at once", run: controlOfEndingTask},
	{name: "who tells a task whose server is just ending is answered at once", run: controlOfEndingServer},
	{name: "a task that ran before its server consumed is reached", run: controlOfEarlierTask},
	{name: "two tasks with one ID count as two", run: controlSharedID},
	{name: "a cancel reaches every server, and those without room", run: commandToAll},
}

func optionalToAll(f *fixture) {
	a, b, c := f.consume("a", 1, "k", "j"), f.consume("b", 1, "k"), f.consume("c", 1, "other")
	for i, r := range []broker.Request{
		{Kind: "k", ID: "o1", Headers: occamy.Headers{"X": "y"}, Body: []byte("help")},
		{Kind: "k", Body: []byte("without an ID")},
	} {
		f.check("Optional", f.client.Optional(f.within(), r))
		for _, s := range []*consumer{a, b} {
			m := f.nextControl(s)
			if f.id(m) != r.ID || string(m.Body()) != string(r.Body) {
				f.Errorf("%s got %v %q, want %+v", s.Info().ID, m.Headers(), m.Body(), r)
			}
			f.wantHeaders(m.Headers(), r.Headers)
			f.wantHeaders(m.Headers(), occamy.Headers{f.keys.Kind: "k"})
			if _, ok := m.Headers()[f.keys.TaskID]; ok {
				f.Errorf("optional request %d has a task ID: %v", i, m.Headers())
			}
			f.ack(m)
		}
	}
	f.check("Optional", f.client.Optional(f.within(), broker.Request{Kind: "other", ID: "o2"}))
	if m := f.nextControl(c); f.id(m) != "o2" {
		f.Errorf("c got %q first, want o2, the one of its kind", f.id(m))
	}
	f.check("Optional of a kind that nobody knows", f.client.Optional(f.within(), broker.Request{Kind: "unheard", ID: "o3"}))
}

// warm repeats a control message until each consumer has got one, as adapters
// may learn of a task in the background.
func (f *fixture) warm(id string, consumers ...*consumer) {
	f.Helper()
	for _, c := range consumers {
		f.eventually("a control message for "+id+" reaches "+c.Info().ID, func() bool {
			err := f.client.Control(f.within(), id, nil, []byte("warm"))
			if err != nil && !errors.Is(err, broker.ErrNobody) {
				f.Fatalf("Control: %v", err)
			}
			select {
			case m := <-c.Controls():
				f.ack(m)
				return true
			case <-time.After(20 * time.Millisecond):
				return false
			}
		})
	}
}

// nextAfterWarm returns the next control message that warm did not send.
func (f *fixture) nextAfterWarm(c *consumer) occamy.Message {
	f.Helper()
	for {
		if m := f.nextControl(c); string(m.Body()) != "warm" {
			return m
		}
	}
}

func controlInOrder(f *fixture) {
	a, b, c := f.consume("a", 1, "k"), f.consume("b", 1, "k"), f.consume("c", 1, "k")
	a.Place("t1")
	b.Place("t1")
	b.Place("t2")
	c.Place("t2")
	f.warm("t1", a, b)
	f.warm("t2", b, c)
	const n = 50
	for i := range n {
		f.check("Control", f.client.Control(f.within(), "t1", occamy.Headers{"N": fmt.Sprint(i)}, fmt.Appendf(nil, "m%d", i)))
	}
	for _, s := range []*consumer{a, b} {
		for i := range n {
			m := f.nextAfterWarm(s)
			if want := fmt.Sprintf("m%d", i); string(m.Body()) != want {
				f.Fatalf("%s got %q, want %q", s.Info().ID, m.Body(), want)
			}
			f.wantHeaders(m.Headers(), occamy.Headers{"N": fmt.Sprint(i), f.keys.TaskID: "t1"})
			f.ack(m)
		}
	}
	f.check("Control", f.client.Control(f.within(), "t2", nil, []byte("last")))
	if m := f.nextAfterWarm(c); string(m.Body()) != "last" {
		f.Errorf("c, which does not run t1, got %q", m.Body())
	}
}

func controlForNobody(f *fixture) {
	f.wantIs("Control without a server", f.client.Control(f.within(), "t1", nil, nil), broker.ErrNobody)
	a := f.consume("a", 1, "k")
	f.wantIs("Control without a task", f.client.Control(f.within(), "t1", nil, nil), broker.ErrNobody)
	a.Place("t1")
	f.warm("t1", a)
	f.wantIs("Control of a prefix", f.client.Control(f.within(), "t", nil, nil), broker.ErrNobody)
	a.Gone("t1")
	f.eventually("a task that ended is not reached", func() bool {
		return errors.Is(f.client.Control(f.within(), "t1", nil, []byte("warm")), broker.ErrNobody)
	})
	a.Place("t1")
	f.warm("t1", a)
	f.stop(a)
	f.eventually("a server that stopped is not reached", func() bool {
		return errors.Is(f.client.Control(f.within(), "t1", nil, []byte("warm")), broker.ErrNobody)
	})
}

// An answer that is lost would be waited for: helpers tell their master much,
// which may end at any time, or its server.
func controlOfEndingTask(f *fixture) {
	a := f.consume("a", 1, "k")
	for i := range 100 {
		id := fmt.Sprintf("t%d", i)
		a.Place(id)
		f.warm(id, a)
		a.Gone(id)
		f.tellUntilNobody(a, id)
	}
}

func controlOfEndingServer(f *fixture) {
	for i := range 10 {
		a := f.consume(fmt.Sprintf("a%d", i), 1, "k")
		a.Place("t1")
		f.warm("t1", a)
		a.cancel()
		f.tellUntilNobody(a, "t1")
		f.stop(a)
	}
}

// tellUntilNobody sends control messages until the task is known to have ended.
func (f *fixture) tellUntilNobody(c *consumer, id string) {
	f.Helper()
	const soon = 2 * time.Second
	for told := 0; ; told++ {
		began := time.Now()
		err := f.client.Control(f.within(), id, nil, []byte("warm"))
		if d := time.Since(began); d > soon {
			f.Fatalf("message %d to %s took %v, to give %v; want an answer at once", told, id, d, err)
		}
		if errors.Is(err, broker.ErrNobody) {
			return
		}
		f.check("Control", err)
		for len(c.Controls()) > 0 {
			f.ack(<-c.Controls())
		}
	}
}

func controlOfEarlierTask(f *fixture) {
	in := NewIntake("a", 1, f.keys, "k")
	in.Place("t1")
	a := f.consumeOn(f.world.Connect(f.TB), in)
	f.warm("t1", a)
}

func controlSharedID(f *fixture) {
	a := f.consume("a", 2, "k")
	a.Place("t1")
	a.Place("t1")
	f.warm("t1", a)
	a.Gone("t1")
	for _, body := range []string{"m1", "m2"} {
		f.check("Control", f.client.Control(f.within(), "t1", nil, []byte(body)))
	}
	for _, body := range []string{"m1", "m2"} {
		if m := f.nextAfterWarm(a); string(m.Body()) != body {
			f.Fatalf("got %q, want %q: each message once", m.Body(), body)
		}
	}
}

func commandToAll(f *fixture) {
	full := NewIntake("full", 1, f.keys, "k")
	full.Free(-1)
	consumers := []*consumer{f.consume("a", 1, "k"), f.consume("b", 1, "other"), f.consumeOn(f.world.Connect(f.TB), full)}
	want := occamy.Headers{f.keys.Command: occamy.CommandCancel, f.keys.TaskID: "r1"}
	f.check("Command", f.client.Command(f.within(), want))
	for _, c := range consumers {
		m := f.nextControl(c)
		f.wantHeaders(m.Headers(), want)
		f.ack(m)
	}
}
