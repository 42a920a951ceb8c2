package occamy

import (
	"fmt"

	"github.com/occamy-go/occamy/internal/slots"
)

// carryOut does what a step decided, in its order, without the lock. What it
// says to self is returned: a start and a settling are the business of the
// goroutine that is here already.
func (s *Server) carryOut(b *batch) (o own) {
	o.at = b.now
	for i := range b.acts {
		a := &b.acts[i]
		j := a.job
		switch a.Type {
		case slots.Convert:
			s.launch(j, (*job).convert)
		case slots.Refuse:
			s.launch(j, (*job).refuse)
		case slots.Start:
			s.placed(j)
			if j == b.self {
				o.start = true
			} else {
				s.launch(j, (*job).run)
			}
		case slots.Place:
		case slots.Stop:
			j.ctx.end(causeOf(a.Why))
		case slots.Report:
			s.recordError(j.errorOf(j.status, ErrStuck))
		case slots.Settle:
			s.recordVerdict(j, a.Why)
			if j == b.self {
				o.settle, o.verdict, o.why = true, a.Verdict, a.Why
			} else {
				j.ctx.end(causeOf(a.Why)) // its handler may still run
				go j.settle(a.Verdict, a.Why, b.now)
			}
		case slots.Keep:
			if !j.details.Deadline.IsZero() {
				j.watchDeadline()
			}
		case slots.Drop:
			s.dropped(j, a.Why)
		case slots.Make:
			if !j.details.Deadline.IsZero() {
				j.watchDeadline()
			}
			s.launch(j, (*job).remake)
		case slots.Ask:
			s.launch(j, (*job).ask)
		case slots.Release:
			j.leftover() // of a task that never began
		}
		*a = act{}
	}
	b.event, b.self, b.offers, b.acts = slots.Event{}, nil, nil, b.acts[:0]
	s.batches.Put(b)
	return o
}

// recordVerdict records why a request is requeued or rejected, where no error
// of its task or handler tells.
func (s *Server) recordVerdict(j *job, why slots.Why) {
	switch why {
	case slots.NoSlot, slots.Timeout:
		s.recordError(j.errorOf(Protected, causeOf(why)))
	}
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
