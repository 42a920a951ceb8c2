package slots

import (
	"fmt"
	"slices"
)

// witness watches a table from outside: it knows the events, the effects and
// what the table shows, and keeps its own account of every job that is not
// released. It holds whatever the rules promise after each step.
type witness struct {
	cfg    Config
	jobs   []watched
	closed bool
	swap   bool // the slot of a task that stopped has fallen empty in this step
}

// watched is a job as its effects tell.
type watched struct {
	ref      Ref
	request  bool
	settled  bool
	asked    bool
	where    Phase // Converting, Held, Waiting or Running (in a slot); else Backlog
	slot     int
	stopped  Why
	reported bool
}

func newWitness(cfg Config) witness { return witness{cfg: cfg} }

func (c *witness) find(r Ref) *watched {
	for i := range c.jobs {
		if c.jobs[i].ref == r {
			return &c.jobs[i]
		}
	}
	return nil
}

func (c *witness) count(is func(*watched) bool) int {
	n := 0
	for i := range c.jobs {
		if is(&c.jobs[i]) {
			n++
		}
	}
	return n
}

func (c *witness) in(p Phase) int {
	return c.count(func(w *watched) bool { return w.where == p })
}

// step takes the account of a step, and returns what does not hold.
func (c *witness) step(t machine, e Event, effects []Effect) error {
	c.before(t, e, effects)
	for i, f := range effects {
		if err := c.effect(e, f); err != nil {
			return fmt.Errorf("effect %d %+v: %w", i, f, err)
		}
	}
	return c.after(t, e)
}

// before is what the event does to the account.
func (c *witness) before(t machine, e Event, effects []Effect) {
	w := c.find(e.Job)
	c.swap = e.Type == Finish && w != nil && w.where == Running && w.stopped != None && !w.reported
	switch {
	case e.Type == Shutdown || e.Type == ShutdownNow:
		c.closed = true
	case w == nil:
	case e.Type == Offered:
		w.asked = false
	case e.Type == Converted && w.where == Converting && !w.settled && e.Result == Done:
		w.where = Waiting
	case e.Type == Finish && w.where == Running:
		// It goes at once, or back to the backlog.
		w.where, w.slot, w.asked, w.stopped, w.reported = Backlog, -1, false, None, false
	}
}

func (c *witness) effect(e Event, f Effect) error {
	w := c.find(f.Job)
	switch {
	case f.Job == 0:
		if f.Type != Refuse && f.Type != Drop && f.Type != ArmExpansion && f.Type != ArmRefill {
			return fmt.Errorf("names no job")
		}
		return nil
	case w == nil:
		n := watched{ref: f.Job, slot: -1, where: Backlog, request: f.Type == Convert || f.Type == Hold}
		fits := e.Type == Arrive && n.request || e.Type == Optional && f.Type == Keep ||
			e.Type == Offered && (f.Type == Start || f.Type == Place)
		if !fits {
			return fmt.Errorf("a job that is released, or never was")
		}
		c.jobs = append(c.jobs, n)
		w = &c.jobs[len(c.jobs)-1]
	}
	switch f.Type {
	case Convert:
		w.where = Converting
	case Hold:
		w.where = Held
	case Start:
		return c.start(w, f.Slot)
	case Stop:
		if w.where != Running || w.stopped != None {
			return fmt.Errorf("stopped though not running")
		}
		w.stopped = f.Why
		allowed := f.Why == Cancelled && e.Type == Cancel || f.Why == Timeout && e.Type == TimedOut ||
			f.Why == LostDelivery && e.Type == Lost || f.Why == ShutDown && e.Type == ShutdownNow
		if w.request && !allowed {
			return fmt.Errorf("a protected task is stopped")
		}
		if !w.request && c.closed && f.Why == Preempted {
			return fmt.Errorf("preempted after shutdown")
		}
	case Settle:
		if !w.request || w.settled {
			return fmt.Errorf("settled twice, or no request")
		}
		w.settled = true
		if e.Type == Lost && f.Verdict != Forget {
			return fmt.Errorf("settled though the delivery is lost")
		}
	case Report:
		if w.stopped == None || w.reported {
			return fmt.Errorf("reported though not stopped, or twice")
		}
		w.reported = true
	case Ask:
		if w.where != Running || w.stopped != None || w.asked || c.closed || f.N <= 0 {
			return fmt.Errorf("asked though it may not be")
		}
		w.asked = true
	case Drop:
		if w.request || w.where == Running {
			return fmt.Errorf("dropped though a request, or in a slot")
		}
	case Release:
		if w.where == Running || w.request && !w.settled {
			return fmt.Errorf("released though in a slot, or not settled")
		}
		c.jobs = slices.DeleteFunc(c.jobs, func(o watched) bool { return o.ref == f.Job })
	}
	return nil
}

func (c *witness) start(w *watched, slot int) error {
	if w.where == Running || w.settled {
		return fmt.Errorf("started though in a slot, or settled")
	}
	for i := range slot + 1 {
		taken := slices.ContainsFunc(c.jobs, func(o watched) bool { return o.slot == i })
		if taken != (i < slot) {
			return fmt.Errorf("not the first empty slot")
		}
	}
	if slot < 0 || slot >= c.cfg.Slots {
		return fmt.Errorf("no such slot")
	}
	w.where, w.slot = Running, slot
	if w.request {
		return nil
	}
	reserve := c.count(func(o *watched) bool { return o.where == Converting && !o.settled })
	if !c.swap { // else one may start in the slot that has been stopped for it
		reserve = max(reserve, c.cfg.Headroom)
	}
	c.swap = false
	switch {
	case c.closed:
		return fmt.Errorf("an unprotected start after shutdown")
	case c.in(Waiting) > 0:
		return fmt.Errorf("an unprotected start ahead of a waiting request")
	case c.cfg.Slots-c.in(Running) < reserve:
		return fmt.Errorf("an unprotected start into the headroom, or a conversion's slot")
	}
	return nil
}

// after is what holds between steps.
func (c *witness) after(t machine, e Event) error {
	var seen Counts
	roomless := 0
	for i := range c.cfg.Slots {
		j := t.Slot(i)
		switch j.Status {
		case Empty:
			seen.Empty++
			continue
		case Protected:
			seen.Protected++
		case Internal:
			seen.Internal++
		case External:
			seen.External++
		}
		w := c.find(j.Ref)
		if w == nil || w.slot != i || w.request != (j.Status == Protected) {
			return fmt.Errorf("slot %d shows %+v; its effects tell %+v", i, j, w)
		}
		if (j.Phase == Running) != (w.stopped == None) || (j.Phase == Stuck) != w.reported {
			return fmt.Errorf("slot %d is %s; its effects tell %+v", i, phaseWords[j.Phase], w)
		}
		switch j.Phase {
		case Stopping:
			seen.Stopping++
		case Stuck:
			seen.Stuck++
		}
		if j.Status == Protected || j.Phase == Stuck {
			roomless++
		}
	}
	got := t.Counts()
	seen.Converting, seen.Held, seen.Waiting = c.in(Converting), c.in(Held), c.in(Waiting)
	seen.Promised, seen.Backlog = got.Promised, got.Backlog
	seen.Pending = c.in(Backlog) - got.Backlog // a Pending job had no effect that tells
	if got != seen {
		return fmt.Errorf("counts are %+v, but the jobs tell %+v", got, seen)
	}
	capacity := max(0, c.cfg.Slots-roomless-got.Waiting-got.Converting-got.Held-got.Promised)
	switch shown := t.Capacity(); {
	case c.closed && shown != 0:
		return fmt.Errorf("capacity %d after shutdown", shown)
	case shown != 0 && shown != capacity:
		return fmt.Errorf("capacity %d, should be %d", shown, capacity)
	}
	switch {
	case got.Waiting > got.Stopping:
		return fmt.Errorf("%d wait for %d stopping slots", got.Waiting, got.Stopping)
	case got.Waiting > 0 && got.Empty > 0:
		return fmt.Errorf("a request waits beside an empty slot")
	case got.Pending > got.Stopping-got.Waiting:
		return fmt.Errorf("%d pending for %d slots", got.Pending, got.Stopping-got.Waiting)
	case got.Backlog > max(0, c.cfg.MaxBacklog):
		return fmt.Errorf("%d in a backlog of %d", got.Backlog, c.cfg.MaxBacklog)
	case got.Held > c.cfg.Slots:
		return fmt.Errorf("%d held for %d slots", got.Held, c.cfg.Slots)
	case c.closed && got.Held+got.Waiting+got.Pending+got.Backlog > 0:
		return fmt.Errorf("after shutdown: %+v", got)
	}
	return nil
}
