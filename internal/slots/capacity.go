package slots

// Promise takes up to n of the capacity and returns how many it took; 0 while
// draining and after Shutdown.
func (t *Table) Promise(n int) int {
	n = max(min(n, t.Capacity()), 0)
	t.promised += n
	return n
}

// Unpromise gives n promises back; at most those that there are.
func (t *Table) Unpromise(n int) { t.promised -= max(min(n, t.promised), 0) }

// Capacity is how many more request messages there is room for; 0 while
// draining and after Shutdown.
func (t *Table) Capacity() int {
	if t.draining || t.down {
		return 0
	}
	return max(t.room()-t.inPhase(Held)-t.promised, 0)
}

// Bearers appends to refs the jobs that bear the ID and are Running or
// Waiting, in the order in which they were made. It costs nothing per slot.
func (t *Table) Bearers(id string, refs []Ref) []Ref { return t.bearers(id, true, refs) }

// Slot returns the job in a slot; its Status is Empty when there is none.
func (t *Table) Slot(i int) Job {
	if t.slots[i] == none {
		return Job{Slot: i}
	}
	return t.view(t.slots[i])
}

// Job returns what is known of a job; its Phase is Gone when it is released.
func (t *Table) Job(r Ref) Job {
	i := t.find(r)
	if i == none {
		return Job{Ref: r, Slot: -1}
	}
	return t.view(i)
}

func (t *Table) view(i int32) Job {
	j := &t.jobs[i]
	v := Job{
		Ref:      j.ref,
		Status:   j.status,
		Phase:    j.phase,
		Slot:     int(j.slot),
		ID:       j.id,
		Priority: j.priority,
	}
	if v.Phase == answered {
		v.Phase = Converting
	}
	if o := t.ownerOf(i); o != none {
		v.Owner = t.jobs[o].ref
	}
	return v
}

// Counts are figures derived from the jobs.
type Counts struct {
	Empty      int
	Protected  int // in slots, whatever their phase
	Internal   int
	External   int
	Stopping   int // of those in slots
	Stuck      int
	Converting int
	Waiting    int
	Held       int
	Pending    int
	Backlog    int // with those that are Making
	Promised   int
}

// Counts returns the figures. It costs nothing per slot.
func (t *Table) Counts() Counts {
	inSlots := func(s Status) int {
		return t.count[s][Running] + t.count[s][Stopping] + t.count[s][Stuck]
	}
	return Counts{
		Empty:      t.empty.n,
		Protected:  inSlots(Protected),
		Internal:   inSlots(Internal),
		External:   inSlots(External),
		Stopping:   t.inPhase(Stopping),
		Stuck:      t.inPhase(Stuck),
		Converting: t.inPhase(Converting) + t.inPhase(answered),
		Waiting:    t.inPhase(Waiting),
		Held:       t.inPhase(Held),
		Pending:    t.inPhase(Pending),
		Backlog:    t.inPhase(Backlog) + t.inPhase(Making),
		Promised:   t.promised,
	}
}
