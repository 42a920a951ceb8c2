package main

import (
	"net/http"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/occamy-go/occamy/monitor/prometheus"
)

// newMetrics makes the metrics of serve and what serves them, with those of the
// process and of Go beside them. The metrics get the server and its broker from
// Watch and WatchQueues.
func newMetrics() (*prometheus.Metrics, http.Handler) {
	m, registry := prometheus.New(prometheus.Options{}), prom.NewRegistry()
	registry.MustRegister(m,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector())
	return m, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry: registry, EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
}
