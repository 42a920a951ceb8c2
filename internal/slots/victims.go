package slots

// lesser reports whether a slot is taken from owner a before owner b. Both
// have a Running unprotected job; it is the last to have started that goes.
func lesser(t *Table, a, b int32) bool {
	if c, d := t.class(a), t.class(b); c != d {
		return c == external
	}
	if p, q := t.jobs[a].priority, t.jobs[b].priority; p != q {
		return p < q
	}
	x, y := &t.owners[a], &t.owners[b]
	if x.held != y.held {
		return x.held > y.held
	}
	return t.jobs[x.running.tail].run > t.jobs[y.running.tail].run
}

// victim returns the least valuable unprotected Running job, or none.
func (t *Table) victim() int32 {
	o := t.victims.top()
	if o == none {
		return none
	}
	return t.owners[o].running.tail
}

// old reports whether job i has had its first ExpansionPeriod.
func (t *Table) old(i int32) bool { return t.now-t.jobs[i].began >= t.cfg.ExpansionPeriod }

// oldVictim returns the least valuable of the external Running jobs that are
// old enough to give way to an internal one, or none. It looks at all of them
// only when the least valuable of all is too young.
func (t *Table) oldVictim() int32 {
	v := t.victim()
	if v == none || t.jobs[v].status != External {
		return none
	}
	if t.old(v) {
		return v
	}
	best := none
	for i := t.queues[Running].head; i != none && t.old(i); i = t.next(byPhase, i) {
		if best == none || t.lessValuable(i, best) {
			best = i
		}
	}
	return best
}

// lessValuable compares external Running jobs one by one.
func (t *Table) lessValuable(a, b int32) bool {
	if p, q := t.jobs[a].priority, t.jobs[b].priority; p != q {
		return p < q
	}
	if h, k := t.owners[t.ownerOf(a)].held, t.owners[t.ownerOf(b)].held; h != k {
		return h > k
	}
	return t.jobs[a].run > t.jobs[b].run
}

// stop tells job i, which is Running, to stop, and nobody else.
func (t *Table) stop(i int32, why Why) {
	t.jobs[i].why = why
	t.emit(Stop, t.jobs[i].ref, why)
	t.setPhase(i, Stopping)
}

// stopAll stops job i and, when it is an owner, its jobs with it.
func (t *Table) stopAll(i int32, why Why) {
	t.stop(i, why)
	if t.jobs[i].root {
		t.endOwner(i)
	}
}

// hasJobs reports whether job i, which is Running, is an owner with jobs to stop
// or drop.
func (t *Table) hasJobs(i int32) bool {
	if !t.jobs[i].root {
		return false
	}
	w := &t.owners[i]
	first := w.running.head
	if first == i {
		first = t.next(byOwner, i)
	}
	return first != none || w.placed.head != none
}

// endOwner stops or drops the jobs of o, which is not Running any more.
func (t *Table) endOwner(o int32) {
	for i := t.owners[o].running.head; i != none; {
		next := t.next(byOwner, i)
		t.stop(i, OwnerEnded)
		i = next
	}
	for i := t.owners[o].placed.head; i != none; {
		next := t.next(byOwner, i)
		t.drop(i, OwnerEnded)
		i = next
	}
	t.owners[o] = owner{}
}

// drop ends job i, which is in no slot.
func (t *Table) drop(i int32, why Why) {
	t.emit(Drop, t.jobs[i].ref, why)
	t.release(i)
}
