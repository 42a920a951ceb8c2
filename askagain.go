package occamy

import (
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// askDelay is how long calls of AskAgain are taken together where there is no
// RefillDelay.
const askDelay = 10 * time.Millisecond

// again bounds how often a task has itself asked. The server's lock guards it.
type again struct {
	next  time.Duration // since the server's start: when it may be asked again
	timer *time.Timer
	waits bool // the timer runs
}

func (j *job) askAgain() {
	s := j.server
	if j.expander == nil {
		return
	}
	s.mu.Lock()
	if j.again == nil {
		j.again = &again{}
	}
	a, now := j.again, time.Since(s.start)
	wait := a.next - now
	switch {
	case a.waits || j.slot < 0 || s.closing:
		s.mu.Unlock()
		return
	case wait > 0:
		a.waits = true
		if a.timer == nil {
			a.timer = time.AfterFunc(wait, j.askWaited)
		} else {
			a.timer.Reset(wait)
		}
		s.mu.Unlock()
		return
	}
	a.next = now + s.askDelay()
	s.mu.Unlock()
	s.stepAside(slots.AskAgain, j)
}

// askWaited makes up for the calls that came too soon.
func (j *job) askWaited() {
	s := j.server
	s.mu.Lock()
	j.again.waits = false
	j.again.next = 0
	s.mu.Unlock()
	j.askAgain()
}

func (s *Server) askDelay() time.Duration {
	if s.cfg.RefillDelay > 0 {
		return s.cfg.RefillDelay
	}
	return askDelay
}
