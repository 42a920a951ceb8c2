package client

import (
	"context"
	"fmt"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Wait waits for the outcome of a request until ctx ends. onProgress, unless it
// is nil, is called with each progress that arrives, in this goroutine; the
// bytes are the callee's.
//
// The error is nil for a request that completed, a *RejectedError or
// *CancelledError for one that did not, and the outcome is set in all three
// cases. Any other error means that the wait ended, not the request: the cause
// of ctx, or broker.ErrClosed.
func (c *Client) Wait(ctx context.Context, id string, onProgress func([]byte)) (occamy.Outcome, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	events, err := c.b.Watch(watching, id)
	if err != nil {
		return occamy.Outcome{ID: id}, fmt.Errorf("watch request %q: %w", id, err)
	}
	return c.await(ctx, id, events, onProgress)
}

func (c *Client) await(ctx context.Context, id string, events <-chan broker.Event, onProgress func([]byte)) (occamy.Outcome, error) {
	for e := range events {
		if e.Outcome != nil {
			return *e.Outcome, OutcomeError(*e.Outcome)
		}
		if onProgress != nil {
			onProgress(e.Progress)
		}
	}
	err := broker.ErrClosed
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return occamy.Outcome{ID: id}, fmt.Errorf("wait for request %q: %w", id, err)
}

// Result returns the outcome of a request without waiting for it. The error
// wraps broker.ErrNotFound while there is none; a request that did not
// complete is no error here (see [OutcomeError]).
func (c *Client) Result(ctx context.Context, id string) (occamy.Outcome, error) {
	o, err := c.b.Result(ctx, id)
	if err != nil {
		return occamy.Outcome{ID: id}, fmt.Errorf("result of request %q: %w", id, err)
	}
	return o, nil
}

// OutcomeError returns nil for a request that completed, and the
// *RejectedError or *CancelledError that Wait returns for one that did not.
func OutcomeError(o occamy.Outcome) error {
	switch o.Status {
	case occamy.Completed:
		return nil
	case occamy.Cancelled:
		return &CancelledError{ID: o.ID}
	default:
		return &RejectedError{ID: o.ID, Reason: o.Reason}
	}
}
