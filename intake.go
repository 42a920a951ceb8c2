package occamy

import (
	"context"
	"slices"
	"sync"
)

// waiter is a caller of Acquire who waits. Waiters are reused.
type waiter struct {
	most  int
	given chan int // gets what was promised, or none when the server closes
}

// Acquire implements Intake.
func (s *Server) Acquire(ctx context.Context, most int) (int, error) {
	most = max(most, 1)
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return 0, ErrServerClosed
	}
	if len(s.waiters) == 0 {
		if n := s.table.Promise(most); n > 0 {
			s.mu.Unlock()
			return n, nil
		}
	}
	w := s.spareWaiters.Get().(*waiter)
	defer s.spareWaiters.Put(w)
	w.most = most
	s.waiters = append(s.waiters, w)
	s.mu.Unlock()

	select {
	case n := <-w.given:
		if n == 0 {
			return 0, ErrServerClosed
		}
		return n, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiters, w); i >= 0 {
		s.waiters = slices.Delete(s.waiters, i, i+1)
	} else if n := <-w.given; n > 0 { // it came at the same moment
		s.table.Unpromise(n)
		s.promise()
	}
	return 0, context.Cause(ctx)
}

// Release implements Intake.
func (s *Server) Release(n int) {
	s.mu.Lock()
	s.table.Unpromise(n)
	s.promise()
	s.mu.Unlock()
}

// promise gives capacity to those who wait for it, first come, first served.
// The caller holds the lock.
func (s *Server) promise() {
	for len(s.waiters) > 0 {
		n := s.table.Promise(s.waiters[0].most)
		if n == 0 {
			return
		}
		s.waiters[0].given <- n
		s.waiters = slices.Delete(s.waiters, 0, 1) // keeps the room for the next
	}
}

// sendWaitersAway tells those who wait for capacity that there will be none.
// The caller holds the lock.
func (s *Server) sendWaitersAway() {
	for _, w := range s.waiters {
		w.given <- 0
	}
	s.waiters = nil
}

// Withdrawn implements Intake.
func (s *Server) Withdrawn() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.withdrawn
}

// watchList tells watchers of the tasks that take control messages.
type watchList struct {
	mu       sync.Mutex
	watchers []*TaskWatcher // guarded by mu
	placed   map[*job]bool  // guarded by mu
}

// WatchTasks implements Intake.
func (s *Server) WatchTasks(w TaskWatcher) (stop func()) {
	l, me := &s.watch, &w
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers = append(l.watchers, me)
	for j := range l.placed {
		w.TaskPlaced(j.details.ID)
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, other := range l.watchers {
			if other == me {
				l.watchers = append(l.watchers[:i:i], l.watchers[i+1:]...)
				return
			}
		}
	}
}

// placed is called before the task's goroutine starts, so before gone.
func (s *Server) placed(j *job) {
	if j.controller == nil || j.details.ID == "" {
		return
	}
	l := &s.watch
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.placed == nil {
		l.placed = make(map[*job]bool)
	}
	l.placed[j] = true
	for _, w := range l.watchers {
		(*w).TaskPlaced(j.details.ID)
	}
}

func (s *Server) gone(j *job) {
	if j.controller == nil || j.details.ID == "" {
		return
	}
	l := &s.watch
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.placed[j] {
		delete(l.placed, j)
		for _, w := range l.watchers {
			(*w).TaskGone(j.details.ID)
		}
	}
}
