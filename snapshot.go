package occamy

import "time"

// Phase says how far along the task in a slot is.
type Phase string

// The phases of a task in a slot. An empty slot has none.
const (
	Running  Phase = "running"
	Stopping Phase = "stopping" // its context has ended
	Stuck    Phase = "stuck"    // it still runs, KillTimeout after it was stopped
)

// Snapshot is what a server was doing at one moment, for whoever displays it.
// Its counts come from the slots themselves.
type Snapshot struct {
	Server     string     `json:"server"`
	Time       time.Time  `json:"time"`
	Started    time.Time  `json:"started"` // when the server was made
	Kinds      []string   `json:"kinds"`
	Slots      []SlotInfo `json:"slots"` // by index, one for each slot
	Converting int        `json:"converting"`
	Waiting    int        `json:"waiting"` // requests that wait for a stopping task
	Held       int        `json:"held"`    // messages beyond the capacity, unsettled
	Backlog    int        `json:"backlog"` // optional requests set aside
	// Capacity is how many more requests there is room for, less those that a
	// source has asked its broker for already: with one that pulls ahead, such as
	// NATS, it is 0 while slots are empty.
	Capacity int  `json:"capacity"`
	Headroom int  `json:"headroom"` // slots that expansion leaves empty for requests
	Draining bool `json:"draining"`
	Closing  bool `json:"closing"` // Shutdown has begun
	// SlotTime is the slot time that tasks had since the server was made, those
	// that run included. Of the time that slots have been there, number of slots
	// times Time less Started, it is the share that was used.
	SlotTime SlotTime `json:"slot_time"`
	// PreemptedTime is that part of SlotTime which preempted tasks had that have
	// ended. A bound of the work that is lost to preemption: what a helper had
	// handed in when it was stopped is in it, but not lost.
	PreemptedTime time.Duration `json:"preempted_time_ns"`
	// Preemptions counts the tasks stopped for a request or a task of higher
	// status since the server was made.
	Preemptions uint64 `json:"preemptions"`
	// InboxDrops counts control messages that found an inbox full.
	InboxDrops uint64 `json:"inbox_drops"`
	// MonitorDrops counts events that a slow monitor missed.
	MonitorDrops uint64 `json:"monitor_drops"`
}

// SlotInfo is one slot of a Snapshot.
type SlotInfo struct {
	Slot   int    `json:"slot"`
	Status Status `json:"status"`
	Phase  Phase  `json:"phase,omitempty"`
	ID     string `json:"id,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Owner  string `json:"owner,omitempty"` // the ID of the task at the root of the expansion; its own for a root
	// Request is the ID of the request that the task works for: Details.Request,
	// or else that of the task at the root of the expansion, or else Owner.
	Request string `json:"request,omitempty"`
	// Fraction is how much of the request is done, from 0 to 1: the number
	// "fraction" of its last progress, see ReportProgress. 0 where it is unknown.
	Fraction float64   `json:"fraction,omitempty"`
	Priority int       `json:"priority,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`
	Since    time.Time `json:"since,omitzero"` // when it was placed
}

// SlotTime is time that tasks had slots, by their status.
type SlotTime struct {
	Protected time.Duration `json:"protected_ns"`
	Internal  time.Duration `json:"internal_ns"`
	External  time.Duration `json:"external_ns"`
}

func (t *SlotTime) add(status Status, d time.Duration) {
	switch status {
	case Protected:
		t.Protected += d
	case Internal:
		t.Internal += d
	case External:
		t.External += d
	}
}

// Demand is the share of the slots that requests have or wait for: protected
// tasks and the requests that are here without a slot, by the number of slots.
// It is the figure to scale on: the processors are busy whatever the load. It
// may be above 1.
func (s Snapshot) Demand() float64 {
	if len(s.Slots) == 0 {
		return 0
	}
	n := s.Converting + s.Waiting + s.Held
	for _, slot := range s.Slots {
		if slot.Status == Protected {
			n++
		}
	}
	return float64(n) / float64(len(s.Slots))
}
