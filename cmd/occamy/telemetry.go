package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	otelapi "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor"
	"github.com/occamy-go/occamy/monitor/otel"
)

// flushTime bounds how long an end waits for a collector.
const flushTime = 2 * time.Second

// telemetry tells an OpenTelemetry collector what happens, where there is one.
// Without one it hands on the context of a trace that it was given.
type telemetry struct {
	tracer  *otel.Tracer
	spans   trace.Tracer
	metrics *otel.Metrics // nil without a collector
	tell    func(string)
	traces  *sdktrace.TracerProvider
	meters  *sdkmetric.MeterProvider
}

// openTelemetry makes a telemetry for the collector at an OTLP address; "" stands for
// the one that OTEL_EXPORTER_OTLP_ENDPOINT names, or none. It does not wait for
// the collector. What goes wrong on the way there is told to tell.
func (a *app) openTelemetry(ctx context.Context, address string, tell func(string)) (*telemetry, error) {
	address = cmp.Or(address, a.getenv("OCCAMY_OTLP"), a.getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	if address == "" {
		p := noop.NewTracerProvider()
		return &telemetry{tracer: otel.NewTracer(p, otel.TracerOptions{}), spans: p.Tracer("")}, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usage("the address of the collector is not one: "+quote(redact(address)), "OTLP over HTTP, for instance --otlp http://127.0.0.1:4318")
	}
	if u.User != nil || u.RawQuery != "" {
		return nil, usage("the address of the collector has a user or a query, which are not sent", "OTEL_EXPORTER_OTLP_HEADERS has what it wants to know, such as a key")
	}
	base := strings.TrimSuffix(address, "/")
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(base+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	values, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(base+"/v1/metrics"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("export metrics: %w", err), spans.Shutdown(ctx))
	}
	from, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "occamy")), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		tell(oneLine(err)) // of what the environment says; the rest is there
	}
	otelapi.SetErrorHandler(otelapi.ErrorHandlerFunc(func(err error) { tell("telemetry: " + oneLine(err)) }))
	t := &telemetry{
		tell:   tell,
		traces: sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(from)),
		meters: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(values)), sdkmetric.WithResource(from)),
	}
	t.tracer = otel.NewTracer(t.traces, otel.TracerOptions{})
	t.spans = t.traces.Tracer("github.com/occamy-go/occamy/cmd/occamy")
	if t.metrics, err = otel.NewMetrics(t.meters, otel.MetricsOptions{}); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// on reports whether there is a collector.
func (t *telemetry) on() bool { return t.traces != nil }

// configure has the server tell the collector.
func (t *telemetry) configure(c *occamy.Config) {
	if t.on() {
		c.Monitors = monitor.Tee(c.Monitors, t.metrics.Monitors())
		c.Tracer = t.tracer
	}
}

// watch has the collector told what the server's snapshot says.
func (t *telemetry) watch(server *occamy.Server) {
	if t.on() {
		t.metrics.Watch(server)
	}
}

// sending begins the span of a request that is sent: in the trace that
// TRACEPARENT names, as W3C has it, or one of its own.
func (a *app) sending(ctx context.Context, t *telemetry, kind string) (context.Context, func(error)) {
	from := propagation.MapCarrier{"traceparent": a.getenv("TRACEPARENT"), "tracestate": a.getenv("TRACESTATE")}
	ctx = propagation.TraceContext{}.Extract(ctx, from)
	ctx, span := t.spans.Start(ctx, "submit "+kind, trace.WithSpanKind(trace.SpanKindProducer))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, oneLine(err))
		}
		span.End()
	}
}

// close sends what is left, within a bound.
func (t *telemetry) close() {
	if !t.on() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := errors.Join(t.traces.Shutdown(ctx), t.meters.Shutdown(ctx)); err != nil {
		t.tell("telemetry: the collector has not got the last of it: " + oneLine(err))
	}
}

// openLog has what is told on standard error written in a format; "" leaves it
// as plain lines.
func (a *app) openLog(format string) error {
	switch format {
	case "":
	case "text":
		a.log = slog.New(slog.NewTextHandler(a.stderr, nil))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(a.stderr, nil))
	default:
		return usage("unknown format of the log: "+quote(format), "--log text or --log json")
	}
	return nil
}
