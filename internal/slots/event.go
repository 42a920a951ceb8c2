package slots

import "time"

// Ref names a job of a Table. Zero names none. The low 32 bits less one are an
// index that is reused after Release, for use in a slice beside the table; the
// high 32 bits tell its users apart.
type Ref uint64

// Index returns the index of a Ref that is not zero.
func (r Ref) Index() int { return int(uint32(r)) - 1 }

// Task is what the table needs to know of a task.
type Task struct {
	ID         string // "" cannot be cancelled or replaced
	Priority   int    // of a root; offers have their owner's
	Expandable bool
}

// Result is what came of running a handler or a task.
type Result uint8

// Results.
const (
	Done    Result = iota // Do returned nil; the handler gave a task
	Failed                // an error, a panic, an unusable result
	Requeue               // an error that asks for a requeue
)

// EventType says what happened.
type EventType uint8

// The events. Events that name a Job which is gone, or is in no phase that the
// event fits, change nothing.
const (
	// Arrive: a request message came. Effects: Convert, Hold, or Refuse
	// (ShutDown; Draining; NoSlot when as many as there are slots are held).
	// It is held when slots − protected not stuck − stuck − waiting −
	// converting − held ≤ 0.
	Arrive EventType = iota
	// Converted: the handler of Job returned. Result Done: Task is set; the
	// job is settled (Ack, Cancelled) if its ID is remembered as cancelled,
	// else it joins the FIFO's tail. Failed: settled (Reject, Failure).
	// Requeue: settled (Return, Asked). If Job is settled already, it is
	// only released.
	Converted
	// ConvertTimedOut: Job is settled (Reject, HandlerTimeout) and goes on
	// converting until its handler returns.
	ConvertTimedOut
	// Optional: the handler made Task from an optional request of Size bytes.
	// Dropped (Job zero) if: after Shutdown (ShutDown); its ID is remembered
	// as cancelled (Cancelled); an External root that bears the ID is Running
	// or Pending (Duplicate); MaxBacklog ≤ 0 or Size > MaxBacklogBytes (Full).
	// Otherwise Keep; then a Backlog or Making job of that ID is dropped
	// (Replaced); a Stopping or Stuck External root of that ID will not be
	// put back; and while the backlog is over MaxBacklog or MaxBacklogBytes,
	// its least valuable job (lowest priority, then latest arrival; perhaps
	// the new one) is dropped (Full). Making jobs count and may be dropped.
	// These bounds are applied whenever a job comes into the backlog. An empty
	// ID is neither remembered nor anybody's.
	Optional
	// Made: the handler was run again for Job, which is Making. Done: it is
	// Backlog, with the Expandable of Task. Else it is dropped (Failure).
	Made
	// Finish: Do of Job returned with Result; its slot is empty. If Job was an
	// owner, its jobs are stopped first (OwnerEnded, in order of start) and its
	// Pending ones dropped (OwnerEnded). Then ArmRefill, if it applies.
	// Protected: it is settled unless it was (see Verdict), and released. An
	// External root that was stopped with Preempted, since neither cancelled
	// nor replaced, and whose Result is not Done, goes back to the backlog with
	// its first arrival (Make; after that the backlog's bounds are applied as
	// for Optional), unless Shutdown came. Others are released.
	Finish
	// StopTimedOut: Job is Stopping, KillTimeout after it was stopped: it is
	// Stuck. Effects: Report, then Settle if it is protected and not settled.
	StopTimedOut
	// TimedOut: Job's own limit has passed. Waiting: settled (Reject, Timeout)
	// and released. Running: stopped (Timeout). Backlog, Making, Pending:
	// dropped (Timeout).
	TimedOut
	// Lost: the delivery of Job, which is protected, is lost. Converting, Held, Waiting: settled
	// (Forget, LostDelivery), and released unless it converts. Running:
	// stopped (LostDelivery). Stopping or Stuck: remembered for the
	// settlement.
	Lost
	// Cancel: the ID is remembered for CancelMemory, if that is positive (at
	// most MaxCancelled; the oldest goes; an ID that comes again is the
	// newest), and every job that bears it, in the order in which they were
	// made: Waiting: settled (Ack, Cancelled) and released. Running: stopped
	// (Cancelled). Stopping or Stuck: remembered for the settlement, and not
	// put back. Backlog, Making, Pending: dropped (Cancelled). An empty ID does
	// nothing.
	Cancel
	// Offered: Job, which was asked, offers the tasks in Offers.
	Offered
	// ExpandTimedOut: Job was asked ExpandTimeout ago.
	ExpandTimedOut
	// AskAgain: Job, which is Running, can use helpers though it has declined.
	// It has not; if it is being asked, it will not have when it offers fewer.
	AskAgain
	// ExpandNow: somebody wants expansion to run now.
	ExpandNow
	// ExpansionDue: the expansion timer fired.
	ExpansionDue
	// RefillDue: the refill timer fired.
	RefillDue
	// Drain: no intake and nothing is started from the backlog (a Pending job
	// from it goes back). Held messages are settled (Return, Draining) and
	// released; then the Pending ones go back, the oldest first.
	Drain
	// Resume ends Drain.
	Resume
	// Shutdown: no intake, no expansion. In this order: held, waiting and
	// converting requests are settled (Return, ShutDown), the waiting ones in
	// the order of the FIFO, the others in order of arrival, held and waiting
	// ones released; Pending jobs, the oldest first, and then the backlog, in
	// order of arrival, are dropped (ShutDown); Running unprotected jobs,
	// whoever owns them, are stopped (ShutDown) in order of their slots.
	Shutdown
	// ShutdownNow is Shutdown, if that has not come; then Running protected
	// jobs are stopped (ShutDown) in order of their slots.
	ShutdownNow
)

// Event is what happened, and to which job.
type Event struct {
	Type   EventType
	Job    Ref
	Task   Task   // Converted, Optional, Made
	Offers []Task // Offered; not kept
	Result Result // Converted, Made, Finish
	Size   int    // Optional
	ID     string // Cancel
}

// EffectType says what is to be done.
type EffectType uint8

// The effects.
const (
	// Convert: run the handler of Job.
	Convert EffectType = iota
	// Hold: Job's message is held, unsettled.
	Hold
	// Refuse: the message that arrived is to be requeued, for Why. No job.
	Refuse
	// Start: Job begins in Slot. When it is an offer that starts at once,
	// Offer tells which.
	Start
	// Place: the offer with index Offer is Pending as Job. (An offer that
	// starts at once has Start alone.)
	Place
	// Stop: end the context of Job, for Why, and arm its kill timer.
	Stop
	// Report: Job is stuck.
	Report
	// Settle: settle the message of Job by Verdict, for Why.
	Settle
	// Keep: the optional request that came is kept as Job.
	Keep
	// Drop: Job, or the offer with index Offer, or the optional request that
	// came (both when Job is zero), is dropped for Why.
	Drop
	// Make: the handler is to make the task of Job anew.
	Make
	// Ask: ask Job for N tasks, and arm its expand timer.
	Ask
	// ArmExpansion: ExpansionDue is due at At, in place of any earlier time.
	ArmExpansion
	// ArmRefill: RefillDue is due at At, in place of any earlier time.
	ArmRefill
	// Release: Job is gone. Its index may be reused by a later step.
	Release
)

// Verdict is how a message is settled.
type Verdict uint8

// Verdicts. For a protected job whose Do returned or that is declared stuck
// (as if Do had failed), the first that applies: lost: Forget, LostDelivery;
// Result Done: Ack, Completed; cancelled: Ack, Cancelled; stopped with Timeout:
// Reject, Timeout; stopped by Shutdown: Return, ShutDown; Result Requeue:
// Return, Asked; else Reject, Failure.
const (
	Ack Verdict = iota
	Reject
	Return // requeue
	Forget // never settle: the delivery is lost
)

// Why is the reason for an effect.
type Why uint8

// Reasons.
const (
	None Why = iota
	Completed
	Failure
	Asked
	Preempted
	OwnerEnded
	ShutDown
	Cancelled
	Timeout
	LostDelivery
	HandlerTimeout
	NoSlot
	NoRoom
	Surplus
	Draining
	Duplicate
	Replaced
	Full
)

// Effect is what is to be done, and to which job.
type Effect struct {
	Type    EffectType
	Verdict Verdict // Settle
	Why     Why     // Refuse, Stop, Settle, Drop
	Job     Ref
	Slot    int           // Start
	Offer   int           // Start, Place, Drop: index into Event.Offers; else -1
	N       int           // Ask
	At      time.Duration // ArmExpansion, ArmRefill
}

// Status says on what terms a job holds its slot.
type Status uint8

// Statuses.
const (
	Empty Status = iota
	Protected
	Internal
	External
)

// Phase says how far along a job is; see the package comment.
type Phase uint8

// Phases.
const (
	Gone Phase = iota
	Converting
	Held
	Waiting
	Pending
	Backlog
	Making
	Running
	Stopping
	Stuck
)

// Config has the figures of the rules, all as the server's Config has them
// with its defaults filled in.
type Config struct {
	Slots           int
	Headroom        int
	MaxHeadroom     int           // ≤ Headroom: that does not change
	HeadroomMemory  time.Duration // ≤ 0: time alone does not lower it
	RebalanceMoves  int           // ≤ 0: none
	ExpansionPeriod time.Duration // < 0: only by ExpandNow
	RefillDelay     time.Duration // ≤ 0: off
	CancelMemory    time.Duration // ≤ 0: off
	MaxCancelled    int
	MaxBacklog      int // ≤ 0: none
	MaxBacklogBytes int
}

// Job is what a Table knows of a job.
type Job struct {
	Ref      Ref
	Status   Status
	Phase    Phase
	Slot     int // -1 when it is in none
	Owner    Ref // zero when its run has ended; a root owns itself
	ID       string
	Priority int
}
