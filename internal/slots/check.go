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

func (c *checker) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// equal fails when a figure is not what the jobs say.
func (c *checker) equal(what string, got, want int) {
	if got != want {
		c.fail("%s: %d, but it should be %d", what, got, want)
	}
}

// live returns the indices of the jobs that are not gone.
func (c *checker) live(yield func(i int32, j *job) bool) {
	for i := range c.t.jobs {
		if j := &c.t.jobs[i]; j.phase != Gone && !yield(int32(i), j) {
			return
		}
	}
}

func inSlot(p Phase) bool { return p == Running || p == Stopping || p == Stuck }

func (c *checker) slots() {
	t := c.t
	c.equal("slots", len(t.slots), t.cfg.Slots)
	empty, lowest := 0, -1
	for s, i := range t.slots {
		switch {
		case t.empty.has(s) != (i == none):
			c.fail("slot %d: the bitmap is wrong", s)
		case i != none && t.jobs[i].slot != int32(s):
			c.fail("slot %d has %x, whose slot is %d", s, t.jobs[i].ref, t.jobs[i].slot)
		case i == none:
			if empty++; lowest < 0 {
				lowest = s
			}
		}
	}
	c.equal("empty slots", t.empty.n, empty)
	if empty > 0 {
		c.equal("lowest empty slot", t.empty.first(), lowest)
	}
	if most := max(t.cfg.MaxHeadroom-t.cfg.Headroom, 0); t.extra < 0 || t.extra > most*ninths {
		c.fail("%d ninths of %d slots are kept empty", t.extra, most)
	}
	if t.quiet < 0 || t.quiet > empty {
		c.fail("%d of %d empty slots are quiet", t.quiet, empty)
	}
	for _, j := range c.live {
		if inSlot(j.phase) != (j.slot >= 0) {
			c.fail("%x in phase %d has slot %d", j.ref, j.phase, j.slot)
		}
	}
}

func (c *checker) counts() {
	t := c.t
	var count [4][phases]int
	for _, j := range c.live {
		count[j.status][j.phase]++
	}
	for s := range count {
		for p := Gone + 1; p < phases; p++ {
			if t.count[s][p] != count[s][p] {
				c.fail("status %d, phase %d: %d jobs, not %d", s, p, count[s][p], t.count[s][p])
			}
		}
	}
}

// queues checks the length of each queue and that its jobs belong there.
func (c *checker) queues() {
	t := c.t
	for p := range phases {
		n, want := 0, 0
		for i := t.queues[p].head; i != none; i = t.next(byPhase, i) {
			if t.jobs[i].phase != p || !queued(t.jobs[i].status, p) {
				c.fail("%x is in the queue of phase %d", t.jobs[i].ref, p)
			}
			n++
		}
		for s := range t.count {
			if queued(Status(s), p) {
				want += t.count[s][p]
			}
		}
		c.equal("length of a queue", n, want)
	}
}

func (c *checker) owners() {
	t := c.t
	sums := make([]owner, len(t.jobs)) // with got as the number that may be asked
	runs := make([]int, len(t.jobs))
	for i, j := range c.live {
		o := t.ownerOf(i)
		may := j.phase == Running && j.expandable && j.ask == notAsked && !j.declined
		if j.tree.in != may {
			c.fail("%x may be asked: %t, but it is in the tree: %t", j.ref, may, j.tree.in)
		}
		if o == none || t.jobs[o].phase != Running {
			if j.phase == Running || (!j.root && j.phase == Pending) {
				c.fail("%x has no owner in phase %d", j.ref, j.phase)
			}
			continue
		}
		if may {
			sums[o].got++
		}
		if j.ask == askFill {
			sums[o].back += j.askN
		}
		switch {
		case j.status == Protected:
		case j.phase == Running:
			runs[o]++
			sums[o].held++
		case j.phase == Stuck:
			sums[o].held++
		case j.phase == Pending:
			sums[o].pending++
		}
	}
	for i, j := range c.live {
		if !j.root || j.phase != Running {
			continue
		}
		w, s := &t.owners[i], &sums[i]
		if w.held != s.held || w.pending != s.pending || w.back != s.back ||
			w.weight != weight(j.priority) || w.got != 0 {
			c.fail("%x has figures %+v, which should be %+v", j.ref, *w, *s)
		}
		c.equal("Running jobs in an owner's list", c.length(w.running, byOwner), runs[i])
		c.equal("Pending jobs in an owner's list", c.length(w.placed, byOwner), s.pending)
		c.equal("jobs in an owner's tree", c.tree(w.askable, none), s.got)
	}
}

// length returns the length of a list of jobs in order of start.
func (c *checker) length(l list, kind int) int {
	n, last := 0, uint64(0)
	for i := l.head; i != none; i = c.t.next(kind, i) {
		if c.t.jobs[i].run < last {
			c.fail("%x is out of order", c.t.jobs[i].ref)
		}
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
	if n.up != up || (up != none && t.jobs[up].run >= t.jobs[i].run) {
		c.fail("%x has a wrong parent", t.jobs[i].ref)
	}
	if t.rank(n.left) < t.rank(n.right) || n.rank != t.rank(n.right)+1 {
		c.fail("%x has a wrong rank", t.jobs[i].ref)
	}
	return 1 + c.tree(n.left, i) + c.tree(n.right, i)
}

func (c *checker) expansion() {
	t := c.t
	back, declined, moving := 0, 0, none
	for i, j := range c.live {
		switch j.ask {
		case askFill:
			back += j.askN
		case askTake, askShare:
			if moving != none {
				c.fail("two jobs are asked for a move")
			}
			moving = i
		}
		if j.declined {
			declined++
		}
		if j.again && j.ask == notAsked {
			c.fail("%x is to be asked again, but is not being asked", j.ref)
		}
		if j.phase != Running && (j.ask != notAsked || j.declined) {
			c.fail("%x does not run, but is asked or declined", j.ref)
		}
	}
	n := 0
	for i := t.declined.head; i != none; i = t.next(byDecline, i) {
		if !t.jobs[i].declined {
			c.fail("%x has not declined", t.jobs[i].ref)
		}
		n++
	}
	c.equal("jobs that have declined", n, declined)
	c.equal("slots that are held back", t.back, back)
	c.equal("job that is asked for a move", int(t.moving), int(moving))
	if !t.open && (n > 0 || t.moves != max(t.cfg.RebalanceMoves, 0)) {
		c.fail("%d have declined and %d moves are left without a period", n, t.moves)
	}
}

func (c *checker) heaps() {
	t := c.t
	active := func(i int32) bool { return t.jobs[i].root && t.jobs[i].phase == Running }
	runs := func(i int32) bool { return active(i) && t.owners[i].running.head != none }
	hungry := func(i int32) bool { return active(i) && t.owners[i].askable != none }
	c.heap("victims", &t.victims, runs)
	for k := range classes {
		c.heap("donors", &t.donors[k], func(i int32) bool { return t.class(i) == k && runs(i) })
		c.heap("hungry", &t.hungry[k], func(i int32) bool { return t.class(i) == k && hungry(i) })
	}
	c.heap("ready", &t.ready, func(i int32) bool { return t.jobs[i].phase == Backlog })
	c.heap("poorest", &t.poorest, func(i int32) bool {
		return t.jobs[i].phase == Backlog || t.jobs[i].phase == Making
	})
	bytes := 0
	for _, i := range t.poorest.items {
		bytes += t.jobs[i].size
	}
	c.equal("bytes of the backlog", t.bytes, bytes)
	if n := len(t.poorest.items); n > max(t.cfg.MaxBacklog, 0) || bytes > max(t.cfg.MaxBacklogBytes, 0) {
		c.fail("the backlog has %d jobs and %d bytes", n, bytes)
	}
}

func (c *checker) heap(name string, h *heap, member func(int32) bool) {
	t := c.t
	for i := range t.jobs {
		if h.has(int32(i)) != member(int32(i)) {
			c.fail("%s: %x is in it: %t", name, t.jobs[i].ref, h.has(int32(i)))
		}
	}
	for at, i := range h.items {
		if int(h.place[i])-1 != at || (at > 0 && h.before(t, i, h.items[(at-1)/2])) {
			c.fail("%s: %x is out of place", name, t.jobs[i].ref)
		}
	}
}

func (c *checker) ids() {
	t := c.t
	bearers := map[string]int{}
	for _, j := range c.live {
		if j.id != "" {
			bearers[j.id]++
		}
	}
	c.equal("IDs that are known", t.ids.rings, len(bearers))
	for id, n := range bearers {
		refs := t.bearers(id, false, nil)
		c.equal("bearers of an ID", len(refs), n)
		for k, r := range refs {
			if t.find(r) == none || t.jobs[r.Index()].id != id {
				c.fail("%x does not bear %q", r, id)
			}
			if k > 0 && t.byMaking(refs[k-1], r) >= 0 {
				c.fail("the bearers of %q are out of order", id)
			}
		}
	}
}

// promises checks what the rules promise for every moment between steps.
func (c *checker) promises() {
	t := c.t
	waiting, stopping, pending := t.inPhase(Waiting), t.inPhase(Stopping), t.inPhase(Pending)
	if waiting > stopping {
		c.fail("%d requests wait for %d stopping slots", waiting, stopping)
	}
	if waiting > 0 && t.empty.n > 0 {
		c.fail("a request waits beside an empty slot")
	}
	if pending > max(stopping-waiting, 0) {
		c.fail("%d jobs are pending for %d slots", pending, stopping-waiting)
	}
	if pending > 0 && t.spare() > 0 {
		c.fail("a job is pending beside a spare slot")
	}
	if held := t.inPhase(Held); held > len(t.slots) || (held > 0 && (t.room() > 0 || t.draining)) {
		c.fail("%d messages are held though there is room for %d", held, t.room())
	}
	if t.promised < 0 {
		c.fail("%d slots are promised", t.promised)
	}
	if !t.down {
		return
	}
	for _, p := range []Phase{Converting, Held, Waiting, Pending, Backlog, Making} {
		if n := t.inPhase(p); n > 0 {
			c.fail("%d jobs are in phase %d after Shutdown", n, p)
		}
	}
	if t.unprotectedRunning() > 0 {
		c.fail("helpers run after Shutdown")
	}
}
