package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/dashboard"
)

// object is what a view sends of something.
type object = map[string]any

type slot struct {
	version                          uint64
	status, phase, id, kind, request string
	since                            int64
	took                             time.Duration
}

type server struct {
	id, state string
	version   uint64
	slots     []slot
	started   int64
	waiting   int
}

type happening struct {
	version uint64
	what    object
}

// fleet is made up: requests come and go, helpers fill what is left.
type fleet struct {
	mu      sync.Mutex
	version uint64
	changed chan struct{}
	servers []*server
	events  []happening
	next    int
	hostile bool
}

var hostile = []string{`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `../../etc/passwd`, `..`, "\u202egnp.exe", strings.Repeat("W", 250), `javascript:alert(1)`, `{{7*7}}`, `a/b?c#d%2f`, `'; DROP TABLE --`}

func newFleet(servers, slots int, hostile bool) *fleet {
	f := &fleet{changed: make(chan struct{}), hostile: hostile}
	for i := range servers {
		s := &server{id: fmt.Sprintf("node-%02d", i+1), state: "up", started: time.Now().UnixMilli(), slots: make([]slot, slots)}
		for j := range s.slots {
			s.slots[j].status = "empty"
		}
		f.servers = append(f.servers, s)
	}
	if hostile {
		f.servers[0].id = `<b onmouseover=alert(1)>server</b>`
	}
	if servers > 2 {
		f.servers[1].state = "draining"
		f.servers[servers-1].state = "gone"
	}
	f.bump()
	return f
}

func (f *fleet) bump() uint64 {
	f.version++
	close(f.changed)
	f.changed = make(chan struct{})
	return f.version
}

func (f *fleet) run(rate int, done chan struct{}) {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	start, made := time.Now(), 0
	for {
		select {
		case <-done:
			return
		case <-t.C:
		}
		f.mu.Lock()
		for ; float64(made) < time.Since(start).Seconds()*float64(rate); made++ {
			f.step()
		}
		f.mu.Unlock()
	}
}

var kinds = []string{"route", "render", "price", "simulate"}

func (f *fleet) step() {
	s := f.servers[rand.IntN(len(f.servers))]
	if s.state == "gone" {
		return
	}
	i := rand.IntN(len(s.slots))
	l := &s.slots[i]
	now := time.Now().UnixMilli()
	if l.status != "empty" {
		kind := "ended"
		if rand.IntN(4) == 0 && l.status != "protected" {
			f.event(object{"type": "preempted", "server": s.id, "slot": i, "status": l.status, "id": l.id, "kind": l.kind, "request": l.request, "cause": "preempted"})
		}
		if rand.IntN(60) == 0 && l.phase == "running" {
			l.phase = "stuck"
			kind = "stuck"
		}
		f.event(object{"type": kind, "server": s.id, "slot": i, "status": l.status, "id": l.id, "kind": l.kind, "request": l.request, "took": now - l.since})
		if kind == "ended" {
			*l = slot{status: "empty"}
		}
	} else {
		*l = slot{status: "protected", phase: "running", kind: kinds[rand.IntN(len(kinds))], since: now}
		if request := f.running(); request != nil && rand.IntN(10) < 7 {
			l.request, l.kind, l.status = request.id, request.kind, "external"
			if slices.ContainsFunc(s.slots, func(o slot) bool { return o.id == request.id }) {
				l.status = "internal"
			}
			f.next++
			l.id = fmt.Sprintf("%s.%d", request.id, f.next%100)
		} else {
			f.next++
			l.id = fmt.Sprintf("r-%04d", f.next)
			if f.hostile {
				l.id = hostile[f.next%len(hostile)]
			}
			l.request = l.id
			l.took = time.Duration(10+rand.IntN(50)) * time.Second
		}
		f.event(object{"type": "started", "server": s.id, "slot": i, "status": l.status, "id": l.id, "kind": l.kind, "request": l.request})
	}
	s.waiting = rand.IntN(3) * rand.IntN(2)
	l.version = f.bump()
	s.version = l.version
}

func (f *fleet) running() *slot {
	for range 8 {
		s := f.servers[rand.IntN(len(f.servers))]
		if l := &s.slots[rand.IntN(len(s.slots))]; l.status == "protected" {
			c := *l
			return &c
		}
	}
	return nil
}

func (f *fleet) event(e object) {
	v := f.bump()
	e["n"], e["time"] = v, time.Now().UnixMilli()
	f.events = append(f.events, happening{v, e})
	if len(f.events) > 500 {
		f.events = slices.Delete(f.events, 0, 100)
	}
}

func (l *slot) object(i int) object {
	o := object{"slot": i, "status": l.status}
	if l.status != "empty" {
		o["phase"], o["id"], o["kind"], o["request"], o["owner"] = l.phase, l.id, l.kind, l.request, l.request
		o["since"], o["attempt"] = l.since, 1
		if l.took > 0 {
			o["fraction"] = min(1, time.Since(time.UnixMilli(l.since)).Seconds()/l.took.Seconds())
		}
	}
	return o
}

// Since implements dashboard.Fleet.
func (f *fleet) Since(v uint64) (any, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now().UnixMilli()
	servers, events := []object{}, []object{}
	for _, s := range f.servers {
		if s.version < v {
			continue
		}
		seen := now
		if s.state == "gone" {
			seen = s.started
		}
		slots := []object{}
		for i := range s.slots {
			if l := &s.slots[i]; l.version > v || v == 0 {
				slots = append(slots, l.object(i))
			}
		}
		servers = append(servers, object{"id": s.id, "state": s.state, "seen": seen, "started": s.started, "kinds": kinds, "size": len(s.slots), "waiting": s.waiting, "slots": slots})
	}
	for _, e := range f.events {
		if e.version > v {
			events = append(events, e.what)
		}
	}
	return object{"v": f.version, "now": now, "full": v == 0, "broker": "made up", "servers": servers, "events": events,
		"queues": []object{{"kind": "route", "ready": 3, "unacked": 12}, {"kind": "render", "ready": 0, "unacked": 4, "dead": 2}}}, f.version
}

// Wait implements dashboard.Fleet.
func (f *fleet) Wait(ctx context.Context, v uint64) error {
	for {
		f.mu.Lock()
		now, changed := f.version, f.changed
		f.mu.Unlock()
		if now > v {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Task implements dashboard.Fleet.
func (f *fleet) Task(id string) (t dashboard.Task, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	slots, events := []object{}, []object{}
	for _, s := range f.servers {
		for i := range s.slots {
			if l := &s.slots[i]; l.status != "empty" && (l.id == id || l.request == id) {
				o := l.object(i)
				o["server"] = s.id
				slots = append(slots, o)
			}
		}
	}
	for _, e := range f.events {
		if e.what["id"] == id || e.what["request"] == id {
			events = append(events, e.what)
		}
	}
	slices.SortFunc(events, func(a, b object) int { return cmp.Compare(a["time"].(int64), b["time"].(int64)) })
	return dashboard.Task{Slots: slots, Events: events, Progress: object{"fraction": 0.4, "best": 1234, "note": "<b>tour</b> improves"}}, len(slots)+len(events) > 0
}

// Result implements dashboard.Client.
func (f *fleet) Result(_ context.Context, id string) (occamy.Outcome, error) {
	if _, ok := f.Task(id); !ok || len(id)%2 == 0 {
		return occamy.Outcome{}, broker.ErrNotFound
	}
	return occamy.Outcome{ID: id, Status: occamy.Completed, Kind: "route", Attempt: 1, Server: "node-01", Result: []byte(`{"tour":[1,2,3],"note":"</pre><script>alert(1)</script>"}`)}, nil
}

// Cancel implements dashboard.Client.
func (f *fleet) Cancel(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		for i := range s.slots {
			if l := &s.slots[i]; l.id == id || l.request == id {
				*l = slot{status: "empty", version: f.bump()}
				s.version = l.version
			}
		}
	}
	return nil
}

// Drain implements dashboard.Client.
func (f *fleet) Drain(_ context.Context, id string) error { return f.become(id, "draining") }

// Resume implements dashboard.Client.
func (f *fleet) Resume(_ context.Context, id string) error { return f.become(id, "up") }

func (f *fleet) become(id, state string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		if s.id == id {
			s.state, s.version = state, f.bump()
			return nil
		}
	}
	return errors.New("no server answers to that name")
}
