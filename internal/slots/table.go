package slots

import "time"

// Table is the state machine. It is not safe for use by several goroutines.
type Table struct {
	cfg Config
	now time.Duration
	out []Effect // of the step that is under way

	jobs   []job   // the arena
	owners []owner // beside it
	free   []int32 // entries that may be used
	freed  []int32 // entries that may be used from the next step on
	made   uint64  // jobs so far
	starts uint64  // starts so far
	ids    idIndex

	slots    []int32 // the job in each, or none
	empty    bitmap
	count    [4][phases]int // jobs by status and phase; setPhase keeps it
	queues   [phases]list   // jobs by phase; see queued
	promised int

	victims heap          // owners: who loses a slot next
	donors  [classes]heap // owners: who has most
	hungry  [classes]heap // owners: who has least and can use more
	ready   heap          // backlog jobs: which starts next
	poorest heap          // backlog jobs: which is dropped next
	bytes   int           // of the backlog

	cancelled memory
	refs      []Ref // scratch

	back    int     // slots that fill asks hold back
	moving  int32   // the job that is asked for the sake of a move, or none
	filled  []int32 // owners that got slots in the fill that is under way
	vacated bool    // the step has emptied the slot of a Stopping job

	open     bool // a period is open
	end      time.Duration
	moves    int // left in the period
	declined list
	due      time.Duration // of the expansion timer; never when it is not armed

	extra int           // headroom beyond cfg.Headroom, in ninths of a slot
	fade  time.Duration // when half of it is forgotten

	quiet    int
	near     bool
	left     bool // a protected job has left its slot, at lastLeft
	lastLeft time.Duration

	draining bool
	down     bool // Shutdown came
}

// New returns a table whose slots are all empty. The config must be valid.
func New(cfg Config) *Table {
	t := &Table{
		cfg:       cfg,
		ids:       newIDIndex(),
		slots:     make([]int32, cfg.Slots),
		empty:     newBitmap(cfg.Slots),
		victims:   heap{before: lesser},
		ready:     heap{before: readier},
		poorest:   heap{before: poorer},
		cancelled: newMemory(),
		moving:    none,
		due:       never,
		moves:     max(cfg.RebalanceMoves, 0),
		declined:  emptyList(),
	}
	for i := range t.slots {
		t.slots[i] = none
		t.empty.add(i)
	}
	for i := range t.queues {
		t.queues[i] = emptyList()
	}
	for c := range classes {
		t.donors[c].before = richer
		t.hungry[c].before = hungrier
	}
	// Room for every slot and some that come and go, so that the arena is
	// seldom copied while requests wait.
	room := cfg.Slots + cfg.Slots/8 + 8
	t.jobs, t.owners = make([]job, 0, room), make([]owner, 0, room)
	for _, h := range t.heaps() {
		h.place = make([]int32, 0, room)
	}
	return t
}

func (t *Table) heaps() [7]*heap {
	return [...]*heap{
		&t.victims, &t.ready, &t.poorest,
		&t.donors[internal], &t.donors[external],
		&t.hungry[internal], &t.hungry[external],
	}
}

// Step does one step at the time now, which never goes back, and appends what
// is to be done to effects, in order. It allocates only to grow what it keeps.
func (t *Table) Step(now time.Duration, e Event, effects []Effect) []Effect {
	return t.StepOn(now, &e, effects)
}

// StepOn is Step for a caller who has no room for an event on its stack. The
// event is not kept.
func (t *Table) StepOn(now time.Duration, e *Event, effects []Effect) []Effect {
	t.now = now
	t.out = effects
	t.free = append(t.free, t.freed...)
	t.freed = t.freed[:0]
	t.vacated = false

	t.rollPeriod()
	t.extra, t.fade = t.faded(now)
	t.apply(e)
	t.serveRequests()
	t.servePending()
	if t.contested() && !t.down && (t.cfg.ExpansionPeriod >= 0 || e.calls()) {
		t.fill()
		for t.move() {
			t.servePending()
			t.fill()
		}
	}
	t.armExpansion()

	effects, t.out = t.out, nil
	return effects
}

// calls reports whether the event is a call for expansion, or goes on with one.
func (e *Event) calls() bool {
	return e.Type == ExpandNow || e.Type == Offered || e.Type == ExpandTimedOut
}

// emit appends an effect and returns it for what else it says. It is a call of
// its own so that effects take no room on the stacks of its callers.
//
//go:noinline
func (t *Table) emit(typ EffectType, job Ref, why Why) *Effect {
	t.out = append(t.out, Effect{Type: typ, Job: job, Offer: -1, Why: why})
	return &t.out[len(t.out)-1]
}

// apply does what the event says.
func (t *Table) apply(e *Event) {
	switch e.Type {
	case Arrive:
		t.arrive()
	case Optional:
		t.optional(e)
	case Cancel:
		t.cancel(e.ID)
	case ExpandNow:
		t.closePeriod()
	case ExpansionDue:
		t.due = never
	case RefillDue:
		t.quiet = 0
	case Drain:
		t.drain()
	case Resume:
		t.draining = false
	case Shutdown:
		t.shutdown()
	case ShutdownNow:
		t.shutdownNow()
	case Offered:
		t.offered(t.find(e.Job), e.Offers)
	default:
		if i := t.find(e.Job); i != none {
			t.applyTo(i, e)
		}
	}
}

// applyTo does what the event says of job i.
func (t *Table) applyTo(i int32, e *Event) {
	switch e.Type {
	case Converted:
		t.converted(i, e)
	case ConvertTimedOut:
		if t.jobs[i].phase == Converting {
			t.answer(i, Reject, HandlerTimeout)
		}
	case Made:
		t.remade(i, e)
	case Finish:
		t.finish(i, e.Result)
	case StopTimedOut:
		t.stuck(i)
	case TimedOut:
		t.timedOut(i)
	case Lost:
		t.lost(i)
	case ExpandTimedOut:
		t.expandTimedOut(i)
	case AskAgain:
		t.askAgain(i)
	}
}
