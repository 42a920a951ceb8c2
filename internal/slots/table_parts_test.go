package slots

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBitmapFindsLowest(t *testing.T) {
	for _, size := range []int{1, 63, 64, 65, 4096, 4097, 300_000} {
		b := newBitmap(size)
		members := map[int]bool{}
		rnd := rand.New(rand.NewPCG(1, uint64(size)))
		for range 200 {
			i := rnd.IntN(size)
			if members[i] {
				b.remove(i)
				delete(members, i)
			} else {
				b.add(i)
				members[i] = true
			}
			lowest := size
			for m := range members {
				lowest = min(lowest, m)
			}
			if b.n != len(members) || b.has(i) != members[i] {
				t.Fatalf("size %d: %d members, want %d; has(%d) = %t", size, b.n, len(members), i, b.has(i))
			}
			if b.n > 0 && b.first() != lowest {
				t.Fatalf("size %d: lowest is %d, want %d", size, b.first(), lowest)
			}
		}
	}
}

// tableOfJobs returns a table with jobs that are in no phase, for the parts
// that need nothing but their entries. Job i has run number runs[i].
func tableOfJobs(n int) *Table {
	t := New(Config{Slots: 1})
	for i := range n {
		t.newJob(Internal)
		t.jobs[i].run = uint64(i*7919%n + 1)
	}
	return t
}

func TestHeapKeepsOrder(t *testing.T) {
	table := tableOfJobs(100)
	h := heap{
		before: func(t *Table, a, b int32) bool { return t.jobs[a].run < t.jobs[b].run },
		place:  make([]int32, 100),
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	members := map[int32]bool{}
	for n := range 5000 {
		i := int32(rnd.IntN(100))
		in := rnd.IntN(2) == 0
		table.jobs[i].run = uint64(rnd.IntN(1000))<<10 | uint64(i)
		h.set(table, i, in)
		delete(members, i)
		if in {
			members[i] = true
		}
		best := none
		for m := range members {
			if best == none || h.before(table, m, best) {
				best = m
			}
		}
		if h.top() != best || len(h.items) != len(members) {
			t.Fatalf("step %d: top is %d of %d, want %d of %d", n, h.top(), len(h.items), best, len(members))
		}
	}
}

func TestAskTreeFindsEarliest(t *testing.T) {
	table := tableOfJobs(100)
	c := checker{t: table}
	rnd := rand.New(rand.NewPCG(1, 1))
	root := none
	var members []int32
	for n := range 5000 {
		i := int32(rnd.IntN(100))
		if k := slices.Index(members, i); k >= 0 {
			root = table.treeRemove(root, i)
			members = slices.Delete(members, k, k+1)
		} else {
			root = table.treeAdd(root, i)
			members = append(members, i)
		}
		if size := c.tree(root, none); size != len(members) || c.errs != nil {
			t.Fatalf("step %d: %d in the tree, want %d; %v", n, size, len(members), c.errs)
		}
		if len(members) == 0 {
			continue
		}
		first := slices.MinFunc(members, func(a, b int32) int {
			return cmp.Compare(table.jobs[a].run, table.jobs[b].run)
		})
		if root != first {
			t.Fatalf("step %d: the first is %d, want %d", n, root, first)
		}
	}
}

func TestBearersAreFoundInOrder(t *testing.T) {
	table := New(Config{Slots: 1})
	rnd := rand.New(rand.NewPCG(1, 1))
	want := map[string][]Ref{}
	for n := range 4000 {
		id := fmt.Sprint(rnd.IntN(400))
		if refs := want[id]; len(refs) > 0 && rnd.IntN(3) == 0 {
			k := rnd.IntN(len(refs))
			table.unindex(int32(refs[k].Index()))
			table.jobs[refs[k].Index()].id = ""
			want[id] = slices.Delete(refs, k, k+1)
		} else {
			i := table.newJob(Internal)
			table.index(i, id)
			want[id] = append(refs, table.jobs[i].ref)
		}
		if n%10 != 0 {
			continue
		}
		rings := 0
		for id, refs := range want {
			if got := table.bearers(id, false, nil); !slices.Equal(got, refs) {
				t.Fatalf("step %d: %q is borne by %x, want %x", n, id, got, refs)
			}
			if len(refs) > 0 {
				rings++
			}
		}
		if table.ids.rings != rings {
			t.Fatalf("step %d: %d IDs are borne, want %d", n, table.ids.rings, rings)
		}
	}
	if got := table.Bearers("", nil); len(got) != 0 {
		t.Errorf("an empty ID is borne by %x", got)
	}
}

func TestMemoryForgetsOldest(t *testing.T) {
	m := newMemory()
	for i := range 10 {
		m.add(fmt.Sprint(i), time.Duration(i+10))
	}
	m.add("0", 20) // is the newest now
	m.remove(m.order.next)
	if _, ok := m.at["1"]; ok {
		t.Error("the oldest was not the one to go")
	}
	m.forget(19)
	if _, ok := m.at["0"]; !ok || len(m.at) != 1 {
		t.Errorf("at 19 %v are remembered, want the one until 20", m.at)
	}
	m.forget(20)
	if len(m.at) != 0 || m.order != (link{none, none}) {
		t.Errorf("at 20 %v are remembered, want none", m.at)
	}
	for i := range 10 {
		m.add(fmt.Sprint(i), 30)
	}
	if len(m.entries) != 10 {
		t.Errorf("%d entries for 10 IDs at a time", len(m.entries))
	}
}

func TestTimesDoNotOverflow(t *testing.T) {
	for _, c := range []struct{ now, d, want time.Duration }{
		{1, 2, 3},
		{math.MaxInt64 - 2, 2, math.MaxInt64},
		{2, math.MaxInt64 - 1, math.MaxInt64},
	} {
		if got := later(c.now, c.d); got != c.want {
			t.Errorf("%d after %d is %d, want %d", c.d, c.now, got, c.want)
		}
	}
}

// TestRefsAreNotReused uses one entry of the arena again and again.
func TestRefsAreNotReused(t *testing.T) {
	b := filled(4, 1)
	seen := map[Ref]bool{}
	index := -1
	for range 100 {
		r, _ := b.request(Task{})
		if seen[r] {
			t.Fatalf("%x names two jobs", r)
		}
		if index >= 0 && r.Index() != index {
			t.Fatalf("index %d instead of %d, which is free", r.Index(), index)
		}
		seen[r], index = true, r.Index()
		b.step(Event{Type: Finish, Job: r})
		if j := b.table.Job(r); j.Phase != Gone || j.Ref != r {
			t.Fatalf("a job that is gone is %+v", j)
		}
		b.step(Event{Type: Cancel, ID: "nobody's"})
		if got := b.step(Event{Type: Finish, Job: r}); len(got) != 0 {
			t.Fatalf("a job that is gone has effects: %+v", got)
		}
	}
	for _, r := range []Ref{0, 99, 1 << 31, math.MaxUint64} {
		if j := b.table.Job(r); j.Phase != Gone || j.Slot != -1 {
			t.Errorf("%x, which was never given, is %+v", uint64(r), j)
		}
	}
}
