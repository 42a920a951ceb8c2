package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Request is work to be done. Only Kind is required. The client reads Headers
// and Body and keeps neither.
type Request struct {
	// Kind names the handler that is to do the work.
	Kind string

	// ID names the request, and its task for control messages. Empty: NewID.
	// The broker takes the same ID twice within two minutes for one request
	// sent twice, where it can tell.
	ID string

	// Headers go to the handler as they are. The fields below win over headers
	// that mean the same.
	Headers occamy.Headers

	// Body is for the handler.
	Body []byte

	// Timeout limits each attempt. Zero: the task's own limit, if any.
	Timeout time.Duration

	// Deadline is the moment after which nobody wants the result: the request
	// is then rejected. Zero: none.
	Deadline time.Time

	// Priority decides which helpers give way first and how spare slots are
	// shared. Zero: the task's own.
	Priority int
}

// Submit hands a request to the broker and returns its ID once the broker has
// confirmed that it keeps the request. The ID is returned with an error too:
// unless that wraps broker.ErrInvalid or occamy.ErrTooLarge, the request may
// have been kept all the same, and may be submitted again with the same ID.
//
// The outcome is asked for, so that a wait always gets an end; a caller who
// wants none sets the outcome header to "false".
func (c *Client) Submit(ctx context.Context, r Request) (string, error) {
	m, err := c.Message(r)
	if err != nil {
		return m.ID, err
	}
	return m.ID, c.submit(ctx, m)
}

func (c *Client) submit(ctx context.Context, m broker.Request) error {
	if _, ok := m.Headers[c.keys.Outcome]; !ok {
		m.Headers[c.keys.Outcome] = "true"
	}
	if c.inject != nil {
		c.inject(ctx, m.Headers)
	}
	if err := c.b.Submit(ctx, m); err != nil {
		return fmt.Errorf("submit request %q: %w", m.ID, err)
	}
	return nil
}

// SubmitAndWait submits a request and waits for its outcome, as Wait does. It
// watches before it submits, so it misses nothing, however short the work. The
// outcome bears the request's ID even where there is an error.
//
// The error wraps ErrEnded when r has the ID of a request that has ended. With
// the ID of a request that still runs, both callers get the outcome of
// whichever ends first.
func (c *Client) SubmitAndWait(ctx context.Context, r Request, onProgress func([]byte)) (occamy.Outcome, error) {
	m, err := c.Message(r)
	pending := occamy.Outcome{ID: m.ID, Kind: m.Kind}
	if err != nil {
		return pending, err
	}
	if r.ID != "" {
		switch _, err := c.b.Result(ctx, m.ID); {
		case err == nil:
			return pending, fmt.Errorf("%w: %q", ErrEnded, m.ID)
		case !errors.Is(err, broker.ErrNotFound):
			return pending, fmt.Errorf("look for request %q: %w", m.ID, err)
		}
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	watch := c.b.Watch
	if b, ok := c.b.(broker.NewWatcher); ok && r.ID == "" {
		watch = b.WatchNew
	}
	events, err := watch(watching, m.ID)
	if err != nil {
		return pending, fmt.Errorf("watch request %q: %w", m.ID, err)
	}
	if err := c.submit(ctx, m); err != nil {
		return pending, err
	}
	return c.await(ctx, m.ID, events, onProgress)
}

// Optional sends an optional request: help that is welcome where there is
// room. It goes to every server that knows the kind and is there now, and has
// no outcome. Sending it again with the same ID replaces the one that servers
// have set aside. Message makes r from a [Request].
func (c *Client) Optional(ctx context.Context, r broker.Request) error {
	if c.inject != nil {
		r.Headers = maps.Clone(r.Headers)
		if r.Headers == nil {
			r.Headers = make(occamy.Headers)
		}
		c.inject(ctx, r.Headers)
	}
	if err := c.b.Optional(ctx, r); err != nil {
		return fmt.Errorf("send optional request %q: %w", r.ID, err)
	}
	return nil
}

// Message returns a request as the broker takes it: with an ID, and with
// headers of its own that say what the fields do. The error wraps
// broker.ErrInvalid.
func (c *Client) Message(r Request) (broker.Request, error) {
	m := broker.Request{Kind: r.Kind, ID: r.ID, Headers: maps.Clone(r.Headers), Body: r.Body}
	if m.ID == "" {
		m.ID = NewID()
	}
	if m.Headers == nil {
		m.Headers = make(occamy.Headers)
	}
	if r.Timeout < 0 {
		return m, fmt.Errorf("%w: the timeout is %v; want 0 (none) or more", broker.ErrInvalid, r.Timeout)
	}
	if r.Timeout > 0 {
		m.Headers[c.keys.Timeout] = r.Timeout.String()
	}
	if !r.Deadline.IsZero() {
		m.Headers[c.keys.Deadline] = r.Deadline.Format(time.RFC3339Nano)
	}
	if r.Priority != 0 {
		m.Headers[c.keys.Priority] = strconv.Itoa(r.Priority)
	}
	return m, m.Check()
}
