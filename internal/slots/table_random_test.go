package slots

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// driver makes up events that are mostly such as a server would send, keeps
// the jobs that are alive, and checks the effects against what is promised.
type driver struct {
	t       testing.TB
	rnd     *rand.Rand
	table   *Table
	now     time.Duration
	jobs    []Ref
	settled map[Ref]int
	out     []Effect
}

func (d *driver) step(e Event) []Effect {
	d.out = d.table.Step(d.now, e, d.out[:0])
	for _, f := range d.out {
		if f.Job != 0 {
			if n := len(d.jobs); f.Type == Convert || f.Type == Hold || f.Type == Keep ||
				f.Type == Place || f.Type == Start && f.Offer >= 0 {
				if n == 0 || !d.has(f.Job) {
					d.jobs = append(d.jobs, f.Job)
				}
			}
			if !d.has(f.Job) {
				d.t.Fatalf("%v has an effect, but is not alive: %+v", f.Job, f)
			}
		}
		switch f.Type {
		case Settle:
			if d.settled[f.Job]++; d.settled[f.Job] > 1 {
				d.t.Fatalf("%x is settled twice", f.Job)
			}
		case Release:
			for k, r := range d.jobs {
				if r == f.Job {
					d.jobs = append(d.jobs[:k], d.jobs[k+1:]...)
					break
				}
			}
			delete(d.settled, f.Job)
		}
	}
	return d.out
}

func (d *driver) has(r Ref) bool {
	for _, k := range d.jobs {
		if k == r {
			return true
		}
	}
	return false
}

func (d *driver) any() Ref {
	if len(d.jobs) == 0 {
		return Ref(d.rnd.Uint64N(8))<<32 | Ref(d.rnd.Uint64N(8)+1)
	}
	return d.jobs[d.rnd.IntN(len(d.jobs))]
}

// in returns a job of one of the phases, or any.
func (d *driver) in(phases ...Phase) Ref {
	for range 8 {
		r := d.any()
		for _, p := range phases {
			if d.table.Job(r).Phase == p {
				return r
			}
		}
	}
	return d.any()
}

func (d *driver) task() Task {
	id := ""
	if d.rnd.IntN(3) > 0 {
		id = fmt.Sprint("t", d.rnd.IntN(5))
	}
	return Task{ID: id, Priority: d.rnd.IntN(4), Expandable: d.rnd.IntN(4) > 0}
}

func (d *driver) result() Result {
	return Result(max(0, d.rnd.IntN(6)-3))
}

func (d *driver) event(rare int) Event {
	switch n := d.rnd.IntN(100); {
	case n < 16:
		return Event{Type: Arrive}
	case n < 30:
		return Event{Type: Converted, Job: d.in(Converting), Task: d.task(), Result: d.result()}
	case n < 36:
		return Event{Type: Optional, Task: d.task(), Size: d.rnd.IntN(4)}
	case n < 40:
		return Event{Type: Made, Job: d.in(Making), Task: d.task(), Result: d.result()}
	case n < 56:
		return Event{Type: Finish, Job: d.in(Running, Stopping, Stuck), Result: d.result()}
	case n < 60:
		return Event{Type: StopTimedOut, Job: d.in(Stopping)}
	case n < 62:
		return Event{Type: TimedOut, Job: d.any()}
	case n < 64:
		return Event{Type: Lost, Job: d.any()}
	case n < 66:
		return Event{Type: Cancel, ID: d.task().ID}
	case n < 84:
		e := Event{Type: Offered, Job: d.asked()}
		for range d.rnd.IntN(5) {
			e.Offers = append(e.Offers, d.task())
		}
		return e
	case n < 87:
		return Event{Type: ExpandTimedOut, Job: d.asked()}
	case n < 88:
		return Event{Type: AskAgain, Job: d.in(Running)}
	case n < 89:
		return Event{Type: ConvertTimedOut, Job: d.in(Converting)}
	case n < 93:
		return Event{Type: ExpansionDue}
	case n < 95:
		return Event{Type: ExpandNow}
	case n < 97:
		return Event{Type: RefillDue}
	}
	switch d.rnd.IntN(rare) {
	case 0:
		return Event{Type: Drain}
	case 1, 2:
		return Event{Type: Resume}
	case 3:
		return Event{Type: Shutdown}
	case 4:
		return Event{Type: ShutdownNow}
	}
	return Event{Type: Arrive}
}

func (d *driver) asked() Ref {
	for range 8 {
		r := d.any()
		if i := d.table.find(r); i != none && d.table.jobs[i].ask != notAsked {
			return r
		}
	}
	return d.any()
}

func randomConfig(rnd *rand.Rand) Config {
	n := 1 + rnd.IntN(9)
	return Config{
		Slots:           n,
		Headroom:        rnd.IntN(n),
		MaxHeadroom:     rnd.IntN(n + 1),
		HeadroomMemory:  time.Duration(rnd.IntN(12) - 2),
		RebalanceMoves:  rnd.IntN(4) - 1,
		ExpansionPeriod: time.Duration(rnd.IntN(12) - 2),
		RefillDelay:     time.Duration(rnd.IntN(4) - 1),
		CancelMemory:    time.Duration(rnd.IntN(20) - 4),
		MaxCancelled:    rnd.IntN(3),
		MaxBacklog:      rnd.IntN(5) - 1,
		MaxBacklogBytes: rnd.IntN(10),
	}
}

// TestCheckedEvents has random events go through random tables, each of which
// checks itself after every step.
func TestCheckedEvents(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		cfg := randomConfig(rnd)
		if seed%10 == 0 {
			cfg.Slots += 100
		}
		d := &driver{t: t, rnd: rnd, table: New(cfg), settled: map[Ref]int{}}
		for n := range 400 {
			e := d.event(5 + rnd.IntN(200))
			d.step(e)
			if err := d.table.Check(); err != nil {
				t.Fatalf("seed %d, step %d, %+v, %+v:\n%v", seed, n, cfg, e, err)
			}
			d.now += time.Duration(rnd.IntN(3))
			if rnd.IntN(4) == 0 {
				d.table.Promise(rnd.IntN(3))
			} else {
				d.table.Unpromise(rnd.IntN(3))
			}
		}
	}
}
