// Package slots holds the rules by which a server uses its slots, as a pure,
// deterministic state machine: the same events in the same order give the same
// effects. It has no goroutine, lock, clock, I/O or randomness, knows nothing
// of contexts, messages or brokers, and imports the standard library alone. The
// server and the simulator drive the same Table.
//
// # Jobs
//
// A job is whatever may come to hold a slot. It is named by a Ref, which is
// never used again for another job. Phases of a job:
//
//	Converting  a request message whose handler runs
//	Held        a request message beyond the capacity, not yet converted
//	Waiting     a request in the FIFO, waiting for a stopping task's slot
//	Pending     an offer, or a backlog job, for which a slot is being stopped
//	Backlog     an optional request, ready to start
//	Making      an optional request in the backlog whose task is made anew
//	Running     in a slot
//	Stopping    in a slot, told to stop
//	Stuck       in a slot, told to stop, and still there after KillTimeout
//
// A job's status is Protected (from a request message), Internal (offered by a
// protected or internal job) or External (from an optional request, or offered
// by an external job). The owner of a job is the protected job, or the external
// job from an optional request, at the root of its expansion; a root owns
// itself. All jobs of an owner have its priority. An owner's weight is its
// priority, but at least 1 and at most 2^30. Release is the last effect of each
// job.
//
// A root owns the jobs of one run. When it is told to stop, for whatever reason
// but Shutdown's stop of all unprotected jobs, its Running jobs are stopped
// after it (OwnerEnded) in order of their start, and its Pending ones dropped
// (OwnerEnded) in the order in which they became Pending; when it ends by
// itself, the same happens before its slot empties. From then on these jobs
// have no owner, even if the root, an optional request, is started again.
//
// # Figures
//
// All are derived from the jobs:
//
//	held(o)   slots of o's unprotected jobs (o's own too when o is external)
//	          that are Running or Stuck. A job whose owner is not Running
//	          any more belongs to nobody.
//	claim(o)  held(o) + o's Pending jobs + slots that fill asks of o's jobs
//	          hold back
//	capacity  slots − protected that are not stuck − stuck − waiting −
//	          converting − held messages, less promises, never below 0
//	expected  max(conversions not yet settled, quiet): requests on their way
//	reserve   max(headroom, expected)
//	spare     empty slots − reserve − slots held back by fill asks
//
// # Headroom
//
// The headroom is Headroom slots and, up to MaxHeadroom, as many more as recent
// requests needed. A request that finds no empty slot when its handler has
// returned adds one slot to these; one that finds an empty slot takes a ninth of
// a slot away. So they grow while more than one request in ten has to wait for a
// task to stop, and shrink while fewer have to. They count to the nearest slot.
// Half of them (rounded down to a ninth) is forgotten HeadroomMemory after a
// request last left no slot empty, and again after each further HeadroomMemory.
//
// # A step
//
// A step first rolls the period (if one is open and now ≥ its end, it closes:
// the quota of moves is RebalanceMoves again, nobody has declined) and forgets
// headroom, then does
// what its event says, then restores order, in this sequence:
//
//  1. While a request waits and a slot is empty: the head of the FIFO starts
//     in it. (Every start takes the empty slot with the lowest index.)
//  2. While waiting requests outnumber the slots that are Stopping: the victim
//     is stopped (Preempted); without a victim the tail of the FIFO is settled
//     (Return, NoSlot).
//     The victim is, of the unprotected Running jobs: an external before an
//     internal one; then the lower priority; then the owner with the larger
//     held(o); then the most recently started.
//  3. While a message is held and slots − protected not stuck − stuck −
//     waiting − converting > 0: the first held one is converted.
//  4. While there is a Pending job and spare > 0: the oldest starts. If the
//     event emptied the slot of a Stopping job, Pending jobs outnumber Stopping
//     slots − waiting requests, and empty slots > expected: the oldest starts.
//     (The slot was stopped for it. A move swaps a slot, whether or not the
//     headroom is whole.) Then, while Pending jobs outnumber Stopping slots −
//     waiting requests: the newest goes: back to the backlog if it came from
//     there (with no effect but what the backlog's bounds ask for), else it is
//     dropped (NoRoom).
//  5. Expansion, but not after Shutdown; see below. When ExpansionPeriod is
//     negative, only if the event is ExpandNow, or Offered or ExpandTimedOut,
//     with which the expansion that was called for goes on.
//  6. The expansion timer, see below.
//
// quiet (see Refill) is never more than the number of empty slots: it is cut
// after each start.
//
// # Expansion
//
// A job may be asked when it is Running, expandable, not being asked, and has
// not declined in this period. It is being asked from its Ask until Offered
// comes, even when it takes longer than the expand timer; a job that is not
// Running any more is not asked and has not declined. An owner is hungry when
// it, or one of its jobs, may be asked; the one who is asked is the owner itself
// if it may be, else the earliest started. Fill, while spare > 0:
//
//   - if an internal owner (a protected root) is hungry: the one with the least
//     (claim + 1) / weight gets one more; ties go to the higher priority, then
//     to the older root (the Ref that was made first);
//   - else, of the hungry external owners and the first ready job of the
//     backlog (only while not draining; by priority, then arrival; its claim
//     is 0), likewise.
//
// A backlog job starts at once, and is hungry from then on if it may be asked.
// An owner that got a slot stays hungry until the fill is over, and all its
// slots go to the same job. They are asked for in one Ask, whose effect follows
// when the fill is over, in the order in which the owners got their first slot.
// What is asked for is held back until Offered or ExpandTimedOut comes, or the
// asked job is not Running any more, which also ends a move ask.
//
// Moves, once spare ≤ 0, when empty slots ≥ expected and no move ask is out,
// in this order:
//
//  1. The hungry internal owner of least (claim+1)/weight as above, if an
//     external Running job began at least ExpansionPeriod ago: it is asked for
//     one, as a move.
//  2. Else, if moves are left in the period: that same owner r, if the internal
//     owner d with a Running unprotected job and the greatest claim/weight
//     (ties: older root) has claim(d)/weight(d) > (claim(r)+1)/weight(r): r is
//     asked for one, as a move. This is the criterion for a slot above and one
//     below the max-min fair share (D'Hondt), and being strict it never trades
//     back.
//  3. Else the same among external owners and, as r, the first ready job of the
//     backlog, compared as in a fill. The unprotected job of an external d may
//     be d itself, since its own slot counts. A backlog job needs no asking:
//     d's most recently started Running job is stopped (Preempted), the backlog
//     job becomes Pending, one move is used up, and the step goes back to 4.
//
// Offered, after a fill ask for n: what was held back is free again; the first
// n offers start while spare > 0; those beyond n are dropped (Surplus), those
// within n but beyond the room too (NoRoom). After a move ask for one: it
// starts if spare > 0; else, if empty slots ≥ expected, its owner is still the
// one whom a fill would give the next slot of its class, and there is still a
// victim by the move's rule (of 1: the victim of step 2 among external jobs that
// are old enough; of 2 and 3: d's most recently started Running unprotected job,
// with the criterion still true and moves left), it is stopped (Preempted), the
// offer becomes Pending, and (2 and 3) one move is used up; else it is dropped
// (NoRoom). If fewer were offered than asked for, the job has declined, unless
// AskAgain came while it was being asked: then it has not declined.
//
// After Shutdown all offers are dropped (ShutDown); else, if the job is not
// Running, or gone, all are dropped (OwnerEnded); else, if it is not being
// asked, all are dropped (Surplus).
//
// ExpandTimedOut frees what was held back (or the place of the move ask) and
// counts as declined; an Offered that comes later is treated as a fill ask's,
// for the number that was asked. It does nothing when it comes again, or after
// Shutdown.
//
// # The period and its timer
//
// A period opens, for ExpansionPeriod (for ever when that is negative), when a
// job declines, a move is used up, or the timer is armed, unless one is open.
// ExpandNow closes it. At the end of a step, unless ExpansionPeriod is negative
// or Shutdown came, the timer is armed for the earlier of two times, if it is not
// armed for one as early. (So it may fire without a need.) One is when, by time
// alone, so much headroom will be forgotten that spare > 0, if spare ≤ 0 and
// somebody is hungry or the backlog has a ready job (and the table is not
// draining). The other is the end of the period if
//
//   - spare > 0 and a Running job has declined; or
//   - spare ≤ 0, an unprotected job is Running, and a Running job has
//     declined, or moves are used up (RebalanceMoves > 0 and none is left)
//     while somebody is hungry or the backlog has a ready job (and the table is
//     not draining), or an internal owner is hungry while an external Running
//     job began less than ExpansionPeriod ago.
//
// # Refill
//
// With RefillDelay > 0: an arrival (Arrive, even if it is refused) no later than
// RefillDelay after a protected job last left its slot is near. When a protected
// job leaves its slot and an arrival was near since the last time one left, or
// quiet is above zero (the request that follows the one that left before is
// still on its way): quiet grows by one and the refill timer is armed for now +
// RefillDelay (anew, if it is armed). A protected job that starts in an empty slot lowers quiet by
// one, if it is above zero. RefillDue sets it to zero.
package slots
