package occamy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// settlement is what the table decided of a message.
type settlement struct {
	verdict slots.Verdict
	why     slots.Why
	at      time.Duration
}

// settleOwn is the stage in which a job's message is settled.
func (j *job) settleOwn() work {
	j.settle(j.settleAs.verdict, j.settleAs.why, j.settleAs.at)
	return work{}
}

// settle settles the job's message, outside its slot, and tries until it is
// done, the delivery is lost, or SettleTimeout has passed. It is called once
// for each message. begun is when the table decided it.
func (j *job) settle(v slots.Verdict, why slots.Why, begun time.Duration) {
	s := j.server
	if v == slots.Return {
		begun = j.waitOut(why, begun)
	}
	if v == slots.Forget || j.lost.Load() {
		j.forgo(begun)
		return
	}
	j.settlement.setDeadline(s.start.Add(begun + s.cfg.SettleTimeout))
	j.settleAs = settlement{v, why, begun}
	if id := j.known(); v == slots.Ack && !id.outcome && j.report.Load() == nil {
		j.ack()
	} else {
		j.settleWhole()
	}
}

// settleWhole is a settlement with all that belongs to it.
func (j *job) settleWhole() {
	j.concludeSettling(j.trySettle(j.settleAs.verdict, j.settleAs.why))
}

// concludeSettling: the message is settled, or is not going to be.
func (j *job) concludeSettling(v slots.Verdict, err error) {
	if j.settled.CompareAndSwap(false, true) {
		if err != nil {
			if j.lost.Load() && !errors.Is(err, ErrDeliveryLost) {
				err = fmt.Errorf("%w: %w", ErrDeliveryLost, err)
			}
			j.server.recordError(j.errorOf(Protected, fmt.Errorf("%w: %w", ErrNotSettled, err)))
			j.release()
			v = slots.Forget
		}
		j.server.settleDone(j, v, j.settleAs.at)
	}
	j.settlement.end(errEnded)
}

// forgo is the end of a message that somebody else has now.
func (j *job) forgo(begun time.Duration) {
	if j.settled.CompareAndSwap(false, true) {
		j.server.recordError(j.errorOf(Protected, ErrDeliveryLost))
		j.server.settleDone(j, slots.Forget, begun)
	}
}

// settleExpired: a call of the broker hangs, whatever its context says, or one
// of Settled.
func (s *Server) settleExpired(j *job) {
	if !j.settled.CompareAndSwap(false, true) {
		s.tellingExpired(j)
	} else {
		s.recordError(j.errorOf(Protected, fmt.Errorf("%w: not within %v", ErrNotSettled, s.cfg.SettleTimeout)))
		j.settlement.end(context.DeadlineExceeded)
		j.release()
		s.settleDone(j, slots.Forget, time.Since(s.start)-s.cfg.SettleTimeout)
	}
}

// release gives back what could not be settled.
func (j *job) release() {
	if m, ok := j.message.(Releaser); ok {
		if err := guard(func() error { m.Release(); return nil }); err != nil {
			j.server.recordError(j.errorOf(Protected, err))
		}
	}
}

func (s *Server) settleDone(j *job, v slots.Verdict, begun time.Duration) {
	j.endLease()
	if s.cfg.Monitors.Latency != nil {
		s.recordLatency(j, StageSettle, string(settlements[v]), j.settledFor(v), time.Since(s.start)-begun)
	}
	tell := j.observed()
	s.mu.Lock()
	s.settles.remove(j)
	s.unsettled--
	if tell {
		s.beginTelling(j)
	}
	if s.closing {
		s.wakeShutdown()
	}
	s.mu.Unlock()
	if tell {
		go j.tellSettled(settlements[v])
	}
}

// ack is the whole settlement of a request that asked for nothing else. Where
// the broker allows it, no goroutine waits for the answer.
func (j *job) ack() {
	if !j.ours() {
		j.settleWhole()
		return
	}
	m, ok := j.message.(AsyncAcker)
	if !ok {
		if guard(func() error { return j.message.Ack(&j.settlement) }) != nil {
			j.settleWhole()
			return
		}
		j.concludeSettling(slots.Ack, nil)
		return
	}
	if err := guard(func() error { m.AckAsync(&j.settlement, j.acked); return nil }); err != nil {
		j.acked(err)
	}
}

// acked is told what became of an ack; only the first answer counts.
func (j *job) acked(err error) {
	switch {
	case j.answered.Swap(true):
	case err != nil:
		go j.settleWhole()
	default:
		j.concludeSettling(slots.Ack, nil)
	}
}

// A settlement that failed is tried again after a pause, which grows.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// trySettle is the settlement with all that belongs to it, tried again and
// again. It returns how the message was settled in the end: a result that the
// broker refuses for good turns an ack into a rejection.
func (j *job) trySettle(v slots.Verdict, why slots.Why) (slots.Verdict, error) {
	t := settling{job: j, ctx: &j.settlement, verdict: v, delay: j.delay(v, why), said: v == slots.Return}
	t.status, t.reason = j.end(v, why)
	until, _ := t.ctx.Deadline()
	pause := firstPause
	for {
		err := guard(t.try)
		left := time.Until(until)
		if err == nil || errors.Is(err, ErrDeliveryLost) || j.lost.Load() || left < firstPause {
			return t.verdict, err
		}
		select {
		case <-t.ctx.Done():
			return t.verdict, err
		case <-time.After(min(pause, left/2)):
			pause = min(2*pause, lastPause)
		}
	}
}

// settling is a settlement that is under way.
type settling struct {
	job     *job
	ctx     context.Context
	verdict slots.Verdict
	delay   time.Duration
	status  OutcomeStatus
	reason  string
	said    bool // the outcome is published, or there is none
}

func (t *settling) try() error {
	j := t.job
	if !j.ours() {
		return ErrDeliveryLost
	}
	if err := j.flushProgress(t.ctx); err != nil {
		return err
	}
	if !t.said {
		err := j.publishOutcome(t.ctx, t.status, t.reason)
		if errors.Is(err, ErrTooLarge) {
			j.server.recordError(j.errorOf(Protected, err))
			if t.verdict == slots.Ack {
				t.verdict, t.status, t.reason = slots.Reject, Rejected, err.Error()
				err = j.publishOutcome(t.ctx, t.status, t.reason)
			} else {
				err = j.publishOutcome(t.ctx, t.status, beginning(t.reason))
			}
			if errors.Is(err, ErrTooLarge) {
				err = nil // nothing smaller is left to say
			}
		}
		if err != nil {
			return err
		}
		t.said = true
	}
	if !j.ours() {
		return ErrDeliveryLost
	}
	switch t.verdict {
	case slots.Ack:
		return j.message.Ack(t.ctx)
	case slots.Reject:
		return j.reject(t.ctx, t.reason)
	}
	return j.requeue(t.ctx, t.delay)
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

// settledFor is why the message was settled so, for monitors. What was decided
// is not read for one that was not settled, whose settling may still begin.
func (j *job) settledFor(v slots.Verdict) Cause {
	switch {
	case v == slots.Forget:
		return CauseDeliveryLost
	case v != j.settleAs.verdict:
		return CauseTooLarge
	}
	return causes[j.settleAs.why]
}

// delay is how long a request that is requeued should stay away.
func (j *job) delay(v slots.Verdict, why slots.Why) time.Duration {
	switch {
	case v != slots.Return:
		return 0
	case why == slots.Asked:
		var r *requeueError
		errors.As(j.failure, &r)
		if r == nil {
			return 0 // another error that wraps ErrRequeue
		}
		return r.delay
	case why == slots.NoSlot || why == slots.Draining:
		return j.server.refusalDelay()
	}
	return 0
}

// maxRefusalDelay is short, since a server that is full now may have room at
// once; it still is no hot loop.
const maxRefusalDelay = 500 * time.Millisecond

// refusalDelay grows while the server refuses one message after the other, so
// that a broker which pushes on gets no hot loop.
func (s *Server) refusalDelay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(10*time.Millisecond<<min(max(s.refusals-1, 0), 10), maxRefusalDelay)
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

// beginning returns so much of a reason as any broker carries.
func beginning(reason string) string {
	const most = 1 << 10
	if len(reason) <= most {
		return reason
	}
	return strings.ToValidUTF8(reason[:most], "") + " [cut]"
}

func (j *job) reject(ctx context.Context, reason string) error {
	if m, ok := j.message.(ReasonedRejecter); ok {
		return m.RejectFor(ctx, reason)
	}
	return j.message.Reject(ctx, false)
}

func (j *job) requeue(ctx context.Context, delay time.Duration) error {
	if m, ok := j.message.(DelayedRequeuer); ok && delay > 0 {
		return m.RequeueAfter(ctx, delay)
	}
	return j.message.Reject(ctx, true) // the delay has been waited out
}

// waitOut waits for the delay of a requeue whose broker has none, and returns
// when the settling begins. Shutdown ends the wait.
func (j *job) waitOut(why slots.Why, begun time.Duration) time.Duration {
	delay := j.delay(slots.Return, why)
	if _, ok := j.message.(DelayedRequeuer); ok || delay <= 0 {
		return begun
	}
	s := j.server
	s.mu.Lock()
	s.settles.remove(j)
	s.mu.Unlock()
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.closed:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	begun = time.Since(s.start)
	s.settles.add(j, begun)
	return begun
}

// refuse requeues a message that never became a job.
func (j *job) refuse() work {
	if j.stopWhy == slots.NoSlot {
		j.server.recordError(j.errorOf(Empty, ErrNoSlot))
	}
	j.settle(slots.Return, j.stopWhy, j.arrived)
	return work{}
}

// guard makes a panic in an adapter an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanic("Message", v)
		}
	}()
	return sound("Message", f())
}
