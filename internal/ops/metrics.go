package ops

import (
	"context"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/occamy-go/occamy/broker"
)

// maxKinds is how many kinds metrics tell apart; anybody who may submit can make
// another.
const maxKinds = 64

// metrics are what Prometheus is told of the broker.
type metrics struct {
	ops       *Ops
	queue     *prometheus.Desc
	connected *prometheus.Desc
}

// Collector is what Prometheus is told of the broker, by any server: how deep the
// queues are, and whether the server reaches it. While it does not, there are no
// figures of the queues.
func (o *Ops) Collector() prometheus.Collector {
	return metrics{
		ops: o,
		queue: prometheus.NewDesc("occamy_queue_messages",
			"Requests in the broker by kind: ready ones that no server has, unacked ones that are with a server, and dead letters.",
			[]string{"kind", "state"}, nil),
		connected: prometheus.NewDesc("occamy_broker_connected",
			"Whether the server reaches its broker.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m metrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.queue
	to <- m.connected
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(to chan<- prometheus.Metric) {
	connected := 1.0
	if _, err := m.ops.ping.get(context.Background()); err != nil {
		connected = 0
	}
	to <- prometheus.MustNewConstMetric(m.connected, prometheus.GaugeValue, connected)
	if connected == 0 {
		return // queues would only be waited for
	}
	queues, err := m.ops.queues.get(context.Background())
	if err != nil {
		return
	}
	for _, q := range bounded(queues) {
		for state, n := range map[string]int{"ready": q.Ready, "unacked": q.Unacked, "dead": q.Dead} {
			to <- prometheus.MustNewConstMetric(m.queue, prometheus.GaugeValue, float64(n), q.Kind, state)
		}
	}
}

// bounded sums up the kinds beyond maxKinds, and those that are no text, as
// "other".
func bounded(queues []broker.Queue) []broker.Queue {
	const other = "other"
	var out []broker.Queue
	rest := broker.Queue{Kind: other}
	for _, q := range queues {
		if len(out) < maxKinds && q.Kind != other && utf8.ValidString(q.Kind) {
			out = append(out, q)
			continue
		}
		rest.Ready, rest.Unacked, rest.Dead = rest.Ready+q.Ready, rest.Unacked+q.Unacked, rest.Dead+q.Dead
	}
	if rest != (broker.Queue{Kind: other}) {
		out = append(out, rest)
	}
	return out
}
