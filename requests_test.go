package occamy_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

func TestR01_StartsAtOnceInAnEmptySlot(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		begun := time.Now()
		r := newTask("r")
		m := f.request(r)
		f.want("P:r -")
		if !r.beganAt().Equal(begun) {
			f.Errorf("began %v after its arrival", r.beganAt().Sub(begun))
		}
		f.wantFate(m, occamytest.Unsettled)
		r.finish <- nil
		f.wantFate(m, occamytest.Acked)
		f.want("- -")
	})
}

func TestR01_TakesTheLeastValuableSlot(t *testing.T) {
	prio := func(o *owner, p int) *owner { o.details.Priority = p; return o }
	for name, tt := range map[string]struct {
		slots  int
		lay    func(f *fixture)
		victim string
	}{
		"external before internal": {3, func(f *fixture) {
			f.optional(newTask("e"))
			f.want("E:e - -")
			f.request(newOwner("o", 1))
		}, "e"},
		"then the lower priority": {4, func(f *fixture) {
			f.request(prio(newOwner("low", 1), 1))
			f.want("P:low I:low.1 - -")
			f.request(prio(newOwner("high", 1), 2))
		}, "low.1"},
		"then the owner that holds most": {5, func(f *fixture) {
			f.request(newOwner("many", 2))
			f.want("P:many I:many.1 I:many.2 - -")
			f.request(newOwner("one", 1))
		}, "many.2"},
		"then the most recently started": {3, func(f *fixture) {
			f.optional(newTask("e1"))
			f.want("E:e1 - -")
			after(time.Millisecond)
			f.optional(newTask("e2"))
			f.want("E:e1 E:e2 -")
			after(time.Millisecond)
			f.optional(newTask("e3"))
		}, "e3"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tt.slots, func(f *fixture) {
				tt.lay(f)
				f.slots()
				before := f.server.Snapshot()
				if i := slices.IndexFunc(before.Slots, func(s occamy.SlotInfo) bool { return s.Status == occamy.Empty }); i >= 0 {
					f.Fatalf("slot %d is empty: %s", i, f.slots())
				}
				f.request(newTask("r"))
				f.slots()
				now := f.server.Snapshot()
				for i, s := range before.Slots {
					if took := now.Slots[i].ID == "r"; took != (s.ID == tt.victim) {
						f.Errorf("slot of %s was taken: %t; slots %s", s.ID, took, f.slots())
					}
				}
				if now.Preemptions != 1 {
					f.Errorf("%d preemptions, want 1", now.Preemptions)
				}
			}, withoutRefill)
		})
	}
}

func TestR02_RequestsThatArriveTogetherPreemptSideBySide(t *testing.T) {
	const n = 8
	inBubble(t, n, func(f *fixture) {
		o := newOwner("o", n-1)
		o.helperLag = 50 * time.Millisecond
		f.request(o)
		f.slots()
		begun := time.Now()
		var tasks []*task
		for i := range n - 1 {
			r := newTask(fmt.Sprint("r", i))
			tasks = append(tasks, r)
			f.request(r)
		}
		synctest.Wait()
		if w := f.server.Snapshot().Waiting; w != n-1 {
			f.Errorf("%d wait, want %d", w, n-1)
		}
		after(50 * time.Millisecond)
		synctest.Wait()
		for _, r := range tasks {
			if wait := r.beganAt().Sub(begun); wait != 50*time.Millisecond {
				f.Errorf("%s began after %v", r.details.ID, wait)
			}
		}
		if c := o.helper(1).stopCause(); !errors.Is(c, occamy.ErrPreempted) {
			f.Errorf("cause of a helper is %v", c)
		}
	})
}

func TestR02_AnySlotThatFallsEmptyServesTheHead(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		p := newTask("p")
		f.request(p)
		f.slots()
		o := newOwner("o", 1)
		o.helperLag = time.Hour / 4
		f.request(o)
		f.want("P:p P:o I:o.1")
		f.request(newTask("r1"))
		f.want("P:p P:o I:o.1~")
		p.finish <- nil
		f.want("P:r1 P:o I:o.1~")
		if n := f.server.Snapshot().Waiting; n != 0 {
			f.Errorf("%d still wait", n)
		}
		o.helper(1).finish = nil
	}, func(c *occamy.Config) { c.KillTimeout = time.Hour })
}

func TestR02_ASlotThatStopsAnywayIsUsed(t *testing.T) {
	inBubble(t, 4, func(f *fixture) {
		o := newOwner("o", 1)
		o.helperLag = 20 * time.Millisecond
		f.request(o)
		f.slots()
		e := newOwner("e", 1)
		f.optional(e)
		f.want("P:o I:o.1 E:e E:e.1")
		o.finish <- nil // its helper stops too
		f.want("- I:o.1~ E:e E:e.1")
		f.request(newTask("r1"))
		f.want("P:r1 I:o.1~ E:e E:e.1")
		f.request(newTask("r2"))
		f.want("P:r1 I:o.1~ E:e E:e.1")
		after(20 * time.Millisecond)
		f.want("P:r1 P:r2 E:e E:e.1")
		if n := f.server.Snapshot().Preemptions; n != 0 {
			f.Errorf("%d preemptions, want none", n)
		}
	})
}

func TestR02_RequestsWaitInOneFIFO(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for i, lag := range []time.Duration{30, 20, 10} {
			e := newSlow(fmt.Sprint("e", i), lag*time.Millisecond)
			f.optional(e)
			f.slots()
		}
		begun := time.Now()
		var tasks []*task
		for i := range 3 {
			r := newTask(fmt.Sprint("r", i))
			tasks = append(tasks, r)
			f.request(r)
			f.slots()
		}
		after(100 * time.Millisecond)
		synctest.Wait()
		for i, r := range tasks {
			if got, want := r.beganAt().Sub(begun), time.Duration(i+1)*10*time.Millisecond; got != want {
				f.Errorf("%s began after %v, want %v", r.details.ID, got, want)
			}
		}
	})
}

func TestR03_AStuckTaskKeepsItsSlotAndAnotherVictimIsChosen(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		good := newTask("good")
		f.optional(good)
		f.slots()
		stuck := newSlow("stuck", time.Minute)
		f.optional(stuck)
		f.want("E:good E:stuck")
		begun := time.Now()
		r := newTask("r")
		f.request(r)
		f.want("E:good E:stuck~")
		after(time.Second) // KillTimeout
		f.want("P:r E:stuck!")
		if got := r.beganAt().Sub(begun); got != time.Second {
			f.Errorf("began after %v", got)
		}
		f.wantTaskError(occamy.ErrStuck, occamy.TaskError{ID: "stuck", Kind: kind, Status: occamy.External})
		after(time.Hour)
		f.wantErrors(occamy.ErrStuck, 1)
		f.slots()
		r.finish <- nil
		f.slots()
	})
}

func TestR03_WithoutAnotherVictimTheTailIsRequeued(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.optional(newSlow("stuck", time.Minute))
		f.slots()
		r := newTask("r")
		m := f.request(r)
		f.want("E:stuck~")
		after(time.Second)
		f.want("E:stuck!")
		f.wantFate(m, occamytest.Requeued)
		if d := m.Settlement().Delay; d <= 0 {
			f.Errorf("requeued without a delay")
		}
		f.wantTaskError(occamy.ErrNoSlot, occamy.TaskError{ID: "r", Kind: kind, Status: occamy.Protected})
		if n := r.runs.Load(); n != 0 {
			f.Errorf("it ran %d times", n)
		}
		after(time.Minute) // the task returns and, put back, starts again
		f.want("E:stuck")
		f.stillServes()
	})
}

func TestR03_OneStuckTaskDelaysNoRequestThatAnotherSlotCouldTake(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		p := newTask("p")
		f.request(p)
		f.slots()
		f.optional(newSlow("stuck", time.Minute))
		f.slots()
		r := newTask("r")
		f.request(r)
		f.want("P:p E:stuck~")
		p.finish <- nil
		f.want("P:r E:stuck~")
		after(2 * time.Second)
		f.want("P:r E:stuck!")
		after(time.Minute)
	})
}

func TestR04_NoRequestStopsAProtectedTask(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		a, b := newTask("a"), newTask("b")
		f.request(a)
		f.slots()
		f.request(b)
		m := f.request(newTask("c"))
		f.server.Expand()
		after(time.Hour)
		f.want("P:a P:b")
		f.wantFate(m, occamytest.Unsettled) // held
		a.finish <- nil
		f.want("P:c P:b")
	})
}

func TestR04_ATaskIsStoppedByItsOwnLimits(t *testing.T) {
	soon := func() time.Time { return time.Now().Add(3 * time.Second) }
	for name, lay := range map[string]func(f *fixture, r *task) *occamytest.Delivery{
		"timeout of its details": func(f *fixture, r *task) *occamytest.Delivery {
			r.details.Timeout = 3 * time.Second
			return f.request(r)
		},
		"deadline of its details": func(f *fixture, r *task) *occamytest.Delivery {
			r.details.Deadline = soon()
			return f.request(r)
		},
		"timeout header": func(f *fixture, r *task) *occamytest.Delivery {
			return f.requestWith(r, occamy.Headers{"Occamy-Timeout": "3s"})
		},
		"deadline header": func(f *fixture, r *task) *occamytest.Delivery {
			return f.requestWith(r, occamy.Headers{"Occamy-Deadline": soon().Format(time.RFC3339Nano)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				m := lay(f, r)
				after(3*time.Second - 1)
				f.want("P:r")
				after(1)
				f.want("-")
				if c := r.stopCause(); !errors.Is(c, occamy.ErrTimeout) {
					f.Errorf("cause is %v", c)
				}
				f.wantFate(m, occamytest.Rejected)
				f.wantTaskError(occamy.ErrTimeout, occamy.TaskError{ID: "r", Kind: kind, Status: occamy.Protected})
				f.stillServes()
			})
		})
	}
}

func TestR04_ADeadlineEndsAWaitingRequest(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.optional(newSlow("slow", time.Hour))
		f.slots()
		r := newTask("r")
		r.details.Deadline = time.Now().Add(time.Second)
		m := f.request(r)
		f.want("E:slow~")
		after(time.Second)
		f.wantFate(m, occamytest.Rejected)
		after(time.Hour)
		f.want("E:slow")
		if r.runs.Load() != 0 {
			f.Error("it ran after its deadline")
		}
		overdue := newTask("overdue")
		overdue.details.Deadline = time.Now()
		f.wantFate(f.request(overdue), occamytest.Rejected)
		if overdue.runs.Load() != 0 {
			f.Error("it ran after its deadline")
		}
	}, func(c *occamy.Config) { c.KillTimeout = time.Hour })
}
