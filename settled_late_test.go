package occamy

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A message may be settled just when its time is over, so that the end of that
// time comes to be looked at when Settled is called already, which has its own.
func TestR08_SettledHasItsTimeAfterALateSettlement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Kinds: []string{"k"}, Handler: HandlerFunc(
			func(context.Context, Request) (Task, error) { return nil, nil },
		)})
		if err != nil {
			t.Fatal(err)
		}
		j := s.newJob(nil)
		j.settled.Store(true)
		s.mu.Lock()
		s.beginTelling(j)
		s.mu.Unlock()
		telling := func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return j.telling
		}
		s.settleExpired(j)
		if !telling() {
			t.Error("Settled counts as late, and has only begun")
		}
		time.Sleep(s.cfg.SettleTimeout)
		synctest.Wait()
		if telling() {
			t.Error("Settled does not count as late, and has taken all its time")
		}
	})
}
