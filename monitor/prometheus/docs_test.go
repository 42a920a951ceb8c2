package prometheus_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/monitor/prometheus"
)

var metricRow = regexp.MustCompile("(?m)^\\| `(occamy_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\|")

// The list of metrics in docs/monitoring.md says what there is: no more, no less.
func TestMetrics_AreThoseOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range metricRow.FindAllStringSubmatch(string(text), -1) {
		names := strings.Split(strings.NewReplacer("`", "", ",", "").Replace(strings.TrimSpace(row[3])), " ")
		slices.Sort(names)
		documented = append(documented, strings.TrimSpace(fmt.Sprint(row[1], " ", row[2], " ", strings.Join(names, " "))))
	}
	m, reg := newMetrics(prometheus.Options{})
	m.Watch(watched{})
	m.WatchQueues(queues(func(context.Context) ([]broker.Queue, error) { return []broker.Queue{{Kind: "work"}}, nil }))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var gathered []string
	for _, f := range families {
		gathered = append(gathered, strings.TrimSpace(fmt.Sprint(f.GetName(), " ", strings.ToLower(f.GetType().String()), " ", strings.Join(labelNames(f), " "))))
	}
	slices.Sort(documented)
	slices.Sort(gathered)
	if !slices.Equal(documented, gathered) {
		t.Errorf("documented:\n%s\n\ngathered:\n%s", strings.Join(documented, "\n"), strings.Join(gathered, "\n"))
	}
}

func labelNames(f *dto.MetricFamily) []string {
	var names []string
	for _, l := range f.GetMetric()[0].GetLabel() {
		names = append(names, l.GetName())
	}
	slices.Sort(names)
	return names
}
