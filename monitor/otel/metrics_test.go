package otel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor/otel"
	"github.com/occamy-go/occamy/occamytest"
)

// read draws all that a provider has, histograms by their count.
func read(t *testing.T, r sdkmetric.Reader) []string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					lines = append(lines, fmt.Sprintf("%s %s %v", m.Name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value))
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					lines = append(lines, fmt.Sprintf("%s %s %v", m.Name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					lines = append(lines, fmt.Sprintf("%s %s of %d", m.Name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Count))
				}
			}
		}
	}
	return lines
}

func TestMetrics_TellWhatAServerDoes(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	m, err := otel.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), otel.MetricsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := occamy.New(occamy.Config{
		ID: "s", Slots: 2, Kinds: []string{"k"}, Monitors: m.Monitors(),
		Handler: occamy.HandlerFunc(func(_ context.Context, r occamy.Request) (occamy.Task, error) { return quick(r.ID), nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(s)
	for _, id := range []string{"good", "bad"} {
		d := occamytest.NewDelivery(occamytest.RequestHeaders("k", id), nil)
		s.HandleRequest(d)
		<-d.Settled()
	}
	d := occamytest.NewDelivery(occamytest.RequestHeaders("unheard", "u"), nil)
	s.HandleRequest(d)
	<-d.Settled()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"occamy.slots occamy.status=empty 2", "occamy.slots occamy.status=protected 0", "occamy.slots occamy.status=internal 0",
		"occamy.slots occamy.status=external 0", "occamy.protected_ratio  0", "occamy.draining  1",
		"occamy.task.duration occamy.kind=k,occamy.outcome=completed,occamy.status=protected of 1",
		"occamy.task.duration occamy.kind=k,occamy.outcome=failed,occamy.status=protected of 1",
		"occamy.wait.duration occamy.kind=k of 2",
		"occamy.settlements occamy.cause=completed,occamy.kind=k,occamy.settlement=acked 1",
		"occamy.settlements occamy.cause=failure,occamy.kind=k,occamy.settlement=rejected 1",
		"occamy.settlements occamy.cause=failure,occamy.kind=other,occamy.settlement=rejected 1",
		"occamy.errors error.type=failure,occamy.kind=k 1", "occamy.errors error.type=unknown_kind,occamy.kind=other 1",
	}
	var got []string
	for range 1000 { // monitors are told in the background
		got = read(t, reader)
		missing := slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(got, w) })
		if !missing {
			break
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("no %q in\n%s", w, strings.Join(got, "\n"))
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestMetrics_AFloodOfKindsIsBounded(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	m, err := otel.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), otel.MetricsOptions{MaxKinds: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		kind := fmt.Sprint("kind", i)
		m.RecordLatency(occamy.Latency{Stage: occamy.StageRun, Kind: kind, Status: occamy.Protected, Outcome: "completed"})
		m.RecordError(&occamy.TaskError{Kind: kind, Err: errors.New(kind)})
	}
	if n := len(read(t, reader)); n > 2*(3+1) {
		t.Errorf("%d series", n)
	}
}

// quick is a task that ends at once, well if it is called good.
type quick string

func (quick) Details() occamy.Details { return occamy.Details{} }
func (q quick) Do(context.Context) error {
	if q == "good" {
		return nil
	}
	return errors.New("no good")
}

// What comes with each request is recorded without an allocation, once it came
// before.
func TestMetrics_RecordAllocatesNothing(t *testing.T) {
	m, err := otel.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())), otel.MetricsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []occamy.Latency{
		{Stage: occamy.StageHandle, Kind: "k", Duration: 1},
		{Stage: occamy.StageWait, Kind: "k", Status: occamy.Protected, Duration: 1},
		{Stage: occamy.StageRun, Kind: "k", Status: occamy.Protected, Outcome: "completed", Cause: occamy.CauseCompleted, Duration: 1},
		{Stage: occamy.StageSettle, Kind: "k", Status: occamy.Protected, Outcome: "acked", Cause: occamy.CauseCompleted, Duration: 1},
	} {
		if n := testing.AllocsPerRun(1000, func() { m.RecordLatency(l) }); n != 0 {
			t.Errorf("%s: %v allocations", l.Stage, n)
		}
	}
}
