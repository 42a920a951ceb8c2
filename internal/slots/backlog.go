package slots

import "slices"

// readier reports whether backlog job a starts before b.
func readier(t *Table, a, b int32) bool {
	if p, q := t.jobs[a].priority, t.jobs[b].priority; p != q {
		return p > q
	}
	return t.jobs[a].seq < t.jobs[b].seq
}

// poorer reports whether a leaves the backlog before b when it is too large.
func poorer(t *Table, a, b int32) bool { return readier(t, b, a) }

// sortBacklog brings the backlog up to date after a change of phase.
func (t *Table) sortBacklog(i int32, from, to Phase) {
	was := from == Backlog || from == Making
	is := to == Backlog || to == Making
	switch {
	case is && !was:
		t.bytes += t.jobs[i].size
	case was && !is:
		t.bytes -= t.jobs[i].size
	}
	if was || is {
		t.ready.set(t, i, to == Backlog)
		t.poorest.set(t, i, is)
	}
}

// boundBacklog drops the least valuable jobs until the backlog is in bounds.
func (t *Table) boundBacklog() {
	for len(t.poorest.items) > t.cfg.MaxBacklog || t.bytes > t.cfg.MaxBacklogBytes {
		t.drop(t.poorest.top(), Full)
	}
}

func (t *Table) optional(e *Event) {
	size := max(e.Size, 0)
	switch {
	case t.down:
		t.dropOffer(-1, ShutDown)
	case t.remembers(e.Task.ID):
		t.dropOffer(-1, Cancelled)
	case t.works(e.Task.ID):
		t.dropOffer(-1, Duplicate)
	case t.cfg.MaxBacklog <= 0 || size > t.cfg.MaxBacklogBytes:
		t.dropOffer(-1, Full)
	default:
		i := t.newJob(External)
		j := &t.jobs[i]
		j.root, j.size = true, size
		j.priority, j.expandable = e.Task.Priority, e.Task.Expandable
		t.setPhase(i, Backlog)
		t.emit(Keep, j.ref, None)
		t.replace(e.Task.ID)
		t.index(i, e.Task.ID)
		t.boundBacklog()
	}
}

// roots appends the optional requests that bear the ID.
func (t *Table) roots(id string, refs []Ref) []Ref {
	return slices.DeleteFunc(t.bearers(id, false, refs), func(r Ref) bool {
		j := &t.jobs[r.Index()]
		return !j.root || j.status != External
	})
}

// works reports whether an optional request of that ID runs or is about to.
func (t *Table) works(id string) bool {
	t.refs = t.roots(id, t.refs[:0])
	return slices.ContainsFunc(t.refs, func(r Ref) bool {
		p := t.jobs[r.Index()].phase
		return p == Running || p == Pending
	})
}

// replace makes way for a newer optional request of that ID.
func (t *Table) replace(id string) {
	t.refs = t.roots(id, t.refs[:0])
	for _, r := range t.refs {
		i := int32(r.Index())
		switch t.jobs[i].phase {
		case Backlog, Making:
			t.drop(i, Replaced)
		case Stopping, Stuck:
			t.jobs[i].unwanted = true
		}
	}
}

func (t *Table) remade(i int32, e *Event) {
	switch {
	case t.jobs[i].phase != Making:
	case e.Result == Done:
		t.jobs[i].expandable = e.Task.Expandable
		t.setPhase(i, Backlog)
	default:
		t.drop(i, Failure)
	}
}

// nextReady returns the backlog job that starts next, or none.
func (t *Table) nextReady() int32 {
	if t.draining {
		return none
	}
	return t.ready.top()
}

// servePending starts what there is room for, and gives up what no stopping
// slot is left for.
func (t *Table) servePending() {
	pending := &t.queues[Pending]
	for pending.head != none && (t.spare() > 0 || t.swaps()) {
		t.start(pending.head, -1)
	}
	for t.inPhase(Pending) > t.inPhase(Stopping)-t.inPhase(Waiting) {
		if i := pending.tail; t.jobs[i].root {
			t.putBack(i)
		} else {
			t.drop(i, NoRoom)
		}
	}
}

// swaps reports whether the slot that has just fallen empty was stopped for a
// Pending job. That job gets it even while the headroom is not whole: a move
// neither uses headroom nor restores it.
func (t *Table) swaps() bool {
	return t.vacated && t.empty.n > t.expected() && t.inPhase(Pending) > t.inPhase(Stopping)
}

// putBack returns a Pending job to the backlog.
func (t *Table) putBack(i int32) {
	t.setPhase(i, Backlog)
	t.boundBacklog()
}
