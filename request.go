package occamy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
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

// request decodes the headers of a request or an optional request into what its
// handler gets, and into the details that a task may leave to them.
func (s *Server) request(m Message, optional bool) (Request, identity, error) {
	id := identity{attempt: 1}
	if a, ok := m.(Attempter); ok {
		id.attempt = max(a.Attempt(), 1)
	}
	h, keys, d := m.Headers(), &s.cfg.Headers, &id.details
	r := Request{Headers: h, Body: m.Body(), Optional: optional, Attempt: id.attempt}

	var err error
	if r.ID, err = stringHeader(h, keys.RequestID); err != nil {
		return r, id, err
	}
	d.ID = r.ID
	if r.Kind, err = stringHeader(h, keys.Kind); err != nil {
		return r, id, err
	}
	d.Kind = r.Kind
	if id.outcome, err = boolHeader(h, keys.Outcome); err != nil {
		return r, id, err
	}
	switch {
	case r.Kind == "":
		return r, id, fmt.Errorf("%w: %s: want the kind of the request", ErrInvalidHeader, keys.Kind)
	case !slices.Contains(s.info.Kinds, r.Kind):
		return r, id, fmt.Errorf("%w: %q", ErrUnknownKind, r.Kind)
	case s.cfg.MaxBody >= 0 && len(r.Body) > s.cfg.MaxBody:
		return r, id, fmt.Errorf("%w: %d bytes, more than the %d that this server takes", ErrInvalidBody, len(r.Body), s.cfg.MaxBody)
	}
	if d.Priority, err = intHeader(h, keys.Priority); err != nil {
		return r, id, err
	}
	if d.Timeout, err = durationHeader(h, keys.Timeout); err != nil {
		return r, id, err
	}
	d.Deadline, err = timeHeader(h, keys.Deadline)
	return r, id, err
}

// make runs the handler and asks the task for its details.
func (j *job) make(ctx context.Context) (err error) {
	op, id := "Handle", identity{attempt: 1}
	defer func() {
		if v := recover(); v != nil {
			err = newPanic(op, v)
		}
		j.identity = id
		j.made.Store(true)
	}()
	var r Request
	r, id, err = j.server.request(j.message, j.optional)
	if err != nil {
		return err
	}
	if err := overdue(id.details.Deadline); err != nil {
		return err
	}
	t, err := j.server.cfg.Handler.Handle(ctx, r)
	if err != nil {
		return err
	}
	op = "Details"
	return j.take(t, &id.details)
}

// take makes t the job's task and completes its details. They are asked for
// twice, since they must not change.
func (j *job) take(t Task, preset *Details) error {
	if t == nil {
		return ErrNilTask
	}
	d := t.Details()
	d.ID = cmpOr(d.ID, preset.ID)
	d.Kind = cmpOr(d.Kind, preset.Kind)
	d.Priority = cmpOr(d.Priority, preset.Priority)
	d.Timeout = cmpOr(d.Timeout, preset.Timeout)
	if d.Deadline.IsZero() {
		d.Deadline = preset.Deadline
	}
	id := preset.ID
	*preset = d
	if again := cmpOr(t.Details().ID, id); again != d.ID {
		return fmt.Errorf("%w: its ID was %q, then %q", ErrDetails, d.ID, again)
	}
	j.task = t
	j.controller, _ = t.(Controller)
	j.expander, _ = t.(Expander)
	return overdue(d.Deadline)
}

func overdue(deadline time.Time) error {
	if deadline.IsZero() || time.Now().Before(deadline) {
		return nil
	}
	return fmt.Errorf("%w: its deadline was %s", ErrTimeout, deadline.Format(time.RFC3339))
}

func cmpOr[T comparable](v, preset T) T {
	var zero T
	if v == zero {
		return preset
	}
	return v
}

func badHeader(key string, v any, want string) error {
	return fmt.Errorf("%w: %s is %#.100v: want %s", ErrInvalidHeader, key, v, want)
}

// stringHeader returns "" only for a header that is not there.
func stringHeader(h Headers, key string) (string, error) {
	v, ok := h[key]
	if !ok {
		return "", nil
	}
	if s, ok := v.(string); ok && s != "" {
		return s, nil
	}
	return "", badHeader(key, v, "a string that is not empty")
}

func boolHeader(h Headers, key string) (bool, error) {
	v, ok := h[key]
	if !ok {
		return false, nil
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b, nil
		}
	}
	return false, badHeader(key, v, "true or false")
}

func intHeader(h Headers, key string) (int, error) {
	v, ok := h[key]
	if !ok {
		return 0, nil
	}
	switch v := v.(type) {
	case int:
		return v, nil
	case int8:
		return int(v), nil
	case int16:
		return int(v), nil
	case int32:
		return int(v), nil
	case int64:
		if v >= math.MinInt && v <= math.MaxInt {
			return int(v), nil
		}
	case uint8:
		return int(v), nil
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n, nil
		}
	}
	return 0, badHeader(key, v, "an integer")
}

func durationHeader(h Headers, key string) (time.Duration, error) {
	v, ok := h[key]
	if !ok {
		return 0, nil
	}
	if s, ok := v.(string); ok {
		if d, err := time.ParseDuration(s); err == nil && d > 0 {
			return d, nil
		}
	}
	return 0, badHeader(key, v, `a duration above zero, such as "90s"`)
}

func timeHeader(h Headers, key string) (time.Time, error) {
	v, ok := h[key]
	if !ok {
		return time.Time{}, nil
	}
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return t, nil
		}
	}
	return time.Time{}, badHeader(key, v, "a time in RFC 3339")
}
