package occamy

import (
	"fmt"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// carryOut does what a step decided, in its order, without the lock. What it
// says to self is returned: a start and a settling are the business of the
// goroutine that is here already.
func (s *Server) carryOut(b *batch, now time.Duration, self *job) (o own) {
	o.at = now
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
			if j == self {
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
			if j == self {
				o.settle, o.verdict, o.why = true, a.Verdict, a.Why
			} else {
				j.ctx.end(causeOf(a.Why)) // its handler may still run
				go j.settle(a.Verdict, a.Why, now)
			}
		case slots.Keep:
			if !j.details.Deadline.IsZero() {
				j.watchDeadline()
			}
		case slots.Drop:
			s.dropped(j, a.Why)
		case slots.Make:
			s.launch(j, (*job).remake)
		case slots.Ask:
			s.launch(j, (*job).ask)
		case slots.Release:
		}
		*a = act{}
	}
	s.batches.Put(b)
	return o
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

// launcher starts goroutines for jobs without allocating a closure each time.
type launcher struct {
	job *job
	do  func(*job)
	run func()
}

func newLauncher() *launcher {
	l := &launcher{}
	l.run = func() {
		j, do := l.job, l.do
		l.job, l.do = nil, nil
		j.server.launchers.Put(l)
		do(j)
	}
	return l
}

func (s *Server) launch(j *job, do func(*job)) {
	l := s.launchers.Get().(*launcher)
	l.job, l.do = j, do
	go l.run()
}
