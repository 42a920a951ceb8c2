package occamy

import (
	"context"
	"errors"
	"time"
)

// Tracer surrounds the calls of a handler and of Do, for distributed traces.
type Tracer interface {
	// Trace is called before the handler or Do is, in their goroutine. They, and
	// Expand and Control of the task, get the context that it returns, which is
	// made from ctx. end, unless it is nil, is called once with the error when
	// the handler or Do has returned, in the same goroutine; context.Cause of
	// the context tells then why a task was stopped.
	//
	// Both hold the task up and its slot, so they return at once. A panic in
	// them is recorded as a PanicError, and the task goes on.
	Trace(ctx context.Context, t Traced) (traced context.Context, end func(err error))
}

// Traced is what a Tracer is told of a call.
type Traced struct {
	Stage   Stage // StageHandle or StageRun
	Server  string
	ID      string
	Kind    string
	Status  Status // Empty at StageHandle
	Request string // as SlotInfo has it; empty at StageHandle
	Slot    int    // -1 at StageHandle
	Attempt int
	// Headers are those of the message, nil for a task that came from Expand.
	// Nobody changes them.
	Headers Headers
	// Parent is the context of the task whose Expand returned this one, nil for
	// others. It may have ended.
	Parent context.Context
	// Since is when the message came, or the task began to run.
	Since time.Time
}

// errUnwound is what a Tracer is told of a call that panicked or ended its
// goroutine.
var errUnwound = errors.New("occamy: panicked or ended its goroutine")

// surround makes a call of a stage with the tracer around it.
func (j *job) surround(stage Stage, call func(ctx context.Context) error) (err error) {
	ctx, end := j.trace(stage)
	if end != nil {
		err = errUnwound
		defer func() { _ = j.tracing(func() { end(err) }) }()
	}
	err = call(ctx)
	return err
}

// trace has the tracer begin a call.
func (j *job) trace(stage Stage) (ctx context.Context, end func(error)) {
	s := j.server
	id := j.known()
	t := Traced{
		Stage: stage, Server: s.cfg.ID, ID: id.details.ID, Kind: id.details.Kind, Status: Empty,
		Slot: -1, Attempt: id.attempt, Parent: j.parent, Since: s.start.Add(j.arrived),
	}
	if j.message != nil {
		t.Headers = j.message.Headers()
	}
	if stage == StageRun {
		s.mu.Lock()
		t.Status, t.Slot, t.Request = j.status, j.slot, j.request()
		if j.message == nil {
			t.Since = s.start.Add(j.placed)
		}
		s.mu.Unlock()
	}
	ctx = &j.ctx
	if err := j.tracing(func() {
		traced, f := s.cfg.Tracer.Trace(ctx, t)
		if traced != nil {
			ctx = traced
		}
		end = f
	}); err != nil {
		return &j.ctx, nil
	}
	return ctx, end
}

// tracing calls the tracer and records its panic.
func (j *job) tracing(call func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanic("Trace", v)
			j.server.recordError(j.errorOf(j.status, err))
		}
	}()
	call()
	return nil
}

// tracedContext is the context that a tracer made for Do.
type tracedContext struct {
	ready chan struct{} // closed once ctx is set
	ctx   context.Context
}

func (t *tracedContext) set(ctx context.Context) {
	t.ctx = ctx
	close(t.ready)
}

// userCtx is the context that the task's Do has, for its other methods. They may
// be about to be called a moment before Do is.
func (j *job) userCtx() context.Context {
	if j.traced == nil {
		return &j.ctx
	}
	select {
	case <-j.traced.ready:
		return j.traced.ctx
	case <-j.ctx.Done(): // Do may never be called
		return &j.ctx
	}
}
