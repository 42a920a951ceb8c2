package slots

// start begins job i in the lowest empty slot; offer is its index if it is an
// offer that starts at once, else -1.
func (t *Table) start(i int32, offer int) {
	slot := t.empty.first()
	t.empty.remove(slot)
	t.slots[slot] = i
	t.starts++
	j := &t.jobs[i]
	j.slot, j.run, j.began = int32(slot), t.starts, t.now
	t.setPhase(i, Running)
	if j.status == Protected && t.quiet > 0 {
		t.quiet--
	}
	t.quiet = min(t.quiet, t.empty.n)
	e := t.emit(Start, j.ref, None)
	e.Slot, e.Offer = slot, offer
}

// vacate empties the slot of job i.
func (t *Table) vacate(i int32) {
	j := &t.jobs[i]
	t.slots[j.slot] = none
	t.empty.add(int(j.slot))
	j.slot = -1
	if j.status == Protected {
		t.noteLeave()
	}
}

func (t *Table) finish(i int32, r Result) {
	j := &t.jobs[i]
	switch j.phase {
	case Running:
		if t.hasJobs(i) {
			t.setPhase(i, Stopping)
			t.endOwner(i)
		}
	case Stopping:
		t.vacated = true
	case Stuck:
	default:
		return
	}
	t.vacate(i)
	if j.status == Protected && !j.settled {
		v, why := t.verdict(i, r)
		t.settle(i, v, why)
	}
	if j.root && j.status == External && j.why == Preempted && r != Done &&
		!j.cancelled && !j.unwanted && !t.down {
		j.why = None
		t.setPhase(i, Making)
		t.emit(Make, j.ref, None)
		t.boundBacklog()
		return
	}
	t.release(i)
}

// stuck declares that job i does not stop.
func (t *Table) stuck(i int32) {
	j := &t.jobs[i]
	if j.phase != Stopping {
		return
	}
	t.setPhase(i, Stuck)
	t.emit(Report, j.ref, None)
	if j.status == Protected && !j.settled {
		v, why := t.verdict(i, Failed)
		t.settle(i, v, why)
	}
}
