package occamy_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
)

// monitors are functions as the three monitors.
type monitors struct{ tell func(v any) }

func (m monitors) RecordError(err error)          { m.tell(err) }
func (m monitors) RecordLatency(l occamy.Latency) { m.tell(l) }
func (m monitors) RecordSlot(c occamy.SlotChange) { m.tell(c) }
func (m monitors) all() occamy.Monitors           { return occamy.Monitors{Error: m, Latency: m, Resource: m} }

func TestMonitors_OneThatPanicsLosesThatEventAndGetsTheNext(t *testing.T) {
	for name, bad := range map[string]func(){
		"panics":             func() { panic("monitor") },
		"ends its goroutine": func() { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			var told atomic.Int32
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				r.do = returns(false, errWork)
				for range 3 {
					<-f.request(r).Settled()
				}
				f.stillServes()
				f.slots()
				// For each request: the slot twice, and four latencies; three errors.
				if n := told.Load(); n != 4*6+3 {
					f.Errorf("told %d times, want %d", n, 4*6+3)
				}
				if d := f.server.Snapshot().MonitorDrops; d != 0 {
					f.Errorf("%d drops", d)
				}
			}, func(c *occamy.Config) {
				c.Monitors = monitors{func(any) { told.Add(1); bad() }}.all()
			})
		})
	}
}

func TestMonitors_OneThatBlocksHoldsNothingUpAndItsDropsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var told atomic.Int64
		f := newFixture(t, 1, func(c *occamy.Config) {
			c.Monitors = monitors{func(any) { <-release; told.Add(1) }}.all()
		})
		defer f.end()
		r := newTask("r")
		r.do = returns(false, nil)
		const requests = 5000
		begun := time.Now()
		for range requests {
			<-f.request(r).Settled()
		}
		if d := time.Since(begun); d != 0 {
			f.Errorf("held up for %v", d)
		}
		synctest.Wait()
		drops := f.server.Snapshot().MonitorDrops
		if drops == 0 {
			f.Error("no drops were counted")
		}
		close(release)
		synctest.Wait()
		if got, want := told.Load()+int64(drops), int64(requests*(2+4)); got != want {
			f.Errorf("%d told or dropped, want %d", got, want)
		}
	})
}

func TestMonitors_WhatTheyAreTold(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		o := newOwner("o", 1)
		f.plan("o", func(context.Context, occamy.Request) (occamy.Task, error) {
			after(2 * time.Second)
			return o, nil
		})
		m := f.requestID("o")
		after(3 * time.Second)
		f.want("P:o I:o.1")
		o.finish <- nil
		<-m.Settled()
		f.slots()
		want := map[occamy.Latency]bool{
			{Stage: occamy.StageHandle, Kind: kind, Status: occamy.Empty, Duration: 2 * time.Second}:                    true,
			{Stage: occamy.StageWait, Kind: kind, Status: occamy.Protected, Duration: 2 * time.Second}:                  true,
			{Stage: occamy.StageExpand, Kind: kind, Status: occamy.Protected}:                                           true,
			{Stage: occamy.StageRun, Kind: kind, Status: occamy.Protected, Outcome: "completed", Duration: time.Second}: true,
			{Stage: occamy.StageSettle, Kind: kind, Status: occamy.Protected, Outcome: "acked"}:                         true,
			{Stage: occamy.StageRun, Kind: kind, Status: occamy.Internal, Outcome: "stopped", Duration: time.Second}:    true,
			{Stage: occamy.StageStop, Kind: kind, Status: occamy.Internal}:                                              true,
		}
		for _, l := range f.monitor.Latencies() {
			if !want[l] {
				f.Errorf("recorded %+v", l)
			}
			delete(want, l)
		}
		for l := range want {
			f.Errorf("not recorded: %+v", l)
		}
		type change struct {
			slot     int
			from, to occamy.Status
			id       string
		}
		got := map[change]bool{}
		for _, c := range f.monitor.Changes() {
			got[change{c.Slot, c.From, c.To, c.ID}] = true
		}
		for _, c := range []change{
			{0, occamy.Empty, occamy.Protected, "o"}, {0, occamy.Protected, occamy.Empty, "o"},
			{1, occamy.Empty, occamy.Internal, "o.1"}, {1, occamy.Internal, occamy.Empty, "o.1"},
		} {
			if !got[c] {
				f.Errorf("not told of %+v: %v", c, got)
			}
		}
		if len(got) != 4 {
			f.Errorf("told of %v", got)
		}
	})
}

func TestTaskError_NamesTaskKindAndStatus(t *testing.T) {
	err := error(&occamy.TaskError{ID: "r", Kind: "route", Status: occamy.Protected, Err: occamy.Requeue(errWork, time.Second)})
	if !errors.Is(err, errWork) || !errors.Is(err, occamy.ErrRequeue) {
		t.Errorf("%v does not unwrap", err)
	}
	if got, want := err.Error(), `protected task "r" of kind "route": occamy: requeue: the work failed`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := occamy.Requeue(nil, 0); !errors.Is(got, occamy.ErrRequeue) || got.Error() != occamy.ErrRequeue.Error() {
		t.Errorf("got %v", got)
	}
}
