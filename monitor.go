package occamy

import "time"

// Monitors are told what a server does; nil fields are told nothing. They run
// in a goroutine of their own behind a bounded queue: a monitor that blocks
// holds nothing up, and what it misses is counted in Snapshot.MonitorDrops. A
// monitor that panics loses that event and gets the next.
type Monitors struct {
	Error    ErrorMonitor
	Latency  LatencyMonitor
	Resource ResourceMonitor
}

// ErrorMonitor is told of each error. err answers errors.Is for the errors of
// this package, and errors.As for *TaskError where a task is concerned.
type ErrorMonitor interface {
	RecordError(err error)
}

// LatencyMonitor is told how long things took.
type LatencyMonitor interface {
	RecordLatency(l Latency)
}

// ResourceMonitor is told of each change of a slot.
type ResourceMonitor interface {
	RecordSlot(c SlotChange)
}

// Stage says what a Latency measures.
type Stage string

// The stages of a task.
const (
	StageHandle Stage = "handle" // the handler, until it returned
	StageWait   Stage = "wait"   // from HandleRequest until Do began
	StageRun    Stage = "run"    // Do, until it returned or was stopped
	StageStop   Stage = "stop"   // from the stop until Do returned
	StageExpand Stage = "expand" // a call of Expand
	StageSettle Stage = "settle" // from the end of Do until the message was settled
)

// Latency is a duration of one stage of one task.
type Latency struct {
	Stage    Stage
	Kind     string
	Status   Status // Empty where the message had not become a task
	Outcome  string // of StageRun: "completed", "stopped", "failed"; of StageSettle: a Settlement
	Duration time.Duration
}

// SlotChange is a change of one slot.
type SlotChange struct {
	Slot int
	From Status
	To   Status
	ID   string // of the task that begins or ends
	Kind string
	Time time.Time
}
