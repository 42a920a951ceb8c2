package occamy_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

func TestR12_CancelReachesATaskWhereverItIs(t *testing.T) {
	for name, tt := range map[string]struct {
		lay     func(f *fixture, r *task) *occamytest.Delivery
		rest    string
		ran     int32
		backlog int
	}{
		"running": {func(f *fixture, r *task) *occamytest.Delivery { return f.request(r) }, "-", 1, 0},
		"stopping": {func(f *fixture, r *task) *occamytest.Delivery {
			r.lag, r.details.Timeout = time.Second/2, time.Second
			m := f.request(r)
			after(time.Second)
			return m
		}, "-", 1, 0},
		"waiting": {func(f *fixture, r *task) *occamytest.Delivery {
			h := newSlow("h", time.Second/2)
			h.details.Timeout = time.Second
			f.optional(h)
			f.slots()
			return f.request(r)
		}, "E:h", 0, 0},
		"in the backlog": {func(f *fixture, r *task) *occamytest.Delivery {
			f.request(newTask("p"))
			f.slots()
			return f.optional(r)
		}, "P:p", 0, 0},
		"external and running": {func(f *fixture, r *task) *occamytest.Delivery { return f.optional(r) }, "-", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				m := tt.lay(f, r)
				f.slots()
				c := f.command("cancel", "r")
				f.wantFate(c, occamytest.Acked)
				after(time.Second / 2)
				f.want(tt.rest)
				f.wantFate(m, occamytest.Acked)
				f.wantBacklog(tt.backlog)
				if n := r.runs.Load(); n != tt.ran {
					f.Errorf("it ran %d times, want %d", n, tt.ran)
				}
				if c := r.stopCause(); name == "running" && !errors.Is(c, occamy.ErrCancelled) {
					f.Errorf("cause %v", c)
				}
				if len(f.monitor.Errors()) != 0 && name != "stopping" {
					f.Errorf("recorded %v", f.monitor.Errors())
				}
			})
		})
	}
}

func TestR12_ACancelIsRemembered(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.command("cancel", "r")
		after(time.Minute - 1)
		r := newTask("r")
		m := f.request(r)
		f.wantFate(m, occamytest.Acked)
		f.wantFate(f.optional(r), occamytest.Acked)
		f.want("-")
		f.wantBacklog(0)
		after(1)
		m = f.request(r)
		f.want("P:r")
		r.finish <- nil
		f.wantFate(m, occamytest.Acked)
		if r.runs.Load() != 1 {
			f.Errorf("it ran %d times", r.runs.Load())
		}
	})
	inBubble(t, 1, func(f *fixture) {
		for i := range 4 {
			f.command("cancel", fmt.Sprint("r", i))
			f.slots()
		}
		f.request(newTask("r3"))
		f.want("-")
		f.request(newTask("r1")) // forgotten: it was the oldest but one
		f.want("P:r1")
	}, func(c *occamy.Config) { c.MaxCancelled = 2 })
}

func TestR12_DrainAndResume(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		o := newOwner("o", 1)
		f.request(o)
		f.want("P:o I:o.1 -")
		f.command("drain", "another")
		synctest.Wait()
		if f.server.Snapshot().Draining {
			f.Fatal("a drain of another server drained this one")
		}
		f.wantFate(f.command("drain", "server"), occamytest.Acked)
		synctest.Wait()
		if s := f.server.Snapshot(); !s.Draining || s.Capacity != 0 {
			f.Errorf("draining %t, capacity %d", s.Draining, s.Capacity)
		}
		m := f.request(newTask("r"))
		f.wantFate(m, occamytest.Requeued)
		if m.Settlement().Delay <= 0 {
			f.Error("requeued without a delay")
		}
		f.optional(newTask("e"))
		f.want("P:o I:o.1 -")
		f.wantBacklog(1)
		o.helper(1).finish <- nil
		after(time.Second)
		f.want("P:o I:o.2 -") // running owners still expand
		f.command("resume", "server")
		f.want("P:o I:o.2 E:e")
		f.stillServes()
	})
}

func TestR12_DrainsAndResumesAtTheSameTimeLeaveNoHalf(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		for range 5000 {
			done := make(chan struct{}, 2)
			go func() { f.server.Drain(); done <- struct{}{} }()
			go func() { f.server.Resume(); done <- struct{}{} }()
			<-done
			<-done
			s := f.server.Snapshot()
			withdrawn := false
			select {
			case <-f.server.Withdrawn():
				withdrawn = true
			default:
			}
			if s.Draining != (s.Capacity == 0) || s.Draining != withdrawn {
				f.Fatalf("draining %t, capacity %d, withdrawn %t", s.Draining, s.Capacity, withdrawn)
			}
		}
		f.server.Resume()
		f.stillServes()
	})
}

func TestR12_HeaderKeysAreConfigurable(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newListener("r")
		f.give(r)
		f.server.HandleRequest(occamytest.NewMessage(occamy.Headers{"k": kind, "i": "r"}, nil))
		f.want("P:r")
		f.server.HandleControl(occamytest.NewMessage(occamy.Headers{"t": "r"}, []byte("hello")))
		r.wantHeard(f, "hello")
		f.server.HandleControl(occamytest.NewMessage(occamy.Headers{"c": "cancel", "t": "r"}, nil))
		f.want("-")
	}, func(c *occamy.Config) {
		c.Headers = occamy.HeaderKeys{Kind: "k", RequestID: "i", TaskID: "t", Command: "c"}
	})
}
