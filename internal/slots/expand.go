package slots

// askState says what a job is asked for.
type askState uint8

const (
	notAsked askState = iota
	askFill           // for spare slots, which are held back
	askTake           // for a slot of an external job
	askShare          // for a slot of a richer owner of its class
	askLate           // the expand timer has fired; nothing is held back
)

// expected is how many empty slots requests that are on their way will take.
func (t *Table) expected() int { return max(t.count[Protected][Converting], t.quiet) }

// reserve is how many empty slots expansion leaves empty.
func (t *Table) reserve() int { return max(t.headroom(), t.expected()) }

func (t *Table) spare() int { return t.empty.n - t.reserve() - t.back }

// contested reports whether somebody would take a slot.
func (t *Table) contested() bool {
	return t.hungry[internal].top() != none || t.hungry[external].top() != none || t.nextReady() != none
}

// contender returns who gets the next slot of a class: a hungry owner, or the
// backlog's first job (which is a root that is not Running); or none.
func (t *Table) contender(class int) int32 {
	o := t.hungry[class].top()
	if class == internal {
		return o
	}
	b := t.nextReady()
	if b == none || o == none {
		return max(o, b)
	}
	// The claim of b is 0 and that of o, which has its own slot, is not. So on
	// a tie o has the higher priority.
	if (t.claim(o)+1)*weight(t.jobs[b].priority) <= t.owners[o].weight {
		return o
	}
	return b
}

// fill shares the spare slots out.
func (t *Table) fill() {
	t.filled = t.filled[:0]
	for t.spare() > 0 {
		c := t.contender(internal)
		if c == none {
			c = t.contender(external)
		}
		if c == none {
			break
		}
		if t.jobs[c].phase == Backlog {
			t.start(c, -1)
			continue
		}
		w := &t.owners[c]
		if w.got == 0 {
			t.filled = append(t.filled, c)
		}
		w.got++
		w.back++
		t.back++
		t.sortOwner(c)
	}
	for _, o := range t.filled {
		n := t.owners[o].got
		t.owners[o].got = 0
		t.ask(o, askFill, n)
	}
}

// ask asks the first of o's jobs that may be asked for n more.
func (t *Table) ask(o int32, s askState, n int) {
	i := t.owners[o].askable
	j := &t.jobs[i]
	j.ask, j.askN = s, n
	if s != askFill {
		t.moving = i
	}
	t.sortAskable(i)
	t.sortOwner(o)
	t.emit(Ask, j.ref, None).N = n
}

// unhold frees what the ask of job i holds back, or the place of a move's ask.
func (t *Table) unhold(i int32) {
	switch t.jobs[i].ask {
	case askFill:
		n := t.jobs[i].askN
		t.back -= n
		if o := t.ownerOf(i); o != none {
			t.owners[o].back -= n
		}
	case askTake, askShare:
		t.moving = none
	}
}

// unask ends the ask of job i, if there is one.
func (t *Table) unask(i int32) {
	t.unhold(i)
	t.jobs[i].ask, t.jobs[i].askN = notAsked, 0
}

func (t *Table) expandTimedOut(i int32) {
	j := &t.jobs[i]
	if t.down || j.ask == notAsked || j.ask == askLate {
		return
	}
	t.unhold(i)
	j.ask = askLate
	t.decline(i)
	t.sortOwner(t.ownerOf(i))
}

// dropOffer drops an offer that never was a job, or, for -1, the optional
// request that came.
func (t *Table) dropOffer(offer int, why Why) {
	t.emit(Drop, 0, why).Offer = offer
}

func (t *Table) offered(i int32, offers []Task) {
	if t.down || i == none || t.jobs[i].phase != Running {
		why := OwnerEnded
		if t.down {
			why = ShutDown
		}
		for k := range offers {
			t.dropOffer(k, why)
		}
		return
	}
	o := t.ownerOf(i)
	asked, n := t.jobs[i].ask, t.jobs[i].askN
	t.unask(i)
	t.sortAskable(i)
	t.sortOwner(o)
	for k := range offers {
		switch {
		case k >= n:
			t.dropOffer(k, Surplus)
		case t.spare() > 0:
			t.start(t.newHelper(o, &offers[k]), k)
		case t.makeRoom(o, asked):
			h := t.newHelper(o, &offers[k])
			t.setPhase(h, Pending)
			t.emit(Place, t.jobs[h].ref, None).Offer = k
		default:
			t.dropOffer(k, NoRoom)
		}
	}
	switch j := &t.jobs[i]; {
	case j.again:
		j.again = false
		t.mayAsk(i)
	case len(offers) < n:
		t.decline(i)
	}
}

func (t *Table) askAgain(i int32) {
	j := &t.jobs[i]
	if t.down || j.phase != Running {
		return
	}
	j.again = j.ask != notAsked
	t.mayAsk(i)
}

// mayAsk has job i, which is Running, not have declined.
func (t *Table) mayAsk(i int32) {
	t.forgive(i)
	t.sortAskable(i)
	t.sortOwner(t.ownerOf(i))
}

// newHelper makes a job of o from an offer.
func (t *Table) newHelper(o int32, offer *Task) int32 {
	status := Internal
	if t.class(o) == external {
		status = External
	}
	i := t.newJob(status)
	j := &t.jobs[i]
	j.owner, j.ownerRun, j.priority = o, t.jobs[o].run, t.jobs[o].priority
	j.expandable = offer.Expandable
	t.index(i, offer.ID)
	return i
}
