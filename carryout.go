package occamy

import (
	"fmt"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// carryOut does what a step decided, in its order, without the lock. What is
// the business of the goroutine that is here already is returned: what the step
// says to self, or else the task that gets the slot in which self finished.
func (s *Server) carryOut(b *batch) (next work) {
	for i := range b.acts {
		f, j := b.acts[i].Effect, b.acts[i].job
		switch f.Type {
		case slots.Convert:
			s.launch(j, (*job).convert)
		case slots.Start:
			if j.controller != nil {
				s.placed(j)
			}
			switch {
			case j == b.self, b.event.Type == slots.Finish && next.job == nil:
				next = work{j, (*job).run}
			default:
				s.launch(j, (*job).run)
			}
		case slots.Stop:
			j.ctx.end(causeOf(f.Why))
		case slots.Settle:
			if f.Why == slots.NoSlot || f.Why == slots.Timeout {
				s.recordVerdict(j, f.Why)
			}
			if j == b.self {
				j.settleAs = settlement{f.Verdict, f.Why, b.now}
				next = work{j, (*job).settleOwn}
			} else {
				j.settleElsewhere(f, b.now)
			}
		case slots.Ask:
			s.launch(j, (*job).ask)
		case slots.Release:
		default:
			s.carryOutRare(f, j)
		}
		b.acts[i] = act{}
	}
	b.event, b.self, b.offers, b.acts = slots.Event{}, nil, nil, b.acts[:0]
	s.batches.Put(b)
	return next
}

func (s *Server) carryOutRare(f *slots.Effect, j *job) {
	switch f.Type {
	case slots.Refuse:
		s.launch(j, (*job).refuse)
	case slots.Report:
		s.recordError(j.errorOf(j.status, ErrStuck))
	case slots.Keep:
		if !j.details.Deadline.IsZero() {
			j.watchDeadline()
		}
	case slots.Drop:
		s.dropped(j, f.Why)
	case slots.Make:
		if !j.details.Deadline.IsZero() {
			j.watchDeadline()
		}
		s.launch(j, (*job).remake)
	}
}

// settleElsewhere settles a job in whose goroutine the step is not.
func (j *job) settleElsewhere(f *slots.Effect, now time.Duration) {
	j.ctx.end(causeOf(f.Why)) // its handler may still run
	go j.settle(f.Verdict, f.Why, now)
}

// recordVerdict records why a request is requeued or rejected, where no error
// of its task or handler tells.
func (s *Server) recordVerdict(j *job, why slots.Why) {
	s.recordError(j.errorOf(Protected, causeOf(why)))
}

// dropped records what is lost with an offer or an optional request.
func (s *Server) dropped(j *job, why slots.Why) {
	switch why {
	case slots.Full:
		s.recordError(j.errorOf(j.status, fmt.Errorf("%w: the backlog is full", ErrOptionalDropped)))
	case slots.NoRoom, slots.Surplus:
		s.recordError(j.errorOf(j.status, fmt.Errorf("%w: there is no room for it", ErrOfferDropped)))
	case slots.OwnerEnded:
		s.recordError(j.errorOf(j.status, fmt.Errorf("%w: %w", ErrOfferDropped, ErrOwnerEnded)))
	}
	j.ctx.end(causeOf(why))
}
