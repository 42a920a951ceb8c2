package occamy

import (
	"context"
	"time"
)

// Task is one computation. It takes one slot while it runs.
//
// Details and Do are called from goroutines of the server, never under a lock
// of it. A panic in them becomes an error with its stack; a panic in a
// goroutine that the task starts itself is the task's own and ends the process.
type Task interface {
	// Details describes the task. It is cheap, and says the same each time.
	Details() Details

	// Do computes until it is done or ctx ends, whichever is first, and then
	// returns quickly: a slot is free when Do returns, and a task that still
	// runs KillTimeout after ctx ended is stuck. Do returns nil only when the
	// work is complete; a task that was stopped half-way returns an error, for
	// instance context.Cause(ctx). An error that wraps ErrRequeue has the
	// request delivered again; any other rejects it for good. What Do returns
	// after the server stopped it does not matter, unless it is nil.
	//
	// Do starts no more computing goroutines than its slot has cores for, and
	// leaves none behind.
	Do(ctx context.Context) error
}

// Expander is a Task that can use more than one slot. Whether a task is one is
// asked once, when it is placed.
//
// Helpers that Expand returns run in this process, so they may share memory
// with their owner, guarded by a lock. The task of an optional request may
// stand on any server: it shares nothing, and talks by message. A task should
// not care where it stands, so prefer messages where helpers may be on other
// servers too.
//
// A helper may be stopped at any moment, and one that was returned may never
// start, so no work may be lost with it: have helpers take work when they run,
// and give back what they do not finish.
type Expander interface {
	// Expand returns at most n tasks that would help this one, each a value of
	// its own. They run as unprotected tasks, each once there is a slot for it.
	// They are stopped when the task at the root of the expansion ends or is
	// stopped, and may run on for a moment then; one that has not started by
	// then never does. (A helper that offers helpers is no root: those outlive
	// it.)
	//
	// A task that returns fewer than n is not asked again before the next
	// ExpansionPeriod, unless it calls AskAgain. One that will have a use for
	// helpers soon should offer them now, and have them find their work when
	// they run, waiting for it if they must: a helper that returns is replaced
	// at once.
	//
	// Expand is called while Do runs, at most one call at a time for a task,
	// and should return at once; ctx ends when the task is stopped.
	Expand(ctx context.Context, n int) []Task
}

// Controller is a Task that takes control messages. Whether a task is one is
// asked once, when it is placed.
type Controller interface {
	// Control handles one control message. It is called while Do runs, in a
	// goroutine of its own, one message at a time and in the order of their
	// arrival. ctx ends when the task is stopped or Do has returned; Control
	// then returns soon. An error is recorded; the task goes on.
	//
	// A message is not given to a later attempt of the same request: a task
	// keeps what matters to that in its progress, see [ReportProgress].
	Control(ctx context.Context, headers Headers, body []byte) error
}

// Details describe a task. A field left at zero is taken from the headers of
// the message that the task was made from, where there is one.
type Details struct {
	// ID directs control messages to the task. Several tasks may bear one ID.
	// Empty: the request ID header; a task without either cannot be reached.
	ID string

	// Kind groups tasks for monitors. Empty: the kind of the message, and of
	// the owner for a task that came from an expansion.
	Kind string

	// Request is the ID of the request that the task works for, where that is
	// another's, as it is for an assistant of a master on another server: for
	// whoever displays the task. Empty: its own.
	Request string

	// Priority decides which helpers give way first (the lowest), which
	// optional request starts first (the highest), and is the weight with
	// which owners share spare slots (below 1 counts as 1). Helpers have the
	// priority of their owner, whatever they say here.
	Priority int

	// Timeout limits Do for each attempt. Zero: no limit.
	Timeout time.Duration

	// Deadline is the moment after which nobody wants the result: a request is
	// then rejected with ErrTimeout, an optional request dropped. Zero: none.
	Deadline time.Time
}

// Status says on what terms a task holds its slot.
type Status string

// The statuses of a slot and of the task in it.
const (
	// Empty is the status of a slot without a task.
	Empty Status = "empty"
	// Protected is a task made from a request message: stopped by nothing but
	// shutdown, a cancel, its own time limit, or the loss of its delivery.
	Protected Status = "protected"
	// Internal is an unprotected task made by expanding a protected or an
	// internal one.
	Internal Status = "internal"
	// External is an unprotected task made from an optional request, or by
	// expanding an external one.
	External Status = "external"
)
