package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/dashboard/fleet"
)

// world is a broker with servers, in virtual time.
type world struct {
	*testing.T
	ctx    context.Context
	broker *memory.Broker
	client *client.Client
	stops  []func()
}

func inWorld(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{T: t, ctx: ctx, broker: memory.New(memory.Options{})}
		w.client = client.New(w.broker)
		defer func() {
			for _, stop := range w.stops {
				stop()
			}
			cancel()
			if err := w.broker.Close(); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}()
		f(w)
	})
}

// forever runs until it is stopped, and takes one helper.
type forever struct{ helper bool }

func (forever) Details() occamy.Details { return occamy.Details{} }

func (forever) Do(ctx context.Context) error {
	_ = occamy.ReportProgress(ctx, []byte(`{"fraction": 0.5}`))
	<-ctx.Done()
	return context.Cause(ctx)
}

func (f forever) Expand(context.Context, int) []occamy.Task {
	if f.helper {
		return nil
	}
	return []occamy.Task{&forever{helper: true}}
}

// server starts a server that is announced. stop ends its announcer and it.
func (w *world) server(id string, slots int) (s *occamy.Server, stop func()) {
	w.Helper()
	b := w.broker.Connect()
	a := fleet.NewAnnouncer(b)
	s, err := occamy.New(occamy.Config{
		ID: id, Slots: slots, Kinds: []string{"k"}, Monitors: a.Monitors(),
		Handler: occamy.HandlerFunc(func(context.Context, occamy.Request) (occamy.Task, error) { return &forever{}, nil }),
	})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	announced := make(chan error, 1)
	go func() { announced <- a.Run(ctx, s) }()
	go func() {
		if err := s.Serve(ctx, b); err != nil {
			w.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		over, end := context.WithCancel(context.Background())
		end()
		if err := s.Shutdown(over); err != nil {
			w.Error(err)
		}
		if err := <-announced; err != nil {
			w.Error(err)
		}
		if err := b.Close(); err != nil {
			w.Error(err)
		}
	})
	w.stops = append(w.stops, stop)
	return s, stop
}

// view starts a view. What it shows is what Updates make of each other.
func (w *world) view() *shown {
	v := fleet.NewView(w.broker.Connect())
	go func() {
		if err := v.Run(w.ctx); err != nil {
			w.Error(err)
		}
	}()
	return &shown{View: v, servers: map[string]*fleet.ServerUpdate{}}
}

// shown is what a page makes of Updates.
type shown struct {
	*fleet.View
	version uint64
	servers map[string]*fleet.ServerUpdate
	queues  []broker.Queue
	events  []fleet.Event
}

func (p *shown) update() {
	var u fleet.Update
	u, p.version = p.Since(p.version)
	if u.Full {
		clear(p.servers)
	}
	for _, s := range u.Servers {
		known := p.servers[s.ID]
		if known == nil || len(known.Slots) != s.Size {
			known = &fleet.ServerUpdate{Slots: make([]fleet.Slot, s.Size)}
			p.servers[s.ID] = known
		}
		for _, slot := range s.Slots {
			known.Slots[slot.Slot] = slot
		}
		s.Slots = known.Slots
		*known = s
	}
	for _, id := range u.Removed {
		delete(p.servers, id)
	}
	if u.Queues != nil {
		p.queues = u.Queues
	}
	p.events = append(p.events, u.Events...)
}

// String draws what is shown.
func (p *shown) String() string {
	p.update()
	var b strings.Builder
	ids := []string{}
	for id := range p.servers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		s := p.servers[id]
		fmt.Fprintf(&b, "%s %s:", id, s.State)
		for _, slot := range s.Slots {
			switch {
			case slot.Status == occamy.Empty:
				b.WriteString(" -")
			case slot.Phase == occamy.Running:
				fmt.Fprintf(&b, " %s/%s", slot.Status, slot.Request)
			default:
				fmt.Fprintf(&b, " %s/%s/%s", slot.Status, slot.Request, slot.Phase)
			}
		}
		b.WriteString("; ")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func (w *world) want(p *shown, want string) {
	w.Helper()
	if got := p.String(); got != want {
		w.Fatalf("shown is %q, want %q", got, want)
	}
}

func after(d time.Duration) { <-time.After(d) }

func (w *world) submit(id string) {
	w.Helper()
	if _, err := w.client.Submit(w.ctx, client.Request{Kind: "k", ID: id}); err != nil {
		w.Fatal(err)
	}
}

func TestView_ShowsWhatServersDoAsItHappens(t *testing.T) {
	inWorld(t, func(w *world) {
		a, stopA := w.server("a", 2)
		w.submit("r1")
		after(time.Second) // before anybody watches
		p := w.view()
		p.update()
		after(100 * time.Millisecond)
		w.want(p, "a up: protected/r1 internal/r1")
		if s := p.servers["a"].Slots[0]; s.Fraction != 0.5 || s.ID != "r1" || s.Attempt != 1 || s.Since == 0 || s.Kind != "k" {
			t.Errorf("slot %+v", s)
		}
		w.submit("r2")
		after(150 * time.Millisecond)
		w.want(p, "a up: protected/r1 protected/r2")
		_, stopB := w.server("b", 1)
		after(100 * time.Millisecond)
		w.want(p, "a up: protected/r1 protected/r2; b up: -")
		w.submit("r3")
		after(150 * time.Millisecond)
		w.want(p, "a up: protected/r1 protected/r2; b up: protected/r3")
		if err := w.client.Cancel(w.ctx, "r3"); err != nil {
			t.Fatal(err)
		}
		a.Drain()
		after(time.Second)
		w.want(p, "a draining: protected/r1 protected/r2; b up: -")
		a.Resume()
		after(time.Second)
		if err := w.client.Cancel(w.ctx, "r2"); err != nil {
			t.Fatal(err)
		}
		after(150 * time.Millisecond)
		w.want(p, "a up: protected/r1 internal/r1; b up: -")
		stopB()
		after(100 * time.Millisecond)
		w.want(p, "a up: protected/r1 internal/r1; b gone: -")
		stopA()
		after(100 * time.Millisecond)
		w.want(p, "a gone: - -; b gone: -")
		after(11 * time.Minute)
		p.update() // it is used again
		after(2 * time.Second)
		w.want(p, "")

		var types []string
		for _, e := range p.events {
			if e.ID == "r2" && e.Type != fleet.Acked || e.Type == fleet.Preempted || e.Kind == "" && e.Server == "a" {
				types = append(types, string(e.Type))
			}
		}
		want := []string{"joined", "preempted", "started", "draining", "resumed", "stopped", "ended", "gone"}
		if !slices.Equal(types, want) {
			t.Errorf("events %v, want %v", types, want)
		}
	})
}

func TestView_AServerThatFallsSilentIsGoneAndComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.broker.Connect()
		a := fleet.NewAnnouncer(b)
		ctx, cancel := context.WithCancel(w.ctx)
		defer cancel()
		go func() { _ = a.Run(ctx, still{}) }()
		p := w.view()
		p.update()
		after(time.Second)
		w.want(p, "still up: protected/r")
		b.Cut()
		after(5 * time.Second)
		w.want(p, "still up: protected/r")
		after(5 * time.Second)
		w.want(p, "still gone: -")
		b.Heal()
		after(6 * time.Second)
		w.want(p, "still up: protected/r")
	})
}

// still is a server in which nothing changes.
type still struct{}

func (still) Snapshot() occamy.Snapshot {
	return occamy.Snapshot{Server: "still", Slots: []occamy.SlotInfo{
		{Status: occamy.Protected, Phase: occamy.Running, ID: "r", Request: "r"},
	}}
}

// R17: what nobody watches costs nothing.
func TestNobodyAnnouncesWhatNobodyWatches(t *testing.T) {
	inWorld(t, func(w *world) {
		w.server("a", 2)
		after(time.Second) // it has said that it is there
		var heard atomic.Int32
		for _, topic := range []string{"state", "watch"} {
			if err := w.broker.Listen(w.ctx, topic, func([]byte) { heard.Add(1) }); err != nil {
				t.Fatal(err)
			}
		}
		p := w.view()
		w.submit("r")
		after(time.Hour)
		if n := heard.Load(); n > 0 {
			t.Errorf("%d announcements", n)
		}
		p.update()
		after(time.Minute) // it is not used, and its interest lapses
		before := heard.Load()
		if before == 0 {
			t.Error("no announcement for a view in use")
		}
		after(time.Hour)
		if n := heard.Load() - before; n != 0 {
			t.Errorf("%d announcements after the view was in use", n)
		}
	})
}

func TestView_TaskTellsItsLife(t *testing.T) {
	inWorld(t, func(w *world) {
		w.server("a", 2)
		w.submit("r1")
		after(time.Second)
		w.submit("r2")
		after(time.Second)
		p := w.view()
		p.update()
		after(time.Second)
		task, ok := p.Task("r1")
		if !ok || len(task.Places) != 1 || task.Places[0].Server != "a" || task.Places[0].ID != "r1" {
			t.Errorf("%+v", task)
		}
		var life []string
		for _, e := range task.Events {
			life = append(life, fmt.Sprintf("%s %s", e.Type, e.Status))
		}
		// What was before it was watched, too.
		if want := []string{"started protected", "started internal", "preempted internal", "ended internal"}; !slices.Equal(life, want) {
			t.Errorf("life %q, want %q", life, want)
		}
		if _, ok := p.Task("r3"); ok {
			t.Error("something is known of r3")
		}
	})
}

func TestView_WaitReturnsAtAChange(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.view()
		p.update()
		after(2 * time.Second)
		p.update()
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		if err := p.Wait(ctx, p.version); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: %v", err)
		}
		waited := make(chan error, 1)
		go func() { waited <- p.Wait(w.ctx, p.version) }()
		w.server("a", 1)
		after(6 * time.Second)
		if err := <-waited; err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
}

func TestView_WhatItHearsIsBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.view()
		p.update()
		after(time.Second)
		long := strings.Repeat("x", 10_000)
		say := func(format string, args ...any) {
			if err := w.broker.Announce(w.ctx, "state", fmt.Appendf(nil, format, args...)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for _, bad := range []string{
			``, `null`, `[]`, `{"server":""}`, `{"server":"s","size":-1}`, `{"server":"s","size":5000}`,
			`{"server":"` + long + `","size":1}`, `{"server":"s","size":1e99}`,
		} {
			say("%s", bad)
		}
		w.want(p, "")
		say(`{"server":"s","seq":1,"size":2,"state":"odd","waiting":-5,"slots":[
			{"slot":-1,"status":"protected","phase":"running"},{"slot":2,"status":"protected","phase":"running"},
			{"slot":0,"status":"<b>","phase":"running"},{"slot":0,"status":"protected","phase":"odd"},
			{"slot":1,"status":"protected","phase":"running","id":%q,"request":"<script>","fraction":7}],
			"events":[{"n":1,"type":"odd"},{"n":2,"type":"started","status":"odd"},{"type":"started"},
			{"n":3,"type":"started","id":%q}]}`, long, long)
		w.want(p, "s up: - protected/<script>")
		s := p.servers["s"]
		if len(s.Slots[1].ID) != broker.MaxID || s.Slots[1].Fraction != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		if n := len(p.events); n != 2 || len(p.events[1].ID) != broker.MaxID {
			t.Errorf("%d events", n)
		}
		for i := range 2000 {
			say(`{"server":"s%d","seq":1,"size":1}`, i)
		}
		p.update()
		if n := len(p.servers); n != 1000 {
			t.Errorf("%d servers", n)
		}
		say(`{"server":"s","seq":1,"size":1}`) // late
		say(`{"server":"s","epoch":-1,"seq":9,"size":1}`)
		p.update()
		if n := len(p.servers["s"].Slots); n != 2 {
			t.Errorf("a late announcement counts: %d slots", n)
		}
	})
}

func TestUpdate_IsFlatJSON(t *testing.T) {
	inWorld(t, func(w *world) {
		w.server("a", 1)
		p := w.view()
		p.update()
		after(time.Second)
		u, _ := p.Since(0)
		b, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{`"full":true`, `"broker":"memory"`, `"id":"a"`, `"state":"up"`, `"size":1`, `"slots":[{"slot":0,"status":"empty"}]`} {
			if !strings.Contains(string(b), part) {
				t.Errorf("no %s in %s", part, b)
			}
		}
	})
}

// Who begins to watch a server that others watch already gets all at once, and a
// flood of such wishes does not make it say all the time.
func TestAnnouncer_SaysAllToWhoKnowsNothingAndNotMoreOftenThanItMust(t *testing.T) {
	inWorld(t, func(w *world) {
		a, _ := w.server("a", 1)
		after(time.Second) // it has said that it is there
		var full atomic.Int32
		if err := w.broker.Listen(w.ctx, "state", func(body []byte) {
			if strings.Contains(string(body), `"slots":[{`) {
				full.Add(1)
			}
		}); err != nil {
			t.Fatal(err)
		}
		wish := func(body string) {
			if err := w.broker.Announce(w.ctx, "watch", []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		wish(`{"full":true}`)
		after(time.Second)
		if n := full.Load(); n != 1 {
			t.Fatalf("%d full states for the first", n)
		}
		for range 100 { // more than can wait
			wish(`{}`)
		}
		wish(`{"full":true}`)
		after(300 * time.Millisecond)
		if n := full.Load(); n != 2 {
			t.Errorf("%d full states, want one more", n)
		}
		for range 1000 {
			wish(`{"full":true}`)
			after(time.Millisecond)
		}
		after(300 * time.Millisecond)
		if n := full.Load() - 2; n > 6 {
			t.Errorf("%d full states within 1.3 s", n)
		}
		if a.Snapshot().Closing {
			t.Error("it has ended")
		}
	})
}
