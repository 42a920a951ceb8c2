package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	page "github.com/occamy-go/occamy/dashboard/fleet"
	"github.com/occamy-go/occamy/monitor"
	"github.com/occamy-go/occamy/monitor/otel"
	prommonitor "github.com/occamy-go/occamy/monitor/prometheus"
	occamyslog "github.com/occamy-go/occamy/monitor/slog"
)

// What monitors cost: how many no-op requests pass through a server from the
// embedded broker, with monitors and without.

func monitorsPrometheusFamily() family {
	const name = "monitors_prometheus"
	return family{
		rows: []row{{
			name: name, unit: "requests/s", goal: "≥ 0.95", extra: rateNote(name),
			about: "no-op requests from a full queue of the embedded broker through 64 slots, with Prometheus' metrics, scraped every second; reference: without",
		}},
		value:     func(p plan) (sample, error) { return monitoredRate(p, name, withPrometheus) },
		reference: func(p plan) (sample, error) { return monitoredRate(p, name, withoutMonitors) },
	}
}

func monitorsAllFamily() family {
	const name = "monitors_all"
	return family{
		rows: []row{{
			name: name, unit: "requests/s", goal: "≥ 0.85", extra: rateNote(name),
			about: "as monitors_prometheus, with OpenTelemetry's metrics, traces of all requests that are encoded in batches, a log at info, and an announcer for the page too",
		}},
		value:     func(p plan) (sample, error) { return monitoredRate(p, name, withAllMonitors) },
		reference: func(p plan) (sample, error) { return monitoredRate(p, name, withoutMonitors) },
	}
}

// monitors are what a side configures, what it does once there is a server, and
// how it ends.
type monitors struct {
	cfg   occamy.Config
	watch func(*occamy.Server)
	end   func() error
}

func withoutMonitors(*nats.Broker) (monitors, error) {
	return monitors{watch: func(*occamy.Server) {}, end: func() error { return nil }}, nil
}

func withPrometheus(*nats.Broker) (monitors, error) {
	m := prommonitor.New(prommonitor.Options{})
	registry := prometheus.NewRegistry()
	if err := registry.Register(m); err != nil {
		return monitors{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	scraped := make(chan error, 1)
	return monitors{
		cfg: occamy.Config{Monitors: m.Monitors()},
		watch: func(s *occamy.Server) {
			m.Watch(s)
			go func() { scraped <- scrape(ctx, registry) }()
		},
		end: func() error { cancel(); return <-scraped },
	}, nil
}

func scrape(ctx context.Context, from prometheus.Gatherer) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			if _, err := from.Gather(); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func withAllMonitors(b *nats.Broker) (monitors, error) {
	all, err := withPrometheus(b)
	if err != nil {
		return all, err
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithBatcher(encoded{}))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	metrics, err := otel.NewMetrics(meters, otel.MetricsOptions{})
	if err != nil {
		return all, err
	}
	log := occamyslog.New(slog.New(slog.NewJSONHandler(io.Discard, nil)))
	announcer := page.NewAnnouncer(b)
	ctx, cancel := context.WithCancel(context.Background())
	announced := make(chan error, 1)
	prom := all
	all.cfg.Monitors = monitor.Tee(prom.cfg.Monitors, metrics.Monitors(), log.Monitors(), announcer.Monitors())
	all.cfg.Tracer = otel.NewTracer(traces, otel.TracerOptions{})
	all.watch = func(s *occamy.Server) {
		prom.watch(s)
		metrics.Watch(s)
		go func() { announced <- announcer.Run(ctx, s) }()
	}
	all.end = func() error {
		cancel()
		return errors.Join(prom.end(), <-announced, traces.Shutdown(context.Background()), meters.Shutdown(context.Background()))
	}
	return all, nil
}

// encoded is an exporter that encodes what it gets and sends it nowhere.
type encoded struct{}

func (encoded) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		if err := json.NewEncoder(io.Discard).Encode(map[string]any{
			"name": s.Name(), "trace": s.SpanContext().TraceID(), "span": s.SpanContext().SpanID(),
			"parent": s.Parent().SpanID(), "start": s.StartTime(), "end": s.EndTime(),
		}); err != nil {
			return err
		}
	}
	return nil
}

func (encoded) Shutdown(context.Context) error { return nil }

// traced are the headers of a request that is a part of a trace.
var traced = occamy.Headers{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}

// monitoredRate fills the queue of an embedded broker and has a server with
// monitors consume it.
func monitoredRate(p plan, name string, with func(*nats.Broker) (monitors, error)) (sample, error) {
	return withEmbedded(func(ctx context.Context, e *embedded.Server) (_ sample, err error) {
		b, err := nats.Open(ctx, nats.Config{URL: e.URL(), Options: e.InProcess()})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		n := p.count(6_000)
		if err := fill(ctx, b, n, traced); err != nil {
			return nil, err
		}
		js, err := jetstream.New(b.Conn())
		if err != nil {
			return nil, err
		}
		stream, err := js.Stream(ctx, natsStream)
		if err != nil {
			return nil, err
		}
		m, err := with(b)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, m.end()) }()
		return serveMonitored(ctx, newRate(name, n), b, func() (bool, error) {
			info, err := stream.Info(ctx)
			return err == nil && info.State.Msgs == 0, err
		}, m.cfg, m.watch)
	})
}
