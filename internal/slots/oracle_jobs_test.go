package slots

import "slices"

// What the dumb table does to its jobs, and how it counts them.

func (d *dumb) emit(e Effect) {
	if e.Type != Start && e.Type != Place && e.Type != Drop {
		e.Offer = -1
	}
	d.out = append(d.out, e)
}

// make makes a root; offspring gives it another owner.
func (d *dumb) make(s Status, p Phase, t Task) *dumbJob {
	d.made++
	ref := Ref(d.made)
	j := &dumbJob{
		Job: Job{
			Ref: ref, Status: s, Phase: p, Slot: -1, Owner: ref, ID: t.ID, Priority: t.Priority,
		},
		expandable: t.Expandable, made: d.made,
	}
	d.jobs = append(d.jobs, j)
	return j
}

func (d *dumb) start(j *dumbJob, offer int) {
	for j.Slot = 0; d.count(func(o *dumbJob) bool { return o.Slot == j.Slot }) > 1; {
		j.Slot++ // until it shares its slot with nobody
	}
	d.starts++
	d.fifo, d.pending = without(d.fifo, j), without(d.pending, j)
	j.Phase, j.start, j.began = Running, d.starts, d.now
	if j.Status == Protected {
		d.quiet--
	}
	d.quiet = min(max(d.quiet, 0), d.empty())
	d.emit(Effect{Type: Start, Job: j.Ref, Slot: j.Slot, Offer: offer})
}

// stop stops a Running job and, but for an unprotected one at shutdown, its
// jobs with it.
func (d *dumb) stop(j *dumbJob, why Why) {
	j.Phase, j.why = Stopping, why
	if j.ask != nil {
		j.ask.over = true
	}
	d.emit(Effect{Type: Stop, Job: j.Ref, Why: why})
	if j.Status == Protected || why != ShutDown {
		d.endJobs(j)
	}
}

// endJobs stops an owner's Running jobs and drops its Pending ones.
func (d *dumb) endJobs(o *dumbJob) {
	jobs := d.all(func(j *dumbJob) bool { return j != o && j.Owner == o.Ref && j.Phase == Running })
	slices.SortFunc(jobs, func(a, b *dumbJob) int { return a.start - b.start })
	for _, j := range jobs {
		d.stop(j, OwnerEnded)
	}
	for _, j := range slices.Clone(d.pending) {
		if j != o && j.Owner == o.Ref {
			d.drop(j, OwnerEnded)
		}
	}
}

func (d *dumb) settle(j *dumbJob, v Verdict, why Why) {
	if j.settled {
		return
	}
	j.settled = true
	d.emit(Effect{Type: Settle, Job: j.Ref, Verdict: v, Why: why})
}

func (d *dumb) drop(j *dumbJob, why Why) {
	d.emit(Effect{Type: Drop, Job: j.Ref, Offer: -1, Why: why})
	d.release(j)
}

func (d *dumb) release(j *dumbJob) {
	j.Phase, j.Slot = Gone, -1
	d.jobs, d.held = without(d.jobs, j), without(d.held, j)
	d.fifo, d.pending = without(d.fifo, j), without(d.pending, j)
	d.emit(Effect{Type: Release, Job: j.Ref})
}

// verdict is how the message of a protected job in a slot is settled.
func (j *dumbJob) verdict(r Result) (*dumbJob, Verdict, Why) {
	switch {
	case j.lost:
		return j, Forget, LostDelivery
	case r == Done:
		return j, Ack, Completed
	case j.cancelled:
		return j, Ack, Cancelled
	case j.why == Timeout:
		return j, Reject, Timeout
	case j.why == ShutDown:
		return j, Return, ShutDown
	case r == Requeue:
		return j, Return, Asked
	}
	return j, Reject, Failure
}

func (j *dumbJob) bears(id string) bool { return id != "" && j.ID == id }

func (j *dumbJob) inSlot() bool {
	return j.Phase == Running || j.Phase == Stopping || j.Phase == Stuck
}

func (d *dumb) find(r Ref) *dumbJob {
	for _, j := range d.jobs {
		if j.Ref == r {
			return j
		}
	}
	return nil
}

func (d *dumb) inSlot(i int) *dumbJob {
	for _, j := range d.jobs {
		if j.Slot == i {
			return j
		}
	}
	return nil
}

// view is the job as the table shows it: a helper has an owner while that runs.
func (d *dumb) view(j *dumbJob) Job {
	v := j.Job
	if o := d.find(j.Owner); o != j && (o == nil || o.Phase != Running) {
		v.Owner = 0
	}
	return v
}

// owner is the job's owner, unless that has ended or is being stopped.
func (d *dumb) owner(j *dumbJob) *dumbJob {
	o := d.find(j.Owner)
	if o == nil || o.Phase == Stopping || o.Phase == Stuck {
		return nil
	}
	return o
}

func (d *dumb) all(is func(*dumbJob) bool) []*dumbJob {
	return slices.DeleteFunc(slices.Clone(d.jobs), func(j *dumbJob) bool { return !is(j) })
}

func (d *dumb) count(is func(*dumbJob) bool) int { return len(d.all(is)) }

func (d *dumb) phase(p Phase) int {
	return d.count(func(j *dumbJob) bool { return j.Phase == p })
}

func (d *dumb) empty() int { return d.cfg.Slots - d.count((*dumbJob).inSlot) }

// room is the capacity without regard to promises, and perhaps below zero.
func (d *dumb) room() int {
	protected := d.count(func(j *dumbJob) bool {
		return j.Status == Protected && (j.Phase == Running || j.Phase == Stopping)
	})
	return d.cfg.Slots - protected - d.phase(Stuck) - len(d.fifo) - d.phase(Converting) - len(d.held)
}

// expected is how many requests are on their way to a slot.
func (d *dumb) expected() int {
	unsettled := d.count(func(j *dumbJob) bool { return j.Phase == Converting && !j.settled })
	return max(unsettled, d.quiet)
}

func (d *dumb) reserve() int { return max(d.headroom(), d.expected()) }

func (d *dumb) spare() int {
	spare := d.empty() - d.reserve()
	for _, j := range d.jobs {
		spare -= j.heldBack()
	}
	return spare
}

func (d *dumb) unprotectedRunning() []*dumbJob {
	return d.all(func(j *dumbJob) bool { return j.Status != Protected && j.Phase == Running })
}

// oldExternals are the external jobs that an internal one may displace.
func (d *dumb) oldExternals() []*dumbJob {
	return d.all(func(j *dumbJob) bool {
		return j.Status == External && j.Phase == Running && d.now-j.began >= d.cfg.ExpansionPeriod
	})
}

// victim is the least valuable of the jobs, all of them unprotected.
func (d *dumb) victim(jobs []*dumbJob) *dumbJob {
	if len(jobs) == 0 {
		return nil
	}
	return slices.MinFunc(jobs, func(a, b *dumbJob) int {
		switch {
		case a.Status != b.Status:
			return int(b.Status) - int(a.Status) // External is the last
		case a.Priority < b.Priority:
			return -1
		case a.Priority > b.Priority:
			return 1
		case d.heldBy(d.owner(a)) != d.heldBy(d.owner(b)):
			return d.heldBy(d.owner(b)) - d.heldBy(d.owner(a))
		}
		return b.start - a.start
	})
}

func without(jobs []*dumbJob, j *dumbJob) []*dumbJob {
	return slices.DeleteFunc(slices.Clone(jobs), func(o *dumbJob) bool { return o == j })
}
