package slots

// none is the index of no job.
const none int32 = -1

// A job can be in one list of each of these kinds at a time.
const (
	byPhase   = iota // the queue of its phase
	byOwner          // the Running, or the Pending, jobs of its owner
	byID             // those that bear its ID (a ring)
	byDecline        // those that have declined in this period
	linkKinds
)

type link struct{ prev, next int32 }

// list is a list of jobs through their links of one kind.
type list struct{ head, tail int32 }

func emptyList() list { return list{none, none} }

func (t *Table) next(kind int, i int32) int32 { return t.jobs[i].links[kind].next }

func (t *Table) push(l *list, kind int, i int32) {
	t.jobs[i].links[kind] = link{l.tail, none}
	if l.tail == none {
		l.head = i
	} else {
		t.jobs[l.tail].links[kind].next = i
	}
	l.tail = i
}

func (t *Table) unlink(l *list, kind int, i int32) {
	at := t.jobs[i].links[kind]
	if at.prev == none {
		l.head = at.next
	} else {
		t.jobs[at.prev].links[kind].next = at.next
	}
	if at.next == none {
		l.tail = at.prev
	} else {
		t.jobs[at.next].links[kind].prev = at.prev
	}
	t.jobs[i].links[kind] = link{none, none}
}
