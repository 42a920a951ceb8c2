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
	// Preemptions counts the tasks stopped for a request or a task of higher
	// status since the server was made.
	Preemptions uint64 `json:"preemptions"`
	// MonitorDrops counts events that a slow monitor missed.
	MonitorDrops uint64 `json:"monitor_drops"`
}

// SlotInfo is one slot of a Snapshot.
type SlotInfo struct {
	Slot     int       `json:"slot"`
	Status   Status    `json:"status"`
	Phase    Phase     `json:"phase,omitempty"`
	ID       string    `json:"id,omitempty"`
	Kind     string    `json:"kind,omitempty"`
	Owner    string    `json:"owner,omitempty"` // the ID of the task at the root of the expansion; its own for a root
	Priority int       `json:"priority,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`
	Since    time.Time `json:"since,omitzero"` // when it was placed
}
