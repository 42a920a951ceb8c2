package occamy

import "time"

// alarm is a timer that is often put off: a later time costs nothing, since the
// timer that runs looks again when it fires. The server's lock guards it.
type alarm struct {
	at    time.Duration // since the server's start
	armed bool
	timer *time.Timer
	ring  func() // called by the timer; takes the lock and asks due
}

func (a *alarm) set(at, now time.Duration) {
	sooner := at < a.at
	a.at = at
	switch {
	case a.timer == nil:
		a.timer = time.AfterFunc(at-now, a.ring)
	case !a.armed || sooner:
		a.timer.Reset(at - now)
	}
	a.armed = true
}

// due says whether the time has come, and otherwise has the timer go on.
func (a *alarm) due(now time.Duration) bool {
	if !a.armed {
		return false
	}
	if now < a.at {
		a.timer.Reset(a.at - now)
		return false
	}
	a.armed = false
	return true
}

func (a *alarm) stop() {
	a.armed = false
	if a.timer != nil {
		a.timer.Stop()
	}
}

// alarmed returns what an alarm is to do: a step, if it is due.
func (s *Server) alarmed(a *alarm, e func()) func() {
	return func() {
		s.mu.Lock()
		due := a.due(time.Since(s.start))
		s.mu.Unlock()
		if due {
			e()
		}
	}
}
