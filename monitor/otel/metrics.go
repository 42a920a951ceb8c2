package otel

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor/internal/labels"
)

// MetricsOptions of a Metrics. The zero value is useful.
type MetricsOptions struct {
	// MaxKinds is how many kinds have an attribute of their own; all others share
	// "other". Zero or less: 64.
	MaxKinds int
}

// Metrics records what monitors are told, and what the snapshot of a server
// tells, with the instruments of a provider: those of monitor/prometheus, with a
// dot for each underscore between words of the name. Make one with NewMetrics.
type Metrics struct {
	kinds  *labels.Kinds
	server atomic.Pointer[Server]

	wait, run, handle, expand, stop, settle metric.Float64Histogram
	settled, failed                         metric.Int64Counter
	sets                                    sets
	registration                            metric.Registration
}

// Server is what tells of an *occamy.Server.
type Server interface {
	Snapshot() occamy.Snapshot
}

// NewMetrics makes the instruments. The error is that of the provider.
func NewMetrics(p metric.MeterProvider, o MetricsOptions) (*Metrics, error) {
	m := &Metrics{kinds: labels.NewKinds(o.MaxKinds)}
	meter := p.Meter(scope)
	var errs []error
	duration := func(name, what string) metric.Float64Histogram {
		h, err := meter.Float64Histogram("occamy."+name+".duration", metric.WithUnit("s"), metric.WithDescription(what),
			metric.WithExplicitBucketBoundaries(1e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 1800, 3600, 14400, 86400))
		errs = append(errs, err)
		return h
	}
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := meter.Int64Counter("occamy."+name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	m.wait = duration("wait", "From the arrival of a request until its task began.")
	m.run = duration("task", "How long tasks computed, until they were completed, stopped or failed.")
	m.handle = duration("handler", "How long handlers took.")
	m.expand = duration("expand", "How long tasks took to say how many helpers they can use.")
	m.stop = duration("stop", "From the stop of a task until it had returned.")
	m.settle = duration("settle", "From the end of a task until its message was settled.")
	m.settled = counter("settlements", "{message}", "Messages acked, rejected, requeued or lost, and why.")
	m.failed = counter("errors", "{error}", "Errors that the server recorded.")
	errs = append(errs, m.observe(meter))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("otel: make instruments: %w", err)
	}
	return m, nil
}

// Monitors are for the config of the server.
func (m *Metrics) Monitors() occamy.Monitors { return occamy.Monitors{Error: m, Latency: m} }

// Watch has the metrics tell what a server's snapshot says when they are read.
// It is called once the server is made and before it serves.
func (m *Metrics) Watch(s Server) {
	for _, k := range s.Snapshot().Kinds {
		m.kinds.Add(k)
	}
	m.server.Store(&s)
}

// Close has the provider ask for no more snapshots.
func (m *Metrics) Close() error { return m.registration.Unregister() }

// RecordLatency implements occamy.LatencyMonitor.
func (m *Metrics) RecordLatency(l occamy.Latency) {
	ctx, seconds, kind := context.Background(), l.Duration.Seconds(), m.kinds.Label(l.Kind)
	if l.Status != occamy.Empty && l.Stage != occamy.StageSettle {
		m.kinds.Add(l.Kind) // a task has it, so it does not come from just anybody
	}
	switch l.Stage {
	case occamy.StageHandle:
		m.handle.Record(ctx, seconds, m.sets.of(kind).record...)
	case occamy.StageWait:
		if l.Status == occamy.Protected {
			m.wait.Record(ctx, seconds, m.sets.of(kind).record...)
		}
	case occamy.StageRun:
		m.run.Record(ctx, seconds, m.sets.of(kind, pair{"occamy.status", string(l.Status)}, pair{"occamy.outcome", l.Outcome}).record...)
	case occamy.StageStop:
		m.stop.Record(ctx, seconds, m.sets.of(kind).record...)
	case occamy.StageExpand:
		m.expand.Record(ctx, seconds, m.sets.of(kind).record...)
	case occamy.StageSettle:
		settlement := pair{"occamy.settlement", l.Outcome}
		m.settle.Record(ctx, seconds, m.sets.of(kind, settlement).record...)
		m.settled.Add(ctx, 1, m.sets.of(kind, settlement, pair{"occamy.cause", string(l.Cause)}).add...)
	}
}

// RecordError implements occamy.ErrorMonitor.
func (m *Metrics) RecordError(err error) {
	var kind string
	var task *occamy.TaskError
	if errors.As(err, &task) {
		kind = task.Kind
	}
	m.failed.Add(context.Background(), 1, m.sets.of(m.kinds.Label(kind), pair{"error.type", labels.Error(err)}).add...)
}

// observe has the provider read the snapshot whenever it collects.
func (m *Metrics) observe(meter metric.Meter) error {
	var errs []error
	gauge := func(name, unit, what string) metric.Float64ObservableGauge {
		g, err := meter.Float64ObservableGauge("occamy."+name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return g
	}
	counter := func(name, unit, what string) metric.Float64ObservableCounter {
		c, err := meter.Float64ObservableCounter("occamy."+name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	slots := gauge("slots", "{slot}", "Slots by the status of the task in them.")
	stuck := gauge("stuck_slots", "{slot}", "Slots whose task still runs KillTimeout after it was stopped.")
	demand := gauge("protected_ratio", "1", "Slots that requests have or wait for, relative to all slots: the figure to scale on.")
	requests := gauge("requests", "{request}", "Requests that are at the server without a slot.")
	backlog := gauge("backlog_requests", "{request}", "Optional requests that are set aside.")
	capacity := gauge("capacity", "{request}", "How many more requests there is room for.")
	headroom := gauge("headroom_slots", "{slot}", "Slots that expansion leaves empty for requests.")
	draining := gauge("draining", "1", "1 while the server takes no requests.")
	slotTime := counter("slot_time", "s", "Slot time that tasks had.")
	preempted := counter("preempted_slot_time", "s", "Slot time of the tasks that were preempted.")
	preemptions := counter("preemptions", "{task}", "Tasks that were stopped for a request or a task of higher status.")
	inbox := counter("inbox_dropped", "{message}", "Control messages that found the inbox of their task full.")
	missed := counter("monitor_dropped", "{event}", "Events that a slow monitor missed.")
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var err error
	m.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		server := m.server.Load()
		if server == nil {
			return nil
		}
		s := (*server).Snapshot()
		count, stuckNow := make([]int, labels.Statuses.Len()), 0
		for _, slot := range s.Slots {
			count[labels.Statuses.Index(string(slot.Status))]++
			if slot.Phase == occamy.Stuck {
				stuckNow++
			}
		}
		status := func(v string) metric.MeasurementOption {
			return metric.WithAttributes(attribute.String("occamy.status", v))
		}
		state := func(v string) metric.MeasurementOption {
			return metric.WithAttributes(attribute.String("occamy.state", v))
		}
		for i, name := range labels.Statuses.Names() {
			o.ObserveFloat64(slots, float64(count[i]), status(name))
		}
		o.ObserveFloat64(stuck, float64(stuckNow))
		o.ObserveFloat64(demand, s.Demand())
		o.ObserveFloat64(requests, float64(s.Waiting), state("waiting"))
		o.ObserveFloat64(requests, float64(s.Held), state("held"))
		o.ObserveFloat64(requests, float64(s.Converting), state("converting"))
		o.ObserveFloat64(backlog, float64(s.Backlog))
		o.ObserveFloat64(capacity, float64(s.Capacity))
		o.ObserveFloat64(headroom, float64(s.Headroom))
		off := 0.0
		if s.Draining || s.Closing {
			off = 1
		}
		o.ObserveFloat64(draining, off)
		o.ObserveFloat64(slotTime, s.SlotTime.Protected.Seconds(), status(string(occamy.Protected)))
		o.ObserveFloat64(slotTime, s.SlotTime.Internal.Seconds(), status(string(occamy.Internal)))
		o.ObserveFloat64(slotTime, s.SlotTime.External.Seconds(), status(string(occamy.External)))
		o.ObserveFloat64(preempted, s.PreemptedTime.Seconds())
		o.ObserveFloat64(preemptions, float64(s.Preemptions))
		o.ObserveFloat64(inbox, float64(s.InboxDrops))
		o.ObserveFloat64(missed, float64(s.MonitorDrops))
		return nil
	}, slots, stuck, demand, requests, backlog, capacity, headroom, draining, slotTime, preempted, preemptions, inbox, missed)
	return err
}
