package occamy

import (
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

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
	ID       string // of the task; at StageHandle and where there is none, of the request
	Kind     string
	Status   Status // Empty where the message had not become a task
	Attempt  int    // 1 for the first delivery of a request; 1 for helpers
	Outcome  string // of StageRun: "completed", "stopped", "failed"; of StageSettle: a Settlement
	Cause    Cause  // of StageRun: why it was stopped; of StageSettle: why it was settled so
	Duration time.Duration
}

// SlotChange is a change of one slot: a task begins in it, is stopped, is found
// to be stuck, or ends. Changes are told in their order.
type SlotChange struct {
	Server   string // the ID of the server
	Slot     int    // from 0
	From     Status
	To       Status // as From when the task was stopped or is stuck
	Phase    Phase  // of the task after the change; empty when it has ended
	Cause    Cause  // why the task was stopped; empty when it was not
	ID       string // of the task that begins or ends
	Kind     string
	Owner    string // the ID of the task at the root of the expansion; its own for a root
	Request  string // as SlotInfo has it
	Priority int
	Attempt  int
	Time     time.Time
}

// Cause says why a task was stopped, or its message settled as it was. There
// are no others than those below, so it can be the label of a metric.
type Cause string

// The causes.
const (
	CauseCompleted      Cause = "completed"       // Do returned nil
	CauseFailure        Cause = "failure"         // Do or the handler returned an error or panicked
	CauseAsked          Cause = "asked"           // the error asked for a requeue
	CausePreempted      Cause = "preempted"       // a request, or a task of higher status, needed the slot
	CauseOwnerEnded     Cause = "owner_ended"     // so did the task that it helped
	CauseShutdown       Cause = "shutdown"        // of the server
	CauseCancelled      Cause = "cancelled"       // by command
	CauseTimeout        Cause = "timeout"         // of the task, or its deadline
	CauseDeliveryLost   Cause = "delivery_lost"   // the broker gave the request to somebody else
	CauseHandlerTimeout Cause = "handler_timeout" // of the handler
	CauseNoSlot         Cause = "no_slot"         // there was no room for the message
	CauseDraining       Cause = "draining"        // the server takes no requests
	CauseTooLarge       Cause = "too_large"       // the broker refuses the result
)

var causes = [slots.Full + 1]Cause{
	slots.Completed:      CauseCompleted,
	slots.Failure:        CauseFailure,
	slots.Asked:          CauseAsked,
	slots.Preempted:      CausePreempted,
	slots.OwnerEnded:     CauseOwnerEnded,
	slots.ShutDown:       CauseShutdown,
	slots.Cancelled:      CauseCancelled,
	slots.Timeout:        CauseTimeout,
	slots.LostDelivery:   CauseDeliveryLost,
	slots.HandlerTimeout: CauseHandlerTimeout,
	slots.NoSlot:         CauseNoSlot,
	slots.Draining:       CauseDraining,
}
