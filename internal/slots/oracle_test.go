package slots

import (
	"math"
	"slices"
	"time"
)

// dumb is a second implementation of the rules, made to be read beside the
// package comment and not to be fast: it keeps the jobs in one list, scans it
// for whatever it wants to know, and remembers no figure that can be counted.
type dumb struct {
	cfg              Config
	now              time.Duration
	jobs             []*dumbJob // that are not gone, in the order in which they were made
	held             []*dumbJob
	fifo             []*dumbJob
	pending          []*dumbJob
	made, starts     int
	draining, closed bool
	promised         int
	vacated          bool // this step has emptied the slot of a Stopping job

	quiet      int
	near, left bool // an arrival was near; a protected job has left before
	leftAt     time.Duration

	open  bool // a period is
	end   time.Duration
	used  int             // moves
	timer []time.Duration // when the expansion timer fires; empty when it is not armed

	ninths  int           // of slots that recent requests needed beyond Headroom
	lastUse time.Duration // when a request left no slot empty, or half of them was forgotten

	memory []dumbMemory
	out    []Effect
}

type dumbMemory struct {
	id string
	at time.Duration
}

type dumbJob struct {
	Job
	expandable bool
	made       int // also the order of arrival
	size       int
	optional   bool // an external root
	start      int
	began      time.Duration
	settled    bool
	lost       bool
	cancelled  bool
	replaced   bool
	why        Why // of its stop
	declined   bool
	ask        *dumbAsk
}

type dumbAsk struct {
	n     int
	rule  int // 0 for a fill, else the number of the move's rule
	over  bool
	again bool // AskAgain came since
}

func newDumb(cfg Config) *dumb { return &dumb{cfg: cfg} }

func (d *dumb) Step(now time.Duration, e Event, effects []Effect) []Effect {
	d.now, d.out, d.vacated = now, effects, false
	if d.open && now >= d.end {
		d.closePeriod()
	}
	d.forget()
	d.event(e, d.find(e.Job))
	d.order()
	called := e.Type == ExpandNow || e.Type == Offered || e.Type == ExpandTimedOut
	if !d.closed && (d.cfg.ExpansionPeriod > 0 || called) {
		d.expand()
	}
	d.armTimer()
	return d.out
}

func (d *dumb) event(e Event, j *dumbJob) {
	if j == nil {
		j = &dumbJob{} // Gone, which fits no event
	}
	switch e.Type {
	case Arrive:
		d.arrive()
	case Converted:
		if j.Phase == Converting {
			d.converted(j, e)
		}
	case ConvertTimedOut:
		if j.Phase == Converting {
			d.settle(j, Reject, HandlerTimeout)
		}
	case Optional:
		d.optional(e)
	case Made:
		if j.Phase != Making {
			return
		}
		if e.Result != Done {
			d.drop(j, Failure)
			return
		}
		j.Phase, j.expandable = Backlog, e.Task.Expandable
	case Finish:
		if j.inSlot() {
			d.finish(j, e.Result)
		}
	case StopTimedOut:
		if j.Phase != Stopping {
			return
		}
		j.Phase = Stuck
		d.emit(Effect{Type: Report, Job: j.Ref})
		if j.Status == Protected {
			d.settle(j.verdict(Failed))
		}
	case TimedOut:
		switch j.Phase {
		case Waiting:
			d.settle(j, Reject, Timeout)
			d.release(j)
		case Running:
			d.stop(j, Timeout)
		case Backlog, Making, Pending:
			d.drop(j, Timeout)
		}
	case Lost:
		d.lose(j)
	case Cancel:
		d.cancel(e.ID)
	case Offered:
		d.offered(j, e.Offers)
	case ExpandTimedOut:
		if j.ask != nil && !j.ask.over {
			j.ask.over = true
			d.decline(j)
		}
	case AskAgain:
		if j.Phase != Running {
			return
		}
		j.declined = false
		if j.ask != nil {
			j.ask.again = true
		}
	case ExpandNow:
		d.closePeriod()
	case ExpansionDue:
		d.timer = nil
	case RefillDue:
		d.quiet = 0
	case Drain:
		d.drain()
	case Resume:
		d.draining = false
	case Shutdown:
		d.shutdown()
	case ShutdownNow:
		if !d.closed {
			d.shutdown()
		}
		d.stopAll(func(j *dumbJob) bool { return j.Status == Protected })
	}
}

// order restores order after every event: “A step”, 1 to 4.
func (d *dumb) order() {
	for len(d.fifo) > 0 && d.empty() > 0 {
		d.start(d.fifo[0], -1)
	}
	for len(d.fifo) > d.phase(Stopping) {
		if v := d.victim(d.unprotectedRunning()); v != nil {
			d.stop(v, Preempted)
			continue
		}
		tail := d.fifo[len(d.fifo)-1]
		d.settle(tail, Return, NoSlot)
		d.release(tail)
	}
	for len(d.held) > 0 && d.room()+len(d.held) > 0 {
		first := d.held[0]
		d.held = d.held[1:]
		first.Phase = Converting
		d.emit(Effect{Type: Convert, Job: first.Ref})
	}
	d.orderPending()
}

func (d *dumb) orderPending() {
	for len(d.pending) > 0 && d.spare() > 0 {
		d.start(d.pending[0], -1)
	}
	if d.vacated && len(d.pending) > d.phase(Stopping)-len(d.fifo) && d.empty() > d.expected() {
		d.start(d.pending[0], -1)
	}
	for len(d.pending) > d.phase(Stopping)-len(d.fifo) {
		newest := d.pending[len(d.pending)-1]
		if newest.optional {
			d.backToBacklog(newest)
		} else {
			d.drop(newest, NoRoom)
		}
	}
}

func (d *dumb) arrive() {
	if d.cfg.RefillDelay > 0 && d.left && d.now <= d.leftAt+d.cfg.RefillDelay {
		d.near = true
	}
	switch {
	case d.closed:
		d.emit(Effect{Type: Refuse, Why: ShutDown})
	case d.draining:
		d.emit(Effect{Type: Refuse, Why: Draining})
	case d.room() > 0:
		j := d.make(Protected, Converting, Task{})
		d.emit(Effect{Type: Convert, Job: j.Ref})
	case len(d.held) >= d.cfg.Slots:
		d.emit(Effect{Type: Refuse, Why: NoSlot})
	default:
		j := d.make(Protected, Held, Task{})
		d.held = append(d.held, j)
		d.emit(Effect{Type: Hold, Job: j.Ref})
	}
}

func (d *dumb) converted(j *dumbJob, e Event) {
	switch {
	case j.settled:
	case e.Result == Failed:
		d.settle(j, Reject, Failure)
	case e.Result == Requeue:
		d.settle(j, Return, Asked)
	case d.remembers(e.Task.ID):
		d.settle(j, Ack, Cancelled)
	default:
		j.Phase = Waiting
		j.ID, j.Priority, j.expandable = e.Task.ID, e.Task.Priority, e.Task.Expandable
		d.fifo = append(d.fifo, j)
		d.learn()
		return
	}
	d.release(j)
}

func (d *dumb) optional(e Event) {
	id := e.Task.ID
	running := slices.ContainsFunc(d.jobs, func(j *dumbJob) bool {
		return j.optional && j.bears(id) && (j.Phase == Running || j.Phase == Pending)
	})
	var why Why
	switch {
	case d.closed:
		why = ShutDown
	case d.remembers(id):
		why = Cancelled
	case running:
		why = Duplicate
	case d.cfg.MaxBacklog <= 0 || e.Size > d.cfg.MaxBacklogBytes:
		why = Full
	}
	if why != None {
		d.emit(Effect{Type: Drop, Offer: -1, Why: why})
		return
	}
	n := d.make(External, Backlog, e.Task)
	n.optional, n.size = true, max(e.Size, 0)
	d.emit(Effect{Type: Keep, Job: n.Ref})
	for _, j := range slices.Clone(d.jobs) {
		if j == n || !j.optional || !j.bears(id) {
			continue
		}
		switch j.Phase {
		case Backlog, Making:
			d.drop(j, Replaced)
		case Stopping, Stuck:
			j.replaced = true
		}
	}
	d.boundBacklog()
}

// boundBacklog drops the least valuable jobs until the backlog is in bounds.
func (d *dumb) boundBacklog() {
	for {
		var least *dumbJob
		n, bytes := 0, 0
		for _, j := range d.jobs {
			if j.Phase != Backlog && j.Phase != Making {
				continue
			}
			n++
			bytes += j.size
			if least == nil || j.Priority <= least.Priority {
				least = j // jobs are in order of arrival
			}
		}
		if n <= d.cfg.MaxBacklog && bytes <= d.cfg.MaxBacklogBytes {
			return
		}
		d.drop(least, Full)
	}
}

func (d *dumb) backToBacklog(j *dumbJob) {
	j.Phase = Backlog
	d.pending = without(d.pending, j)
	d.boundBacklog()
}

// learn is told of each request that has joined the FIFO.
func (d *dumb) learn() {
	if d.empty() == 0 {
		d.ninths += 9
	} else {
		d.ninths--
	}
	if d.empty()-1 <= 0 {
		d.lastUse = d.now
	}
	d.ninths = max(0, min(d.ninths, 9*(d.cfg.MaxHeadroom-d.cfg.Headroom)))
}

// forget halves what requests needed when they have not needed it for long.
func (d *dumb) forget() {
	for d.cfg.HeadroomMemory > 0 && d.ninths > 0 && d.now >= d.lastUse+d.cfg.HeadroomMemory {
		d.ninths /= 2
		d.lastUse += d.cfg.HeadroomMemory
	}
}

// Headroom leaves the dumb table as it is.
func (d *dumb) Headroom(now time.Duration) int {
	later := dumb{cfg: d.cfg, now: now, ninths: d.ninths, lastUse: d.lastUse}
	later.forget()
	return later.headroom()
}

// headroom counts ninths to the nearest slot.
func (d *dumb) headroom() int {
	return d.cfg.Headroom + int(math.Round(float64(d.ninths)/9))
}

func (d *dumb) finish(j *dumbJob, r Result) {
	d.vacated = j.Phase == Stopping
	d.endJobs(j)
	for _, o := range d.jobs {
		if o != j && o.Owner == j.Ref {
			o.Owner = 0
		}
	}
	j.Slot = -1
	if j.Status == Protected {
		d.leave()
		d.settle(j.verdict(r))
		d.release(j)
		return
	}
	if j.optional && j.why == Preempted && !j.cancelled && !j.replaced && r != Done && !d.closed {
		j.Phase, j.why, j.ask, j.declined, j.expandable = Making, None, nil, false, false
		d.emit(Effect{Type: Make, Job: j.Ref})
		d.boundBacklog()
		return
	}
	d.release(j)
}

// leave is what a protected job does to the refill when its slot is empty.
func (d *dumb) leave() {
	if d.cfg.RefillDelay <= 0 {
		return
	}
	if d.near || d.quiet > 0 {
		d.quiet++
		d.emit(Effect{Type: ArmRefill, At: d.now + d.cfg.RefillDelay})
	}
	d.near, d.left, d.leftAt = false, true, d.now
}

func (d *dumb) lose(j *dumbJob) {
	if j.Status != Protected {
		return
	}
	switch j.Phase {
	case Converting:
		d.settle(j, Forget, LostDelivery)
	case Held, Waiting:
		d.settle(j, Forget, LostDelivery)
		d.release(j)
	case Running:
		j.lost = true
		d.stop(j, LostDelivery)
	case Stopping, Stuck:
		j.lost = true
	}
}

func (d *dumb) cancel(id string) {
	if id == "" {
		return
	}
	if d.cfg.CancelMemory > 0 {
		d.memory = slices.DeleteFunc(d.memory, func(m dumbMemory) bool { return m.id == id })
		d.memory = append(d.memory, dumbMemory{id, d.now})
		if len(d.memory) > d.cfg.MaxCancelled {
			d.memory = d.memory[1:]
		}
	}
	for _, j := range slices.Clone(d.jobs) {
		if !j.bears(id) {
			continue
		}
		switch j.Phase {
		case Waiting:
			d.settle(j, Ack, Cancelled)
			d.release(j)
		case Running:
			j.cancelled = true
			d.stop(j, Cancelled)
		case Stopping, Stuck:
			j.cancelled = true
		case Backlog, Making, Pending:
			d.drop(j, Cancelled)
		}
	}
}

func (d *dumb) remembers(id string) bool {
	return slices.ContainsFunc(d.memory, func(m dumbMemory) bool {
		return m.id == id && d.now < m.at+d.cfg.CancelMemory
	})
}

func (d *dumb) drain() {
	d.draining = true
	for _, j := range slices.Clone(d.held) {
		d.settle(j, Return, Draining)
		d.release(j)
	}
	for _, j := range slices.Clone(d.pending) {
		if j.optional {
			d.backToBacklog(j)
		}
	}
}

func (d *dumb) shutdown() {
	d.closed = true
	for _, j := range slices.Concat(d.held, d.fifo) {
		d.settle(j, Return, ShutDown)
		d.release(j)
	}
	for _, j := range d.jobs {
		if j.Phase == Converting {
			d.settle(j, Return, ShutDown)
		}
	}
	for _, j := range slices.Clone(d.pending) {
		d.drop(j, ShutDown)
	}
	for _, j := range slices.Clone(d.jobs) {
		if j.Phase == Backlog || j.Phase == Making {
			d.drop(j, ShutDown)
		}
	}
	d.stopAll(func(j *dumbJob) bool { return j.Status != Protected })
}

// stopAll stops the Running jobs of a sort, in order of their slots.
func (d *dumb) stopAll(sort func(*dumbJob) bool) {
	for i := range d.cfg.Slots {
		if j := d.inSlot(i); j != nil && j.Phase == Running && sort(j) {
			d.stop(j, ShutDown)
		}
	}
}

func (d *dumb) Promise(n int) int {
	n = max(0, min(n, d.Capacity()))
	d.promised += n
	return n
}

func (d *dumb) Unpromise(n int) { d.promised = max(0, d.promised-max(n, 0)) }

func (d *dumb) Capacity() int {
	if d.draining || d.closed {
		return 0
	}
	return max(0, d.room()-d.promised)
}

func (d *dumb) Bearers(id string, refs []Ref) []Ref {
	for _, j := range d.jobs {
		if j.bears(id) && (j.Phase == Running || j.Phase == Waiting) {
			refs = append(refs, j.Ref)
		}
	}
	return refs
}

func (d *dumb) Slot(i int) Job {
	if j := d.inSlot(i); j != nil {
		return d.view(j)
	}
	return Job{Slot: i}
}

func (d *dumb) Job(r Ref) Job {
	if j := d.find(r); j != nil {
		return d.view(j)
	}
	return Job{Slot: -1}
}

func (d *dumb) Counts() Counts {
	in := func(s Status) int {
		return d.count(func(j *dumbJob) bool { return j.inSlot() && j.Status == s })
	}
	return Counts{
		Empty: d.empty(), Protected: in(Protected), Internal: in(Internal), External: in(External),
		Stopping: d.phase(Stopping), Stuck: d.phase(Stuck), Converting: d.phase(Converting),
		Waiting: len(d.fifo), Held: len(d.held), Pending: len(d.pending),
		Backlog: d.phase(Backlog) + d.phase(Making), Promised: d.promised,
	}
}
