package prometheus_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/monitor/internal/monitortest"
	"github.com/occamy-go/occamy/monitor/prometheus"
)

func newMetrics(o prometheus.Options) (*prometheus.Metrics, *prom.Registry) {
	m, reg := prometheus.New(o), prom.NewPedanticRegistry()
	reg.MustRegister(m)
	return m, reg
}

// samples are all that is gathered, without comments.
func samples(t *testing.T, g prom.Gatherer) []string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(text.String()), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "#")
	})
}

// told are the samples that are not zero, buckets left out.
func told(t *testing.T, g prom.Gatherer) string {
	t.Helper()
	return "\n" + strings.Join(slices.DeleteFunc(samples(t, g), func(line string) bool {
		return strings.Contains(line, "_bucket{") || strings.HasSuffix(line, " 0")
	}), "\n") + "\n"
}

func TestMetrics_TellWhatAServerDoes(t *testing.T) {
	m, reg := newMetrics(prometheus.Options{})
	var during string
	monitortest.Play(t,
		func(c *occamy.Config) { c.Monitors = m.Monitors() },
		func(s *occamy.Server) { m.Watch(s) },
		func(*occamy.Server) { during = told(t, reg) })
	for when, got := range map[string]string{"during": during, "end": told(t, reg)} {
		want, err := os.ReadFile("testdata/" + when + ".txt")
		if err != nil {
			t.Error(err)
		}
		if got := strings.TrimSpace(got) + "\n"; got != string(want) {
			t.Errorf("%s: told\n%s\nwant\n%s", when, got, want)
		}
	}
}

func TestMetrics_KeepTheConventionsOfPrometheus(t *testing.T) {
	m, reg := newMetrics(prometheus.Options{})
	m.Watch(watched{})
	m.WatchQueues(queues(func(context.Context) ([]broker.Queue, error) { return []broker.Queue{{Kind: "work"}}, nil }))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// watched is a server of one kind that does nothing.
type watched struct{}

func (watched) Snapshot() occamy.Snapshot {
	return occamy.Snapshot{Kinds: []string{"work"}, Slots: []occamy.SlotInfo{{Status: occamy.Empty}}}
}

type queues func(ctx context.Context) ([]broker.Queue, error)

func (f queues) Queues(ctx context.Context) ([]broker.Queue, error) { return f(ctx) }

// What has not happened yet is zero, not missing, so that the first time it does
// is an increase.
func TestMetrics_AreThereFromTheStart(t *testing.T) {
	m, reg := newMetrics(prometheus.Options{})
	m.Watch(watched{})
	have := samples(t, reg)
	for _, want := range []string{
		`occamy_slots{status="empty"} 1`,
		`occamy_slots{status="protected"} 0`,
		`occamy_slots{status="internal"} 0`,
		`occamy_slots{status="external"} 0`,
		`occamy_stuck_slots 0`,
		`occamy_protected_ratio 0`,
		`occamy_requests{state="held"} 0`,
		`occamy_wait_duration_seconds_count{kind="work"} 0`,
		`occamy_task_duration_seconds_count{kind="work",outcome="failed",status="internal"} 0`,
		`occamy_settlements_total{cause="failure",kind="work",settlement="rejected"} 0`,
		`occamy_settlements_total{cause="shutdown",kind="work",settlement="requeued"} 0`,
		`occamy_errors_total{error="not_settled",kind="work"} 0`,
	} {
		if !slices.Contains(have, want) {
			t.Errorf("no %s", want)
		}
	}
}

// Anybody can send messages of any kind, and a task can say that it is of any.
func TestMetrics_AFloodOfKindsGetsOneLabel(t *testing.T) {
	m, reg := newMetrics(prometheus.Options{Kinds: []string{"mine"}, MaxKinds: 8})
	m.Watch(watched{})
	tell := func(i int) {
		kind, id := fmt.Sprintf("kind-%d-\xff", i), fmt.Sprintf("id-%d", i)
		m.RecordLatency(occamy.Latency{Stage: occamy.StageHandle, ID: id, Kind: kind, Status: occamy.Empty})
		m.RecordError(&occamy.TaskError{ID: id, Kind: kind, Status: occamy.Empty, Err: fmt.Errorf("%w: %q", occamy.ErrUnknownKind, kind)})
		m.RecordLatency(occamy.Latency{Stage: occamy.StageSettle, ID: id, Kind: kind, Status: occamy.Protected, Outcome: "rejected", Cause: occamy.CauseFailure})
	}
	const flood = 100_000
	for i := range flood {
		tell(i)
	}
	other := `occamy_errors_total{error="unknown_kind",kind="other"} ` + strconv.Itoa(flood)
	if have := samples(t, reg); !slices.Contains(have, other) {
		t.Errorf("no %s", other)
	}
	kinds := func() map[string]bool {
		found := map[string]bool{}
		for _, line := range samples(t, reg) {
			if _, after, ok := strings.Cut(line, `kind="`); ok {
				kind, _, _ := strings.Cut(after, `"`)
				found[kind] = true
			}
		}
		return found
	}
	if got := kinds(); len(got) != 3 || !got["mine"] || !got["work"] || !got["other"] {
		t.Errorf("messages brought in kinds: %v", got)
	}
	for i := range flood {
		m.RecordLatency(occamy.Latency{
			Stage: occamy.StageRun, ID: fmt.Sprint(i), Kind: fmt.Sprintf("kind-%d-\xff", i), Status: occamy.Internal, Outcome: "completed",
		})
	}
	if got := kinds(); len(got) != 8+1 {
		t.Errorf("tasks brought in kinds beyond the bound of 8: %v", got)
	}
	before := heap()
	for i := range flood {
		tell(i)
	}
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMetrics_AllocateNothingForAnEvent(t *testing.T) {
	m, _ := newMetrics(prometheus.Options{})
	m.Watch(watched{})
	for _, l := range []occamy.Latency{
		{Stage: occamy.StageHandle, Kind: "work", Status: occamy.Empty, Duration: time.Millisecond},
		{Stage: occamy.StageWait, Kind: "work", Status: occamy.Protected, Duration: time.Millisecond},
		{Stage: occamy.StageRun, Kind: "work", Status: occamy.Protected, Outcome: "completed", Duration: time.Millisecond},
		{Stage: occamy.StageStop, Kind: "work", Status: occamy.Internal, Duration: time.Millisecond},
		{Stage: occamy.StageExpand, Kind: "work", Status: occamy.Protected, Duration: time.Millisecond},
		{Stage: occamy.StageSettle, Kind: "work", Status: occamy.Protected, Outcome: "acked", Cause: occamy.CauseCompleted, Duration: time.Millisecond},
	} {
		if n := testing.AllocsPerRun(1000, func() { m.RecordLatency(l) }); n != 0 {
			t.Errorf("%s: %v allocations", l.Stage, n)
		}
	}
}

func BenchmarkRecordLatency(b *testing.B) {
	m, _ := newMetrics(prometheus.Options{})
	m.Watch(watched{})
	l := occamy.Latency{Stage: occamy.StageRun, Kind: "work", Status: occamy.Protected, Outcome: "completed", Duration: time.Millisecond}
	for b.Loop() {
		m.RecordLatency(l)
	}
}
