package assist

import (
	"testing"
	"time"

	"github.com/occamy-go/occamy/assist/internal/wire"
)

// since returns how many messages were confirmed and how many told since the last
// call.
func (p *played) since() (confirmed, told int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	confirmed, told = p.calls-p.told, p.told
	p.calls, p.told = 0, 0
	return confirmed, told
}

func wantMessages(t *testing.T, p *played, confirmed, told int) {
	t.Helper()
	if c, n := p.since(); c != confirmed || n != told {
		t.Errorf("%d messages were confirmed and %d told; want %d and %d", c, n, confirmed, told)
	}
}

func TestOnlyTheFirstGrantIsConfirmed(t *testing.T) {
	withCrew(t, 100, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.wantGranted("ann", 0)
		wantMessages(t, c.post, 1, 0)
		c.says(wire.Report{From: "ann", Seq: 2, Heard: 1, Results: []wire.Result{{Index: 0}}, Want: 1})
		c.wantGranted("ann", 1)
		wantMessages(t, c.post, 0, 1)
	})
}

// A result is safe with the assistant too until it is confirmed, so that can wait
// for the next unit or tick, if it is not large.
func TestResultsAreConfirmedWithTheNextTick(t *testing.T) {
	withCrew(t, 100, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 2})
		c.wantGranted("ann", 0, 1)
		c.says(wire.Report{From: "ann", Seq: 2, Heard: 1, Held: []uint64{1}, Results: []wire.Result{{Index: 0}}})
		if gs := c.hears("ann"); len(gs) > 0 {
			t.Errorf("got %+v at once", gs)
		}
		c.expireFor(tendEvery)
		if gs := c.hears("ann"); len(gs) != 1 || gs[0].Heard != 2 {
			t.Errorf("got %+v with the next tick", gs)
		}
		c.says(wire.Report{From: "ann", Seq: 3, Heard: 2, Results: []wire.Result{{Index: 1, Body: make([]byte, mostUnconfirmed+1)}}})
		if gs := c.hears("ann"); len(gs) != 1 || gs[0].Heard != 3 {
			t.Errorf("got %+v for a large result", gs)
		}
		c.expireFor(tendEvery)
		if gs := c.hears("ann"); len(gs) > 0 {
			t.Errorf("got %+v once more", gs)
		}
	})
}

// An assistant whose server was killed says nothing, and is not found out by what
// is only told.
func TestWhoIsSilentIsAskedFor(t *testing.T) {
	withCrew(t, 100, Config{LeaseTimeout: 8 * time.Second}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.wantGranted("ann", 0)
		c.expireFor(1900 * time.Millisecond)
		wantMessages(t, c.post, 1, 0)
		c.expireFor(2 * time.Second)
		wantMessages(t, c.post, 1, 0)
		c.post.does(nobody)
		c.expireFor(2100 * time.Millisecond)
		if n := c.members(); n != 0 || c.m.units.Free() != 100 {
			t.Errorf("%d members, %d units free", n, c.m.units.Free())
		}
	})
}

func TestReportsAreConfirmedUntilTheMasterIsHeard(t *testing.T) {
	withAssistant(t, nil, Config{LeaseTimeout: 8 * time.Second}, func(l *linkTest) {
		wantMessages(t, l.post, 1, 0)
		l.grants(wire.Grant{Units: units(0, 10)})
		time.Sleep(10 * time.Millisecond)
		l.reports()
		wantMessages(t, l.post, 0, 2)       // what it has at hand, and the result
		time.Sleep(1100 * time.Millisecond) // a beat is confirmed
		wantMessages(t, l.post, 1, 0)
		time.Sleep(time.Second) // the master says nothing
		l.post.since()
		l.grants(wire.Grant{Heard: l.seq, Units: units(1, 3000)})
		time.Sleep(3 * time.Second)
		l.reports()
		if _, told := l.post.since(); told > 1 { // that it has begun
			t.Errorf("%d messages were told to a master that has been silent for 3 s", told)
		}
	})
}
