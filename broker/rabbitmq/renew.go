package rabbitmq

import (
	"errors"
	"math/rand/v2"
	"time"
)

// What the leader of a quorum queue was about to deliver may die with it: the
// next leader counts it as delivered, and so as taking credit. RabbitMQ notices
// at the next delivery to the same consumer and not before, so the last requests
// would wait for that, and when they take all credit, for ever, with all that
// come behind them. When the channel closes, it has them back. So a lane replaces
// its channel when nothing has come over it for a while and nothing is out. The
// price: a request that comes within that millisecond may be counted as
// delivered once more than it was.

// calm is for how long nothing comes before that: least at first, and after each
// time in vain twice as long, up to most.
type calm struct{ least, most time.Duration }

var defaultCalm = calm{30 * time.Second, 5 * time.Minute}

// errRenewed: the lane has replaced its channel.
var errRenewed = errors.New("rabbitmq: nothing came for a while")

// renewal says when a lane replaces its channel.
type renewal struct {
	calm calm
	wait time.Duration
	came uint64 // over the channel, at the last look
}

// begin is called with a new channel, which replaces one over which nothing came.
func (r *renewal) begin() { r.came = 0 }

// beginAnew is called with a new channel, for another reason.
func (r *renewal) beginAnew() { r.came, r.wait = 0, r.calm.least }

// next is the time until the next look, by a quarter up or down at random so
// that servers do not look in step.
func (r *renewal) next() time.Duration { return r.wait - r.wait/4 + rand.N(r.wait/2) }

// due says whether to replace the channel, given how many deliveries have come
// over it and whether some are out.
func (r *renewal) due(came uint64, out bool) bool {
	switch {
	case came != r.came:
		r.came, r.wait = came, r.calm.least
		return false
	case out:
		return false
	}
	r.wait = min(2*r.wait, r.calm.most)
	return true
}

// renew ends the session, with errRenewed, when it is time. What comes just then
// has the session stay.
func (l *lane) renew(s *session) error {
	came, out := s.traffic()
	if l.goal() == 0 || !l.renewal.due(came, out) {
		return nil
	}
	l.patience = mostPatience // it is not urgent
	answered := l.mind()
	_, err := s.dropBlocks(0)
	answered()
	l.patience = leastPatience
	if err != nil {
		s.fail(err)
		return err
	}
	if _, out := s.traffic(); out {
		return nil
	}
	s.retire()
	return errRenewed
}

// traffic is how many deliveries have come, and whether some are out.
func (s *session) traffic() (came uint64, out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.came, s.used > 0
}
