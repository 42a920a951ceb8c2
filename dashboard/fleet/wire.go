package fleet

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// The topics of the feed.
const (
	topicWatch = "watch" // from views to servers
	topicState = "state" // from servers to views
)

// What a View takes of what it hears.
const (
	maxText     = broker.MaxID
	maxServers  = 1000
	maxSlots    = 4096
	maxAllSlots = 1 << 17 // of all servers
	maxKinds    = 256
	maxEvents   = 512 // in one announcement
)

// What one announcement of an Announcer has at most, so that it fits into any
// broker's message; a View takes none that is larger than maxBody.
const (
	slotsAtOnce  = 64
	eventsAtOnce = 64
	maxBody      = 1 << 20
)

// Slot is a slot of a server, with what is in it.
type Slot struct {
	Slot     int           `json:"slot"`
	Status   occamy.Status `json:"status"`
	Phase    occamy.Phase  `json:"phase,omitempty"`
	ID       string        `json:"id,omitempty"`
	Kind     string        `json:"kind,omitempty"`
	Request  string        `json:"request,omitempty"` // the ID of the request that it works for
	Owner    string        `json:"owner,omitempty"`
	Priority int           `json:"priority,omitempty"`
	Attempt  int           `json:"attempt,omitempty"`
	Since    int64         `json:"since,omitempty"`    // when it was placed, in ms since 1970
	Fraction float64       `json:"fraction,omitempty"` // how much is done, 0 to 1; 0 where it is unknown
}

// EventType says what happened.
type EventType string

// The events of a fleet.
const (
	Started   EventType = "started"
	Preempted EventType = "preempted" // it is stopping for a request or a task of higher status
	Stopped   EventType = "stopped"   // it is stopping for another cause
	Stuck     EventType = "stuck"
	Ended     EventType = "ended" // its slot is empty
	Acked     EventType = "acked"
	Requeued  EventType = "requeued"
	Rejected  EventType = "rejected" // it is a dead letter
	Lost      EventType = "lost"     // the server could not settle it
	Joined    EventType = "joined"   // a server is there
	Gone      EventType = "gone"     // a server said good-bye, or is not heard of
	Draining  EventType = "draining"
	Resumed   EventType = "resumed"
)

var eventTypes = map[EventType]bool{
	Started: true, Preempted: true, Stopped: true, Stuck: true, Ended: true, Acked: true, Requeued: true,
	Rejected: true, Lost: true, Joined: true, Gone: true, Draining: true, Resumed: true,
}

// Event is something that happened to a task or a server.
type Event struct {
	N       uint64        `json:"n"`    // of a View: its place among all events; announced: among the server's
	Time    int64         `json:"time"` // in ms since 1970, by the server's clock
	Server  string        `json:"server,omitempty"`
	Type    EventType     `json:"type"`
	Slot    int           `json:"slot,omitempty"`
	Status  occamy.Status `json:"status,omitempty"`
	ID      string        `json:"id,omitempty"`
	Kind    string        `json:"kind,omitempty"`
	Request string        `json:"request,omitempty"`
	Attempt int           `json:"attempt,omitempty"`
	Cause   occamy.Cause  `json:"cause,omitempty"`
	Took    int64         `json:"took,omitempty"` // ms, of what ended
}

// info is what a server tells of itself besides its slots.
type info struct {
	State       string   `json:"state"` // up, draining, closing
	Started     int64    `json:"started,omitempty"`
	Kinds       []string `json:"kinds,omitempty"`
	Size        int      `json:"size"`
	Waiting     int      `json:"waiting,omitempty"`
	Held        int      `json:"held,omitempty"`
	Converting  int      `json:"converting,omitempty"`
	Backlog     int      `json:"backlog,omitempty"`
	Capacity    int      `json:"capacity,omitempty"`
	Headroom    int      `json:"headroom,omitempty"`
	Preemptions uint64   `json:"preemptions,omitempty"`
}

// same reports whether two tell the same.
func (i info) same(o info) bool { return reflect.DeepEqual(i, o) }

// announcement is what a server says.
type announcement struct {
	Server string `json:"server"`
	Epoch  int64  `json:"epoch"` // of the announcer; a later one has a larger, if the clock is right
	Seq    uint64 `json:"seq"`   // of the announcement, from 1
	Bye    bool   `json:"bye,omitempty"`
	info
	Slots  []Slot  `json:"slots,omitempty"`
	Events []Event `json:"events,omitempty"`
}

// interest is what a View says.
type interest struct {
	Full  bool `json:"full"`  // it knows nothing yet
	Every int  `json:"every"` // the pause between announcements of a server that it wishes, in ms
}

// pace is that pause, within bounds.
func (i interest) pace() time.Duration {
	return min(max(time.Duration(min(i.Every, 1000))*time.Millisecond, announceEvery), mostEvery)
}

// decode reads an announcement and makes it sound: nothing in it is larger or
// other than a server would have it, but for what its texts say.
func decode(body []byte) (announcement, error) {
	var a announcement
	if len(body) > maxBody {
		return a, fmt.Errorf("fleet: announcement of %d bytes", len(body))
	}
	if err := json.Unmarshal(body, &a, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return a, fmt.Errorf("fleet: unreadable announcement: %w", err)
	}
	if a.Server == "" || len(a.Server) > maxText || a.Size < 0 || a.Size > maxSlots {
		return a, fmt.Errorf("fleet: announcement of %.40q with %d slots", a.Server, a.Size)
	}
	a.Server = text(a.Server)
	switch a.State {
	case stateUp, stateDraining, stateClosing:
	default:
		a.State = stateUp
	}
	if len(a.Kinds) > maxKinds {
		a.Kinds = append([]string(nil), a.Kinds[:maxKinds]...) // keeps none of the rest
	}
	for i := range a.Kinds {
		a.Kinds[i] = text(a.Kinds[i])
	}
	for _, n := range []*int{&a.Waiting, &a.Held, &a.Converting, &a.Backlog, &a.Capacity, &a.Headroom} {
		*n = max(*n, 0)
	}
	sound := a.Slots[:0]
	for _, s := range a.Slots {
		if s.sound(a.Size) {
			sound = append(sound, s)
		}
	}
	a.Slots = sound
	known := a.Events[:0]
	for _, e := range a.Events[max(0, len(a.Events)-maxEvents):] {
		if e.sound(a.Server) {
			known = append(known, e)
		}
	}
	a.Events = known
	return a, nil
}

func (s *Slot) sound(size int) bool {
	if s.Slot < 0 || s.Slot >= size {
		return false
	}
	switch s.Status {
	case occamy.Empty:
		*s = Slot{Slot: s.Slot, Status: occamy.Empty}
		return true
	case occamy.Protected, occamy.Internal, occamy.External:
	default:
		return false
	}
	switch s.Phase {
	case occamy.Running, occamy.Stopping, occamy.Stuck:
	default:
		return false
	}
	s.ID, s.Kind, s.Request, s.Owner = text(s.ID), text(s.Kind), text(s.Request), text(s.Owner)
	s.Fraction = min(max(s.Fraction, 0), 1)
	s.Attempt = max(s.Attempt, 0)
	return true
}

func (e *Event) sound(server string) bool {
	if !eventTypes[e.Type] || e.N == 0 {
		return false
	}
	switch e.Status {
	case "", occamy.Empty, occamy.Protected, occamy.Internal, occamy.External:
	default:
		return false
	}
	e.Server = server
	e.ID, e.Kind, e.Request, e.Cause = text(e.ID), text(e.Kind), text(e.Request), occamy.Cause(text(string(e.Cause)))
	e.Took, e.Slot = max(e.Took, 0), max(e.Slot, 0)
	return true
}

// text bounds what somebody else wrote.
func text(s string) string {
	if len(s) > maxText {
		s = strings.Clone(s[:maxText]) // keeps none of the rest
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
