package rabbitmq

import (
	"sync"
	"time"
)

// sessions are those whose channel is open.
type sessions struct {
	mu   sync.Mutex
	open map[*session]struct{}
}

func (all *sessions) add(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.open == nil {
		all.open = make(map[*session]struct{})
	}
	all.open[s] = struct{}{}
}

func (all *sessions) remove(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.open, s)
}

// busy says whether some delivery is out.
func (all *sessions) busy() bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	for s := range all.open {
		s.mu.Lock()
		used := s.used
		s.mu.Unlock()
		if used > 0 {
			return true
		}
	}
	return false
}

// wait returns once those that are retired are closed, or after a while.
func (all *sessions) wait() {
	for late := time.Now().Add(2 * giveBackTime); all.closing() && time.Now().Before(late); {
		time.Sleep(time.Millisecond)
	}
}

// closing says whether some session that has nothing out is still open.
func (all *sessions) closing() bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	for s := range all.open {
		if s.finishing.Load() {
			return true
		}
	}
	return false
}
