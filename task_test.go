package occamy_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
)

// task is a Task that a test steers. Its Do waits until the test finishes it
// or its context ends.
type task struct {
	details occamy.Details
	do      func(ctx context.Context) error // in place of waiting; nil for none
	lag     time.Duration                   // from the end of the context until the first Do returns
	runs    atomic.Int32                    // how often Do was called
	ended   atomic.Bool                     // Do has returned
	finish  chan error                      // what Do is to return

	mu    sync.Mutex
	info  occamy.TaskInfo // guarded by mu
	began time.Time       // guarded by mu
	cause error           // why the context ended; guarded by mu
}

func newTask(id string) *task {
	return &task{details: occamy.Details{ID: id}, finish: make(chan error)}
}

// newSlow makes a task whose first run goes on for lag after its context ended.
func newSlow(id string, lag time.Duration) *task {
	t := newTask(id)
	t.lag = lag
	return t
}

func (t *task) Details() occamy.Details { return t.details }

func (t *task) Do(ctx context.Context) error {
	t.runs.Add(1)
	t.ended.Store(false)
	defer t.ended.Store(true)
	info, _ := occamy.InfoFromContext(ctx)
	t.mu.Lock()
	t.info, t.began = info, time.Now()
	t.mu.Unlock()
	if t.do != nil {
		return t.do(ctx)
	}
	select {
	case err := <-t.finish:
		return err
	case <-ctx.Done():
	}
	t.mu.Lock()
	t.cause = context.Cause(ctx)
	t.mu.Unlock()
	if t.lag > 0 && t.runs.Load() == 1 {
		after(t.lag)
	}
	return context.Cause(ctx)
}

func (t *task) stopCause() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cause
}

func (t *task) beganAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.began
}

func (t *task) taskInfo() occamy.TaskInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.info
}

// expander is a task that expands as a test says.
type expander struct {
	*task
	expand func(ctx context.Context, n int) []occamy.Task

	asks atomic.Int32 // how often Expand was called
}

func (e *expander) Expand(ctx context.Context, n int) []occamy.Task {
	e.asks.Add(1)
	return e.expand(ctx, n)
}

// newOwner makes a task that offers helpers, named for it and numbered from 1,
// up to limit at any time; each runs until it is stopped.
func newOwner(id string, limit int) *owner {
	o := &owner{expander: expander{task: newTask(id)}}
	o.expand = func(_ context.Context, n int) []occamy.Task {
		o.mu.Lock()
		defer o.mu.Unlock()
		var offers []occamy.Task
		alive := 0
		for _, h := range o.helpers {
			if !h.ended.Load() {
				alive++
			}
		}
		for range min(n, limit-alive) {
			h := newTask(fmt.Sprintf("%s.%d", id, len(o.helpers)+1))
			h.lag = o.helperLag
			o.helpers = append(o.helpers, h)
			offers = append(offers, h)
		}
		return offers
	}
	return o
}

type owner struct {
	expander
	helperLag time.Duration

	mu      sync.Mutex
	helpers []*task // guarded by mu
}

func (o *owner) helper(n int) *task {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.helpers[n-1]
}

// controlled is a task that takes control messages as a test says.
type controlled struct {
	*task
	control func(ctx context.Context, body string) error
}

func (c *controlled) Control(ctx context.Context, _ occamy.Headers, body []byte) error {
	return c.control(ctx, string(body))
}
