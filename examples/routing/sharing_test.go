package routing

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
)

func TestControlRefusesGarbage(t *testing.T) {
	h := newHub()
	m := mustHandle[*master](t, h, request(t, "eil51", nil))
	a := newAssistant(h, m.in.clone(), "trip")
	nodes := m.in.Nodes()
	tour := func(change func([]int) []int) string {
		b, err := json.Marshal(tourMessage{Tour: change(slices.Clone(nodes))})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	says := func(what any) occamy.Headers { return occamy.Headers{headerMessage: what} }
	for _, c := range []struct {
		name    string
		headers occamy.Headers
		body    string
	}{
		{"nothing", nil, ""},
		{"other headers", occamy.Headers{"colour": "red"}, ""},
		{"a message of another type", says(1), ""},
		{"an unknown message", says("sing"), ""},
		{"no tour", says(sayTour), ""},
		{"no JSON", says(sayTour), "{"},
		{"other JSON", says(sayTour), `{"tour":"short"}`},
		{"an empty tour", says(sayTour), `{"tour":[]}`},
		{"fractions", says(sayTour), `{"tour":[1.5]}`},
		{"a city missing", says(sayTour), tour(func(t []int) []int { return t[1:] })},
		{"a city twice", says(sayTour), tour(func(t []int) []int { t[0] = t[1]; return t })},
		{"an unknown city", says(sayTour), tour(func(t []int) []int { t[0] = 52; return t })},
		{"a city below 0", says(sayTour), tour(func(t []int) []int { t[0] = -1; return t })},
		{"a tour that is too long", says(sayTour), tour(func(t []int) []int { return append(t, t...) })},
		{"a body that is too large", says(sayTour), strings.Repeat(" ", 1000) + tour(slices.Clip[[]int])},
		{"a bad time limit", occamy.Headers{"time-limit": "soon"}, ""},
		{"a time limit of another type", occamy.Headers{"time-limit": 5}, ""},
		{"a bad target", occamy.Headers{"target": "-1"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, task := range []occamy.Controller{m, a} {
				if err := task.Control(t.Context(), c.headers, []byte(c.body)); err == nil {
					t.Errorf("%T took it", task)
				}
			}
		})
	}
	if m.mail.Load() != nil || a.mail.Load() != nil {
		t.Error("a tour that was refused reached the search")
	}
	if m.limit.Load() != int64(defaultLimit) || m.target.Load() != 0 {
		t.Error("a bad control message changed the goals")
	}
	good := tour(slices.Clip[[]int])
	for _, task := range []occamy.Controller{m, a} {
		if err := task.Control(t.Context(), says(sayTour), []byte(good)); err != nil {
			t.Errorf("%T refused a good tour: %v", task, err)
		}
	}
	if m.mail.Load() == nil || a.mail.Load() == nil {
		t.Error("a good tour did not reach the search")
	}
}

func FuzzControl(f *testing.F) {
	in := mustParse(f, triangle)
	f.Add("tour", []byte(`{"tour":[10,20,30]}`))
	f.Add("tour", []byte(`{"tour":[10,20,20]}`))
	f.Add("tour", []byte(`{"tour":[-1,1e9,null]}`))
	f.Add("hello", []byte(nil))
	f.Fuzz(func(t *testing.T, what string, body []byte) {
		m := newMaster(nil, occamy.Request{ID: "x"}, in, goals{limit: time.Second})
		err := m.Control(t.Context(), occamy.Headers{headerMessage: what}, body)
		got := m.mail.Load()
		if got == nil {
			return
		}
		if length, bad := in.Check(in.tour(got.order)); err != nil || bad != nil || length != got.length {
			t.Errorf("%q let in a tour that is none: %v, %v", body, err, bad)
		}
	})
}

func TestTheBetterOfTwoToursWaits(t *testing.T) {
	w := newWorker(nil)
	for _, c := range []struct{ post, want int }{{10, 10}, {12, 10}, {10, 10}, {9, 9}} {
		w.post(&found{length: c.post})
		if got := w.mail.Load().length; got != c.want {
			t.Errorf("after %d came, %d waits, want %d", c.post, got, c.want)
		}
	}
}

func TestMasterAndAssistantShareByMessage(t *testing.T) {
	h := newHub()
	m := mustHandle[*master](t, h, request(t, "pcb442", occamy.Headers{"time-limit": "24h"}))
	a := m.Expand(t.Context(), 1)[0].(*assistant)
	h.add("trip", m)
	h.add("trip/assist", a)
	stopMaster, stopAssistant := start(m), start(a)
	h.waitFor(t, "both told each other of tours", func() bool {
		return h.count("trip hello") > 0 && h.count("trip tour") > 0 && h.count("trip/assist tour") > 0
	})
	if err := stopMaster(occamy.ErrShutdown); !errors.Is(err, occamy.ErrShutdown) {
		t.Error(err)
	}
	if err := stopAssistant(occamy.ErrOwnerEnded); !errors.Is(err, occamy.ErrOwnerEnded) {
		t.Error(err)
	}
	if !a.heard.Load() {
		t.Error("a tour was sent to the assistant, and it has not heard")
	}
	if h.count("trip/assist done") > 0 {
		t.Error("a master that was stopped half-way said that it was done")
	}
}

func TestATourFromOutsideIsTakenUp(t *testing.T) {
	good := mustHandle[*master](t, nil, request(t, "a280", occamy.Headers{"time-limit": "300ms"}))
	if err := good.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	best := good.best.Load()
	m := mustHandle[*master](t, nil, request(t, "a280", occamy.Headers{"time-limit": "1ms"}))
	body, err := good.in.encodeTour(best)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Control(t.Context(), occamy.Headers{headerMessage: sayTour}, body); err != nil {
		t.Fatal(err)
	}
	if err := m.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.best.Load().length; got > best.length {
		t.Errorf("ended with %d, was told of %d", got, best.length)
	}
	if m.helped.Load() != 1 {
		t.Errorf("helped %d times", m.helped.Load())
	}
}

func TestTheNextAttemptGoesOn(t *testing.T) {
	first := mustHandle[*master](t, nil, request(t, "a280", occamy.Headers{"time-limit": "50ms"}))
	if err := first.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Control(t.Context(), occamy.Headers{"time-limit": "60s", "target": "100"}, nil); err != nil {
		t.Fatal(err)
	}
	p := first.progress(45 * time.Second)
	if p.Fraction != 0.75 || p.Name != "a280" || p.Length != first.best.Load().length {
		t.Errorf("progress %+v", p)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	next := mustHandle[*master](t, nil, request(t, "a280", occamy.Headers{"time-limit": "50ms"}))
	if err := next.resume(b); err != nil {
		t.Fatal(err)
	}
	got := next.progress(0)
	if got.Fraction != 0.75 || got.ElapsedMS != 45_000 || got.LimitMS != 60_000 || got.Target != 100 {
		t.Errorf("goes on with %+v", got)
	}
	next.aim(goals{limit: 45 * time.Second}) // its time is up at once
	if err := next.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if next.best.Load().length > p.Length {
		t.Errorf("the next attempt ended with %d, the first had %d", next.best.Load().length, p.Length)
	}
}

func TestProgressThatMakesNoSenseIsLeft(t *testing.T) {
	for _, b := range []string{
		"{", `"text"`, `{"elapsed_ms":-1}`, `{"elapsed_ms":9223372036854775807}`, `{"limit_ms":-1}`,
		`{"limit_ms":9223372036854775807}`, `{"target":-1}`, `{"tour":[1,2]}`, `{"elapsed_ms":5,"tour":[]}`,
	} {
		m := mustHandle[*master](t, nil, request(t, "eil51", nil))
		if err := m.resume([]byte(b)); err == nil {
			t.Errorf("%s was taken", b)
		}
		if m.mail.Load() != nil || m.spent.Load() != 0 || m.limit.Load() != int64(defaultLimit) || m.target.Load() != 0 {
			t.Errorf("%s left its traces", b)
		}
	}
	m := mustHandle[*master](t, nil, request(t, "eil51", nil))
	if err := m.resume(nil); err != nil {
		t.Errorf("no progress: %v", err)
	}
}

func TestAnEnvoyEndsWhenItsMasterIsDone(t *testing.T) {
	h := newHub()
	in := mustParse(t, cloud(100))
	e := newEnvoy(h, in.clone(), "trip", time.Now().Add(time.Hour))
	m := newMaster(h, occamy.Request{Kind: Kind, ID: "trip"}, in, goals{limit: time.Millisecond})
	h.add("trip", m)
	h.add("trip/assist", e)
	ctx, cancel := context.WithCancelCause(t.Context())
	h.cancels = map[string]context.CancelCauseFunc{"trip/assist": cancel}
	done := make(chan error, 1)
	go func() { done <- e.Do(ctx) }()
	h.waitFor(t, "the envoy said hello", m.audience.Load)
	if err := m.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, occamy.ErrCancelled) {
		t.Errorf("Do: %v", err)
	}
}

// Whoever may go on with the request keeps the assistants.
func TestAMasterThatIsStoppedLetsItsAssistantsGoOnlyForGood(t *testing.T) {
	for cause, want := range map[error]int{
		occamy.ErrCancelled: 1, occamy.ErrTimeout: 1, occamy.ErrShutdown: 0, occamy.ErrDeliveryLost: 0,
	} {
		h := newHub()
		m := newMaster(h, occamy.Request{Kind: Kind, ID: "trip"}, mustParse(t, cloud(100)), goals{limit: time.Hour})
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if err := m.Do(ctx); !errors.Is(err, cause) {
			t.Errorf("Do: %v, want %v", err, cause)
		}
		if n := h.count("trip/assist cancel"); n != want {
			t.Errorf("%v: assistants were let go %d times, want %d", cause, n, want)
		}
	}
}

func TestAnEnvoyEndsAtItsDeadline(t *testing.T) {
	e := newEnvoy(newHub(), mustParse(t, cloud(100)), "trip", time.Now().Add(20*time.Millisecond))
	if err := e.Do(t.Context()); err != nil {
		t.Errorf("Do: %v", err)
	}
}

// An envoy bears with a master that cannot be found for a moment, but not for
// long.
func TestAnEnvoyWhoseMasterIsGoneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		e := newEnvoy(h, mustParse(t, triangle), "trip", time.Now().Add(time.Hour))
		end := background(t.Context(), func(ctx context.Context) { e.share(ctx, true) })
		defer end()
		advance := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		advance(lonely)
		if e.over.Load() {
			t.Fatalf("it gave up within %s", lonely)
		}
		h.add("trip", mustHandle[*master](t, nil, request(t, "eil51", nil)))
		advance(time.Minute)
		if e.over.Load() {
			t.Fatal("it gave up although its master is there")
		}
		h.mu.Lock()
		clear(h.tasks)
		h.mu.Unlock()
		advance(lonely + 3*beat)
		if !e.over.Load() {
			t.Error("it goes on without a master")
		}
	})
}

func TestHelpIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		m := mustHandle[*master](t, h, request(t, "eil51", nil))
		end := background(t.Context(), m.share)
		defer end()
		asked := func() int {
			h.mu.Lock()
			defer h.mu.Unlock()
			return len(h.optional)
		}
		<-time.After(3500 * time.Millisecond)
		if n := asked(); n < 3 || n > 5 {
			t.Errorf("asked %d times in 3.5 s", n)
		}
		<-time.After(20 * time.Second)
		if n := asked(); n < 8 || n > 11 {
			t.Errorf("asked %d times in the 10 s that it has", n)
		}
		for _, r := range h.optional {
			first := h.optional[0]
			if r.ID != first.ID || r.Headers[headerUntil] != first.Headers[headerUntil] {
				t.Errorf("asked with %q until %v, at first with %q until %v",
					r.ID, r.Headers[headerUntil], first.ID, first.Headers[headerUntil])
			}
		}
	})
}
