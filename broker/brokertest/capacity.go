package brokertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/occamy-go/occamy"
)

// soon is how long credit may stay with a kind that does not use it.
const soon = 3 * time.Second

var capacityTests = []test{
	{name: "no more is delivered than there is room for, over all kinds together", run: capacity},
	{name: "what one server has no room for another gets", run: leftForOthers},
	{name: "room that one kind does not use goes to another soon", run: creditMoves},
	{name: "no kind starves another", run: fairKinds},
	{name: "promises that are withdrawn come back soon", needs: Pull, run: withdrawn},
	{name: "a server that shuts down gets control messages, but no requests", needs: Pull, run: shutDownIntake},
}

func capacity(f *fixture) {
	c := f.consume("a", 3, "j", "k", "l")
	for _, kind := range []string{"j", "k", "l"} {
		f.submit(kind, names(kind, 5)...)
	}
	var held []occamy.Message
	for range 3 {
		held = append(held, f.next(c))
	}
	for range 12 {
		f.quiet(c, 150*time.Millisecond)
		f.ack(held[0])
		c.Free(1)
		held = append(held[1:], f.next(c))
	}
	f.quiet(c, 150*time.Millisecond)
	for _, m := range held {
		f.ack(m)
	}
	c.wantNoSurplus(f, 3)
}

func (c *consumer) wantNoSurplus(f *fixture, room int) {
	f.Helper()
	if _, most := c.Promised(); most > room {
		f.Errorf("%s promised %d at a time, with room for %d", c.Info().ID, most, room)
	}
	if f.lacks[Pull] == "" && len(c.Surplus()) > 0 {
		f.Errorf("%s: %v", c.Info().ID, c.Surplus())
	}
}

func leftForOthers(f *fixture) {
	a := f.consume("a", 2, "k")
	ids := names("r", 20)
	f.submit("k", ids...)
	first, second := f.next(a), f.next(a)
	b := f.consume("b", 18, "k")
	got := []string{f.id(first), f.id(second)}
	for range 18 {
		m := f.next(b)
		got = append(got, f.id(m))
		f.ack(m)
	}
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		f.Errorf("got %v, want each of %v once", got, ids)
	}
	f.ack(first)
	f.ack(second)
	f.settled("k")
	b.wantNoSurplus(f, 18)
}

func creditMoves(f *fixture) {
	kinds := []string{"j", "k", "l"}
	c := f.consume("a", 1, kinds...)
	for round := range 2 {
		for _, kind := range kinds {
			sent := time.Now()
			f.submit(kind, fmt.Sprintf("%s%d", kind, round))
			m := f.next(c)
			if waited := time.Since(sent); waited > soon {
				f.Errorf("a request of kind %s waited %v beside an empty slot, want at most %v", kind, waited, soon)
			}
			f.ack(m)
			c.Free(1)
		}
	}
	c.wantNoSurplus(f, 1)
}

func fairKinds(f *fixture) {
	const few = 2
	f.submit("many", names("m", 40)...)
	f.submit("a few", "f1", "f2")
	f.submit("z few", "f3", "f4") // whatever the order in which kinds are asked
	c := f.consume("a", 1, "a few", "many", "z few")
	seen := make(map[any]int)
	for i := range 40 + 2*few {
		m := f.next(c)
		seen[m.Headers()[f.keys.Kind]]++
		f.ack(m)
		c.Free(1)
		if i == 19 && (seen["a few"] == 0 || seen["z few"] == 0 || seen["many"] == 0) {
			f.Errorf("the first 20 requests are %v, want some of each kind", seen)
		}
	}
	if seen["a few"] != few || seen["z few"] != few {
		f.Errorf("got %v, want %d of each of the small kinds", seen, few)
	}
}

func withdrawn(f *fixture) {
	c := f.consume("a", 4, "j", "k")
	c.Withdraw()
	sent := time.Now()
	f.eventually("no promise is out", func() bool { now, _ := c.Promised(); return now == 0 })
	if waited := time.Since(sent); waited > soon {
		f.Errorf("promises came back after %v, want at most %v", waited, soon)
	}
	f.submit("k", "r1")
	f.quiet(c, 300*time.Millisecond)
	b := f.consume("b", 1, "k")
	f.ack(f.next(b))
	c.Resume()
	f.submit("k", "r2")
	m := f.next(c)
	f.wantID(m, "r2")
	f.ack(m)
	c.wantNoSurplus(f, 4)
}

func shutDownIntake(f *fixture) {
	c := f.consume("a", 2, "k")
	c.Place("t1")
	f.warm("t1", c)
	c.Shutdown()
	f.eventually("no promise is out", func() bool { now, _ := c.Promised(); return now == 0 })
	f.submit("k", "r1")
	f.quiet(c, 300*time.Millisecond)
	f.warm("t1", c)
	select {
	case <-c.ended:
		f.Fatalf("Consume returned (%v) while its ctx went on", c.err)
	default:
	}
	b := f.consume("b", 1, "k")
	f.ack(f.next(b))
	f.stop(c)
}
