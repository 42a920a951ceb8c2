package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
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
		o.helperLag = 10 * time.Millisecond
		m := f.requestID("o")
		after(3 * time.Second)
		f.want("P:o I:o.1")
		o.finish <- nil
		<-m.Settled()
		after(time.Second)
		want := map[occamy.Latency]bool{
			{Stage: occamy.StageHandle, ID: "o", Status: occamy.Empty, Duration: 2 * time.Second}:                                                  true,
			{Stage: occamy.StageWait, ID: "o", Status: occamy.Protected, Duration: 2 * time.Second}:                                                true,
			{Stage: occamy.StageExpand, ID: "o", Status: occamy.Protected}:                                                                         true,
			{Stage: occamy.StageRun, ID: "o", Status: occamy.Protected, Outcome: "completed", Duration: time.Second}:                               true,
			{Stage: occamy.StageSettle, ID: "o", Status: occamy.Protected, Outcome: "acked", Cause: occamy.CauseCompleted}:                         true,
			{Stage: occamy.StageRun, ID: "o.1", Status: occamy.Internal, Outcome: "stopped", Cause: occamy.CauseOwnerEnded, Duration: time.Second}: true,
			{Stage: occamy.StageStop, ID: "o.1", Status: occamy.Internal, Cause: occamy.CauseOwnerEnded, Duration: 10 * time.Millisecond}:          true,
		}
		for _, l := range f.monitor.Latencies() {
			if l.Kind != kind || l.Attempt != 1 {
				f.Errorf("kind and attempt of %+v", l)
			}
			l.Kind, l.Attempt = "", 0
			if !want[l] {
				f.Errorf("recorded %+v", l)
			}
			delete(want, l)
		}
		for l := range want {
			f.Errorf("not recorded: %+v", l)
		}
		wantChanges(f, map[string][]string{
			"o": {
				"0s slot 0 empty to protected running, owner o of o",
				"1s slot 0 protected to empty , owner o of o",
			},
			"o.1": {
				"0s slot 1 empty to internal running, owner o of o",
				"1s slot 1 internal to internal stopping owner_ended, owner o of o",
				"1.01s slot 1 internal to empty owner_ended, owner o of o",
			},
		})
	})
}

// wantChanges checks what was told of the slots of each task, in order and by
// the time since the first change.
func wantChanges(f *fixture, want map[string][]string) {
	f.Helper()
	synctest.Wait()
	got := map[string][]string{}
	changes := f.monitor.Changes()
	for _, c := range changes {
		if c.Server != "server" || c.Kind != kind || c.Attempt != 1 {
			f.Errorf("server, kind and attempt of %+v", c)
		}
		phase := strings.TrimSpace(string(c.Phase) + " " + string(c.Cause))
		got[c.ID] = append(got[c.ID], fmt.Sprintf("%v slot %d %s to %s %s, owner %s of %s",
			c.Time.Sub(changes[0].Time), c.Slot, c.From, c.To, phase, c.Owner, c.Request))
	}
	if !reflect.DeepEqual(got, want) {
		f.Errorf("told of %q, want %q", got, want)
	}
}

func TestMonitors_AreToldThatATaskIsStuckAndWhyARequestWasSettledSo(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.request(newSlow("r", 5*time.Second))
		f.slots()
		f.command(occamy.CommandCancel, "r")
		after(6 * time.Second)
		wantChanges(f, map[string][]string{"r": {
			"0s slot 0 empty to protected running, owner r of r",
			"0s slot 0 protected to protected stopping cancelled, owner r of r",
			"1s slot 0 protected to protected stuck cancelled, owner r of r",
			"5s slot 0 protected to empty cancelled, owner r of r",
		}})
	})
	for want, why := range map[occamy.Cause]func(f *fixture){
		occamy.CauseFailure: func(f *fixture) {
			r := newTask("r")
			r.do = returns(false, errWork)
			f.request(r)
		},
		occamy.CauseAsked: func(f *fixture) {
			r := newTask("r")
			r.do = returns(false, occamy.Requeue(errWork, 0))
			f.request(r)
		},
		occamy.CauseTimeout: func(f *fixture) {
			r := newTask("r")
			r.details.Timeout = time.Second
			f.request(r)
		},
	} {
		t.Run(string(want), func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				why(f)
				after(6 * time.Second)
				got := f.latency(occamy.StageSettle)
				if len(got) != 1 || got[0].Cause != want {
					f.Errorf("settled %+v", got)
				}
			})
		})
	}
}

// A monitor that cannot keep up for a while is told everything, in order, that
// there was room for.
func TestMonitors_AreToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		f := newFixture(t, 1, func(c *occamy.Config) {
			c.Monitors = monitors{func(v any) {
				if c, ok := v.(occamy.SlotChange); ok && c.To == occamy.Protected {
					told = append(told, c.ID)
					if len(told)%97 == 0 {
						panic("now and then")
					}
					after(time.Millisecond)
				}
			}}.all()
		})
		defer f.end()
		var want []string
		for i := range 1000 {
			r := newTask(fmt.Sprint(i))
			r.do = returns(false, nil)
			want = append(want, r.details.ID)
			<-f.request(r).Settled()
		}
		after(10 * time.Second)
		if !slices.Equal(told, want) {
			f.Errorf("told of %d: %v", len(told), told)
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
