package slots

import "slices"

// drain ends intake. What is set aside stays set aside.
func (t *Table) drain() {
	t.draining = true
	for held := &t.queues[Held]; held.head != none; {
		t.turnAway(held.head, Return, Draining)
	}
	for i := t.queues[Pending].head; i != none; {
		next := t.next(byPhase, i)
		if t.jobs[i].root {
			t.putBack(i)
		}
		i = next
	}
}

func (t *Table) shutdown() {
	if t.down {
		return
	}
	t.down = true
	for _, p := range []Phase{Held, Waiting} {
		for q := &t.queues[p]; q.head != none; {
			t.turnAway(q.head, Return, ShutDown)
		}
	}
	for q := &t.queues[Converting]; q.head != none; {
		t.answer(q.head, Return, ShutDown)
	}
	for q := &t.queues[Pending]; q.head != none; {
		t.drop(q.head, ShutDown)
	}
	t.refs = t.refs[:0]
	for _, i := range t.poorest.items {
		t.refs = append(t.refs, t.jobs[i].ref)
	}
	slices.SortFunc(t.refs, t.byMaking)
	for _, r := range t.refs {
		t.drop(int32(r.Index()), ShutDown)
	}
	t.stopSlots(false)
}

func (t *Table) shutdownNow() {
	t.shutdown()
	t.stopSlots(true)
}

// stopSlots stops the Running jobs that are protected, or those that are not.
func (t *Table) stopSlots(protected bool) {
	for _, i := range t.slots {
		if i == none || t.jobs[i].phase != Running || (t.jobs[i].status == Protected) != protected {
			continue
		}
		t.stop(i, ShutDown)
	}
}
