package slots

// owner is what a Running root has besides its job. It stands at the same
// index in its own arena, and begins anew with each run of the root.
type owner struct {
	weight  int64
	held    int // see the package comment
	pending int
	back    int // slots that fill asks of its jobs hold back

	running list  // its unprotected Running jobs in order of start
	placed  list  // its Pending jobs
	askable int32 // root of the tree of those that may be asked
	got     int   // slots that it got in the fill that is under way
}

const maxWeight = 1 << 30

// The classes of owners, which share spare slots among themselves.
const (
	internal = iota
	external
	classes
)

func (t *Table) class(o int32) int {
	if t.jobs[o].status == External {
		return external
	}
	return internal
}

func weight(priority int) int64 { return int64(min(max(priority, 1), maxWeight)) }

func (t *Table) claim(o int32) int64 {
	w := &t.owners[o]
	return int64(w.held + w.pending + w.back)
}

// ownerOf returns the job itself when it is a root, the owner of a helper, or
// none when the run that the helper belongs to has ended.
func (t *Table) ownerOf(i int32) int32 {
	j := &t.jobs[i]
	if j.root {
		return i
	}
	if o := &t.jobs[j.owner]; o.phase == Running && o.run == j.ownerRun {
		return j.owner
	}
	return none
}

// counts reports whether job i, with its phase, is one of the figures of o.
func (t *Table) counts(o, i int32) bool {
	j := &t.jobs[i]
	return j.status != Protected && (o != i || j.phase == Running)
}

func (t *Table) leaveOwner(o, i int32) {
	if !t.counts(o, i) {
		return
	}
	w := &t.owners[o]
	switch t.jobs[i].phase {
	case Running:
		w.held--
		t.unlink(&w.running, byOwner, i)
	case Stuck:
		w.held--
	case Pending:
		w.pending--
		t.unlink(&w.placed, byOwner, i)
	}
}

func (t *Table) joinOwner(o, i int32) {
	if !t.counts(o, i) {
		return
	}
	w := &t.owners[o]
	switch t.jobs[i].phase {
	case Running:
		w.held++
		t.push(&w.running, byOwner, i)
	case Stuck:
		w.held++
	case Pending:
		w.pending++
		t.push(&w.placed, byOwner, i)
	}
}

// beginRun readies job i, which is Running from now on.
func (t *Table) beginRun(i int32) {
	j := &t.jobs[i]
	if j.root {
		t.owners[i] = owner{
			weight:  weight(j.priority),
			running: emptyList(),
			placed:  emptyList(),
			askable: none,
		}
	}
	t.sortAskable(i)
}

// endRun forgets what holds only while job i is Running, which it still is.
func (t *Table) endRun(i int32) {
	t.unask(i)
	j := &t.jobs[i]
	j.again = false
	t.forgive(i)
	if j.tree.in {
		if o := t.ownerOf(i); o != none {
			t.owners[o].askable = t.treeRemove(t.owners[o].askable, i)
		}
		j.tree = treeNode{}
	}
}

// sortAskable puts job i, which is Running, among those that may be asked, or
// takes it out.
func (t *Table) sortAskable(i int32) {
	j := &t.jobs[i]
	may := j.expandable && j.ask == notAsked && !j.declined
	if may == j.tree.in {
		return
	}
	w := &t.owners[t.ownerOf(i)]
	if may {
		w.askable = t.treeAdd(w.askable, i)
	} else {
		w.askable = t.treeRemove(w.askable, i)
	}
}

// sortOwner brings the heaps up to date after a change of o's figures.
func (t *Table) sortOwner(o int32) {
	w := &t.owners[o]
	c := t.class(o)
	active := t.jobs[o].phase == Running
	runs := active && w.running.head != none
	t.victims.set(t, o, runs)
	t.donors[c].set(t, o, runs)
	t.hungry[c].set(t, o, active && w.askable != none)
}

// hungrier reports whether a is to get the next slot before b.
func hungrier(t *Table, a, b int32) bool {
	x, y := &t.owners[a], &t.owners[b]
	if l, r := (t.claim(a)+1)*y.weight, (t.claim(b)+1)*x.weight; l != r {
		return l < r
	}
	if p, q := t.jobs[a].priority, t.jobs[b].priority; p != q {
		return p > q
	}
	return t.jobs[a].seq < t.jobs[b].seq
}

// richer reports whether a is to give up a slot, for the sake of balance,
// before b.
func richer(t *Table, a, b int32) bool {
	x, y := &t.owners[a], &t.owners[b]
	if l, r := t.claim(a)*y.weight, t.claim(b)*x.weight; l != r {
		return l > r
	}
	return t.jobs[a].seq < t.jobs[b].seq
}

// above reports whether owner d has more than its share while one of the given
// claim and weight has less: whether a slot should go from the one to the other.
func (t *Table) above(d int32, claim, weight int64) bool {
	return t.claim(d)*weight > (claim+1)*t.owners[d].weight
}
