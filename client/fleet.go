package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Servers returns the snapshots of the servers that answer within wait, sorted
// by ID. There may be others that are too busy.
func (c *Client) Servers(ctx context.Context, wait time.Duration) ([]occamy.Snapshot, error) {
	servers, err := c.b.Servers(ctx, wait)
	if err != nil {
		return nil, fmt.Errorf("ask servers: %w", err)
	}
	return servers, nil
}

// Queues returns how deep the queue of each kind is.
func (c *Client) Queues(ctx context.Context) ([]broker.Queue, error) {
	queues, err := c.b.Queues(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for queues: %w", err)
	}
	return queues, nil
}

// CheckKind asks servers whether they know a kind, for as long as wait, and
// returns how many do. The error is an *UnknownKindError when servers answer
// and none of them does; that none answers is no error, since a fleet that is
// down still accepts requests.
func (c *Client) CheckKind(ctx context.Context, kind string, wait time.Duration) (int, error) {
	servers, err := c.Servers(ctx, wait)
	if err != nil || len(servers) == 0 {
		return 0, err
	}
	knowing := 0
	known := make(map[string]bool)
	for _, s := range servers {
		for _, k := range s.Kinds {
			known[k] = true
		}
		if slices.Contains(s.Kinds, kind) {
			knowing++
		}
	}
	if knowing > 0 {
		return knowing, nil
	}
	return 0, &UnknownKindError{Kind: kind, Known: slices.Sorted(maps.Keys(known))}
}

// DeadLetters returns up to limit dead letters, oldest first; all for a limit
// of zero.
func (c *Client) DeadLetters(ctx context.Context, limit int) ([]broker.DeadLetter, error) {
	letters, err := c.b.DeadLetters(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

// DeadLetter returns the newest dead letter that has the key or request ID. The
// error wraps broker.ErrNotFound when there is none.
func (c *Client) DeadLetter(ctx context.Context, id string) (broker.DeadLetter, error) {
	d, err := c.b.DeadLetter(ctx, id)
	if err != nil {
		return broker.DeadLetter{}, fmt.Errorf("dead letter %q: %w", id, err)
	}
	return d, nil
}

// Retry submits a dead letter again, as a first attempt, and removes it from
// the dead letters. The error wraps broker.ErrNotFound when there is none.
func (c *Client) Retry(ctx context.Context, id string) error {
	if err := c.b.Retry(ctx, id); err != nil {
		return fmt.Errorf("retry dead letter %q: %w", id, err)
	}
	return nil
}
