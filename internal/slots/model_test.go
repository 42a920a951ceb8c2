package slots

import "time"

// model says what is in a walk: the table's config, how many jobs there may be
// at a time, and, as words of with, what happens:
//
//	late       handlers fail, ask for a requeue, and time out
//	lost       deliveries are lost
//	cancel     tasks may bear the one ID that there is, and it may be cancelled
//	limits     tasks reach their time limits
//	stuck      tasks do not stop in time
//	help       requests are expandable (or not)
//	helpers    what they offer is expandable (or not), too
//	spread     optional requests are expandable (or not)
//	silent     Expand does not return in time
//	now        ExpandNow
//	again      AskAgain
//	drain, shutdown
type model struct {
	name       string
	cfg        Config
	requests   int // live at a time
	optionals  int // likewise, but for those that stop and will not be back
	priorities int
	with       string
	words      map[string]bool
}

func (m *model) has(word string) bool { return m.words[word] }

// move is a transition of the walk: an event, of the job at an index of the
// arena, or a flag of time that is raised.
type walkMove struct {
	event  EventType
	flag   timeFlag
	job    int8
	result Result
	task   uint8 // see model.task
	offers uint8
}

type timeFlag uint8

const (
	noFlag     timeFlag = iota
	periodOver          // without its timer
	externalOld
	refillOver
	memoryOver
	headroomOver
)

// walkTime is when everything in a walk happens.
const walkTime = time.Hour

// walkState is a table, and the account of it.
type walkState struct {
	table   Table
	witness witness
	effects []Effect
	offers  []Task
}

func (s *walkState) copyInto(to *walkState) {
	s.table.copyInto(&to.table)
	jobs := append(to.witness.jobs[:0], s.witness.jobs...)
	to.witness = s.witness
	to.witness.jobs = jobs
}

// tasks are what a handler or an offer may give, by number.
func tasks(n uint8) Task {
	t := Task{Expandable: n&1 != 0, Priority: 1 + int(n>>2&1)}
	if n&2 != 0 {
		t.ID = "x"
	}
	return t
}

// tasksOf lists the numbers of the tasks of a kind.
func (m *model) tasksOf(expandable bool) []uint8 {
	var list []uint8
	for n := range uint8(8) {
		if n&1 != 0 && !expandable || n&2 != 0 && !m.has("cancel") || n&4 != 0 && m.priorities < 2 {
			continue
		}
		list = append(list, n)
	}
	return list
}

func (s *walkState) do(v walkMove) error {
	t := &s.table
	switch v.flag {
	case periodOver:
		t.end = walkTime
	case externalOld:
		for i := t.queues[Running].head; i != none; i = t.next(byPhase, i) {
			if !t.old(i) {
				t.jobs[i].began = walkTime - t.cfg.ExpansionPeriod
				break
			}
		}
	case refillOver:
		t.lastLeft = walkTime - t.cfg.RefillDelay - 1
	case headroomOver:
		t.fade = walkTime
	case memoryOver:
		for i := range t.cancelled.entries {
			t.cancelled.entries[i].until = walkTime
		}
	default:
		e := Event{Type: v.event, Result: v.result, Task: tasks(v.task), Size: 1, ID: "x"}
		if v.job >= 0 {
			e.Job = t.jobs[v.job].ref
		}
		s.offers = s.offers[:0]
		for range v.offers {
			s.offers = append(s.offers, Task{Expandable: e.Task.Expandable})
		}
		e.Offers = s.offers
		s.effects = t.Step(walkTime, e, s.effects[:0])
		return s.witness.step(t, e, s.effects)
	}
	return nil
}

// moves appends all that the model has for a state.
func (m *model) moves(t *Table, list []walkMove) []walkMove {
	add := func(v walkMove) { list = append(list, v) }
	requests, optionals, borne := 0, 0, false
	for i := range t.jobs {
		j := &t.jobs[i]
		stops := j.phase == Stopping || j.phase == Stuck
		switch {
		case j.phase == Gone:
			continue
		case j.status == Protected:
			requests++
		case j.root && (!stops || t.returns(j)):
			optionals++
		}
		borne = borne || j.id != "" && (!stops || t.returns(j) ||
			j.status == Protected && !j.settled && !j.cancelled && !j.lost)
		m.jobMoves(j, int8(i), add)
	}
	plain := func(e EventType) { add(walkMove{event: e, job: -1}) }
	if requests < m.requests {
		plain(Arrive)
	}
	if optionals < m.optionals {
		for _, n := range m.tasksOf(m.has("spread")) {
			add(walkMove{event: Optional, job: -1, task: n})
		}
	}
	if m.has("cancel") && (borne || m.cfg.CancelMemory > 0) {
		plain(Cancel)
	}
	if m.has("now") {
		plain(ExpandNow)
	}
	if t.due != never && !t.down {
		plain(ExpansionDue)
	}
	if t.quiet > 0 {
		plain(RefillDue)
	}
	if m.has("drain") && !t.down {
		if t.draining {
			plain(Resume)
		} else {
			plain(Drain)
		}
	}
	if m.has("shutdown") {
		if !t.down {
			plain(Shutdown)
		}
		plain(ShutdownNow)
	}
	m.flags(t, func(f timeFlag) { add(walkMove{flag: f}) })
	return list
}

func (m *model) flags(t *Table, add func(timeFlag)) {
	if t.open && t.end > walkTime && !t.down {
		add(periodOver)
	}
	if q := t.queues[Running]; q.tail != none && !t.old(q.tail) {
		add(externalOld)
	}
	if t.left && !t.near && walkTime-t.lastLeft <= t.cfg.RefillDelay {
		add(refillOver)
	}
	if len(t.cancelled.at) > 0 && !t.down {
		add(memoryOver)
	}
	if t.extra > 0 && t.cfg.HeadroomMemory > 0 && t.fade > walkTime && !t.down {
		add(headroomOver)
	}
}

func (m *model) jobMoves(j *job, i int8, add func(walkMove)) {
	of := func(word string, events ...EventType) {
		for _, e := range events {
			if word == "" || m.has(word) {
				add(walkMove{event: e, job: i})
			}
		}
	}
	results := func(e EventType, all ...Result) {
		for _, r := range all {
			add(walkMove{event: e, job: i, result: r})
		}
	}
	if j.status == Protected && j.phase != answered && !j.settled && !j.lost {
		of("lost", Lost)
	}
	switch j.phase {
	case Converting, answered:
		results(Converted, Failed)
		if j.phase == answered {
			return
		}
		for _, n := range m.tasksOf(m.has("help")) {
			add(walkMove{event: Converted, job: i, task: n})
		}
		if m.has("late") {
			results(Converted, Requeue)
			of("", ConvertTimedOut)
		}
	case Waiting, Pending, Backlog:
		of("limits", TimedOut)
	case Making:
		of("limits", TimedOut)
		results(Made, Failed)
		for _, n := range m.tasksOf(m.has("spread")) {
			if n&^1 == 0 {
				add(walkMove{event: Made, job: i, task: n})
			}
		}
	case Running, Stopping, Stuck:
		results(Finish, Done, Failed)
		if j.status == Protected && !j.settled {
			results(Finish, Requeue)
		}
		if j.phase == Running {
			of("limits", TimedOut)
		}
		if j.phase == Stopping {
			of("stuck", StopTimedOut)
		}
	}
	if j.phase == Running && j.expandable && !j.again {
		of("again", AskAgain)
	}
	if j.phase == Running && j.ask != notAsked {
		if j.ask != askLate {
			of("silent", ExpandTimedOut)
		}
		add(walkMove{event: Offered, job: i})
		for n := range uint8(j.askN) + 1 {
			add(walkMove{event: Offered, job: i, offers: n + 1})
			if m.has("helpers") && int(n) < j.askN {
				add(walkMove{event: Offered, job: i, offers: n + 1, task: 1})
			}
		}
	}
}
