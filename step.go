package occamy

import (
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// batch is one step: its event and the room that it needs. Batches are reused,
// and hold the event so that no stack has to.
type batch struct {
	event   slots.Event
	self    *job   // the job in whose goroutine it is, or which the event brings; nil for none
	offers  []*job // that self offers
	now     time.Duration
	effects []slots.Effect
	acts    []act
}

// act is an effect that is carried out without the lock.
type act struct {
	*slots.Effect
	job *job
}

func (s *Server) batch(t slots.EventType, self *job) *batch {
	b := s.batches.Get().(*batch)
	b.event.Type = t
	b.self = self
	return b
}

// step has the table decide on an event and carries out what it says, but for
// what is next in this goroutine, which is left to the caller. The batch is
// gone then.
func (s *Server) step(b *batch) work {
	b.now = time.Since(s.start)
	s.mu.Lock()
	s.decide(b)
	s.mu.Unlock()
	return s.carryOut(b)
}

// tell is step for an event that is about no job.
func (s *Server) tell(t slots.EventType) { s.step(s.batch(t, nil)) }

// decide is the part of a step under the lock: what the table decides, and who
// it is about.
func (s *Server) decide(b *batch) {
	// Goroutines may come in another order than they looked at the clock.
	s.now = max(s.now, b.now)
	b.now = s.now
	if b.self != nil {
		b.event.Job = b.self.ref // zero for a job that the event brings
	}
	switch b.event.Type {
	case slots.Arrive:
		s.unsettled++ // whatever becomes of it, it is settled once
		b.self.arrived = b.now
	case slots.Optional:
		b.self.arrived = b.now
	case slots.Converted:
		s.handlers.remove(b.self)
	case slots.Offered:
		s.asks.remove(b.self)
		b.self.asked = 0
		s.unclaim(b.self)
	case slots.Finish:
		s.kills.remove(b.self)
		s.left(b.self, b.now)
	}
	b.effects = s.table.StepOn(b.now, &b.event, b.effects[:0])
	b.acts = b.acts[:0]
	for i := range b.effects {
		f := &b.effects[i]
		if j := s.note(f, s.subject(f, b), b.now); j != nil {
			b.acts = append(b.acts, act{f, j})
		}
	}
	if len(s.waiters) > 0 {
		s.promise()
	}
	if s.closing {
		s.wakeShutdown()
	}
}

func (s *Server) jobAt(r slots.Ref) *job {
	if i := r.Index(); i >= 0 && i < len(s.jobs) && s.jobs[i] != nil && s.jobs[i].ref == r {
		return s.jobs[i]
	}
	return nil
}

// subject returns the job that an effect is about, and takes in one that the
// table has only now given a name.
func (s *Server) subject(f *slots.Effect, b *batch) *job {
	if f.Job == 0 {
		if f.Type == slots.Drop && f.Offer >= 0 && f.Offer < len(b.offers) {
			return b.offers[f.Offer]
		}
		return b.self
	}
	if j := s.jobAt(f.Job); j != nil {
		return j
	}
	j := b.self
	if f.Offer >= 0 && f.Offer < len(b.offers) && (f.Type == slots.Start || f.Type == slots.Place) {
		j = b.offers[f.Offer]
	}
	i := f.Job.Index()
	for len(s.jobs) <= i {
		s.jobs = append(s.jobs, nil)
	}
	s.jobs[i] = j
	j.ref = f.Job
	t := s.table.Job(f.Job)
	if t.Status != slots.Empty { // else it is gone by the end of the step
		j.status = statusOf(t.Status)
	}
	if o := s.jobAt(t.Owner); o != nil {
		j.owner = o
		j.details.Priority = t.Priority
	}
	return j
}

// note keeps the books for an effect and returns the job for which something
// is to be done without the lock, or nil.
func (s *Server) note(f *slots.Effect, j *job, now time.Duration) *job {
	switch f.Type {
	case slots.Convert:
		s.refusals = 0
		s.handlers.add(j, now)
	case slots.Hold:
		return nil
	case slots.Refuse:
		s.settles.add(j, now)
		s.refusals++
		j.stopWhy = f.Why
	case slots.Start:
		j.slot, j.placed, j.doing = f.Slot, now, true
		s.recordSlot(j, Empty, j.status, Running, now)
	case slots.Stop:
		j.stopped, j.stopWhy = max(now, 1), f.Why // zero: not stopped
		if f.Why == slots.Preempted {
			s.preemptions++
		}
		s.kills.add(j, now)
		s.recordSlot(j, j.status, j.status, Stopping, now)
	case slots.Report:
		s.recordSlot(j, j.status, j.status, Stuck, now)
	case slots.ArmExpansion:
		s.expansion.set(f.At, now)
		return nil
	case slots.ArmRefill:
		s.refill.set(f.At, now)
		return nil
	case slots.Ask:
		j.asked = f.N
		s.asks.add(j, now)
	case slots.Settle:
		s.settles.add(j, now)
	case slots.Make:
		again := s.newJob(j.message)
		again.arrived = j.arrived
		again.ref, again.identity, again.status, again.optional = j.ref, j.identity, j.status, true
		j.endTimers()
		j.leftover()
		s.jobs[j.ref.Index()] = again
		j.ref = 0
		return again
	case slots.Release:
		s.jobs[f.Job.Index()] = nil
		s.unclaim(j)
		j.endTimers()
		j.leftover()
	}
	return j
}

// left notes that the job's slot is empty.
func (s *Server) left(j *job, now time.Duration) {
	used := now - j.placed
	s.slotTime.add(j.status, used)
	if j.stopped != 0 && j.stopWhy == slots.Preempted {
		s.preemptedTime += used
	}
	s.recordSlot(j, j.status, Empty, "", now)
	j.slot = -1
}
