package slots

import (
	"math"
	"math/big"
	"slices"
	"time"
)

// expand is the dumb table's expansion: fill, then moves. After a move that
// needed no asking it begins again, since the job that was stopped may have
// held slots back.
func (d *dumb) expand() {
	d.fill()
	if d.spare() <= 0 && d.empty() >= d.expected() && !d.moveIsOut() && d.move() {
		d.orderPending()
		d.expand()
	}
}

func (d *dumb) fill() {
	var asked []*dumbJob // in the order in which they got their first slot
	give := func(o *dumbJob) {
		for _, j := range asked {
			if d.owner(j) == o {
				j.ask.n++
				return
			}
		}
		j := d.askable(o)
		j.ask = &dumbAsk{n: 1}
		asked = append(asked, j)
	}
	hungry := func(s Status) []*dumbJob {
		return slices.DeleteFunc(d.roots(s), func(o *dumbJob) bool {
			in := slices.ContainsFunc(asked, func(j *dumbJob) bool { return d.owner(j) == o })
			return !in && d.askable(o) == nil
		})
	}
	for d.spare() > 0 {
		if o := d.neediest(hungry(Protected), nil); o != nil {
			give(o)
		} else if o := d.neediest(hungry(External), d.ready()); o == nil {
			break
		} else if o.Phase == Backlog {
			d.start(o, -1)
		} else {
			give(o)
		}
	}
	for _, j := range asked {
		d.emit(Effect{Type: Ask, Job: j.Ref, N: j.ask.n})
	}
}

// move tries the three rules once, and tells whether a backlog job got a slot.
func (d *dumb) move() bool {
	ask := func(o *dumbJob, rule int) {
		j := d.askable(o)
		j.ask = &dumbAsk{n: 1, rule: rule}
		d.emit(Effect{Type: Ask, Job: j.Ref, N: 1})
	}
	r := d.neediest(d.hungry(Protected), nil)
	if r != nil && len(d.oldExternals()) > 0 {
		ask(r, 1)
		return false
	}
	if r != nil && d.richer(r, Protected) != nil {
		ask(r, 2)
		return false
	}
	r = d.neediest(d.hungry(External), d.ready())
	if r == nil {
		return false
	}
	from := d.richer(r, External)
	if from == nil {
		return false
	}
	if r.Phase != Backlog {
		ask(r, 3)
		return false
	}
	d.stop(d.newest(from), Preempted)
	d.useMove()
	r.Phase = Pending
	d.pending = append(d.pending, r)
	return true
}

// richer is the owner of the status from whom r may have a slot by the
// criterion of the moves 2 and 3, while moves are left.
func (d *dumb) richer(r *dumbJob, s Status) *dumbJob {
	if d.used >= d.cfg.RebalanceMoves {
		return nil
	}
	var rich *dumbJob
	for _, o := range d.roots(s) {
		if d.newest(o) != nil && (rich == nil || d.share(o, 0).Cmp(d.share(rich, 0)) > 0) {
			rich = o // roots come in the order in which they were made
		}
	}
	if rich == nil || d.share(rich, 0).Cmp(d.share(r, 1)) <= 0 {
		return nil
	}
	return rich
}

// newest is an owner's most recently started Running unprotected job.
func (d *dumb) newest(o *dumbJob) *dumbJob {
	var newest *dumbJob
	for _, j := range d.unprotectedRunning() {
		if d.owner(j) == o && (newest == nil || j.start > newest.start) {
			newest = j
		}
	}
	return newest
}

// moveVictim is who is stopped for an offer by a job that a move asked.
func (d *dumb) moveVictim(asked *dumbJob, rule int) *dumbJob {
	poorest := d.neediest(d.hungry(Protected), nil)
	if rule == 3 {
		poorest = d.neediest(d.hungry(External), d.ready())
	}
	if d.empty() < d.expected() || poorest != d.owner(asked) {
		return nil
	}
	if rule == 1 {
		return d.victim(d.oldExternals())
	}
	status := Protected
	if rule == 3 {
		status = External
	}
	if rich := d.richer(d.owner(asked), status); rich != nil {
		return d.newest(rich)
	}
	return nil
}

func (d *dumb) offered(j *dumbJob, offers []Task) {
	drop := func(i int, why Why) { d.emit(Effect{Type: Drop, Offer: i, Why: why}) }
	ask := j.ask
	j.ask = nil
	for i, t := range offers {
		switch {
		case d.closed:
			drop(i, ShutDown)
		case j.Phase != Running:
			drop(i, OwnerEnded)
		case ask == nil || i >= ask.n:
			drop(i, Surplus)
		case d.spare() > 0:
			d.start(d.offspring(j, Backlog, t), i)
		case ask.rule == 0 || ask.over:
			drop(i, NoRoom)
		default:
			v := d.moveVictim(j, ask.rule)
			if v == nil {
				drop(i, NoRoom)
				continue
			}
			d.stop(v, Preempted)
			if ask.rule != 1 {
				d.useMove()
			}
			n := d.offspring(j, Pending, t)
			d.pending = append(d.pending, n)
			d.emit(Effect{Type: Place, Job: n.Ref, Offer: i})
		}
	}
	switch {
	case ask == nil || j.Phase != Running:
	case ask.again:
		j.declined = false
	case len(offers) < ask.n:
		d.decline(j)
	}
}

func (d *dumb) offspring(of *dumbJob, p Phase, t Task) *dumbJob {
	s := Internal
	if of.Status == External {
		s = External
	}
	n := d.make(s, p, t)
	n.Owner, n.Priority = of.Owner, of.Priority
	return n
}

func (d *dumb) decline(j *dumbJob) {
	if j.Phase == Running && !d.closed {
		j.declined = true
		d.openPeriod()
	}
}

func (d *dumb) useMove() {
	d.used++
	d.openPeriod()
}

func (d *dumb) moveIsOut() bool {
	return slices.ContainsFunc(d.jobs, func(j *dumbJob) bool {
		return j.ask != nil && !j.ask.over && j.ask.rule != 0
	})
}

// roots are the Running owners of internal (Protected) or external jobs, in
// the order in which they were made.
func (d *dumb) roots(s Status) []*dumbJob {
	return d.all(func(j *dumbJob) bool {
		return j.Phase == Running && j.Status == s && j.Owner == j.Ref
	})
}

func (d *dumb) hungry(s Status) []*dumbJob {
	return slices.DeleteFunc(d.roots(s), func(o *dumbJob) bool { return d.askable(o) == nil })
}

// askable is the job of an owner that may be asked: itself, else the earliest
// started.
func (d *dumb) askable(o *dumbJob) *dumbJob {
	var first *dumbJob
	for _, j := range d.jobs {
		if d.owner(j) != o || j.Phase != Running || !j.expandable || j.ask != nil || j.declined {
			continue
		}
		if j == o {
			return o
		}
		if first == nil || j.start < first.start {
			first = j
		}
	}
	return first
}

// neediest is, of hungry owners and perhaps a backlog job, who gets the next
// slot.
func (d *dumb) neediest(owners []*dumbJob, ready *dumbJob) *dumbJob {
	if ready != nil {
		owners = append(owners, ready)
	}
	var best *dumbJob
	for _, o := range owners { // older roots first, the backlog job last
		if best == nil {
			best = o
			continue
		}
		switch c := d.share(o, 1).Cmp(d.share(best, 1)); {
		case c < 0,
			c == 0 && o.Priority > best.Priority,
			c == 0 && o.Priority == best.Priority && d.claim(o) > d.claim(best):
			best = o
		}
	}
	return best
}

// ready is the first ready job of the backlog, if it may start.
func (d *dumb) ready() *dumbJob {
	var first *dumbJob
	for _, j := range d.jobs { // in order of arrival
		if j.Phase == Backlog && !d.draining && (first == nil || j.Priority > first.Priority) {
			first = j
		}
	}
	return first
}

// share is (claim + more) / weight.
func (d *dumb) share(o *dumbJob, more int) *big.Rat {
	weight := min(max(o.Priority, 1), 1<<30)
	return big.NewRat(int64(d.claim(o)+more), int64(weight))
}

func (d *dumb) claim(o *dumbJob) int {
	if o.Phase == Backlog {
		return 0
	}
	n := d.heldBy(o)
	for _, j := range d.jobs {
		if d.owner(j) != o {
			continue
		}
		if j.Phase == Pending {
			n++
		}
		n += j.heldBack()
	}
	return n
}

// heldBy is held(o) of the package comment.
func (d *dumb) heldBy(o *dumbJob) int {
	return d.count(func(j *dumbJob) bool {
		return j.Status != Protected && d.owner(j) == o && (j.Phase == Running || j.Phase == Stuck)
	})
}

// heldBack is how many slots a fill's ask of the job holds back.
func (j *dumbJob) heldBack() int {
	if j.ask == nil || j.ask.over || j.ask.rule != 0 {
		return 0
	}
	return j.ask.n
}

func (d *dumb) armTimer() {
	if d.cfg.ExpansionPeriod < 0 || d.closed {
		return
	}
	var times []time.Duration
	if d.wantsTimer() {
		d.openPeriod()
		times = append(times, d.end)
	}
	if d.spare() <= 0 && len(d.hungry(Protected))+len(d.hungry(External)) > 0 || d.spare() <= 0 && d.ready() != nil {
		times = append(times, d.lapses()...)
	}
	if len(times) == 0 {
		return
	}
	if at := slices.Min(times); len(d.timer) == 0 || at < d.timer[0] {
		d.timer = []time.Duration{at}
		d.emit(Effect{Type: ArmExpansion, At: at})
	}
}

// lapses are the times at which headroom is forgotten and a slot is spare then.
func (d *dumb) lapses() []time.Duration {
	was, last := d.ninths, d.lastUse
	defer func() { d.ninths, d.lastUse = was, last }()
	var times []time.Duration
	for d.cfg.HeadroomMemory > 0 && d.ninths > 0 {
		d.ninths /= 2
		d.lastUse += d.cfg.HeadroomMemory
		if d.spare() > 0 {
			times = append(times, d.lastUse)
		}
	}
	return times
}

func (d *dumb) wantsTimer() bool {
	declined := slices.ContainsFunc(d.jobs, func(j *dumbJob) bool { return j.Phase == Running && j.declined })
	if d.spare() > 0 {
		return declined
	}
	if len(d.unprotectedRunning()) == 0 {
		return false
	}
	young := slices.ContainsFunc(d.jobs, func(j *dumbJob) bool {
		return j.Status == External && j.Phase == Running && d.now-j.began < d.cfg.ExpansionPeriod
	})
	internal, external := d.hungry(Protected), d.hungry(External)
	usedUp := d.used > 0 && d.used >= d.cfg.RebalanceMoves
	somebody := len(internal)+len(external) > 0 || d.ready() != nil
	return declined || usedUp && somebody || len(internal) > 0 && young
}

func (d *dumb) openPeriod() {
	if d.open {
		return
	}
	d.open, d.end = true, d.now+d.cfg.ExpansionPeriod
	if d.cfg.ExpansionPeriod < 0 {
		d.end = math.MaxInt64
	}
}

func (d *dumb) closePeriod() {
	d.open, d.used = false, 0
	for _, j := range d.jobs {
		j.declined = false
	}
}
