package slots

// move has a slot change hands and reports whether another may follow at once:
// a backlog job needs no asking, while of the others one is asked at a time.
func (t *Table) move() bool {
	if t.spare() > 0 || t.empty.n < t.expected() || t.moving != none {
		return false
	}
	if r := t.contender(internal); r != none {
		if oldest := t.queues[Running].head; oldest != none && t.old(oldest) {
			t.ask(r, askTake, 1)
			return false
		}
		if t.moves > 0 && t.donor(internal, t.claim(r), t.owners[r].weight) != none {
			t.ask(r, askShare, 1)
			return false
		}
	}
	r := t.contender(external)
	if r == none || t.moves <= 0 {
		return false
	}
	if t.jobs[r].phase != Backlog {
		if t.donor(external, t.claim(r), t.owners[r].weight) != none {
			t.ask(r, askShare, 1)
		}
		return false
	}
	d := t.donor(external, 0, weight(t.jobs[r].priority))
	if d == none {
		return false
	}
	t.stopAll(t.owners[d].running.tail, Preempted)
	t.setPhase(r, Pending)
	t.useMove()
	return true
}

// donor returns the owner of a class that is to give a slot to one of the
// given claim and weight, or none.
func (t *Table) donor(class int, claim, weight int64) int32 {
	d := t.donors[class].top()
	if d == none || !t.above(d, claim, weight) {
		return none
	}
	return d
}

// makeRoom stops a job in favour of r, which offers one for a move, and reports
// whether there still was one to stop, and nobody poorer to ask instead.
func (t *Table) makeRoom(r int32, asked askState) bool {
	if t.empty.n < t.expected() || t.contender(t.class(r)) != r {
		return false
	}
	v := none
	switch asked {
	case askTake:
		v = t.oldVictim()
	case askShare:
		if d := t.donor(t.class(r), t.claim(r), t.owners[r].weight); d != none && t.moves > 0 {
			v = t.owners[d].running.tail
			t.useMove()
		}
	}
	if v == none {
		return false
	}
	t.stopAll(v, Preempted)
	return true
}
