package occamy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// Shutdown ends the server. It takes no more requests: those that wait, are
// held, or whose handlers run are requeued at once, and so is what comes later.
// Unprotected tasks are stopped at once. Protected tasks may finish until ctx
// ends; then they are stopped and requeued unless they completed. Where a
// requeued request stands in its queue depends on the broker, whose package
// tells: on JetStream it is behind all that wait there. Shutdown
// returns when all is done, at the latest KillTimeout and SettleTimeout after
// ctx ended, with an error that names the tasks that are stuck and counts the
// messages that are not settled and the calls of Settled that have not returned.
//
// It may be called again and from several goroutines; each call waits, and the
// first whose ctx ends stops the protected tasks for all.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.doneOnce.Do(func() { close(s.done) })
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	if first {
		close(s.closed)
		s.sendWaitersAway()
		if !s.draining {
			close(s.withdrawn)
		}
	}
	s.mu.Unlock()
	if first {
		s.optional.close()
		s.tell(slots.Shutdown)
		s.stopTimers()
		s.workers.close()
	}
	if s.awaitQuiet(ctx.Done()) {
		return s.remains()
	}
	s.tell(slots.ShutdownNow)
	limit := time.NewTimer(s.cfg.KillTimeout + s.cfg.SettleTimeout)
	defer limit.Stop()
	stop := make(chan struct{})
	expired := make(chan struct{})
	go func() {
		select {
		case <-limit.C:
			close(expired)
		case <-stop:
		}
	}()
	s.awaitQuiet(expired)
	close(stop)
	return s.remains()
}

// awaitQuiet waits until nothing runs but what is stuck and every message is
// settled; it returns false when end comes first.
func (s *Server) awaitQuiet(end <-chan struct{}) bool {
	for {
		s.mu.Lock()
		c := s.table.Counts()
		busy := c.Protected + c.Internal + c.External - c.Stuck
		quiet, changed := busy == 0 && s.unsettled == 0 && s.telling == 0, s.quiet
		s.mu.Unlock()
		if quiet {
			return true
		}
		select {
		case <-changed:
		case <-end:
			return false
		}
	}
}

// wakeShutdown has Shutdown look again. The caller holds the lock.
func (s *Server) wakeShutdown() {
	close(s.quiet)
	s.quiet = make(chan struct{})
}

func (s *Server) stopTimers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expansion.stop()
	s.refill.stop()
}

// remains returns an error that names what Shutdown leaves behind.
func (s *Server) remains() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for i := range s.cfg.Slots {
		if t := s.table.Slot(i); t.Status != slots.Empty {
			j := s.jobs[t.Ref.Index()]
			names = append(names, fmt.Sprintf("%q (%s, slot %d)", j.details.ID, j.details.Kind, i))
		}
	}
	switch {
	case len(names) > 0:
		return fmt.Errorf("occamy: shutdown: %w: %s", ErrStuck, strings.Join(names, ", "))
	case s.unsettled > 0:
		return fmt.Errorf("occamy: shutdown: %w: %d", ErrNotSettled, s.unsettled)
	case s.telling > 0:
		return fmt.Errorf("occamy: shutdown: %w: %d", ErrSettledTimeout, s.telling)
	}
	return nil
}
