package main

import (
	"cmp"
	"maps"
	"slices"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	live "github.com/occamy-go/occamy/dashboard/fleet"
)

// keptTopEvents is how many events top keeps.
const keptTopEvents = 100

// topFleet is the fleet as updates have told of it.
type topFleet struct {
	broker  string
	servers map[string]*live.ServerUpdate
	queues  []broker.Queue
	events  []live.Event // oldest first
}

// apply takes an update.
func (f *topFleet) apply(u live.Update) {
	if u.Full || f.servers == nil {
		*f = topFleet{broker: u.Broker, servers: make(map[string]*live.ServerUpdate)}
	}
	for _, id := range u.Removed {
		delete(f.servers, id)
	}
	for _, s := range u.Servers {
		slots := make([]live.Slot, s.Size)
		for i := range slots {
			slots[i] = live.Slot{Slot: i, Status: occamy.Empty}
		}
		if old := f.servers[s.ID]; old != nil {
			copy(slots, old.Slots)
		}
		for _, slot := range s.Slots {
			if slot.Slot < len(slots) {
				slots[slot.Slot] = slot
			}
		}
		s.Slots = slots
		f.servers[s.ID] = &s
	}
	if u.Queues != nil {
		f.queues = u.Queues
	}
	f.events = append(f.events, u.Events...)
	f.events = slices.Clone(f.events[max(0, len(f.events)-keptTopEvents):])
}

// rows returns the servers by name.
func (f *topFleet) rows() []*live.ServerUpdate {
	return slices.SortedFunc(maps.Values(f.servers), func(a, b *live.ServerUpdate) int { return cmp.Compare(a.ID, b.ID) })
}

// topTotals are sums over the servers that are there.
type topTotals struct{ servers, gone, slots, busy, waiting, backlog, ready, dead int }

func (f *topFleet) totals() topTotals {
	var t topTotals
	for _, s := range f.servers {
		if s.State == stateGone {
			t.gone++
			continue
		}
		t.servers++
		t.slots += s.Size
		t.busy += busySlots(s.Slots)
		t.waiting += s.Waiting + s.Held + s.Converting
		t.backlog += s.Backlog
	}
	for _, q := range f.queues {
		t.ready += q.Ready
		t.dead += q.Dead
	}
	return t
}

func busySlots(slots []live.Slot) int {
	n := 0
	for _, s := range slots {
		if s.Status != occamy.Empty {
			n++
		}
	}
	return n
}

// topTask is a task with those that work for it.
type topTask struct {
	live.Place
	helpers, on int // slots that assist it, and on how many servers
}

// key names a task among those that run.
func (t topTask) key() topKey { return topKey{t.Server, t.ID, t.Since} }

type topKey struct {
	server, id string
	since      int64
}

// tasks returns the tasks that nobody is seen to be helped by, the oldest first:
// requests, and those whose request is not seen.
func (f *topFleet) tasks() []topTask {
	byRequest := make(map[string][]live.Place)
	for _, s := range f.servers {
		for _, slot := range s.Slots {
			if slot.Status != occamy.Empty {
				request := cmp.Or(slot.Request, slot.Owner, slot.ID)
				byRequest[request] = append(byRequest[request], live.Place{Server: s.ID, Slot: slot})
			}
		}
	}
	var all []topTask
	for request, places := range byRequest {
		slices.SortFunc(places, olderPlace)
		main := func(p live.Place) bool { return p.Status == occamy.Protected && p.ID == request }
		if !slices.ContainsFunc(places, main) {
			first := places[0]
			main = func(p live.Place) bool { return p == first }
		}
		helpers, servers := 0, make(map[string]bool)
		for _, p := range places {
			if !main(p) {
				helpers++
				servers[p.Server] = true
			}
		}
		for _, p := range places {
			if main(p) {
				all = append(all, topTask{p, helpers, len(servers)})
			}
		}
	}
	slices.SortFunc(all, func(a, b topTask) int { return olderPlace(a.Place, b.Place) })
	return all
}

func olderPlace(a, b live.Place) int {
	return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Server, b.Server), cmp.Compare(a.Slot.Slot, b.Slot.Slot))
}

// The states of a server in an Update that top treats apart.
const (
	stateUp   = "up"
	stateGone = "gone"
)
