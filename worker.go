package occamy

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// convert runs the handler of a request message and then, where there is a slot
// for it at once, the task, in the same goroutine. The calls follow each other
// rather than nest, so that a goroutine's first stack is enough.
func (j *job) convert() {
	returned := false
	defer func() {
		if !returned { // the handler called runtime.Goexit
			j.goOn(j.converted(newPanic("Handle", nil)))
		}
	}()
	err := j.make()
	returned = true
	j.goOn(j.converted(err))
}

func (j *job) converted(err error) own {
	s := j.server
	if s.cfg.Monitors.Latency != nil {
		s.recordLatency(j, StageHandle, "", j.age())
	}
	e := slots.Event{Type: slots.Converted, Task: j.forTable()}
	if err != nil {
		e.Result = j.refused(err)
	}
	o := s.step(e, j, nil)
	if !j.details.Deadline.IsZero() {
		j.watchDeadline()
	}
	return o
}

// refused notes why a message gave no task.
func (j *job) refused(err error) slots.Result {
	j.failure = err
	if errors.Is(err, ErrRequeue) {
		return slots.Requeue
	}
	if j.ctx.Err() == nil {
		j.server.recordError(j.errorOf(Empty, err))
	}
	return slots.Failed
}

// goOn does what a step said to the job in whose goroutine it was.
func (j *job) goOn(o own) {
	if o.start {
		j.run()
	} else if o.settle {
		j.settle(o.verdict, o.why, o.at)
	}
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

// run calls Do, in the job's goroutine, frees the slot when it returned, and
// then settles the message.
func (j *job) run() {
	returned := false
	defer func() {
		if !returned {
			// A panic, or runtime.Goexit, which recover does not see.
			j.goOn(j.finish(newPanic("Do", recover())))
		}
	}()
	err := j.do()
	returned = true
	j.goOn(j.finish(err))
}

func (j *job) do() error {
	s := j.server
	if s.cfg.Monitors.Latency != nil && j.message != nil {
		s.recordLatency(j, StageWait, "", j.age())
	}
	if j.details.Timeout > 0 {
		j.watchTimeout()
	}
	if j.controller != nil {
		j.feed()
	}
	if j.ctx.Err() != nil {
		return ErrPreempted // stopped before it began; why does not matter
	}
	return j.task.Do(&j.ctx)
}

// finish frees the slot.
func (j *job) finish(err error) own {
	s := j.server
	e := slots.Event{Type: slots.Finish}
	if err != nil {
		e.Result = slots.Failed
		if !isPanic(err) && errors.Is(err, ErrRequeue) {
			e.Result = slots.Requeue
		}
	}
	j.failure = err
	o := s.step(e, j, nil)
	j.ctx.end(errEnded)
	if j.controller != nil {
		s.gone(j)
		j.leftover()
	}
	if err != nil || s.cfg.Monitors.Latency != nil {
		j.recordEnd(err)
	}
	return o
}

// recordEnd tells the monitors of a task whose slot is free.
func (j *job) recordEnd(err error) {
	s := j.server
	s.mu.Lock()
	placed, stopped := j.placed, j.stopped
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
		s.recordLatency(j, StageStop, "", now-stopped)
	case err != nil:
		outcome = "failed"
	}
	s.recordLatency(j, StageRun, outcome, end-placed)
}

// stepAside is a step about a job in whose goroutine it is not. It reports
// whether the job's message is settled by it.
func (s *Server) stepAside(t slots.EventType, j *job) bool {
	o := s.step(slots.Event{Type: t}, j, nil)
	if o.settle {
		j.ctx.end(causeOf(o.why))
		go j.settle(o.verdict, o.why, o.at)
	}
	return o.settle
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
}

func isPanic(err error) bool {
	var p *PanicError
	return errors.As(err, &p)
}

func newPanic(op string, v any) *PanicError {
	return &PanicError{Op: op, Value: v, Stack: debug.Stack()}
}

// age is the time since the job's message came.
func (j *job) age() time.Duration { return time.Since(j.server.start) - j.arrived }
