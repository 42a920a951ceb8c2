package slots

// room is how many more requests there is a slot for, which is below zero when
// there are too many.
func (t *Table) room() int {
	p := &t.count[Protected]
	return len(t.slots) - p[Running] - p[Stopping] - t.inPhase(Stuck) -
		p[Waiting] - p[Converting] - p[answered]
}

func (t *Table) arrive() {
	t.noteArrival()
	held := t.inPhase(Held)
	switch {
	case t.down:
		t.emit(Refuse, 0, ShutDown)
	case t.draining:
		t.emit(Refuse, 0, Draining)
	case held >= len(t.slots):
		t.emit(Refuse, 0, NoSlot)
	default:
		i := t.newJob(Protected)
		t.jobs[i].root = true
		if t.room()-held <= 0 {
			t.setPhase(i, Held)
			t.emit(Hold, t.jobs[i].ref, None)
			return
		}
		t.convert(i)
	}
}

func (t *Table) convert(i int32) {
	t.setPhase(i, Converting)
	t.emit(Convert, t.jobs[i].ref, None)
}

func (t *Table) converted(i int32, e *Event) {
	switch {
	case t.jobs[i].phase == answered:
		t.release(i)
	case t.jobs[i].phase != Converting:
	case e.Result == Requeue:
		t.turnAway(i, Return, Asked)
	case e.Result != Done:
		t.turnAway(i, Reject, Failure)
	case t.remembers(e.Task.ID):
		t.turnAway(i, Ack, Cancelled)
	default:
		j := &t.jobs[i]
		j.priority, j.expandable = e.Task.Priority, e.Task.Expandable
		t.index(i, e.Task.ID)
		t.noteRequest()
		if t.empty.n > 0 { // so nobody waits
			t.start(i, -1)
		} else {
			t.setPhase(i, Waiting)
		}
	}
}

// answer settles the message of job i while its handler runs.
func (t *Table) answer(i int32, v Verdict, why Why) {
	t.setPhase(i, answered)
	t.settle(i, v, why)
}

// turnAway settles the message of job i, which never ran, and ends it.
func (t *Table) turnAway(i int32, v Verdict, why Why) {
	t.settle(i, v, why)
	t.release(i)
}

func (t *Table) settle(i int32, v Verdict, why Why) {
	t.jobs[i].settled = true
	t.emit(Settle, t.jobs[i].ref, why).Verdict = v
}

// verdict says how the message of protected job i is settled when its Do has
// returned with a result.
func (t *Table) verdict(i int32, r Result) (Verdict, Why) {
	j := &t.jobs[i]
	switch {
	case j.lost:
		return Forget, LostDelivery
	case r == Done:
		return Ack, Completed
	case j.cancelled:
		return Ack, Cancelled
	case j.why == Timeout:
		return Reject, Timeout
	case j.why == ShutDown:
		return Return, ShutDown
	case r == Requeue:
		return Return, Asked
	}
	return Reject, Failure
}

func (t *Table) timedOut(i int32) {
	switch t.jobs[i].phase {
	case Waiting:
		t.turnAway(i, Reject, Timeout)
	case Running:
		t.stopAll(i, Timeout)
	case Backlog, Making, Pending:
		t.drop(i, Timeout)
	}
}

func (t *Table) lost(i int32) {
	j := &t.jobs[i]
	if j.status != Protected {
		return
	}
	switch j.phase {
	case Converting:
		t.answer(i, Forget, LostDelivery)
	case Held, Waiting:
		t.turnAway(i, Forget, LostDelivery)
	case Running:
		j.lost = true
		t.stopAll(i, LostDelivery)
	case Stopping, Stuck:
		j.lost = true
	}
}

// serveRequests is the part of restoring order that is about requests.
func (t *Table) serveRequests() {
	waiting := &t.queues[Waiting]
	for waiting.head != none && t.empty.n > 0 {
		t.start(waiting.head, -1)
	}
	for t.inPhase(Waiting) > t.inPhase(Stopping) {
		if v := t.victim(); v != none {
			t.stopAll(v, Preempted)
		} else {
			t.turnAway(waiting.tail, Return, NoSlot)
		}
	}
	held := &t.queues[Held]
	for held.head != none && t.room() > 0 {
		t.convert(held.head)
	}
}
