package occamy_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
)

// masters are owners who share a server, and what they have of it.
type masters struct {
	*fixture
	moves int // a period, at most
	names []string
}

// master makes one that can use any number of helpers.
func (m *masters) master(id string, priority int) *owner {
	o := newOwner(id, 1_000)
	o.details.Priority = priority
	return o
}

// shares are the slots of each master's helpers, stuck ones too, in order.
func (m *masters) shares() []int {
	synctest.Wait()
	have := make([]int, len(m.names))
	for _, s := range m.server.Snapshot().Slots {
		for i, name := range m.names {
			if s.Status == occamy.Internal && s.Owner == name && s.Phase != occamy.Stopping {
				have[i]++
			}
		}
	}
	return have
}

// alike compares shares. The first two masters weigh the same, so that it does
// not matter which of them has an odd slot.
func alike(a, b []int) bool {
	return max(a[0], a[1]) == max(b[0], b[1]) && min(a[0], a[1]) == min(b[0], b[1]) && slices.Equal(a[2:], b[2:])
}

// after makes a change and lets time pass until the shares are as they should
// be. It takes at most so many moves, and no more periods than RebalanceMoves
// allows for those that it took; from then on nothing moves any more. preempted
// is how many helpers give way to requests meanwhile.
//
// Where slots fall empty they should be shared out rightly at once; but an owner
// that is being asked for one is not asked for the next, so that a few may go to
// another owner and have to move.
func (m *masters) after(change string, preempted, most int, want []int, f func()) {
	m.Helper()
	count := func() int { return int(m.server.Snapshot().Preemptions) }
	had, began, before := m.shares(), time.Now(), count()+preempted
	f()
	changed := time.Now()
	limit := time.Duration((most+m.moves-1)/m.moves) * time.Second
	for !alike(m.shares(), want) {
		if time.Since(changed) > limit {
			m.Fatalf("%s: shares %v after %v, want %v: %s", change, m.shares(), time.Since(began), want, m.slots())
		}
		after(10 * time.Millisecond)
	}
	took, moves := time.Since(changed), count()-before
	if limit := time.Duration((moves+m.moves-1)/m.moves) * time.Second; moves > most || took > limit {
		m.Fatalf("%s: %d moves in %v, want at most %d in %v", change, moves, took, most, limit)
	}
	after(5 * time.Second)
	if got, more := m.shares(), count()-before-moves; !alike(got, want) || more > 0 {
		m.Fatalf("%s: shares %v, want them to stay %v; %d more moves", change, got, want, more)
	}
	m.Logf("%-36s %v -> %v: %d moves in %v, at most %d a second", change, had, want, moves, took, m.moves)
}

func TestR15_ThreeMastersOfPriority1And1And2Share16SpareSlotsAs4And4And8(t *testing.T) {
	inBubble(t, 19, func(f *fixture) {
		m := &masters{fixture: f, moves: 4, names: []string{"a", "b", "c"}}
		a, b, c := m.master("a", 1), m.master("b", 1), m.master("c", 2)
		m.after("a arrives", 0, 0, []int{18, 0, 0}, func() { f.request(a) })
		m.after("b arrives", 1, 8, []int{9, 8, 0}, func() { f.request(b) })
		m.after("c arrives", 1, 8, []int{4, 4, 8}, func() { f.request(c) })

		r := newTask("r")
		m.after("a request takes a slot", 1, 0, []int{4, 3, 8}, func() { f.request(r) })
		m.after("it ends", 0, 0, []int{4, 4, 8}, func() { r.finish <- nil })

		lag := func(d time.Duration) {
			for _, h := range b.helpers {
				h.lag = d
			}
		}
		lag(time.Minute)
		r = newTask("r")
		f.request(r) // a helper of b does not stop: it is b's still
		f.slots()
		lag(0)
		m.after("a helper is stuck, another gives way", 1, 0, []int{4, 3, 8}, func() { after(time.Second) })
		m.after("it stops after all", 0, 0, []int{4, 3, 8}, func() { after(time.Minute) })
		m.after("r ends", 0, 0, []int{4, 4, 8}, func() { r.finish <- nil })
		m.after("c ends", 0, 8, []int{9, 8, 0}, func() { c.finish <- nil })
		m.after("another c arrives", 1, 8, []int{4, 4, 8}, func() { c = m.master("c", 2); f.request(c) })
		m.after("another request takes a slot", 1, 0, []int{4, 3, 8}, func() { f.request(newTask("r")) })
		m.after("a ends", 0, 4, []int{0, 5, 11}, func() { a.finish <- nil })
	}, func(cfg *occamy.Config) { cfg.RebalanceMoves = 4 }, withoutRefill)
}

func TestR15_AMasterThatDeclinedForAWhileGetsItsShareBack(t *testing.T) {
	inBubble(t, 19, func(f *fixture) {
		m := &masters{fixture: f, moves: 4, names: []string{"a", "b", "c"}}
		var shy atomic.Bool
		c := m.master("c", 2)
		inner := c.expand
		c.expand = func(ctx context.Context, n int) []occamy.Task {
			if shy.Load() {
				return nil
			}
			return inner(ctx, n)
		}
		for _, o := range []*owner{m.master("a", 1), m.master("b", 1), c} {
			f.request(o)
		}
		after(10 * time.Second)
		m.after("c declines, six of its helpers end", 0, 6, []int{7, 7, 2}, func() {
			shy.Store(true)
			ended := 0
			for _, h := range c.helpers {
				if !h.ended.Load() && ended < 6 {
					ended++
					h.finish <- nil
				}
			}
		})
		m.after("c can use them again", 0, 6, []int{4, 4, 8}, func() { shy.Store(false) })
	}, func(cfg *occamy.Config) { cfg.RebalanceMoves = 4 }, withoutRefill)
}

func TestR14_AMasterThatArrivesIntoTheHeadroomGetsItsShare(t *testing.T) {
	inBubble(t, 20, func(f *fixture) {
		m := &masters{fixture: f, moves: 5, names: []string{"a", "b"}}
		m.after("a arrives", 0, 0, []int{17, 0}, func() { f.request(m.master("a", 0)) })
		m.after("b arrives", 0, 8, []int{9, 8}, func() { f.request(m.master("b", 0)) })
	}, withHeadroom(2))
}
