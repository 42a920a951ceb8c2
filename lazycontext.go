package occamy

import (
	"context"
	"sync"
	"time"
)

// lazyContext is a context that costs nothing until somebody waits on it: a
// request that ends before it looks at its context pays for no channel. Once
// somebody does, a standard context does the work, so contexts derived from
// this one need no goroutine and context.Cause answers.
type lazyContext struct {
	job *job // found by fromContext; nil for none

	mu     sync.Mutex
	until  time.Time // zero: no deadline; guarded by mu
	cause  error     // of cancel; the first one counts
	inner  context.Context
	cancel context.CancelCauseFunc
	free   context.CancelFunc // frees the timer of until
}

func (c *lazyContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until, !c.until.IsZero()
}

// setDeadline is called before anybody has got the context.
func (c *lazyContext) setDeadline(at time.Time) {
	c.mu.Lock()
	c.until = at
	c.mu.Unlock()
}

func (c *lazyContext) Done() <-chan struct{} { return c.get().Done() }

func (c *lazyContext) Err() error {
	c.mu.Lock()
	inner, cause, until := c.inner, c.cause, c.until
	c.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Err()
	case cause != nil:
		return context.Canceled
	case !until.IsZero() && !time.Now().Before(until):
		return context.DeadlineExceeded
	}
	return nil
}

func (c *lazyContext) Value(key any) any {
	if _, ok := key.(taskKey); ok {
		if c.job == nil || c.job.message != nil && !c.job.made.Load() {
			return nil // of no job, or of a handler
		}
		return taskContext(c.job)
	}
	return c.get().Value(key)
}

func (c *lazyContext) get() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithCancelCause(context.Background())
		if !c.until.IsZero() {
			c.inner, c.free = context.WithDeadline(c.inner, c.until)
		}
		if c.cause != nil {
			c.cancel(c.cause)
		}
	}
	return c.inner
}

// end cancels the context for a cause that is not nil.
func (c *lazyContext) end(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	cancel, free := c.cancel, c.free
	c.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
	if free != nil {
		free()
	}
}
