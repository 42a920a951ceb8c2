package prometheus

import (
	"sync/atomic"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor/internal/labels"
)

// Buckets in seconds. What the server does itself takes from microseconds (in
// an idle process) to KillTimeout and SettleTimeout, 1 s and 30 s by default; the
// steps between 1 and 50 ms are where promptness is decided. A task is meant to
// compute for seconds to hours, so its buckets are coarse and reach far.
var (
	promptBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	taskBuckets   = []float64{.01, .05, .1, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 4 * 3600, 24 * 3600}
)

// vectors has all metrics that events make.
type vectors struct {
	wait, task, handler, expand, stop, settle *prom.HistogramVec
	settlements, errors                       *prom.CounterVec
}

func newVectors() *vectors {
	return &vectors{
		wait:    histogram("wait_duration_seconds", "Time from the arrival of a request at the server until its task began.", promptBuckets, "kind"),
		task:    histogram("task_duration_seconds", "Time that tasks computed, until they returned or were stopped.", taskBuckets, "kind", "status", "outcome"),
		handler: histogram("handler_duration_seconds", "Time that handlers took to make a task of a message.", promptBuckets, "kind"),
		expand:  histogram("expand_duration_seconds", "Time that tasks took to answer how many helpers they can use.", promptBuckets, "kind"),
		stop:    histogram("stop_duration_seconds", "Time from the stop of a task until it had returned.", promptBuckets, "kind"),
		settle:  histogram("settle_duration_seconds", "Time from the end of a task until its message was settled.", promptBuckets, "kind", "settlement"),
		settlements: prom.NewCounterVec(prom.CounterOpts{
			Name: "occamy_settlements_total", Help: "Request messages that were acked, rejected to the dead letters or requeued, or that were lost, by the reason.",
		}, []string{"kind", "settlement", "cause"}),
		errors: prom.NewCounterVec(prom.CounterOpts{
			Name: "occamy_errors_total", Help: "Errors that the server recorded.",
		}, []string{"kind", "error"}),
	}
}

// histogram is a classic one and a native one at a time: a server that asks for
// the latter gets it, and needs no buckets.
func histogram(name, help string, buckets []float64, by ...string) *prom.HistogramVec {
	return prom.NewHistogramVec(prom.HistogramOpts{
		Name: "occamy_" + name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, by)
}

func (v *vectors) all() []prom.Collector {
	return []prom.Collector{v.wait, v.task, v.handler, v.expand, v.stop, v.settle, v.settlements, v.errors}
}

func (v *vectors) describe(to chan<- *prom.Desc) {
	for _, c := range v.all() {
		c.Describe(to)
	}
}

func (v *vectors) collect(to chan<- prom.Metric) {
	for _, c := range v.all() {
		c.Collect(to)
	}
}

// series are those of one kind, found without a search in the vectors.
type series struct {
	vecs                       *vectors
	kind                       string
	wait, handle, expand, stop prom.Observer
	run                        [][]prom.Observer // by status and outcome
	settle                     []prom.Observer   // by settlement
	settlements                [][]atomic.Pointer[prom.Counter]
	errors                     []prom.Counter
}

// series makes those of a kind. What can happen is there from the start, at
// zero, so that the first time it does is an increase.
func (v *vectors) series(kind string) *series {
	s := &series{
		vecs: v, kind: kind,
		wait: v.wait.WithLabelValues(kind), handle: v.handler.WithLabelValues(kind),
		expand: v.expand.WithLabelValues(kind), stop: v.stop.WithLabelValues(kind),
	}
	for _, status := range labels.Statuses.Names()[:3] {
		var of []prom.Observer
		for _, outcome := range labels.Outcomes.Names() {
			of = append(of, v.task.WithLabelValues(kind, status, outcome))
		}
		s.run = append(s.run, of)
	}
	for _, settlement := range labels.Settlements.Names() {
		s.settle = append(s.settle, v.settle.WithLabelValues(kind, settlement))
		s.settlements = append(s.settlements, make([]atomic.Pointer[prom.Counter], labels.Causes.Len()))
	}
	for _, by := range labels.Settled {
		s.settlement(labels.Settlements.Index(by.Settlement), labels.Causes.Index(string(by.Cause)))
	}
	for i := range labels.Errors.Len() - 1 {
		s.errors = append(s.errors, v.errors.WithLabelValues(kind, labels.Errors.Name(i)))
	}
	return s
}

func (s *series) observeRun(l occamy.Latency, seconds float64) {
	status, outcome := labels.Statuses.Index(string(l.Status)), labels.Outcomes.Index(l.Outcome)
	if status < len(s.run) && outcome < len(s.run[status]) {
		s.run[status][outcome].Observe(seconds)
	}
}

func (s *series) observeSettle(l occamy.Latency, seconds float64) {
	settlement := labels.Settlements.Index(l.Outcome)
	if settlement < len(s.settle) {
		s.settle[settlement].Observe(seconds)
		s.settlement(settlement, labels.Causes.Index(string(l.Cause))).Inc()
	}
}

func (s *series) settlement(settlement, cause int) prom.Counter {
	at := &s.settlements[settlement][cause]
	if c := at.Load(); c != nil {
		return *c
	}
	c := s.vecs.settlements.WithLabelValues(s.kind, labels.Settlements.Name(settlement), labels.Causes.Name(cause))
	at.Store(&c)
	return c
}

func (s *series) countError(name string) {
	if i := labels.Errors.Index(name); i < len(s.errors) {
		s.errors[i].Inc()
	}
}
