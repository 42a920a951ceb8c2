package occamy

import (
	"context"
	"fmt"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// Settlement says what became of a request's message.
type Settlement string

// What becomes of a request's message; the words of Latency.Outcome at
// StageSettle.
const (
	// Acked is a request that is done with: completed or cancelled.
	Acked Settlement = "acked"
	// RejectedForGood is a request that went to the dead letters, where the
	// broker has them; somebody may send it again from there.
	RejectedForGood Settlement = "rejected"
	// Requeued is a request that will be delivered again.
	Requeued Settlement = "requeued"
	// Lost is a request that the server could not settle, or must not since its
	// delivery was lost. The broker delivers it again, or has done so.
	Lost Settlement = "lost"
)

// settlements has the Settlement of each verdict.
var settlements = [...]Settlement{slots.Ack: Acked, slots.Reject: RejectedForGood, slots.Return: Requeued, slots.Forget: Lost}

// SettleObserver is a Task that is told what became of its request's message,
// for instance to remove what only a further attempt would have needed. Whether
// a task is one is asked once, when it is placed.
type SettleObserver interface {
	// Settled is called once for each request of which a handler made the task
	// in time, when its message has been settled: the broker has confirmed it,
	// or s is Lost. It is not called for tasks of other origin. (When the
	// process dies first, it is not called at all.)
	//
	// It is called outside the slot, as a rule after Do has returned, but while
	// Do still runs when the task is stuck, and without a call of Do when the
	// request ended before its turn came. ctx ends after SettleTimeout; Settled
	// then returns soon. Shutdown waits that long and within its bound. A panic
	// is recorded.
	Settled(ctx context.Context, s Settlement)
}

// observed reports whether the job's task wants to hear of the settlement.
// A handler that has not returned yet has made no task.
func (j *job) observed() bool { return j.made.Load() && j.observer != nil }

// tellSettled tells the job's task. Until it is over, or has taken too long,
// the server counts it, from beginTelling on.
func (j *job) tellSettled(s Settlement) {
	ctx, cancel := context.WithTimeout(context.Background(), j.server.cfg.SettleTimeout)
	returned := false
	defer func() {
		cancel()
		if !returned { // a panic, or runtime.Goexit, which recover does not see
			j.server.recordError(j.errorOf(Protected, newPanic("Settled", recover())))
		}
		j.server.told(j)
	}()
	j.observer.Settled(ctx, s)
	returned = true
}

// told notes that the job's task has heard of its settlement.
func (s *Server) told(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endTelling(j)
}

// endTelling has the server count the call of Settled no more. It reports
// whether it did so before. The caller holds the lock.
func (s *Server) endTelling(j *job) bool {
	if !j.telling {
		return false
	}
	j.telling = false
	s.settles.remove(j)
	s.telling--
	if s.closing {
		s.wakeShutdown()
	}
	return true
}

// tellingExpired: Settled takes too long, unless it was the settling that had
// no time left, and was over at the last moment.
func (s *Server) tellingExpired(j *job) {
	s.mu.Lock()
	expired := !j.links[inSettle].in && s.endTelling(j)
	s.mu.Unlock()
	if expired {
		s.recordError(j.errorOf(Protected, fmt.Errorf("%w: it has not returned after %v", ErrSettledTimeout, s.cfg.SettleTimeout)))
	}
}

// beginTelling has the server count the call of Settled that is to come. The
// caller holds the lock.
func (s *Server) beginTelling(j *job) {
	j.telling = true
	s.telling++
	s.settles.add(j, time.Since(s.start))
}
