package monitor_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor"
	"github.com/occamy-go/occamy/occamytest"
)

// bad is a monitor that never returns as it should.
type bad func()

func (b bad) RecordError(error)            { b() }
func (b bad) RecordLatency(occamy.Latency) { b() }
func (b bad) RecordSlot(occamy.SlotChange) { b() }
func (b bad) monitors() occamy.Monitors    { return occamy.Monitors{Error: b, Latency: b, Resource: b} }

func TestTee_TellsAllWhateverOneDoes(t *testing.T) {
	for name, one := range map[string]bad{
		"returns":            func() {},
		"panics":             func() { panic("monitor") },
		"ends its goroutine": func() { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			var first, last occamytest.Monitor
			all := monitor.Tee(first.Monitors(), one.monitors(), one.monitors(), last.Monitors())
			for _, tell := range []func(){
				func() { all.Error.RecordError(errors.New("x")) },
				func() { all.Latency.RecordLatency(occamy.Latency{}) },
				func() { all.Resource.RecordSlot(occamy.SlotChange{}) },
			} {
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					tell()
				}()
				<-done
			}
			for _, m := range []*occamytest.Monitor{&first, &last} {
				if len(m.Errors()) != 1 || len(m.Latencies()) != 1 || len(m.Changes()) != 1 {
					t.Errorf("told of %d errors, %d latencies, %d changes; want one each", len(m.Errors()), len(m.Latencies()), len(m.Changes()))
				}
			}
		})
	}
}

func TestTee_IsNilForWhatNobodyMonitors(t *testing.T) {
	var m occamytest.Monitor
	for _, c := range []struct {
		all  []occamy.Monitors
		want occamy.Monitors
	}{
		{},
		{all: []occamy.Monitors{{}, {}}},
		{all: []occamy.Monitors{{Error: &m}, {}, {Resource: &m}}, want: occamy.Monitors{Error: &m, Resource: &m}},
	} {
		if got := monitor.Tee(c.all...); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}
