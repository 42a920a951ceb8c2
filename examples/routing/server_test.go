package routing

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/occamytest"
)

// serve starts a server on a connection of its own, whose tasks send through
// the same connection. It is shut down with the test.
func serve(t *testing.T, b broker.Broker, store checkpoint.Store, id string, slots int) *occamy.Server {
	t.Helper()
	var mux occamy.Mux
	mux.Add(Kind, NewHandler(assist.Config{Broker: b, Store: store}))
	monitor := &occamytest.Monitor{}
	s, err := occamy.New(occamy.Config{
		ID: id, Slots: slots, Handler: &mux, Monitors: monitor.Monitors(), ExpansionPeriod: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), b) }()
	t.Cleanup(func() {
		stop(t, s)
		if err := <-served; err != nil {
			t.Errorf("Serve of %s: %v", id, err)
		}
		for _, err := range monitor.Errors() {
			t.Logf("%s recorded: %v", id, err)
		}
	})
	return s
}

// stop shuts a server down at once.
func stop(t *testing.T, s *occamy.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// watched is a request whose events a test reads.
type watched struct {
	*testing.T
	events <-chan broker.Event
	last   Progress
}

// until reads progress until done says so; the outcome must not come before.
func (w *watched) until(what string, done func(Progress) bool) {
	w.Helper()
	for !done(w.last) {
		e, ok := <-w.events
		if !ok || e.Outcome != nil {
			w.Fatalf("the request ended (%+v) before %s", e.Outcome, what)
		}
		w.last = Progress{}
		if err := json.Unmarshal(e.Progress, &w.last); err != nil {
			w.Fatalf("progress %s: %v", e.Progress, err)
		}
	}
}

func (w *watched) outcome() occamy.Outcome {
	w.Helper()
	for e := range w.events {
		if e.Outcome != nil {
			return *e.Outcome
		}
	}
	w.Fatal("no outcome")
	return occamy.Outcome{}
}

func count(s *occamy.Server, status occamy.Status) (n int) {
	for _, slot := range s.Snapshot().Slots {
		if slot.Status == status {
			n++
		}
	}
	return n
}

// One request grows onto the spare slots of two servers, goes on elsewhere from
// what it had when its server is shut down, and ends when a user says so.
func TestARequestOnTwoServers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b, store := memory.New(memory.Options{}), &checkpoint.Memory{}
	c := client.New(b)
	first := serve(t, b.Connect(), store, "first", 2)

	in := mustParse(t, cloud(700)) // large enough for assistants to find something
	events, err := b.Watch(ctx, "trip")
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{T: t, events: events}
	if _, err := c.Submit(ctx, client.Request{
		Kind: Kind, ID: "trip", Body: []byte(cloud(700)), Headers: occamy.Headers{"time-limit": "1h"},
	}); err != nil {
		t.Fatal(err)
	}
	w.until("it had grown on its own server", func(Progress) bool { return count(first, occamy.Internal) == 1 })

	second := serve(t, b.Connect(), store, "second", 2)
	w.until("it had grown onto the other", func(p Progress) bool { return count(second, occamy.External) == 2 && p.Assistants == 3 })
	w.until("an assistant had found a better tour", func(p Progress) bool { return p.Helped > 0 })
	if err := c.Control(ctx, "trip", occamy.Headers{"time-limit": "2h"}, nil); err != nil {
		t.Fatal(err)
	}
	w.until("it was told to take longer", func(p Progress) bool { return p.LimitMS == 2*time.Hour.Milliseconds() })

	before := w.last
	stop(t, first)
	moved := false
	w.until("it went on elsewhere", func(p Progress) bool {
		moved = moved || count(second, occamy.Protected) == 1
		return moved && p.ElapsedMS > before.ElapsedMS+500
	})
	if w.last.Length > before.Length {
		t.Errorf("went on with a tour of %d, had one of %d", w.last.Length, before.Length)
	}
	if w.last.LimitMS != before.LimitMS {
		t.Errorf("went on with a limit of %d ms, had one of %d ms", w.last.LimitMS, before.LimitMS)
	}

	if err := c.Control(ctx, "trip", occamy.Headers{"time-limit": "1ms"}, nil); err != nil {
		t.Fatal(err)
	}
	o := w.outcome()
	var r Result
	if err := json.Unmarshal(o.Result, &r); err != nil || o.Status != occamy.Completed || o.Server != "second" {
		t.Fatalf("outcome %+v, result %v", o, err)
	}
	length, err := in.Check(r.Tour)
	if err != nil || length != r.Length || r.Name != "cloud700" || length > w.last.Length {
		t.Errorf("result %q of length %d, measured %d, %v; the last progress had %d", r.Name, r.Length, length, err, w.last.Length)
	}
}

func TestHowARequestEnds(t *testing.T) {
	b := memory.New(memory.Options{})
	serve(t, b.Connect(), nil, "server", 2)
	c := client.New(b)
	for name, tc := range map[string]struct {
		file    string
		headers occamy.Headers
		good    func(length int) bool
	}{
		"at its time limit": {cloud(150), occamy.Headers{"time-limit": "50ms"},
			func(int) bool { return true }},
		"at a time limit that is up before there is a search": {cloud(20_000), occamy.Headers{"time-limit": "1ns"},
			func(int) bool { return true }},
		"at its target": {string(mustFile(t, "berlin52")), occamy.Headers{"time-limit": "24h", "target": "8500"},
			func(length int) bool { return length <= 8500 }},
		"when nothing is shorter": {triangle, occamy.Headers{"time-limit": "24h"},
			func(length int) bool { return length == 12 }},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := c.SubmitAndWait(t.Context(), client.Request{Kind: Kind, Body: []byte(tc.file), Headers: tc.headers}, nil)
			var r Result
			if err != nil || json.Unmarshal(o.Result, &r) != nil {
				t.Fatalf("%+v, %v", o, err)
			}
			in := mustParse(t, tc.file)
			if length, err := in.Check(r.Tour); err != nil || length != r.Length || !tc.good(length) {
				t.Errorf("it says %d, is %d, %v", r.Length, length, err)
			}
		})
	}
}

func TestABadRequestIsRejectedWithItsReason(t *testing.T) {
	b := memory.New(memory.Options{})
	serve(t, b.Connect(), nil, "server", 1)
	c := client.New(b)
	for name, r := range map[string]client.Request{
		"routing: not a usable TSPLIB instance": {Kind: Kind, Body: []byte("garbage")},
		"occamy: invalid header":                {Kind: Kind, Body: []byte(triangle), Headers: occamy.Headers{"time-limit": "soon"}},
	} {
		o, err := c.SubmitAndWait(t.Context(), r, nil)
		if err == nil || o.Status != occamy.Rejected || !strings.Contains(o.Reason, name) {
			t.Errorf("outcome %+v, %v; want a reason with %q", o, err, name)
		}
	}
	o, err := c.SubmitAndWait(t.Context(), client.Request{Kind: Kind, Body: []byte(triangle)}, nil)
	if err != nil || string(o.Result) != `{"name":"triangle","length":12,"tour":[10,20,30]}` {
		t.Errorf("afterwards: %s, %v", o.Result, err)
	}
}
