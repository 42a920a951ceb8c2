package slots

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// copyInto makes to a copy of t that shares nothing with it. It uses the memory
// that to has.
func (t *Table) copyInto(to *Table) {
	was := *to
	*to = *t
	to.jobs = append(was.jobs[:0], t.jobs...)
	to.owners = append(was.owners[:0], t.owners...)
	to.free = append(was.free[:0], t.free...)
	to.freed = append(was.freed[:0], t.freed...)
	to.slots = append(was.slots[:0], t.slots...)
	to.out, to.refs, to.filled = nil, was.refs[:0], was.filled[:0]

	to.empty.levels = was.empty.levels[:0]
	for i, level := range t.empty.levels {
		var have []uint64
		if i < len(was.empty.levels) {
			have = was.empty.levels[i]
		}
		to.empty.levels = append(to.empty.levels, append(have[:0], level...))
	}
	old, now, from := was.heaps(), to.heaps(), t.heaps()
	for i, h := range now {
		h.items = append(old[i].items[:0], from[i].items...)
		h.place = append(old[i].place[:0], from[i].place...)
	}
	to.ids.buckets = append(was.ids.buckets[:0], t.ids.buckets...)
	to.cancelled.at = copyMap(was.cancelled.at, t.cancelled.at)
	to.cancelled.entries = append(was.cancelled.entries[:0], t.cancelled.entries...)
}

func copyMap(to, from map[string]int32) map[string]int32 {
	if to == nil {
		return maps.Clone(from)
	}
	if len(to) > 0 {
		clear(to)
	}
	if len(from) > 0 {
		maps.Copy(to, from)
	}
	return to
}

// TestCopyInto holds that a copy is the same, goes the same way, and does not
// touch what it was made from.
func TestCopyInto(t *testing.T) {
	var c Table
	for seed := range uint64(200) {
		g := newGenerator(rand.New(rand.NewPCG(seed, 3)).IntN)
		for range 60 {
			if err := g.play(); err != nil {
				t.Fatal(err)
			}
		}
		table := g.pair.table.machine.(*Table)
		table.copyInto(&c)
		before := fmt.Sprintf("%+v", *table)
		events := []Event{
			{Type: Cancel, ID: "a"}, {Type: Arrive}, {Type: ExpandNow},
			{Type: Optional, Task: Task{ID: "b", Expandable: true}}, {Type: Drain}, {Type: Resume},
			{Type: ExpansionDue}, {Type: RefillDue}, {Type: ShutdownNow},
		}
		for i := range g.pair.cfg.Slots {
			r := table.Slot(i).Ref
			events = append(events, Event{Type: Finish, Job: r}, Event{Type: StopTimedOut, Job: r})
		}
		var got [][]Effect
		for _, e := range events {
			got = append(got, c.Step(g.pair.now+time.Second, e, nil))
		}
		if after := fmt.Sprintf("%+v", *table); after != before {
			t.Fatalf("a step of the copy changed\n%s\nto\n%s", before, after)
		}
		for i, e := range events {
			if want := table.Step(g.pair.now+time.Second, e, nil); !slices.Equal(got[i], want) {
				t.Fatalf("%+v: the copy does %+v, and not %+v", e, got[i], want)
			}
		}
	}
}
