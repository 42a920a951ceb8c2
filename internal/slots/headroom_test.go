package slots

import (
	priority "container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestR14_AdaptiveHeadroomHasNineInTenRequestsStartWithoutAPreemption plays
// requests to one master that fills every spare slot with helpers, and says what
// headroom is worth and what it costs, fixed and adaptive.
func TestR14_AdaptiveHeadroomHasNineInTenRequestsStartWithoutAPreemption(t *testing.T) {
	const slots, requests = 32, 6_000
	headrooms := []struct{ least, most int }{{0, 0}, {2, 0}, {4, 0}, {8, 0}, {16, 0}, {0, 16}}
	title := fmt.Sprintf("%-24s", "fixed, or adaptive:")
	for _, h := range headrooms {
		title += fmt.Sprintf("%13s", strings.TrimSuffix(fmt.Sprintf("%d..%d", h.least, h.most), "..0"))
	}
	t.Logf("%d slots; the share of requests that start without a preemption / of slot time used", slots)
	t.Log(title)
	for _, w := range []struct {
		name  string
		burst int           // requests at a time
		every time.Duration // between bursts, exponential
		takes time.Duration // each, exponential
	}{
		{"one a minute", 1, time.Minute, 5 * time.Second},
		{"Poisson, 2 at work", 1, 5 * time.Second, 10 * time.Second},
		{"Poisson, 8 at work", 1, 1250 * time.Millisecond, 10 * time.Second},
		{"bursts of 4, one a minute", 4, time.Minute, 10 * time.Second},
		{"bursts of 12", 12, time.Minute, 10 * time.Second},
	} {
		line := fmt.Sprintf("%-26s", w.name)
		used := make([]float64, len(headrooms))
		var clean float64
		for i, h := range headrooms {
			r := newRush(slots, h.least, h.most, w.burst)
			r.play(requests, w.every, w.takes)
			clean, used[i] = r.figures()
			line += fmt.Sprintf(" %5.1f / %4.1f", 100*clean, 100*used[i])
		}
		t.Log(line)
		if n := len(used); clean < 0.87 || used[n-1] <= used[n-2] {
			t.Errorf("%s: %.1f %% start without a preemption; the most headroom would use %.1f %% of slot time, not %.1f %%",
				w.name, 100*clean, 100*used[n-2], 100*used[n-1])
		}
	}
}

// rush is a table in virtual time under requests that come at random. Helpers
// take 50 ms to stop.
type rush struct {
	table   *Table
	now     time.Duration
	rnd     *rand.Rand
	queue   moments
	master  Ref
	burst   int
	every   time.Duration
	takes   time.Duration
	left    int // requests to come
	helpers map[Ref]bool

	requests, clean int
	used            float64       // slot seconds
	refill          time.Duration // when the refill timer fires
	effects         []Effect
}

// moment is what happens at a time: an event, or, with none, a burst.
type moment struct {
	at    time.Duration
	event Event
	burst bool
}

type moments []moment

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i].at < m[j].at }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)        { *m = append(*m, x.(moment)) }
func (m *moments) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

func newRush(slots, least, most, burst int) *rush {
	r := &rush{
		table: New(Config{
			Slots: slots, Headroom: least, MaxHeadroom: most, HeadroomMemory: 10 * time.Minute,
			RebalanceMoves: slots / 4, ExpansionPeriod: time.Second, RefillDelay: 10 * time.Millisecond,
		}),
		rnd: rand.New(rand.NewPCG(14, uint64(burst))), burst: burst, helpers: map[Ref]bool{},
	}
	r.step(Event{Type: Arrive})
	r.master = r.effects[0].Job
	r.step(Event{Type: Converted, Job: r.master, Task: Task{Expandable: true}})
	return r
}

func (r *rush) play(requests int, every, takes time.Duration) {
	r.left, r.every, r.takes = requests, every, takes
	r.push(moment{at: r.exponential(every), burst: true})
	for r.left > 0 {
		m := priority.Pop(&r.queue).(moment)
		r.used += (m.at - r.now).Seconds() * float64(len(r.helpers)+r.table.Counts().Protected)
		r.now = m.at
		if !m.burst {
			if m.event.Type == RefillDue && m.at < r.refill {
				continue // it was armed anew
			}
			if m.event.Type == Converted {
				r.requests++
				if r.table.Counts().Empty > 0 {
					r.clean++
				}
			}
			r.step(m.event)
			continue
		}
		for range r.burst {
			r.left--
			r.step(Event{Type: Arrive})
		}
		r.push(moment{at: r.now + r.exponential(every), burst: true})
	}
}

func (r *rush) figures() (clean, used float64) {
	return float64(r.clean) / float64(r.requests), r.used / r.now.Seconds() / float64(r.table.cfg.Slots)
}

func (r *rush) push(m moment) { priority.Push(&r.queue, m) }

func (r *rush) exponential(mean time.Duration) time.Duration {
	return time.Duration(r.rnd.ExpFloat64() * float64(mean))
}

func (r *rush) step(e Event) {
	r.effects = r.table.Step(r.now, e, r.effects[:0])
	for _, f := range r.effects {
		switch f.Type {
		case Convert:
			if r.master != 0 {
				r.push(moment{at: r.now, event: Event{Type: Converted, Job: f.Job}})
			}
		case Ask:
			r.push(moment{at: r.now, event: Event{Type: Offered, Job: f.Job, Offers: make([]Task, f.N)}})
		case Stop:
			delete(r.helpers, f.Job)
			r.push(moment{at: r.now + 50*time.Millisecond, event: Event{Type: Finish, Job: f.Job, Result: Failed}})
		case ArmExpansion:
			r.push(moment{at: f.At, event: Event{Type: ExpansionDue}})
		case ArmRefill:
			r.refill = f.At
			r.push(moment{at: f.At, event: Event{Type: RefillDue}})
		case Start:
			if r.table.Job(f.Job).Status == Internal {
				r.helpers[f.Job] = true
			} else if f.Job != r.master {
				r.push(moment{at: r.now + r.exponential(r.takes), event: Event{Type: Finish, Job: f.Job}})
			}
		}
	}
}
