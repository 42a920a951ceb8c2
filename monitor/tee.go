// Package monitor joins the monitors of a server. What tells Prometheus,
// OpenTelemetry or a log is in packages of their own below this one.
package monitor

import "github.com/occamy-go/occamy"

// Tee returns monitors that tell all of these, each event in the order of the
// arguments. One that panics, or ends its goroutine, does not keep an event from
// those after it; one that blocks does. What nobody monitors is nil in what it
// returns, so that the server does no work for it.
func Tee(all ...occamy.Monitors) occamy.Monitors {
	var (
		errs      errorTee
		latencies latencyTee
		slots     slotTee
	)
	for _, m := range all {
		if m.Error != nil {
			errs = append(errs, m.Error)
		}
		if m.Latency != nil {
			latencies = append(latencies, m.Latency)
		}
		if m.Resource != nil {
			slots = append(slots, m.Resource)
		}
	}
	var t occamy.Monitors
	switch len(errs) {
	case 0:
	case 1:
		t.Error = errs[0]
	default:
		t.Error = errs
	}
	switch len(latencies) {
	case 0:
	case 1:
		t.Latency = latencies[0]
	default:
		t.Latency = latencies
	}
	switch len(slots) {
	case 0:
	case 1:
		t.Resource = slots[0]
	default:
		t.Resource = slots
	}
	return t
}

type errorTee []occamy.ErrorMonitor

func (t errorTee) RecordError(err error) {
	each(t, func(m occamy.ErrorMonitor) { m.RecordError(err) })
}

type latencyTee []occamy.LatencyMonitor

func (t latencyTee) RecordLatency(l occamy.Latency) {
	each(t, func(m occamy.LatencyMonitor) { m.RecordLatency(l) })
}

type slotTee []occamy.ResourceMonitor

func (t slotTee) RecordSlot(c occamy.SlotChange) {
	each(t, func(m occamy.ResourceMonitor) { m.RecordSlot(c) })
}

// each tells all, also those after one that does not return. What that one did
// goes on to the server, which knows what to do about it.
func each[M any](all []M, tell func(M)) {
	for i, m := range all {
		func() {
			returned := false
			defer func() {
				if !returned {
					each(all[i+1:], tell)
				}
			}()
			tell(m)
			returned = true
		}()
	}
}
