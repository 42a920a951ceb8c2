package assist

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
	"github.com/occamy-go/occamy/broker"
)

func TestAnAssistantGetsWhatItWants(t *testing.T) {
	withCrew(t, 100, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 2})
		c.wantGranted("ann", 0, 1)
		c.says(wire.Report{From: "bob", Seq: 1, Want: 1})
		c.wantGranted("bob", 2)
		c.says(wire.Report{From: "ann", Seq: 2, Heard: 1, Held: []uint64{1}, Results: []wire.Result{{Index: 0}}, Want: 1})
		if g := c.wantGranted("ann", 3); g.Heard != 2 || g.Epoch != ownEpoch {
			t.Errorf("got %+v, want that report 2 was heard", g)
		}
	})
}

// Near the end none gets much while another has nothing.
func TestTheLastUnitsAreSharedOut(t *testing.T) {
	withCrew(t, 10, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 10})
		c.wantGranted("ann", 0, 1)
		c.says(wire.Report{From: "bob", Seq: 1, Want: 10})
		c.wantGranted("bob", 2)
	})
}

func TestASilentAssistantLosesItsUnits(t *testing.T) {
	withCrew(t, 2, Config{LeaseTimeout: 4 * time.Second}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.says(wire.Report{From: "bob", Seq: 1, Want: 1})
		c.wantGranted("ann", 0)
		c.wantGranted("bob", 1)
		c.expireFor(3 * time.Second)
		c.says(wire.Report{From: "bob", Seq: 2, Heard: 1, Held: []uint64{1}, Want: 1})
		c.wantGranted("bob")
		c.expireFor(1100 * time.Millisecond)
		if n := c.members(); n != 1 || c.m.units.Free() != 1 {
			t.Errorf("%d members, %d units free, want bob and the unit of ann", n, c.m.units.Free())
		}
		c.says(wire.Report{From: "bob", Seq: 3, Heard: 2, Results: []wire.Result{{Index: 1}}, Want: 1})
		c.wantGranted("bob", 0)
	})
}

// It was given up, perhaps since its process was stopped for a while, and then
// goes on: by the numbers of the grants that it remembers.
func TestAnAssistantThatWasGivenUpComesBack(t *testing.T) {
	withCrew(t, 100, Config{LeaseTimeout: time.Second}, func(c *crewTest) {
		c.begin()
		for seq := range uint64(9) {
			c.says(wire.Report{From: "ann", Seq: seq + 1, Heard: seq, Want: 1})
			c.hears("ann")
		}
		c.expireFor(2 * time.Second)
		if n := c.members(); n != 0 {
			t.Fatalf("%d members", n)
		}
		c.says(wire.Report{From: "ann", Seq: 10, Heard: 9, Want: 1})
		if g := c.wantGranted("ann", 0); g.Seq <= 9 {
			t.Errorf("grant %d, which ann takes for one that came twice", g.Seq)
		}
	})
}

func TestAnAssistantThatIsNowhereIsDropped(t *testing.T) {
	withCrew(t, 1, Config{}, func(c *crewTest) {
		c.begin()
		c.post.control = func(id string, _ []byte) error {
			if id == "ann" {
				return broker.ErrNobody
			}
			return nil
		}
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		time.Sleep(reachTime / 2)
		synctest.Wait()
		c.says(wire.Report{From: "bob", Seq: 1, Want: 1})
		if n := c.members(); n != 2 && n != 1 {
			t.Errorf("%d members before it was waited for", n)
		}
		time.Sleep(reachTime)
		synctest.Wait()
		if c.m.units.Free() != 1 && c.m.units.Holders() != 1 {
			t.Error("the unit of ann is with nobody else")
		}
		if c.post.called() > 60 {
			t.Errorf("%d messages in %v", c.post.called(), reachTime)
		}
	})
}

func TestAGrantThatWasLostIsGivenAgain(t *testing.T) {
	withCrew(t, 1, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.wantGranted("ann", 0) // which ann never hears of
		c.says(wire.Report{From: "ann", Seq: 2, Want: 1})
		c.wantGranted("ann") // it may be on its way
		time.Sleep(lostGrant + time.Millisecond)
		c.says(wire.Report{From: "ann", Seq: 3, Want: 1})
		c.wantGranted("ann", 0)
	})
}

func TestAReportThatCameTwiceChangesNothing(t *testing.T) {
	withCrew(t, 100, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 3})
		c.wantGranted("ann", 0, 1, 2)
		c.says(wire.Report{From: "ann", Seq: 1, Want: 3})
		c.wantGranted("ann")
		if n := c.m.units.Has(c.m.crew.members[holder("ann")].Holder); n != 3 {
			t.Errorf("ann has %d units, want 3", n)
		}
	})
}

func TestWhoLeavesHandsBack(t *testing.T) {
	withCrew(t, 3, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.says(wire.Report{From: "bob", Seq: 1, Want: 1})
		c.wantGranted("ann", 0)
		c.wantGranted("bob", 1)
		c.says(wire.Report{From: "ann", Seq: 2, Heard: 1, Leaving: true})
		c.says(wire.Report{From: "bob", Seq: 2, Heard: 1, Results: []wire.Result{{Index: 1}}, Want: 1})
		c.wantGranted("bob", 0)
	})
}

func TestTheSurplusOverMostEnds(t *testing.T) {
	withCrew(t, 100, Config{Most: 2}, func(c *crewTest) {
		c.begin()
		for i, id := range []string{"ann", "bob", "cem"} {
			c.says(wire.Report{From: id, Seq: 1, Want: 1})
			if i < 2 {
				c.wantGranted(id, uint64(i))
			}
		}
		c.wantEnded("cem")
		if n := c.members(); n != 2 {
			t.Errorf("%d members", n)
		}
	})
}

func TestOneThatIsNeededTakesThePlaceOfAnother(t *testing.T) {
	withCrew(t, 100, Config{Least: 1, Most: 1}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.wantGranted("ann", 0)
		c.says(wire.Report{From: "bob", Seq: 1, Want: 1, Needed: true})
		c.wantGranted("bob", 1)
		c.wantEnded("ann")
		c.says(wire.Report{From: "cem", Seq: 1, Want: 1, Needed: true})
		c.wantEnded("cem") // no more are needed
	})
}

func TestWithNothingLeftAnAssistantEnds(t *testing.T) {
	withCrew(t, 1, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.wantGranted("ann", 0)
		c.says(wire.Report{From: "bob", Seq: 1, Want: 1})
		c.wantEnded("bob")
	})
}

func TestReportsBeforeTheBooksAreOpen(t *testing.T) {
	withCrew(t, 100, Config{}, func(c *crewTest) {
		c.says(wire.Report{From: "ann", Seq: 4, Heard: 9, Epoch: 3, Held: []uint64{5}, Want: 1, Results: []wire.Result{{Index: 2}}})
		if gs := c.hears("ann"); gs != nil {
			t.Fatalf("answered with %+v", gs)
		}
		c.begin()
		if g := c.wantGranted("ann", 0); g.Epoch != ownEpoch || g.Heard != 4 {
			t.Errorf("got %+v", g)
		}
		if has := c.m.units.Has(c.m.crew.members[holder("ann")].Holder); has != 2 {
			t.Errorf("ann has %d units, want what it had and what it got", has)
		}
	})
}

func TestReportsBeforeTheBooksAreOpenAreBounded(t *testing.T) {
	withCrew(t, 1, Config{Buffer: 10_000}, func(c *crewTest) {
		for i := range 2 * mostEarly {
			c.says(wire.Report{From: fmt.Sprint("a", i), Seq: 1})
		}
		if n := len(c.m.early.reports); n > mostEarly || n < 10 {
			t.Errorf("%d are kept", n)
		}
		c.says(wire.Report{From: "fat", Seq: 1, Results: []wire.Result{{Body: make([]byte, 10_000)}}})
		if n := c.m.early.bytes; n > 10_000 {
			t.Errorf("%d bytes are kept", n)
		}
	})
}

// A master that follows an earlier one keeps the assistants and what they have.
func TestATakeover(t *testing.T) {
	withCrew(t, 4, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 50, Heard: 40, Epoch: 3, Held: []uint64{1, 2}, Results: []wire.Result{{Index: 3}}})
		gs := c.hears("ann")
		if len(gs) != 1 || gs[0].Epoch != ownEpoch || gs[0].Heard != 50 {
			t.Fatalf("heard %+v, want of the new master", gs)
		}
		if n := c.m.units.Has(c.m.crew.members[holder("ann")].Holder); n != 2 {
			t.Errorf("ann has %d units, want the two that it holds", n)
		}
		c.says(wire.Report{From: "bob", Seq: 1, Want: 9})
		c.wantGranted("bob", 0)
	})
}

func TestStrangersAreBounded(t *testing.T) {
	withCrew(t, 10, Config{Most: 20}, func(c *crewTest) {
		c.post.does(nobody)
		c.begin()
		for i := range 5000 {
			c.says(wire.Report{
				From: fmt.Sprint("x", i), Seq: math.MaxUint64, Heard: math.MaxUint64, Needed: i%2 == 0, Want: math.MaxUint64,
				Held: []uint64{math.MaxUint64, 3}, Results: []wire.Result{{Index: math.MaxUint64, Body: make([]byte, 100)}},
			})
		}
		if n := c.members(); n > 20+mostSurplus {
			t.Errorf("%d members", n)
		}
		if n := len(c.m.hiring.needed); n > 0 {
			t.Errorf("%d are taken for needed ones", n)
		}
		time.Sleep(2 * reachTime)
		synctest.Wait()
		if n := c.members(); n != 0 {
			t.Errorf("%d members who are nowhere", n)
		}
	})
}

func TestMessagesOfOtherJobsAreIgnored(t *testing.T) {
	withCrew(t, 10, Config{}, func(c *crewTest) {
		c.begin()
		other := wire.Report{From: "ann", Seq: 1, Want: 1, Job: wire.Job{1}}
		if err := c.m.take(other.Encode()); err != nil {
			t.Error(err)
		}
		if n := c.members(); n != 0 {
			t.Errorf("%d members", n)
		}
		if err := c.m.take([]byte("nonsense")); err == nil {
			t.Error("no error for nonsense")
		}
	})
}

// Errors are told outside the lock, and what could not be sent is sent again,
// not in a hot loop.
func TestABrokerThatFails(t *testing.T) {
	withCrew(t, 1, Config{}, func(c *crewTest) {
		down := errors.New("down")
		c.post.does(func(string, []byte) error { return down })
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.says(wire.Report{From: "bob", Seq: 1, Want: 1})
		c.expireFor(2 * time.Second)
		if c.post.called() > 50 {
			t.Errorf("%d calls in 2 s", c.post.called())
		}
		if len(c.errs) == 0 || !errors.Is(c.errs[0], down) {
			t.Errorf("told of %v", c.errs)
		}
		c.post.does(nil)
		c.expireFor(time.Second)
		c.wantEnded("bob") // ann has the only unit
	})
}

func TestAGrantThatIsTooLargeIsCut(t *testing.T) {
	withCrew(t, 20, Config{}, func(c *crewTest) {
		var n int
		c.post.control = func(string, []byte) error {
			if n++; n == 1 {
				return occamy.ErrTooLarge
			}
			return nil
		}
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 3})
		gs := c.hears("ann")
		for _, g := range gs {
			if len(g.Units) > 1 {
				t.Errorf("%d units in a message", len(g.Units))
			}
		}
		if len(gs) < 3 {
			t.Errorf("%d messages, want a unit in each", len(gs))
		}
	})
}

func TestAUnitThatIsTooLargeFailsTheJob(t *testing.T) {
	withCrew(t, 1, Config{}, func(c *crewTest) {
		c.post.control = tooLarge
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		synctest.Wait()
		if !errors.Is(c.m.err, occamy.ErrTooLarge) {
			t.Errorf("the job fails with %v", c.m.err)
		}
	})
}

func TestWhoIsThereAtTheEndIsTold(t *testing.T) {
	withCrew(t, 100, Config{}, func(c *crewTest) {
		c.begin()
		for _, id := range []string{"ann", "bob"} {
			c.says(wire.Report{From: id, Seq: 1, Want: 1})
			c.hears(id)
		}
		c.m.close(true)
		c.wantEnded("ann")
		c.wantEnded("bob")
	})
}

// A broker that answers nothing does not hold up the end of a job.
func TestTheEndDoesNotWaitForLong(t *testing.T) {
	withCrew(t, 100, Config{}, func(c *crewTest) {
		c.begin()
		c.says(wire.Report{From: "ann", Seq: 1, Want: 1})
		c.hears("ann")
		c.m.members[holder("ann")].reached = false
		c.post.does(nobody)
		begin := time.Now()
		c.m.close(true)
		if took := time.Since(begin); took > farewell {
			t.Errorf("it took %v", took)
		}
	})
}
