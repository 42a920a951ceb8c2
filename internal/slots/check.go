package slots

import (
	"errors"
	"fmt"
)

// Check works every figure, queue and heap out anew from the jobs and reports
// where the table keeps another one, and what holds after every step but does
// not. It looks at every slot and every job: it is for tests.
func (t *Table) Check() error {
	c := checker{t: t}
	c.slots()
	c.counts()
	c.queues()
	c.owners()
	c.expansion()
	c.heaps()
	c.ids()
	c.promises()
	return errors.Join(c.errs...)
}

type checker struct {
	t    *Table
	errs []error
}

func (c *checker) want(ok bool, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

// each calls f with every job that is not gone.
func (c *checker) each(f func(i int32, j *job)) {
	for i := range c.t.jobs {
		if j := &c.t.jobs[i]; j.phase != Gone {
			f(int32(i), j)
		}
	}
}

func inSlot(p Phase) bool { return p == Running || p == Stopping || p == Stuck }

func (c *checker) slots() {
	t := c.t
	c.want(len(t.slots) == t.cfg.Slots, "there are %d slots, not %d", len(t.slots), t.cfg.Slots)
	empty, lowest := 0, -1
	for s, i := range t.slots {
		if i == none {
			if empty++; lowest < 0 {
				lowest = s
			}
		} else {
			c.want(t.jobs[i].slot == int32(s), "slot %d has %x, whose slot is %d", s, t.jobs[i].ref, t.jobs[i].slot)
		}
		c.want(t.empty.has(s) == (i == none), "slot %d: the bitmap is wrong", s)
	}
	c.want(t.empty.n == empty, "the bitmap counts %d empty slots, not %d", t.empty.n, empty)
	c.want(empty == 0 || t.empty.first() == lowest, "the lowest empty slot is not %d", lowest)
	c.want(t.quiet >= 0 && t.quiet <= empty, "%d of %d empty slots are quiet", t.quiet, empty)
	c.each(func(_ int32, j *job) {
		c.want(inSlot(j.phase) == (j.slot >= 0), "%x in phase %d has slot %d", j.ref, j.phase, j.slot)
	})
}

func (c *checker) counts() {
	t := c.t
	var count [4][phases]int
	c.each(func(_ int32, j *job) { count[j.status][j.phase]++ })
	for s := range count {
		for p := Gone + 1; p < phases; p++ {
			c.want(t.count[s][p] == count[s][p], "%d jobs of status %d are counted in phase %d, not %d",
				t.count[s][p], s, p, count[s][p])
		}
	}
}

// queues checks the length of each queue and that its jobs belong there.
func (c *checker) queues() {
	t := c.t
	for p := range phases {
		n := 0
		for i := t.queues[p].head; i != none; i = t.next(byPhase, i) {
			c.want(t.jobs[i].phase == p && queued(t.jobs[i].status, p), "%x is in the queue of phase %d", t.jobs[i].ref, p)
			n++
		}
		want := 0
		for s := range t.count {
			if queued(Status(s), p) {
				want += t.count[s][p]
			}
		}
		c.want(n == want, "the queue of phase %d has %d jobs, not %d", p, n, want)
	}
}

func (c *checker) owners() {
	t := c.t
	sums := make([]owner, len(t.jobs))
	runs := make([]int, len(t.jobs))
	askable := make([]int, len(t.jobs))
	c.each(func(i int32, j *job) {
		o := t.ownerOf(i)
		may := j.phase == Running && j.expandable && j.ask == notAsked && !j.declined
		c.want(j.tree.in == may, "%x may be asked: %t, but it is in the tree: %t", j.ref, may, j.tree.in)
		if o == none || t.jobs[o].phase != Running {
			c.want(j.phase != Running && (j.root || j.phase != Pending), "%x has no owner in phase %d", j.ref, j.phase)
			return
		}
		if may {
			askable[o]++
		}
		if j.ask == askFill {
			sums[o].back += j.askN
		}
		if j.status == Protected {
			return
		}
		switch j.phase {
		case Running:
			runs[o]++
			sums[o].held++
		case Stuck:
			sums[o].held++
		case Pending:
			sums[o].pending++
		}
	})
	c.each(func(i int32, j *job) {
		if !j.root || j.phase != Running {
			return
		}
		w, s := &t.owners[i], &sums[i]
		c.want(w.held == s.held && w.pending == s.pending && w.back == s.back,
			"%x has %d held, %d pending, %d held back, not %d, %d, %d",
			j.ref, w.held, w.pending, w.back, s.held, s.pending, s.back)
		c.want(w.weight == weight(j.priority) && w.got == 0, "%x has weight %d, got %d", j.ref, w.weight, w.got)
		c.want(c.length(w.running, byOwner) == runs[i], "%x has a list of Running jobs that is wrong", j.ref)
		c.want(c.length(w.placed, byOwner) == s.pending, "%x has a list of Pending jobs that is wrong", j.ref)
		c.want(c.tree(w.askable, none) == askable[i], "%x has a tree that is wrong", j.ref)
	})
}

// length returns the length of a list of jobs in order of start.
func (c *checker) length(l list, kind int) int {
	n, last := 0, uint64(0)
	for i := l.head; i != none; i = c.t.next(kind, i) {
		c.want(c.t.jobs[i].run >= last, "%x is out of order", c.t.jobs[i].ref)
		last = c.t.jobs[i].run
		n++
	}
	return n
}

// tree returns the size of a tree.
func (c *checker) tree(i, up int32) int {
	if i == none {
		return 0
	}
	t, n := c.t, &c.t.jobs[i].tree
	c.want(n.up == up, "%x has a wrong parent", t.jobs[i].ref)
	c.want(up == none || t.jobs[up].run < t.jobs[i].run, "%x started before its parent", t.jobs[i].ref)
	c.want(t.rank(n.left) >= t.rank(n.right) && n.rank == t.rank(n.right)+1, "%x has a wrong rank", t.jobs[i].ref)
	return 1 + c.tree(n.left, i) + c.tree(n.right, i)
}

func (c *checker) expansion() {
	t := c.t
	back, declined, moving := 0, 0, none
	c.each(func(i int32, j *job) {
		switch j.ask {
		case askFill:
			back += j.askN
		case askTake, askShare:
			c.want(moving == none, "two jobs are asked for a move")
			moving = i
		}
		if j.declined {
			declined++
		}
		c.want(j.phase == Running || (j.ask == notAsked && !j.declined), "%x does not run, but is asked or declined", j.ref)
	})
	n := 0
	for i := t.declined.head; i != none; i = t.next(byDecline, i) {
		c.want(t.jobs[i].declined, "%x has not declined", t.jobs[i].ref)
		n++
	}
	c.want(n == declined, "%d jobs have declined, not %d", n, declined)
	c.want(t.back == back, "%d slots are held back, not %d", t.back, back)
	c.want(t.moving == moving, "the wrong job is asked for a move")
	c.want(t.open || (n == 0 && t.moves == max(t.cfg.RebalanceMoves, 0)), "declines or moves without a period")
}

func (c *checker) heaps() {
	t := c.t
	active := func(i int32) bool { return t.jobs[i].root && t.jobs[i].phase == Running }
	runs := func(i int32) bool { return active(i) && t.owners[i].running.head != none }
	hungry := func(i int32) bool { return active(i) && t.owners[i].askable != none }
	c.heap("victims", &t.victims, runs)
	for k := range classes {
		of := func(f func(int32) bool) func(int32) bool {
			return func(i int32) bool { return t.class(i) == k && f(i) }
		}
		c.heap("donors", &t.donors[k], of(runs))
		c.heap("hungry", &t.hungry[k], of(hungry))
	}
	c.heap("ready", &t.ready, func(i int32) bool { return t.jobs[i].phase == Backlog })
	c.heap("poorest", &t.poorest, func(i int32) bool {
		return t.jobs[i].phase == Backlog || t.jobs[i].phase == Making
	})
	bytes := 0
	for _, i := range t.poorest.items {
		bytes += t.jobs[i].size
	}
	c.want(t.bytes == bytes, "the backlog has %d bytes, not %d", t.bytes, bytes)
	c.want(len(t.poorest.items) <= max(t.cfg.MaxBacklog, 0) && (bytes == 0 || bytes <= t.cfg.MaxBacklogBytes),
		"the backlog has %d jobs and %d bytes", len(t.poorest.items), bytes)
}

func (c *checker) heap(name string, h *heap, member func(int32) bool) {
	t := c.t
	for i := range t.jobs {
		c.want(h.has(int32(i)) == member(int32(i)), "%s: %x is in it: %t", name, t.jobs[i].ref, h.has(int32(i)))
	}
	for at, i := range h.items {
		c.want(int(h.place[i])-1 == at, "%s: %x is not where it should be", name, t.jobs[i].ref)
		c.want(at == 0 || !h.before(t, i, h.items[(at-1)/2]), "%s: %x is out of order", name, t.jobs[i].ref)
	}
}

func (c *checker) ids() {
	t := c.t
	bearers := map[string]int{}
	c.each(func(_ int32, j *job) {
		if j.id != "" {
			bearers[j.id]++
		}
	})
	c.want(len(bearers) == t.ids.rings, "%d IDs are known, not %d", t.ids.rings, len(bearers))
	for id, n := range bearers {
		refs := t.bearers(id, false, nil)
		c.want(len(refs) == n, "%d jobs bear %q, not %d", len(refs), id, n)
		for k, r := range refs {
			c.want(t.find(r) != none && t.jobs[r.Index()].id == id, "%x does not bear %q", r, id)
			c.want(k == 0 || t.byMaking(refs[k-1], r) < 0, "the bearers of %q are out of order", id)
		}
	}
}

// promises checks what the rules promise for every moment between steps.
func (c *checker) promises() {
	t := c.t
	waiting, stopping := t.inPhase(Waiting), t.inPhase(Stopping)
	c.want(waiting <= stopping, "%d requests wait for %d stopping slots", waiting, stopping)
	c.want(waiting == 0 || t.empty.n == 0, "a request waits beside an empty slot")
	c.want(t.inPhase(Pending) <= max(stopping-waiting, 0), "%d jobs are pending for %d slots", t.inPhase(Pending), stopping-waiting)
	c.want(t.inPhase(Pending) == 0 || t.spare() <= 0, "a job is pending beside a spare slot")
	c.want(t.inPhase(Held) == 0 || t.room() <= 0, "a message is held though there is room")
	c.want(t.inPhase(Held) <= len(t.slots), "%d messages are held", t.inPhase(Held))
	c.want(t.promised >= 0, "%d slots are promised", t.promised)
	if t.down {
		for _, p := range []Phase{Converting, Held, Waiting, Pending, Backlog, Making} {
			c.want(t.inPhase(p) == 0, "%d jobs are in phase %d after Shutdown", t.inPhase(p), p)
		}
		c.want(t.unprotectedRunning() == 0, "helpers run after Shutdown")
	}
	if t.draining {
		c.want(t.inPhase(Held) == 0, "messages are held while draining")
	}
}
