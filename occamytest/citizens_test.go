package occamytest_test

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
)

// citizen is a task that a test lays out. Its zero value is a good one that
// counts its steps, of which each attempt makes what is left.
type citizen struct {
	details func() occamy.Details
	step    func(ctx context.Context, n int) error // before each; an error ends Do
	do      func(ctx context.Context, c *citizen) error
}

const (
	steps    = 100
	stepTime = 10 * time.Millisecond
)

func (c *citizen) Details() occamy.Details {
	if c.details != nil {
		return c.details()
	}
	return occamy.Details{ID: "count", Kind: "counts", Priority: 2}
}

func (c *citizen) Do(ctx context.Context) error {
	if c.do != nil {
		return c.do(ctx, c)
	}
	return c.count(ctx)
}

func (c *citizen) count(ctx context.Context) error {
	progress, err := occamy.LastProgress(ctx)
	if err != nil && !errors.Is(err, occamy.ErrNoRequest) {
		return err
	}
	n, _ := strconv.Atoi(string(progress))
	for ; n < steps; n++ {
		if c.step != nil {
			if err := c.step(ctx, n); err != nil {
				return err
			}
		}
		if err := pause(ctx, stepTime); err != nil {
			return err
		}
		if err := occamy.ReportProgress(ctx, []byte(strconv.Itoa(n+1))); err != nil {
			return err
		}
	}
	return occamy.SetResult(ctx, []byte("counted to "+strconv.Itoa(n)))
}

// pause stands for computing.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// deaf is a pause that does not listen.
func deaf(d time.Duration) { <-time.After(d) }

// helped is a citizen that expands.
type helped struct {
	citizen
	expand func(ctx context.Context, h *helped, n int) []occamy.Task
}

func (h *helped) Expand(ctx context.Context, n int) []occamy.Task {
	if h.expand != nil {
		return h.expand(ctx, h, n)
	}
	return helpers(n)
}

func helpers(n int) (tasks []occamy.Task) {
	for range n {
		tasks = append(tasks, endless())
	}
	return tasks
}

// endless runs until it is stopped.
func endless() *citizen {
	return &citizen{do: func(ctx context.Context, _ *citizen) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}}
}

// controlled is a citizen that takes control messages.
type controlled struct {
	citizen
	control func(ctx context.Context, h occamy.Headers, body []byte) error
}

func (c *controlled) Control(ctx context.Context, h occamy.Headers, body []byte) error {
	if c.control != nil {
		return c.control(ctx, h, body)
	}
	return errors.New("no such message")
}

// settler is a citizen that is told what became of its request.
type settler struct {
	citizen
	settled func(s occamy.Settlement)
}

func (c *settler) Settled(_ context.Context, s occamy.Settlement) { c.settled(s) }
