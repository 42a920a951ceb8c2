// Package prometheus tells Prometheus what a server does. A [Metrics] is a
// collector: register it, give its Monitors to the server's config, and have it
// watch the server.
//
// Its series are bounded whatever comes in, see [Options]; docs/monitoring.md
// lists them. What comes with each request costs a lookup and allocates nothing;
// what a snapshot tells is read when Prometheus asks for it.
//
// A Metrics is for one server. Where a process has several, each has its own,
// registered with a label that tells them apart, by client_golang's
// WrapRegistererWith.
package prometheus

import (
	"context"
	"errors"
	"sync/atomic"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/monitor/internal/depth"
	"github.com/occamy-go/occamy/monitor/internal/labels"
)

// Options of a Metrics. The zero value is useful.
type Options struct {
	// Kinds have labels of their own, and their series from the start. Those of
	// the server that is watched need not be named.
	Kinds []string

	// MaxKinds is how many kinds have a label of their own; all others share
	// "other". Zero or less: 64. A kind with all its series takes about 400.
	MaxKinds int
}

// Metrics are the metrics of one server. Make one with [New].
type Metrics struct {
	kinds *labels.Kinds
	vecs  *vectors
	// series by the number of the kind; each is made when its kind is first seen.
	series []atomic.Pointer[series]
	server atomic.Pointer[Server]
	queues depth.Reader
}

// Server is what tells of an *occamy.Server.
type Server interface {
	Snapshot() occamy.Snapshot
}

// New makes the metrics of a server.
func New(o Options) *Metrics {
	kinds := labels.NewKinds(o.MaxKinds)
	m := &Metrics{
		kinds:  kinds,
		vecs:   newVectors(),
		series: make([]atomic.Pointer[series], kinds.Most()+1),
	}
	for _, k := range o.Kinds {
		m.of(kinds.Add(k))
	}
	return m
}

// Monitors are for the config of the server.
func (m *Metrics) Monitors() occamy.Monitors {
	return occamy.Monitors{Error: m, Latency: m}
}

// Watch has the metrics tell what a server's snapshot says when they are
// collected: slots, waiting requests and the like. It is called once the server
// is made and before it serves, so that the kinds of the server are known before
// anybody names others. The metrics keep the server until they watch another.
func (m *Metrics) Watch(s Server) {
	for _, k := range s.Snapshot().Kinds {
		m.of(m.kinds.Add(k))
	}
	m.server.Store(&s)
}

// Queues is what tells how deep the queues of a broker are; every broker.Broker
// does.
type Queues interface {
	Queues(ctx context.Context) ([]broker.Queue, error)
}

// WatchQueues has the metrics tell how deep a broker's queues are when they are
// collected. The broker is asked no more than once in 5 s, and holds up no
// scrape for more than a second.
func (m *Metrics) WatchQueues(b Queues) { m.queues.Watch(b) }

// RecordLatency implements occamy.LatencyMonitor.
func (m *Metrics) RecordLatency(l occamy.Latency) {
	s := m.of(m.kindOf(l.Kind, l.Status != occamy.Empty && l.Stage != occamy.StageSettle))
	seconds := l.Duration.Seconds()
	switch l.Stage {
	case occamy.StageHandle:
		s.handle.Observe(seconds)
	case occamy.StageWait:
		if l.Status == occamy.Protected {
			s.wait.Observe(seconds)
		}
	case occamy.StageRun:
		s.observeRun(l, seconds)
	case occamy.StageStop:
		s.stop.Observe(seconds)
	case occamy.StageExpand:
		s.expand.Observe(seconds)
	case occamy.StageSettle:
		s.observeSettle(l, seconds)
	}
}

// RecordError implements occamy.ErrorMonitor.
func (m *Metrics) RecordError(err error) {
	var kind string
	var task *occamy.TaskError
	if errors.As(err, &task) {
		kind = task.Kind
	}
	m.of(m.kinds.Find(kind)).countError(labels.Error(err))
}

// kindOf is the number of a kind. Only a task brings in a new one: what a
// message says that became none may come from anybody.
func (m *Metrics) kindOf(kind string, ofTask bool) int {
	if ofTask {
		return m.kinds.Add(kind)
	}
	return m.kinds.Find(kind)
}

// of returns the series of a kind.
func (m *Metrics) of(kind int) *series {
	if s := m.series[kind].Load(); s != nil {
		return s
	}
	m.series[kind].CompareAndSwap(nil, m.vecs.series(m.kinds.Name(kind)))
	return m.series[kind].Load()
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prom.Desc) {
	m.vecs.describe(to)
	for _, d := range snapshotDescs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prom.Metric) {
	m.vecs.collect(to)
	if s := m.server.Load(); s != nil {
		collectSnapshot((*s).Snapshot(), to)
	}
	m.collectQueues(to)
}
