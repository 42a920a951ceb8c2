package occamy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// settleSoon settles in a goroutine of its own.
func (s *Server) settleSoon(j *job, v slots.Verdict, why slots.Why) {
	go j.settle(v, why)
}

// settle settles the job's message, outside its slot, and tries until it is
// done, the delivery is lost, or SettleTimeout has passed. It is called once
// for each message.
func (j *job) settle(v slots.Verdict, why slots.Why) {
	s := j.server
	begun := time.Now()
	delay := j.delay(v, why)
	if _, ok := j.message.(DelayedRequeuer); !ok && delay > 0 {
		s.waitOut(delay)
		delay, begun = 0, time.Now()
	}
	if v != slots.Forget && !j.lost.Load() {
		j.settlement.setDeadline(begun.Add(s.cfg.SettleTimeout))
		s.settles.add(j)
		err := j.trySettle(&j.settlement, v, why, delay)
		if j.settled.CompareAndSwap(false, true) {
			s.settles.remove(j)
			if err != nil {
				s.recordError(j.errorOf(Protected, fmt.Errorf("%w: %w", ErrNotSettled, err)))
			}
			s.settleDone(j, v, begun)
		}
		j.settlement.end(errEnded)
		return
	}
	j.settled.Store(true)
	s.recordError(j.errorOf(Protected, ErrDeliveryLost))
	s.settleDone(j, slots.Forget, begun)
}

// settleExpired: a call of the broker hangs, whatever its context says.
func (s *Server) settleExpired(j *job) {
	if j.settled.CompareAndSwap(false, true) {
		s.recordError(j.errorOf(Protected, fmt.Errorf("%w: not within %v", ErrNotSettled, s.cfg.SettleTimeout)))
		j.settlement.end(context.DeadlineExceeded)
		s.settleDone(j, slots.Forget, time.Time{})
	}
}

func (s *Server) settleDone(j *job, v slots.Verdict, begun time.Time) {
	j.endLease()
	if s.cfg.Monitors.Latency != nil && !begun.IsZero() {
		outcome := [...]string{slots.Ack: "acked", slots.Reject: "rejected", slots.Return: "requeued", slots.Forget: "lost"}[v]
		s.latency(Latency{Stage: StageSettle, Kind: j.known().details.Kind, Status: Protected, Outcome: outcome, Duration: time.Since(begun)})
	}
	s.mu.Lock()
	s.unsettled--
	if s.closing {
		s.wakeShutdown()
	}
	s.mu.Unlock()
}

func (j *job) trySettle(ctx context.Context, v slots.Verdict, why slots.Why, delay time.Duration) error {
	status, reason := j.end(v, why)
	said := v == slots.Return
	pause := 50 * time.Millisecond
	for {
		err := guard(func() error {
			if err := j.flushProgress(ctx); err != nil {
				return err
			}
			if !said {
				err := j.publishOutcome(ctx, status, reason)
				if errors.Is(err, ErrTooLarge) && v == slots.Ack {
					v, status, reason = slots.Reject, Rejected, err.Error()
					j.server.recordError(j.errorOf(Protected, err))
					err = j.publishOutcome(ctx, status, reason)
				}
				if err != nil {
					return err
				}
				said = true
			}
			if !j.ours() {
				return ErrDeliveryLost
			}
			switch v {
			case slots.Ack:
				return j.message.Ack(ctx)
			case slots.Reject:
				return j.reject(ctx, reason)
			}
			return j.requeue(ctx, delay)
		})
		if err == nil || errors.Is(err, ErrDeliveryLost) || j.lost.Load() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause = min(2*pause, 2*time.Second)
		}
	}
}

// end is what the request's sender is told.
func (j *job) end(v slots.Verdict, why slots.Why) (OutcomeStatus, string) {
	switch {
	case v == slots.Ack && why == slots.Completed:
		return Completed, ""
	case v == slots.Ack:
		return Cancelled, ""
	case v == slots.Return:
		return "", ""
	case why == slots.Timeout:
		return Rejected, ErrTimeout.Error()
	case why == slots.HandlerTimeout:
		return Rejected, ErrHandlerTimeout.Error()
	case j.failure != nil:
		return Rejected, j.failure.Error()
	}
	return Rejected, ErrStuck.Error()
}

// delay is how long a request that is requeued should stay away.
func (j *job) delay(v slots.Verdict, why slots.Why) time.Duration {
	var r *requeueError
	switch {
	case v != slots.Return:
		return 0
	case why == slots.Asked && errors.As(j.failure, &r):
		return r.delay
	case why == slots.NoSlot || why == slots.Draining:
		return j.server.refusalDelay()
	}
	return 0
}

// refusalDelay grows while the server refuses one message after the other, so
// that a broker which pushes on gets no hot loop.
func (s *Server) refusalDelay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(10*time.Millisecond<<min(max(s.refusals-1, 0), 10), 5*time.Second)
}

// publishOutcome tells the request's sender how it ended, where the sender
// asked for it or the task gave a result.
func (j *job) publishOutcome(ctx context.Context, status OutcomeStatus, reason string) error {
	id := j.known()
	var result []byte
	if r := j.report.Load(); r != nil && status == Completed {
		result = r.takeResult()
	}
	if !id.outcome && result == nil || id.details.ID == "" {
		return nil
	}
	p, ok := j.message.(OutcomePublisher)
	if !ok {
		return nil
	}
	return p.PublishOutcome(ctx, Outcome{
		ID: id.details.ID, Kind: id.details.Kind, Status: status, Result: result,
		Reason: reason, Attempt: id.attempt, Server: j.server.cfg.ID,
	})
}

func (j *job) reject(ctx context.Context, reason string) error {
	if m, ok := j.message.(ReasonedRejecter); ok {
		return m.RejectFor(ctx, reason)
	}
	return j.message.Reject(ctx, false)
}

func (j *job) requeue(ctx context.Context, delay time.Duration) error {
	if delay <= 0 {
		return j.message.Reject(ctx, true)
	}
	return j.message.(DelayedRequeuer).RequeueAfter(ctx, delay)
}

// waitOut is the delay of a message whose broker has none. Shutdown ends it.
func (s *Server) waitOut(delay time.Duration) {
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.closed:
	}
}

// refuse requeues a message that never became a job.
func (j *job) refuse() {
	if j.stopWhy == slots.NoSlot {
		j.server.recordError(j.errorOf(Empty, ErrNoSlot))
	}
	j.settle(slots.Return, j.stopWhy)
}

// guard makes a panic in an adapter an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanic("Message", v)
		}
	}()
	return f()
}
