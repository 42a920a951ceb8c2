package occamy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errEnded ends the context of a task whose Do has returned.
var errEnded = errors.New("occamy: task ended")

// identity is what a job is known by. It is written once, when the job has been
// made, and then published by job.made.
type identity struct {
	details Details
	attempt int
	outcome bool // the sender asked for the outcome
}

// decode reads the headers of a request or an optional request into what its
// handler gets, and into what a task may leave to them.
func (s *Server) decode(m Message, r *Request, id *identity) (err error) {
	id.attempt = 1
	if a, ok := m.(Attempter); ok {
		id.attempt = max(a.Attempt(), 1)
	}
	keys, d := &s.cfg.Headers, &id.details
	r.Headers, r.Body, r.Attempt = m.Headers(), m.Body(), id.attempt
	h := headerReader{headers: r.Headers, left: len(r.Headers)}
	r.Kind = h.text(keys.Kind)
	r.ID = h.text(keys.RequestID)
	d.Kind, d.ID = r.Kind, r.ID
	id.outcome = h.boolean(keys.Outcome)
	d.Priority = h.integer(keys.Priority)
	d.Timeout = h.duration(keys.Timeout)
	d.Deadline = h.time(keys.Deadline)
	switch {
	case h.err != nil:
		return h.err
	case r.Kind == "":
		return fmt.Errorf("%w: %s: want the kind of the request", ErrInvalidHeader, keys.Kind)
	case !slices.Contains(s.info.Kinds, r.Kind):
		return fmt.Errorf("%w: %q", ErrUnknownKind, r.Kind)
	case s.cfg.MaxBody >= 0 && len(r.Body) > s.cfg.MaxBody:
		return fmt.Errorf("%w: %d bytes, more than the %d that this server takes", ErrInvalidBody, len(r.Body), s.cfg.MaxBody)
	}
	return nil
}

// make runs the handler and asks the task for its details.
func (j *job) make() (err error) {
	op := "Handle"
	defer func() {
		if v := recover(); v != nil {
			err = newPanic(op, v)
		}
		j.made.Store(true)
	}()
	r := Request{Optional: j.optional}
	if err := j.server.decode(j.message, &r, &j.identity); err != nil {
		return err
	}
	if err := overdue(j.details.Deadline); err != nil {
		return err
	}
	var t Task
	if j.server.cfg.Tracer == nil {
		t, err = j.server.cfg.Handler.Handle(&j.ctx, r)
	} else {
		err = j.surround(StageHandle, func(ctx context.Context) (err error) {
			t, err = j.server.cfg.Handler.Handle(ctx, r)
			return err
		})
	}
	if err != nil {
		return sound(op, err)
	}
	op = "Details"
	return j.take(t)
}

// take makes t the job's task and completes its details: what they leave at
// zero is as j.details has it. They are asked for twice, since they must not
// change.
func (j *job) take(t Task) error {
	if t == nil {
		return ErrNilTask
	}
	d, preset := t.Details(), &j.details
	id := preset.ID
	preset.ID = cmpOr(d.ID, preset.ID)
	preset.Kind = cmpOr(d.Kind, preset.Kind)
	preset.Request = d.Request
	preset.Priority = cmpOr(d.Priority, preset.Priority)
	preset.Timeout = cmpOr(d.Timeout, preset.Timeout)
	if !d.Deadline.IsZero() {
		preset.Deadline = d.Deadline
	}
	if again := cmpOr(t.Details().ID, id); again != preset.ID {
		return fmt.Errorf("%w: its ID was %q, then %q", ErrDetails, preset.ID, again)
	}
	j.task = t
	j.controller, _ = t.(Controller)
	j.expander, _ = t.(Expander)
	j.observer, _ = t.(SettleObserver)
	return overdue(preset.Deadline)
}

func overdue(deadline time.Time) error {
	if deadline.IsZero() || time.Now().Before(deadline) {
		return nil
	}
	return fmt.Errorf("%w: its deadline was %s", ErrTimeout, deadline.Format(time.RFC3339))
}
