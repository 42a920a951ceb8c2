package occamy_test

import (
	"context"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
)

func TestSnapshot_SlotTimeIsWhatTasksHad(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		o := newOwner("o", 1)
		f.request(o)
		f.want("P:o I:o.1")
		after(3 * time.Second)
		r := newTask("r")
		f.request(r) // preempts o.1
		f.want("P:o P:r")
		after(time.Second)
		r.finish <- nil
		f.optional(newTask("e"))
		f.want("P:o I:o.2")
		o.finish <- nil
		f.want("E:e -")
		after(5 * time.Second)
		s := f.server.Snapshot()
		want := occamy.SlotTime{Protected: 4*time.Second + time.Second, Internal: 3 * time.Second, External: 5 * time.Second}
		if s.SlotTime != want || s.PreemptedTime != 3*time.Second {
			f.Errorf("%+v, of it preempted %v; want %+v, 3s", s.SlotTime, s.PreemptedTime, want)
		}
		if up := s.Time.Sub(s.Started); up != 9*time.Second {
			f.Errorf("up %v", up)
		}
	}, withoutRefill)
}

func TestSnapshot_DemandIsWhatRequestsHaveOrWaitFor(t *testing.T) {
	inBubble(t, 4, func(f *fixture) {
		if d := f.server.Snapshot().Demand(); d != 0 {
			f.Errorf("idle: %v", d)
		}
		f.request(newOwner("o", 3))
		f.want("P:o I:o.1 I:o.2 I:o.3")
		if d := f.server.Snapshot().Demand(); d != 0.25 {
			f.Errorf("helpers count: %v", d)
		}
		for _, id := range []string{"a", "b", "c", "d"} {
			f.request(newTask(id)) // the last one is held
		}
		f.slots()
		if d := f.server.Snapshot().Demand(); d != 1.25 {
			f.Errorf("with one more than there are slots: %v", d)
		}
	})
	if d := (occamy.Snapshot{}).Demand(); d != 0 {
		t.Errorf("of no slots: %v", d)
	}
}

func TestSnapshot_FractionIsThatOfTheLastProgress(t *testing.T) {
	for progress, want := range map[string]float64{
		`{"fraction": 0.25, "tour": [1,2]}`:          0.25,
		`{"tour": {"fraction": 1}, "fraction": 0.5}`: 0.5,
		`{"fraction": 7}`:                            1,
		`{"fraction": -7}`:                           0,
		`{"fraction": "0.5"}`:                        0,
		`{"fraction": 0.5`:                           0.5,
		`[0.5]`:                                      0,
		`half`:                                       0,
		``:                                           0,
	} {
		inBubble(t, 1, func(f *fixture) {
			r := newTask("r")
			r.do = func(ctx context.Context) error {
				if err := occamy.ReportProgress(ctx, []byte(`{"fraction": 0.1}`)); err != nil {
					return err
				}
				if err := occamy.ReportProgress(ctx, []byte(progress)); err != nil {
					return err
				}
				<-ctx.Done()
				return nil
			}
			f.request(r)
			f.slots()
			for range 2 {
				if got := f.server.Snapshot().Slots[0].Fraction; got != want {
					f.Errorf("%s: %v, want %v", progress, got, want)
				}
			}
		})
	}
}

// assistant works for the request of another server's task.
func TestSnapshot_RequestIsTheOneThatATaskWorksFor(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		a := newOwner("m/1", 1)
		a.details.Request = "m"
		f.request(a)
		f.want("P:m/1 I:m/1.1")
		for _, s := range f.server.Snapshot().Slots {
			if s.Request != "m" || s.Owner != "m/1" {
				f.Errorf("%+v", s)
			}
		}
	})
}

func TestSnapshot_InboxDropsAndClosing(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.request(&controlled{task: newTask("r"), control: func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return nil
		}})
		f.slots()
		for range 1 + 2 + 3 { // one is with the task, and two wait
			f.control("r", "x")
			f.slots()
		}
		if s := f.server.Snapshot(); s.InboxDrops != 3 || s.Closing {
			f.Errorf("drops %d, closing %v", s.InboxDrops, s.Closing)
		}
		f.end()
		if !f.server.Snapshot().Closing {
			f.Error("not closing after Shutdown")
		}
	}, func(c *occamy.Config) { c.InboxSize = 2 })
}
