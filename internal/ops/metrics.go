package ops

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// Connected is the metric that tells whether the server reaches its broker.
func (o *Ops) Connected() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "occamy_broker_connected",
		Help: "Whether the server reaches its broker.",
	}, func() float64 {
		if _, err := o.ping.get(context.Background()); err != nil {
			return 0
		}
		return 1
	})
}
