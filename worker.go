package occamy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// convert is the stage in which the handler of a request message runs.
func (j *job) convert() work {
	returned := false
	defer func() {
		if !returned { // the handler called runtime.Goexit
			j.failure = newPanic("Handle", nil)
			j.performAside((*job).converted)
		}
	}()
	j.failure = j.make()
	returned = true
	return work{j, (*job).converted}
}

// converted is the stage in which the table learns what the handler gave.
func (j *job) converted() work {
	s := j.server
	if s.cfg.Monitors.Latency != nil {
		s.recordLatency(j, StageHandle, "", "", j.age())
	}
	b := s.batch(slots.Converted, j)
	b.event.Task = j.forTable()
	if j.failure != nil {
		b.event.Result = j.refused(j.failure)
	}
	next := s.step(b)
	if !j.details.Deadline.IsZero() {
		j.watchDeadline()
	}
	return next
}

// refused notes why a message gave no task.
func (j *job) refused(err error) slots.Result {
	if !isPanic(err) && errors.Is(err, ErrRequeue) {
		return slots.Requeue
	}
	if j.ctx.Err() == nil {
		j.server.recordError(j.errorOf(Empty, err))
	}
	return slots.Failed
}

// handlerExpired: the handler of a request, or of an optional request, did not
// return in time. Its message is rejected; what it returns later is discarded.
// One that returns at this very moment has returned in time.
func (s *Server) handlerExpired(j *job) {
	late := false
	if j.optional {
		late = s.optional.abandon(j) || s.unmake(j)
	} else {
		late = s.stepAside(slots.ConvertTimedOut, j)
	}
	if late {
		j.ctx.end(ErrHandlerTimeout)
		s.recordError(j.errorOf(Empty, fmt.Errorf("%w: it has not returned after %v", ErrHandlerTimeout, s.cfg.HandlerTimeout)))
	}
}

// run is the stage in which Do runs.
func (j *job) run() work {
	returned := false
	defer func() {
		if !returned {
			// A panic, or runtime.Goexit, which recover does not see.
			j.failure = newPanic("Do", recover())
			j.performAside((*job).finish)
		}
	}()
	j.failure = sound("Do", j.do())
	returned = true
	return work{j, (*job).finish}
}

func (j *job) do() error {
	s := j.server
	if s.cfg.Monitors.Latency != nil && j.message != nil {
		s.recordLatency(j, StageWait, "", "", j.age())
	}
	if j.details.Timeout > 0 {
		j.watchTimeout()
	}
	if j.message == nil && !j.details.Deadline.IsZero() {
		j.watchDeadline()
	}
	if j.controller != nil {
		j.feed()
	}
	if j.ctx.Err() != nil {
		return ErrPreempted // stopped before it began; why does not matter
	}
	if s.cfg.Tracer == nil {
		return j.task.Do(&j.ctx)
	}
	return j.surround(StageRun, func(ctx context.Context) error {
		j.traced.set(ctx)
		return j.task.Do(ctx)
	})
}

// finish is the stage in which the slot becomes free.
func (j *job) finish() work {
	s, err := j.server, j.failure
	b := s.batch(slots.Finish, j)
	if err != nil {
		b.event.Result = slots.Failed
		if !isPanic(err) && errors.Is(err, ErrRequeue) {
			b.event.Result = slots.Requeue
		}
	}
	next := s.step(b)
	j.ctx.end(errEnded)
	if j.controller != nil {
		s.gone(j)
	}
	if err != nil || s.cfg.Monitors.Latency != nil {
		j.recordEnd(err)
	}
	return next
}

// recordEnd tells the monitors of a task whose slot is free.
func (j *job) recordEnd(err error) {
	s := j.server
	s.mu.Lock()
	placed, stopped, cause := j.placed, j.stopped, j.stopCause()
	s.mu.Unlock()
	if err != nil && (isPanic(err) || stopped == 0 && !errors.Is(err, ErrRequeue)) {
		s.recordError(j.errorOf(j.status, err))
	}
	if s.cfg.Monitors.Latency == nil {
		return
	}
	now := time.Since(s.start)
	outcome, end := "completed", now
	switch {
	case stopped != 0:
		outcome, end = "stopped", stopped
		s.recordLatency(j, StageStop, "", cause, now-stopped)
	case err != nil:
		outcome = "failed"
	}
	s.recordLatency(j, StageRun, outcome, cause, end-placed)
}

// stepAside is a step about a job in whose goroutine it is not. It reports
// whether the job's message is settled by it.
func (s *Server) stepAside(t slots.EventType, j *job) bool {
	settling := s.step(s.batch(t, j)).job == j
	if settling {
		j.ctx.end(causeOf(j.settleAs.why))
		go j.settleOwn()
	}
	return settling
}

func (s *Server) stopExpired(j *job) {
	s.stepAside(slots.StopTimedOut, j)
}

// timedOut: the task's timeout or deadline has passed.
func (j *job) timedOut() {
	j.server.stepAside(slots.TimedOut, j)
}

// watchDeadline begins once the table knows the job's task, so that the timer
// finds it.
func (j *job) watchDeadline() {
	s, d := j.server, j.details.Deadline
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.deadline == nil && s.jobAt(j.ref) == j {
		j.deadline = time.AfterFunc(time.Until(d), j.timedOut)
	}
}

func (j *job) watchTimeout() {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	j.limit = time.AfterFunc(j.details.Timeout, j.timedOut)
}

// endTimers stops the timers of a job that is gone. The caller holds the lock.
func (j *job) endTimers() {
	if j.deadline != nil {
		j.deadline.Stop()
	}
	if j.limit != nil {
		j.limit.Stop()
	}
	if j.again != nil && j.again.timer != nil {
		j.again.timer.Stop()
	}
}

// age is the time since the job's message came.
func (j *job) age() time.Duration { return time.Since(j.server.start) - j.arrived }
