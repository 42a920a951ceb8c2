package slots

import (
	"fmt"
	"testing"
	"time"
)

// counted has the heaps of a table count their comparisons.
func counted(t *Table) *int {
	n := new(int)
	for _, h := range t.heaps() {
		before := h.before
		h.before = func(t *Table, a, b int32) bool {
			*n++
			return before(t, a, b)
		}
	}
	return n
}

// everybody returns a table with n slots, all busy: a third with optional
// requests, a third with requests, a third with helpers. All can expand, and
// nobody is being asked.
func everybody(n int) *bench {
	cfg := benchConfig(n)
	cfg.ExpansionPeriod = -1
	cfg.MaxBacklog, cfg.MaxBacklogBytes = n, n
	b := &bench{table: New(cfg)}
	expand := func(offers ...Task) {
		for _, f := range append([]Effect(nil), b.step(Event{Type: ExpandNow})...) {
			if f.Type == Ask {
				b.step(Event{Type: Offered, Job: f.Job, Offers: offers[:min(f.N, len(offers))]})
			}
		}
	}
	for i := range n / 3 {
		b.step(Event{Type: Optional, Task: Task{ID: fmt.Sprint("optional", i), Priority: i % 3, Expandable: true}})
	}
	expand()
	for i := range n / 3 {
		b.request(Task{ID: fmt.Sprint("owner", i), Priority: i % 3, Expandable: true})
	}
	helper := Task{ID: "helper", Expandable: true}
	for range 3 {
		expand(helper, helper, helper)
	}
	return b
}

// TestStepCostsLittle counts what a request, the preemption for it and its end
// cost in a small and in a large table where everybody takes part in everything.
func TestStepCostsLittle(t *testing.T) {
	costs := map[int]int{}
	for _, n := range []int{30, 30_000} {
		b := everybody(n)
		if c := b.table.Counts(); c.Empty > 0 || c.External == 0 || c.Internal == 0 {
			t.Fatalf("%d slots: %+v", n, c)
		}
		count := counted(b.table)
		for range 20 {
			before := *count
			r, effects := b.request(Task{ID: "new", Expandable: true})
			for _, f := range append([]Effect(nil), effects...) {
				if f.Type == Stop {
					b.step(Event{Type: Finish, Job: f.Job, Result: Failed})
				}
			}
			b.table.Bearers("new", nil)
			b.step(Event{Type: Finish, Job: r})
			b.request(Task{ID: "next", Expandable: true})
			costs[n] = max(costs[n], *count-before)
		}
		if err := b.table.Check(); err != nil {
			t.Fatal(err)
		}
	}
	if small, large := costs[30], costs[30_000]; small == 0 || large > 10*small {
		t.Errorf("%d comparisons with 30 slots, %d with 30,000", small, large)
	}
}

// TestStepDoesNotAllocate repeats what a busy server does.
func TestStepDoesNotAllocate(t *testing.T) {
	t.Run("request", func(t *testing.T) {
		b := filled(8, 1)
		withoutAllocs(t, func() {
			r, _ := b.request(Task{ID: "r"})
			b.step(Event{Type: Finish, Job: r})
		})
	})
	t.Run("preempt", func(t *testing.T) {
		b := helped(8, Task{ID: "helper", Expandable: true})
		offers := []Task{{ID: "helper", Expandable: true}}
		withoutAllocs(t, func() {
			r, effects := b.request(Task{ID: "r"})
			b.step(Event{Type: Finish, Job: effects[0].Job, Result: Failed})
			b.step(Event{Type: Finish, Job: r})
			for _, f := range b.step(Event{Type: ExpandNow}) {
				if f.Type == Ask {
					b.step(Event{Type: Offered, Job: f.Job, Offers: offers})
				}
			}
		})
	})
	t.Run("optional", func(t *testing.T) {
		b := &bench{table: New(benchConfig(8))}
		withoutAllocs(t, func() {
			r := b.step(Event{Type: Optional, Task: Task{ID: "o"}, Size: 1})[0].Job
			b.step(Event{Type: Finish, Job: r})
			b.step(Event{Type: Cancel, ID: "x"})
			b.now += time.Hour
		})
	})
}

func withoutAllocs(t *testing.T, f func()) {
	t.Helper()
	for range 1000 { // what grows grows here
		f()
	}
	if n := testing.AllocsPerRun(1000, f); n > 0 {
		t.Errorf("%v allocations a round", n)
	}
}
