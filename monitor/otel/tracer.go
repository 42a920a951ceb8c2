package otel

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor/internal/labels"
)

// The attributes of spans beside those of the conventions for messaging.
const (
	keyStatus  = attribute.Key("occamy.task.status")  // protected, internal, external
	keySlot    = attribute.Key("occamy.task.slot")    // from 0
	keyAttempt = attribute.Key("occamy.task.attempt") // 1 for the first
	keyRequest = attribute.Key("occamy.request.id")   // that the task works for
	keyCause   = attribute.Key("occamy.task.cause")   // why it ended
	keyWait    = attribute.Key("occamy.task.wait")    // from the arrival of the message until Do began, in seconds
	keyServer  = attribute.Key("occamy.server.id")
)

// system is what messages come from: whatever broker carries them.
var system = semconv.MessagingSystemKey.String("occamy")

// maxText bounds the text of an error in a span, in bytes.
const maxText = 1 << 10

// TracerOptions of a Tracer. The zero value is useful.
type TracerOptions struct {
	// Propagator carries the context of a trace in the headers of messages.
	// Nil: propagation.TraceContext, the headers traceparent and tracestate.
	Propagator propagation.TextMapPropagator

	// MaxKinds is how many kinds have spans named for them. Zero or less: 64.
	MaxKinds int
}

// Tracer makes spans of the calls of handlers ("handle KIND") and tasks
// ("process KIND"): children of whoever submitted the request, or, for a helper
// that Expand returned, of the task which it helps. It is an occamy.Tracer.
type Tracer struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	kinds      *labels.Kinds
	names      []atomic.Pointer[names] // by the number of the kind
}

// names are those of the spans of a kind.
type names struct{ handle, process string }

// NewTracer makes a tracer of a provider.
func NewTracer(p trace.TracerProvider, o TracerOptions) *Tracer {
	if o.Propagator == nil {
		o.Propagator = propagation.TraceContext{}
	}
	kinds := labels.NewKinds(o.MaxKinds)
	return &Tracer{
		tracer:     p.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		propagator: o.Propagator, kinds: kinds,
		names: make([]atomic.Pointer[names], kinds.Most()+1),
	}
}

// Inject writes the trace context of ctx into the headers of a message that is
// to be sent.
func (t *Tracer) Inject(ctx context.Context, h occamy.Headers) {
	t.propagator.Inject(ctx, headers(h))
}

var (
	asConsumer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
	asInternal = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindInternal)}
)

// Trace implements occamy.Tracer.
func (t *Tracer) Trace(ctx context.Context, of occamy.Traced) (context.Context, func(error)) {
	switch {
	case of.Parent != nil:
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(of.Parent))
	case of.Headers != nil:
		ctx = t.propagator.Extract(ctx, headers(of.Headers))
	}
	name, kind := t.name(of.Kind).process, asInternal
	switch {
	case of.Stage == occamy.StageHandle:
		name = t.name(of.Kind).handle
	case of.Headers != nil: // it came with a message
		kind = asConsumer
	}
	ctx, span := t.tracer.Start(ctx, name, kind...)
	if span.IsRecording() {
		describe(span, of)
	}
	return ctx, func(err error) { end(ctx, span, err) }
}

// name returns the names for a kind. The server knows the kinds of handlers, and
// those of tasks are the program's: both may be many all the same.
func (t *Tracer) name(kind string) *names {
	n := t.kinds.Add(kind)
	if known := t.names[n].Load(); known != nil {
		return known
	}
	label := t.kinds.Name(n)
	t.names[n].Store(&names{"handle " + label, "process " + label})
	return t.names[n].Load()
}

func describe(span trace.Span, of occamy.Traced) {
	all := make([]attribute.KeyValue, 0, 10)
	all = append(all, system, semconv.MessagingDestinationName(text(of.Kind)), keyServer.String(of.Server), keyAttempt.Int(of.Attempt))
	if of.ID != "" {
		all = append(all, semconv.MessagingMessageID(text(of.ID)))
	}
	if of.Stage == occamy.StageRun {
		all = append(all, semconv.MessagingOperationTypeProcess, keyStatus.String(string(of.Status)), keySlot.Int(of.Slot))
		if of.Request != "" {
			all = append(all, keyRequest.String(text(of.Request)))
		}
		if of.Headers != nil {
			all = append(all, keyWait.Float64(time.Since(of.Since).Seconds()))
		}
	}
	span.SetAttributes(all...)
}

// end ends a span as the call has ended. That a task was stopped, or asks to be
// run again, is no error.
func end(ctx context.Context, span trace.Span, err error) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	cause := context.Cause(ctx)
	switch {
	case err == nil:
		span.SetAttributes(keyCause.String(string(occamy.CauseCompleted)))
	case cause != nil && !errors.Is(cause, occamy.ErrTimeout):
		span.SetAttributes(keyCause.String(labels.Error(cause)))
	case errors.Is(err, occamy.ErrRequeue):
		span.SetAttributes(keyCause.String(string(occamy.CauseAsked)))
	default:
		if cause != nil {
			err = cause
		}
		name := labels.Error(err)
		span.SetAttributes(keyCause.String(name), semconv.ErrorTypeKey.String(name))
		span.SetStatus(codes.Error, text(err.Error()))
	}
}

// text bounds what comes from outside, and makes it UTF-8.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
