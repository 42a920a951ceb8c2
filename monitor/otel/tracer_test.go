package otel_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor/internal/monitortest"
	"github.com/occamy-go/occamy/monitor/otel"
)

// recorder is a provider that keeps all spans, and a tracer of it.
func recorder(t *testing.T) (*tracetest.SpanRecorder, *sdk.TracerProvider, *otel.Tracer) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	p := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	return spans, p, otel.NewTracer(p, otel.TracerOptions{})
}

// draw draws a span: its name and kind, the task, and how it ended.
func draw(s sdk.ReadOnlySpan) string {
	attributes := attribute.NewSet(s.Attributes()...)
	get := func(key attribute.Key) string {
		v, _ := attributes.Value(key)
		return v.String()
	}
	line := fmt.Sprintf("%s (%s) of %q %s slot %s: %s", s.Name(), s.SpanKind(), get("messaging.message.id"),
		get("occamy.task.status"), get("occamy.task.slot"), get("occamy.task.cause"))
	if st := s.Status(); st.Description != "" {
		line += fmt.Sprintf(", %s %q, %s", st.Code, st.Description, get("error.type"))
	}
	return line
}

func TestTracer_MakesSpansOfHandlersAndTasks(t *testing.T) {
	spans, _, tracer := recorder(t)
	monitortest.Play(t, func(c *occamy.Config) { c.Tracer = tracer }, nil, nil)
	var got []string
	for _, s := range spans.Ended() {
		got = append(got, draw(s))
	}
	slices.Sort(got)
	want := []string{
		`handle work (internal) of "asks"  slot : completed`,
		`handle work (internal) of "fails"  slot : completed`,
		`handle work (internal) of "owner"  slot : completed`,
		`handle work (internal) of "stuck"  slot : completed`,
		`handle work (internal) of "urgent"  slot : completed`,
		`process help (internal) of "helper" internal slot 1: preempted`,
		`process work (consumer) of "asks" protected slot 1: asked`,
		`process work (consumer) of "fails" protected slot 1: failure, Error "the work failed", failure`,
		`process work (consumer) of "owner" protected slot 0: completed`,
		`process work (consumer) of "stuck" protected slot 1: cancelled`,
		`process work (consumer) of "urgent" protected slot 1: completed`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTracer_AHelpersSpanIsUnderThatOfItsOwner(t *testing.T) {
	spans, _, tracer := recorder(t)
	monitortest.Play(t, func(c *occamy.Config) { c.Tracer = tracer }, nil, nil)
	named := func(line string) sdk.ReadOnlySpan {
		for _, s := range spans.Ended() {
			if strings.HasPrefix(draw(s), line) {
				return s
			}
		}
		t.Fatalf("no span %s", line)
		return nil
	}
	helper, owner := named(`process help`), named(`process work (consumer) of "owner"`)
	if helper.Parent().SpanID() != owner.SpanContext().SpanID() || helper.SpanContext().TraceID() != owner.SpanContext().TraceID() {
		t.Errorf("%v is under %v, want %v", helper.SpanContext(), helper.Parent(), owner.SpanContext())
	}
}

// What a message says of its trace is used when it is well-formed, and ignored
// otherwise.
func TestTracer_TakesTheTraceOfAMessage(t *testing.T) {
	const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	for name, c := range map[string]struct {
		headers occamy.Headers
		taken   bool
		state   string
	}{
		"a trace":            {headers: occamy.Headers{"traceparent": parent}, taken: true},
		"with its state":     {headers: occamy.Headers{"traceparent": parent, "tracestate": "a=b"}, taken: true, state: "a=b"},
		"a broken state":     {headers: occamy.Headers{"traceparent": parent, "tracestate": "=,\x00="}, taken: true},
		"a state too long":   {headers: occamy.Headers{"traceparent": parent, "tracestate": strings.Repeat("a=b,", 1<<20)}, taken: true},
		"a state no text":    {headers: occamy.Headers{"traceparent": parent, "tracestate": 7}, taken: true},
		"nothing":            {headers: occamy.Headers{}},
		"no text":            {headers: occamy.Headers{"traceparent": []byte(parent)}},
		"empty":              {headers: occamy.Headers{"traceparent": ""}},
		"no trace ID":        {headers: occamy.Headers{"traceparent": "00-00000000000000000000000000000000-0123456789abcdef-01"}},
		"capital letters":    {headers: occamy.Headers{"traceparent": strings.ToUpper(parent)}},
		"too long":           {headers: occamy.Headers{"traceparent": parent + strings.Repeat("-x", 1<<20)}},
		"cut":                {headers: occamy.Headers{"traceparent": parent[:40]}},
		"a future version":   {headers: occamy.Headers{"traceparent": "fe" + parent[2:] + "-more"}, taken: true},
		"an invalid version": {headers: occamy.Headers{"traceparent": "ff" + parent[2:]}},
	} {
		t.Run(name, func(t *testing.T) {
			spans, _, tracer := recorder(t)
			ctx, end := tracer.Trace(context.Background(), occamy.Traced{Stage: occamy.StageRun, Kind: "work", ID: "r", Headers: c.headers})
			on := occamy.Headers{}
			tracer.Inject(ctx, on)
			end(nil)
			s := spans.Ended()[0]
			if taken := s.SpanContext().TraceID().String() == parent[3:35]; taken != c.taken {
				t.Errorf("trace %v; taken %v, want %v", s.SpanContext().TraceID(), taken, c.taken)
			}
			if got := s.SpanContext().TraceState().String(); got != c.state {
				t.Errorf("state %q, want %q", got, c.state)
			}
			if want := fmt.Sprintf("00-%s-%s-01", s.SpanContext().TraceID(), s.SpanContext().SpanID()); on["traceparent"] != want {
				t.Errorf("sent on as %v, want %v", on["traceparent"], want)
			}
		})
	}
}

func TestTracer_BoundsWhatComesFromOutside(t *testing.T) {
	spans, _, tracer := recorder(t)
	long := strings.Repeat("x\xff", 1<<12)
	for i := range 100 {
		_, end := tracer.Trace(context.Background(), occamy.Traced{
			Stage: occamy.StageRun, Kind: fmt.Sprint("kind-", i, long), ID: long, Request: long, Headers: occamy.Headers{},
		})
		end(fmt.Errorf("failed: %s", long))
	}
	names := map[string]bool{}
	for _, s := range spans.Ended() {
		names[s.Name()] = true
		size := len(s.Name()) + len(s.Status().Description)
		for _, a := range s.Attributes() {
			size += len(a.Value.String())
		}
		if size > 10<<10 {
			t.Fatalf("a span of %d bytes", size)
		}
	}
	if len(names) != 64+1 || !names["process other"] {
		t.Errorf("%d names of spans", len(names))
	}
}

func BenchmarkTracer(b *testing.B) {
	p := sdk.NewTracerProvider()
	tracer := otel.NewTracer(p, otel.TracerOptions{})
	for b.Loop() {
		_, end := tracer.Trace(context.Background(), occamy.Traced{Stage: occamy.StageRun, Kind: "work", ID: "r", Headers: occamy.Headers{"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}})
		end(nil)
	}
}
