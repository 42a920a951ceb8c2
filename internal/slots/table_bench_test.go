package slots

import (
	"fmt"
	"testing"
	"time"
)

func benchConfig(n int) Config {
	return Config{
		Slots:           n,
		RebalanceMoves:  max(n/4, 1),
		ExpansionPeriod: time.Second,
		RefillDelay:     10 * time.Millisecond,
		CancelMemory:    time.Minute,
		MaxCancelled:    10_000,
		MaxBacklog:      1_000,
		MaxBacklogBytes: 1 << 20,
	}
}

// bench drives a table as a server would whose tasks and handlers take no time.
type bench struct {
	table *Table
	now   time.Duration
	out   []Effect
}

func (b *bench) step(e Event) []Effect {
	b.out = b.table.Step(b.now, e, b.out[:0])
	b.now += time.Microsecond
	return b.out
}

// request has a request arrive and be converted, and returns it and what came
// of it.
func (b *bench) request(task Task) (Ref, []Effect) {
	r := b.step(Event{Type: Arrive})[0].Job
	return r, b.step(Event{Type: Converted, Job: r, Task: task})
}

// offer answers each Ask among the effects in full, and what follows from it.
func (b *bench) offer(effects []Effect, helper Task) {
	asks := append([]Effect(nil), effects...)
	for len(asks) > 0 {
		a := asks[0]
		asks = asks[1:]
		if a.Type == Ask {
			offers := make([]Task, a.N)
			for i := range offers {
				offers[i] = helper
			}
			asks = append(asks, b.step(Event{Type: Offered, Job: a.Job, Offers: offers})...)
		}
	}
}

// filled returns a table with n slots of which all but free are busy with
// requests that cannot expand.
func filled(n, free int) *bench {
	b := &bench{table: New(benchConfig(n))}
	for i := range n - free {
		b.request(Task{ID: fmt.Sprint("busy", i)})
	}
	return b
}

// helped returns a table with n slots, of which one request holds one and its
// helpers the others.
func helped(n int, helper Task) *bench {
	b := &bench{table: New(benchConfig(n))}
	_, effects := b.request(Task{ID: "root", Expandable: true})
	b.offer(effects, helper)
	return b
}

var benchSizes = []int{8, 10_000}

func BenchmarkRequest(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint("slots=", n), func(b *testing.B) {
			t := filled(n, 1)
			ids := [...]string{"a", "b", "c", "d", "e", "f", "g"}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r, _ := t.request(Task{ID: ids[i%len(ids)]})
				t.step(Event{Type: Finish, Job: r})
			}
		})
	}
}

// BenchmarkPreempt takes a helper's slot for a request, and gives it back.
func BenchmarkPreempt(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint("slots=", n), func(b *testing.B) {
			t := helped(n, Task{ID: "helper", Expandable: true})
			offers := []Task{{ID: "helper", Expandable: true}}
			b.ReportAllocs()
			for b.Loop() {
				r, effects := t.request(Task{ID: "r"})
				t.step(Event{Type: Finish, Job: effects[0].Job, Result: Failed})
				asks := t.step(Event{Type: Finish, Job: r})
				if asks[len(asks)-1].Type != Ask {
					asks = t.step(Event{Type: RefillDue})
				}
				t.step(Event{Type: Offered, Job: asks[len(asks)-1].Job, Offers: offers})
			}
			if err := t.table.Check(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkBearers(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint("slots=", n), func(b *testing.B) {
			t := filled(n, 0)
			refs := make([]Ref, 0, 1)
			b.ReportAllocs()
			for b.Loop() {
				refs = t.table.Bearers("busy5", refs[:0])
			}
		})
	}
}

// BenchmarkOptional keeps optional requests in a full backlog.
func BenchmarkOptional(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint("slots=", n), func(b *testing.B) {
			t := filled(n, 0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t.step(Event{Type: Optional, Task: Task{Priority: i & 1023}, Size: 10})
			}
		})
	}
}
