package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// The pauses between the repetitions of a control message that nobody took.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// Control sends a message to the running tasks that bear an ID. A message that
// nobody took is sent again, so that one which follows Submit closely arrives,
// until ctx ends or the client's grace is over (see [WithGrace]); the error
// then wraps broker.ErrNobody. A nil error says that a server took it, which
// is not yet that the task acted on it.
func (c *Client) Control(ctx context.Context, id string, headers occamy.Headers, body []byte) error {
	if err := broker.CheckID(id); err != nil {
		return err
	}
	begin, pause := time.Now(), firstPause
	for {
		err := c.b.Control(ctx, id, headers, body)
		if err == nil {
			return nil
		}
		waited := time.Since(begin)
		if errors.Is(err, broker.ErrNobody) && waited < c.grace {
			timer := time.NewTimer(min(pause, c.grace-waited))
			select {
			case <-timer.C:
				pause = min(2*pause, lastPause)
				continue
			case <-ctx.Done():
				timer.Stop()
			}
		}
		return fmt.Errorf("control task %q for %v: %w", id, waited.Round(time.Millisecond), err)
	}
}

// A Teller is a [Broker] that can send a control message without hearing whether
// a server takes it, which costs one message and no wait.
type Teller interface {
	// Tell returns when the message is on its way. An error that wraps
	// occamy.ErrTooLarge is final; after any other it may arrive all the same.
	Tell(ctx context.Context, id string, headers occamy.Headers, body []byte) error
}

// Tell sends a message to the running tasks that bear an ID, once. Where the
// broker is a [Teller], a nil error says that the message is on its way, and it
// is lost when nobody takes it: for those who notice by themselves what does not
// arrive. With another broker it is one try of [Client.Control].
func (c *Client) Tell(ctx context.Context, id string, headers occamy.Headers, body []byte) error {
	send := c.b.Control
	if t, ok := c.b.(Teller); ok {
		send = t.Tell
	}
	if err := send(ctx, id, headers, body); err != nil {
		return fmt.Errorf("control task %q: %w", id, err)
	}
	return nil
}

// Cancel ends what bears an ID on the servers that are up now: running, waiting
// or in a backlog. It is no error when there are none, since a command has no
// answer.
//
// A request that still waits in a queue is dropped only if one of those servers
// takes it within its CancelMemory (see [occamy.Config]; by default 1 min) from
// now, and [Client.Wait] returns a [CancelledError] then, not before. One that
// is taken later, or by a server that started since, runs.
func (c *Client) Cancel(ctx context.Context, id string) error {
	return c.command(ctx, occamy.CommandCancel, c.keys.TaskID, id)
}

// Drain has a server take no more requests; what runs goes on. server is its
// ID, as [Client.Servers] tells. It is no error when there is no such server.
func (c *Client) Drain(ctx context.Context, server string) error {
	return c.command(ctx, occamy.CommandDrain, c.keys.Server, server)
}

// Resume ends Drain.
func (c *Client) Resume(ctx context.Context, server string) error {
	return c.command(ctx, occamy.CommandResume, c.keys.Server, server)
}

func (c *Client) command(ctx context.Context, command, key, target string) error {
	if target == "" {
		return fmt.Errorf("%w: the command %q needs a target", broker.ErrInvalid, command)
	}
	if err := c.b.Command(ctx, occamy.Headers{c.keys.Command: command, key: target}); err != nil {
		return fmt.Errorf("%s %q: %w", command, target, err)
	}
	return nil
}
