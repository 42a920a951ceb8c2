package otel_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/monitor/otel"
)

// process is one of several that share a broker and no memory: it has a
// connection, a provider and a tracer of its own.
type process struct {
	broker   broker.Broker
	spans    *tracetest.SpanRecorder
	provider *sdk.TracerProvider
	tracer   *otel.Tracer
}

func newProcess(t *testing.T, e *embedded.Server) *process {
	t.Helper()
	b, err := nats.Open(t.Context(), nats.Config{Options: e.InProcess()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &process{broker: b}
	p.spans, p.provider, p.tracer = recorder(t)
	return p
}

// serve starts a server of one slot, so that assistants are on another.
func (p *process) serve(t *testing.T, id string) {
	t.Helper()
	var mux occamy.Mux
	mux.Add("sum", assist.Units(newSum, assist.Config{Broker: p.broker, Least: 1, Inject: p.tracer.Inject}))
	s, err := occamy.New(occamy.Config{ID: id, Handler: &mux, Slots: 1, Tracer: p.tracer})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), p.broker) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
}

func startBroker(t *testing.T) *embedded.Server {
	t.Helper()
	e, err := embedded.Start(embedded.Config{Dir: t.TempDir(), NoListen: true, RelaxSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

// sum adds up numbers, each of which takes so long that an assistant comes in
// time to help.
type sum struct {
	numbers int
	total   int
}

func newSum(_ context.Context, r occamy.Request) (assist.UnitsJob[int, int], error) {
	s := &sum{}
	return s, json.Unmarshal(r.Body, &s.numbers)
}

func (s *sum) Units(context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range s.numbers {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (s *sum) Compute(ctx context.Context, i int) (int, error) {
	select {
	case <-time.After(20 * time.Millisecond):
		return i, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (s *sum) Collect(_ context.Context, _, n int) error { s.total += n; return nil }

func (s *sum) Result(context.Context) ([]byte, error) { return json.Marshal(s.total) }

func spansOf(all ...*process) (spans []sdk.ReadOnlySpan) {
	for _, p := range all {
		spans = append(spans, p.spans.Ended()...)
	}
	return spans
}

func serverOf(s sdk.ReadOnlySpan) string {
	attributes := attribute.NewSet(s.Attributes()...)
	v, _ := attributes.Value("occamy.server.id")
	return v.AsString()
}

// await waits for a span that ok finds.
func await(t *testing.T, what string, ok func(sdk.ReadOnlySpan) bool, all ...*process) sdk.ReadOnlySpan {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		spans := spansOf(all...)
		if i := slices.IndexFunc(spans, ok); i >= 0 {
			return spans[i]
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("no span of %s; there are %d others", what, len(spans))
		}
	}
}

// One trace reaches from whoever submits a request, over the server that takes
// it, to its task's assistants on another server.
func TestTracer_OneTraceFromSubmitToTheAssistantsOnOtherServers(t *testing.T) {
	e := startBroker(t)
	caller, one, two := newProcess(t, e), newProcess(t, e), newProcess(t, e)
	one.serve(t, "one")
	two.serve(t, "two")

	ctx, submit := caller.provider.Tracer("test").Start(t.Context(), "submit", trace.WithSpanKind(trace.SpanKindProducer))
	c := client.New(caller.broker, client.WithInject(caller.tracer.Inject))
	o, err := c.SubmitAndWait(ctx, client.Request{Kind: "sum", ID: "r", Body: []byte("50")}, nil)
	submit.End()
	if err != nil || string(o.Result) != "1225" {
		t.Fatalf("%s, %v", o.Result, err)
	}

	master := await(t, "the task", func(s sdk.ReadOnlySpan) bool {
		return strings.HasPrefix(draw(s), `process sum (consumer) of "r" protected`)
	}, one, two)
	helper := await(t, "an assistant", func(s sdk.ReadOnlySpan) bool {
		return s.Name() == "process sum" && serverOf(s) != serverOf(master)
	}, one, two)
	if got, want := master.Parent(), submit.SpanContext(); got.SpanID() != want.SpanID() || !got.IsRemote() {
		t.Errorf("the master is under %v, want %v, sent over the broker", got.SpanID(), want.SpanID())
	}
	if got, want := helper.Parent(), master.SpanContext(); got.SpanID() != want.SpanID() || !got.IsRemote() {
		t.Errorf("its assistant is under %v, want %v, sent over the broker", got.SpanID(), want.SpanID())
	}
	for _, s := range spansOf(caller, one, two) {
		if s.SpanContext().TraceID() != submit.SpanContext().TraceID() {
			t.Errorf("%s has a trace of its own, %v", draw(s), s.SpanContext().TraceID())
		}
	}
}
