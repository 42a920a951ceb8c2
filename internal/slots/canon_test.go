package slots

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// canon appends the canonical form of a table's state: what can make a
// difference to anything that the table does from now on, and nothing else.
// Names, Refs and the places in the arena do not show, nor which slot a job is
// in, nor any time but for whether it has come: a period is over, an external
// job is old, an arrival would be near, a cancelled ID is remembered.
//
// Some of what the table keeps matters no longer and is left out: how a task
// was stopped once its message is settled, who declined in a period that is
// over, whatever concerns expansion after shutdown.
func (t *Table) canon(b []byte) []byte {
	flag := func(is bool) byte {
		if is {
			return 1
		}
		return 0
	}
	open := t.open && t.now < t.end && !t.down
	b = append(b, flag(t.down), flag(t.draining && !t.down))
	if open {
		b = append(b, 1, byte(t.moves))
	} else {
		b = append(b, 0)
	}
	near := t.left && t.now-t.lastLeft <= t.cfg.RefillDelay
	b = append(b, t.canonTimer(), flag(t.near), flag(near && !t.near), byte(t.quiet))
	if !t.down {
		b = append(b, byte(t.extra), flag(t.extra > 0 && t.now >= t.fade))
	}
	t.cancelled.forget(t.now)
	b = append(b, flag(len(t.cancelled.at) > 0 && !t.down))

	var order [24]int32
	jobs := order[:0]
	for i := range t.jobs {
		if t.jobs[i].phase != Gone {
			jobs = append(jobs, int32(i))
		}
	}
	slices.SortFunc(jobs, func(a, b int32) int { return t.canonOrder(&t.jobs[a], &t.jobs[b]) })
	for _, i := range jobs {
		b = t.canonJob(b, i, jobs, open)
	}
	return b
}

// canonTimer says whether the expansion timer is armed, and whether for a time
// after that of a period that would open now.
func (t *Table) canonTimer() byte {
	switch {
	case t.down || t.due == never:
		return 0
	case t.due <= t.now+t.cfg.ExpansionPeriod:
		return 1
	}
	return 2
}

// group is where a job stands in the canonical order; in all but the group of
// those that stop the order is part of the state.
func (j *job) group() int {
	switch {
	case j.phase == Running && j.status == Protected:
		return 0 // by seq
	case j.phase == Running:
		return 1 // by start
	case j.phase == Stopping || j.phase == Stuck:
		return 2
	}
	return 3 + int(j.phase)
}

func (t *Table) canonOrder(a, b *job) int {
	if g := a.group() - b.group(); g != 0 {
		return g
	}
	switch a.group() {
	case 1:
		return cmp.Compare(a.run, b.run)
	case 2:
		return cmp.Or(
			cmp.Compare(t.afterStop(a), t.afterStop(b)),
			cmp.Compare(a.seq, b.seq),
		)
	case 3 + int(Waiting), 3 + int(Pending), 3 + int(Held):
		return cmp.Compare(t.place(a), t.place(b))
	}
	return cmp.Compare(a.seq, b.seq)
}

// place is where a job stands in the queue of its phase.
func (t *Table) place(j *job) int {
	n := 0
	for i := t.queues[j.phase].head; i != none && t.jobs[i].ref != j.ref; i = t.next(byPhase, i) {
		n++
	}
	return n
}

// afterStop is a number that says all that is still to come of a job that
// stops, but for whose it is.
func (t *Table) afterStop(j *job) int {
	i := int32(j.ref.Index())
	n := int(j.status)
	if j.phase == Stuck {
		n |= 1 << 2
	}
	if t.ownerOf(i) != none && !j.root {
		n |= 1 << 3
		// The place of its owner among the owners that run.
		for o := range t.jobs {
			if q := &t.jobs[o]; q.phase == Running && q.root && q.seq < t.jobs[j.owner].seq {
				n += 1 << 16
			}
		}
	}
	switch {
	case j.status == Protected && !j.settled:
		for r := Done; r <= Requeue; r++ {
			v, why := t.verdict(i, r)
			n = n<<8 | int(v)<<5 | int(why)
		}
		if j.id != "" && !j.cancelled && !j.lost {
			n |= 1 << 40
		}
	case t.returns(j):
		n |= 1<<4 | (j.priority&7)<<5
		if j.id != "" {
			n |= 1 << 8
		}
		n |= t.rankOf(j) << 9
	}
	return n
}

// returns reports whether a job that stops goes back to the backlog, unless it
// is done or something else happens to it.
func (t *Table) returns(j *job) bool {
	return j.root && j.status == External && j.why == Preempted && !j.cancelled && !j.unwanted && !t.down
}

// rankOf is the job's place, by seq, among those of its status that will or may
// be compared by it: requests that are not done and what may be in the backlog.
func (t *Table) rankOf(j *job) int {
	n := 0
	for i := range t.jobs {
		o := &t.jobs[i]
		if o.phase == Gone || !o.root || o.status != j.status || o.seq >= j.seq {
			continue
		}
		if o.phase != Stopping && o.phase != Stuck || t.returns(o) {
			n++
		}
	}
	return n
}

func (t *Table) canonJob(b []byte, i int32, jobs []int32, open bool) []byte {
	j := &t.jobs[i]
	if j.phase == Stopping || j.phase == Stuck {
		return binary.AppendUvarint(append(b, byte(j.phase)), uint64(t.afterStop(j)))
	}
	bits := byte(j.status)
	for k, is := range []bool{
		j.id != "", j.expandable && j.phase != Making && !t.down, j.declined && open, j.root,
		j.phase == Running && j.status == External && t.old(i), j.again && !t.down,
	} {
		if is {
			bits |= 4 << k
		}
	}
	b = append(b, byte(j.phase), bits)
	if !t.down {
		b = append(b, byte(j.priority), byte(j.ask), byte(j.askN), byte(t.rankOf(j)))
		if o := t.ownerOf(i); o != none && o != i {
			b = append(b, byte(slices.Index(jobs, o)))
		}
	}
	return b
}
