package otel_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/monitor/otel"
)

// A program has exporters for OTLP in place of these, which keep all in memory.
func Example() {
	spans := tracetest.NewInMemoryExporter()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))

	tracer := otel.NewTracer(traces, otel.TracerOptions{})
	metrics, err := otel.NewMetrics(meters, otel.MetricsOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	b := memory.New(memory.Options{})
	server, err := occamy.New(occamy.Config{
		Kinds: []string{"greet"}, Tracer: tracer, Monitors: metrics.Monitors(),
		Handler: occamy.HandlerFunc(func(context.Context, occamy.Request) (occamy.Task, error) { return quick("good"), nil }),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	metrics.Watch(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), b) }()

	ctx, span := traces.Tracer("caller").Start(context.Background(), "ask")
	c := client.New(b, client.WithInject(tracer.Inject))
	_, err = c.SubmitAndWait(ctx, client.Request{Kind: "greet"}, nil)
	span.End()
	fmt.Println(errors.Join(err, server.Shutdown(context.Background()), <-served))
	one := true
	for _, s := range spans.GetSpans() {
		one = one && s.SpanContext.TraceID() == span.SpanContext().TraceID()
	}
	fmt.Println("spans of one trace:", len(spans.GetSpans()), one)
	// Output:
	// <nil>
	// spans of one trace: 3 true
}
