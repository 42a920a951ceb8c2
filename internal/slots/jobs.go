package slots

import "time"

// answered is the phase of a Converting job whose message is settled already:
// it counts against the capacity, but nothing is kept free for it.
const (
	answered = Stuck + 1
	phases   = answered + 1
)

// job is an entry of the arena. Its phase changes in setPhase alone.
type job struct {
	ref      Ref
	seq      uint64 // the order in which jobs were made
	id       string
	priority int
	size     int // of an optional request

	status     Status
	phase      Phase
	root       bool // it owns itself
	expandable bool
	settled    bool // what follows matters for jobs from request messages
	lost       bool
	cancelled  bool
	unwanted   bool // an optional request that is not to be put back
	declined   bool
	why        Why // why it was stopped

	ask   askState
	askN  int  // what it was asked for
	again bool // it is to be asked again, whatever it answers

	slot     int32
	owner    int32  // of a helper; valid while ownerRun is that job's run
	ownerRun uint64 // see run
	run      uint64 // the number of its start; zero before
	began    time.Duration

	links [linkKinds]link
	tree  treeNode
	entry idEntry
}

// find returns the index of a job that is not gone, or none.
func (t *Table) find(r Ref) int32 {
	if r == 0 || r.Index() >= len(t.jobs) || r.Index() < 0 {
		return none
	}
	i := int32(r.Index())
	if t.jobs[i].ref != r || t.jobs[i].phase == Gone {
		return none
	}
	return i
}

// newJob takes an entry of the arena. The job is Gone until it gets a phase.
func (t *Table) newJob(status Status) int32 {
	var i int32
	if n := len(t.free); n > 0 {
		i = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		i = int32(len(t.jobs))
		t.jobs = append(t.jobs, job{ref: Ref(i) + 1})
		t.owners = append(t.owners, owner{})
		for _, h := range t.heaps() {
			h.place = append(h.place, 0)
		}
	}
	t.made++
	j := &t.jobs[i]
	*j = job{ref: j.ref + 1<<32, seq: t.made, status: status, slot: -1, owner: none}
	for k := range j.links {
		j.links[k] = link{none, none}
	}
	return i
}

// release ends job i, with its last effect.
func (t *Table) release(i int32) {
	j := &t.jobs[i]
	t.setPhase(i, Gone)
	t.unindex(i)
	t.emit(Release, j.ref, None)
	j.id = ""
	t.freed = append(t.freed, i)
}

// setPhase is the one place where a job changes its phase, and with it all
// that is counted, queued and sorted by phase.
func (t *Table) setPhase(i int32, to Phase) {
	j := &t.jobs[i]
	from := j.phase
	o := none // whose figures change
	if j.status != Protected || from == Running || to == Running {
		o = t.ownerOf(i)
	}

	if queued(j.status, from) {
		t.unlink(&t.queues[from], byPhase, i)
	}
	if o != none {
		t.leaveOwner(o, i)
	}
	if from == Running {
		t.endRun(i)
	}
	t.count[j.status][from]--
	j.phase = to
	t.count[j.status][to]++
	if to == Running {
		t.beginRun(i)
	}
	if o != none {
		t.joinOwner(o, i)
	}
	if queued(j.status, to) {
		t.push(&t.queues[to], byPhase, i)
	}
	if j.root && j.status == External {
		t.sortBacklog(i, from, to)
	}
	if o != none {
		t.sortOwner(o)
	}
}

// queued reports whether there is a queue of the jobs of a status and phase;
// of the Running ones, only of the external.
func queued(s Status, p Phase) bool {
	switch p {
	case Converting, Held, Waiting, Pending:
		return true
	case Running:
		return s == External
	}
	return false
}

func (t *Table) inPhase(p Phase) int {
	return t.count[Protected][p] + t.count[Internal][p] + t.count[External][p]
}

func (t *Table) unprotectedRunning() int {
	return t.count[Internal][Running] + t.count[External][Running]
}
