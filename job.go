package occamy

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// job is what the server keeps for a job of its table: the message that it came
// from, the task that was made of it, and how far it is.
type job struct {
	server  *Server
	ref     slots.Ref // guarded by server.mu; zero before the table knows the job
	ctx     lazyContext
	message Message         // nil for a task that came from Expand
	parent  context.Context // of a task that came from Expand, where there is a Tracer
	traced  *tracedContext  // of Do; nil where there is no Tracer
	task    Task
	arrived time.Duration // since the server's start, as are placed and stopped

	identity
	made     atomic.Bool // identity is complete
	status   Status
	optional bool // from an optional request

	// guarded by server.mu
	slot    int
	owner   *job // the root; itself for a root
	placed  time.Duration
	stopped time.Duration // zero: it was not stopped
	stopWhy slots.Why
	doing   bool // Do has been or is about to be called
	pumping bool // a goroutine feeds Control
	inbox   []Message
	asked   int
	again   *again // nil until the task calls AskAgain
	telling bool   // Settled is called, and has not taken too long

	deadline *time.Timer // nil for none; of Deadline
	limit    *time.Timer // nil for none; of Timeout
	report   atomic.Pointer[report]
	lease    atomic.Pointer[lease]

	lost       atomic.Bool
	settled    atomic.Bool // the outcome of the settling is known
	answered   atomic.Bool // an ack that nobody waits for has its answer
	settleAs   settlement  // how
	settlement lazyContext // of the calls that settle the message
	failure    error       // of the handler, then of Do; written by the job's goroutine alone, before the table hears of it

	controller Controller     // nil when the task is none
	expander   Expander       // nil when the task is none
	observer   SettleObserver // nil when the task is none

	links [queueKinds]link
}

func (s *Server) newJob(m Message) *job {
	j := &job{server: s, message: m, slot: -1}
	j.ctx.job = j
	j.owner = j
	if s.cfg.Tracer != nil {
		j.traced = &tracedContext{ready: make(chan struct{})}
	}
	return j
}

func (j *job) forTable() slots.Task {
	return slots.Task{ID: j.details.ID, Priority: j.details.Priority, Expandable: j.expander != nil}
}

// known returns what the job is known by: that of its task, or of its message
// while its handler has not returned.
func (j *job) known() identity {
	if j.made.Load() || j.message == nil {
		return j.identity
	}
	var r Request
	var id identity
	_ = j.server.decode(j.message, &r, &id) // what can be read of bad headers is enough
	return id
}

// errorOf says which task an error is about.
func (j *job) errorOf(status Status, err error) *TaskError {
	id := j.known()
	return &TaskError{ID: id.details.ID, Kind: id.details.Kind, Status: status, Err: err}
}

// request is the ID of the request that the job works for.
func (j *job) request() string {
	return cmpOr(j.details.Request, cmpOr(j.owner.details.Request, j.owner.details.ID))
}

// stopCause is why the job was stopped. The caller holds the lock.
func (j *job) stopCause() Cause {
	if j.stopped == 0 {
		return ""
	}
	return causes[j.stopWhy]
}

func (j *job) info() TaskInfo {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	return TaskInfo{
		ID: j.details.ID, Kind: j.details.Kind, Status: j.status,
		Slot: j.slot, Attempt: j.attempt, Server: j.server.cfg.ID,
	}
}

func statusOf(s slots.Status) Status {
	switch s {
	case slots.Protected:
		return Protected
	case slots.Internal:
		return Internal
	case slots.External:
		return External
	}
	return Empty
}

// causeOf is what context.Cause tells a task that was stopped.
func causeOf(w slots.Why) error {
	switch w {
	case slots.Preempted:
		return ErrPreempted
	case slots.OwnerEnded:
		return ErrOwnerEnded
	case slots.ShutDown:
		return ErrShutdown
	case slots.Cancelled:
		return ErrCancelled
	case slots.Timeout:
		return ErrTimeout
	case slots.LostDelivery:
		return ErrDeliveryLost
	case slots.HandlerTimeout:
		return ErrHandlerTimeout
	case slots.NoSlot, slots.Draining:
		return ErrNoSlot
	}
	return errEnded
}
