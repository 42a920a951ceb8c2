package occamy

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// convert runs the handler of a request message and then, where there is a slot
// for it at once, the task, in the same goroutine.
func (j *job) convert() {
	returned := false
	defer func() {
		if !returned {
			j.converted(newPanic("Handle", nil))
		}
	}()
	err := j.make(&j.ctx)
	returned = true
	j.converted(err)
}

func (j *job) converted(err error) {
	s := j.server
	s.handlers.remove(j)
	s.latency(Latency{Stage: StageHandle, Kind: j.details.Kind, Duration: j.age()})
	e := slots.Event{Type: slots.Converted, Task: j.forTable()}
	switch {
	case err == nil:
	case errors.Is(err, ErrRequeue):
		e.Result, j.failure = slots.Requeue, err
	default:
		e.Result, j.failure = slots.Failed, err
		if j.ctx.Err() == nil {
			s.recordError(j.errorOf(Empty, err))
		}
	}
	o := s.step(e, j, nil)
	j.watchDeadline()
	switch {
	case o.start:
		j.run()
	case o.settle:
		j.settle(o.verdict, o.why)
	}
}

// handlerExpired: the handler of a request, or of an optional request, did not
// return in time. Its message is rejected; what it returns later is discarded.
func (s *Server) handlerExpired(j *job) {
	s.recordError(j.errorOf(Empty, fmt.Errorf("%w: it has not returned after %v", ErrHandlerTimeout, s.cfg.HandlerTimeout)))
	if j.optional {
		s.optional.abandon(j)
	} else {
		o := s.step(slots.Event{Type: slots.ConvertTimedOut}, j, nil)
		if o.settle {
			s.settleSoon(j, o.verdict, o.why)
		}
	}
	j.ctx.end(ErrHandlerTimeout)
}

// run calls Do, in the job's goroutine, and frees the slot when it returned.
func (j *job) run() {
	returned := false
	defer func() {
		if !returned {
			// A panic, or runtime.Goexit, which recover does not see.
			j.finish(newPanic("Do", recover()))
		}
	}()
	err := j.do()
	returned = true
	j.finish(err)
}

func (j *job) do() error {
	s := j.server
	if j.status == Protected || j.optional {
		s.latency(Latency{Stage: StageWait, Kind: j.details.Kind, Status: j.status, Duration: j.age()})
	}
	if limit := j.details.Timeout; limit > 0 {
		s.mu.Lock()
		j.limit = time.AfterFunc(limit, j.timedOut)
		s.mu.Unlock()
	}
	if j.controller != nil {
		j.feed()
	}
	if j.ctx.Err() != nil {
		return ErrPreempted // stopped before it began; why does not matter
	}
	return j.task.Do(&j.ctx)
}

// finish frees the slot, then settles the message.
func (j *job) finish(err error) {
	s := j.server
	e := slots.Event{Type: slots.Finish}
	var crash *PanicError
	switch {
	case err == nil:
	case errors.As(err, &crash):
		e.Result = slots.Failed
	case errors.Is(err, ErrRequeue):
		e.Result = slots.Requeue
	default:
		e.Result = slots.Failed
	}
	j.failure = err
	o := s.step(e, j, nil)
	s.kills.remove(j)
	j.ended(err, crash)
	if o.settle {
		j.settle(o.verdict, o.why)
	}
}

// ended tells the monitors and the watchers of a task whose slot is free.
func (j *job) ended(err error, crash *PanicError) {
	s := j.server
	j.ctx.end(errEnded)
	s.gone(j)
	if j.controller != nil {
		j.leftover()
	}
	s.mu.Lock()
	placed, stopped := j.placed, j.stopped
	s.mu.Unlock()
	if s.cfg.Monitors.Latency != nil {
		now, end := time.Now(), stopped
		outcome := "completed"
		switch {
		case !stopped.IsZero():
			outcome = "stopped"
			s.latency(Latency{Stage: StageStop, Kind: j.details.Kind, Status: j.status, Duration: now.Sub(stopped)})
		case err != nil:
			outcome = "failed"
		}
		if end.IsZero() {
			end = now
		}
		s.latency(Latency{Stage: StageRun, Kind: j.details.Kind, Status: j.status, Outcome: outcome, Duration: end.Sub(placed)})
	}
	if err != nil && (crash != nil || stopped.IsZero() && !errors.Is(err, ErrRequeue)) {
		s.recordError(j.errorOf(j.status, err))
	}
}

func (s *Server) stopExpired(j *job) {
	o := s.step(slots.Event{Type: slots.StopTimedOut}, j, nil)
	if o.settle {
		s.settleSoon(j, o.verdict, o.why)
	}
}

// timedOut: the task's timeout or deadline has passed.
func (j *job) timedOut() {
	o := j.server.step(slots.Event{Type: slots.TimedOut}, j, nil)
	if o.settle {
		j.settle(o.verdict, o.why)
	}
}

// watchDeadline begins once the table knows the job's task, so that the timer
// finds it.
func (j *job) watchDeadline() {
	d := j.details.Deadline
	if d.IsZero() {
		return
	}
	s := j.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.deadline == nil && s.jobAt(j.ref) == j {
		j.deadline = time.AfterFunc(time.Until(d), j.timedOut)
	}
}

// endTimers stops the timers of a job that is gone. The caller holds the lock.
func (j *job) endTimers() {
	if j.deadline != nil {
		j.deadline.Stop()
	}
	if j.limit != nil {
		j.limit.Stop()
	}
}

func newPanic(op string, v any) *PanicError {
	return &PanicError{Op: op, Value: v, Stack: debug.Stack()}
}

func (j *job) age() time.Duration {
	if j.server.cfg.Monitors.Latency == nil {
		return 0
	}
	return time.Since(j.arrived)
}
