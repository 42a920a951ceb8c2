package ops

import (
	"context"
	"sync"
	"time"
)

// cached is an answer that is asked for once at a time and kept for a while, so
// that many who ask cost no more than one. An error is kept too.
type cached[T any] struct {
	ask   func(ctx context.Context) (T, error)
	age   time.Duration // for which an answer is good; 0: for those who wait for it
	limit time.Duration // for ask; who asks waits no longer, even if it goes on

	mu     sync.Mutex
	asking *asked[T] // under way, or the last that was; guarded by mu
}

// asked is one call of ask.
type asked[T any] struct {
	done  chan struct{} // closed when value and err are there
	at    time.Time
	value T
	err   error
}

// get returns an answer that is no older than age, within limit.
func (c *cached[T]) get(ctx context.Context) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	a := c.current()
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// current returns the call that is under way or whose answer is still good, or a
// new one. It outlives who asks, since others may wait for it.
func (c *cached[T]) current() *asked[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.asking; a != nil {
		select {
		case <-a.done:
			if time.Since(a.at) < c.age {
				return a
			}
		default:
			return a
		}
	}
	a := &asked[T]{done: make(chan struct{})}
	c.asking = a
	go func() {
		defer close(a.done)
		ctx, cancel := context.WithTimeout(context.Background(), c.limit)
		defer cancel()
		a.value, a.err = c.ask(ctx)
		a.at = time.Now()
	}()
	return a
}
