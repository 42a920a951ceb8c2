package prometheus_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor/prometheus"
)

// A server whose metrics are served at /metrics.
func Example() {
	metrics := prometheus.New(prometheus.Options{})
	var mux occamy.Mux
	mux.AddFunc("route", func(context.Context, occamy.Request) (occamy.Task, error) {
		return nil, fmt.Errorf("not today")
	})
	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: 4, Monitors: metrics.Monitors()})
	if err != nil {
		fmt.Println(err)
		return
	}
	metrics.Watch(server)
	registry := prom.NewRegistry()
	registry.MustRegister(metrics)

	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "occamy_slots{") {
			fmt.Print(line)
		}
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// occamy_slots{status="empty"} 4
	// occamy_slots{status="external"} 0
	// occamy_slots{status="internal"} 0
	// occamy_slots{status="protected"} 0
}
