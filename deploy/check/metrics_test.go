package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/internal/ops"
	metrics "github.com/occamy-go/occamy/monitor/prometheus"
)

// series is what Prometheus may be asked for: the labels of each name, and the
// values of those that have a fixed set of them.
type series map[string]map[string][]string

// scraped are the labels that Prometheus adds.
var scraped = []string{"job", "instance", "namespace", "pod"}

// exposed are the series that the program exposes, and that rules.yaml records.
func exposed(t *testing.T) series {
	t.Helper()
	m := metrics.New(metrics.Options{Kinds: []string{"route"}})
	var mux occamy.Mux
	mux.AddFunc("route", func(context.Context, occamy.Request) (occamy.Task, error) { return nil, errors.New("none") })
	server, err := occamy.New(occamy.Config{Handler: &mux, Monitors: m.Monitors()})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(server)
	m.WatchQueues(queues{})
	registry := prom.NewPedanticRegistry()
	registry.MustRegister(m, ops.New(server, memory.New(memory.Options{}), nil).Connected())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := series{"up": {}}
	for _, f := range families {
		names := []string{f.GetName()}
		if f.GetType().String() == "HISTOGRAM" {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, name := range names {
			all[name] = map[string][]string{}
			for _, one := range f.GetMetric() {
				for _, l := range one.GetLabel() {
					all[name][l.GetName()] = append(all[name][l.GetName()], l.GetValue())
				}
			}
			if strings.HasSuffix(name, "_bucket") {
				all[name]["le"] = nil
			}
			all[name]["kind"] = nil // any
		}
	}
	for _, r := range rules(t) {
		if r.Record != "" {
			all[r.Record] = map[string][]string{}
			for _, l := range grouped(t, r.Expr.String()) {
				all[r.Record][l] = nil
			}
		}
	}
	return all
}

// queues is a broker with one queue.
type queues struct{}

func (queues) Queues(context.Context) ([]broker.Queue, error) {
	return []broker.Queue{{Kind: "route"}}, nil
}

func parse(t *testing.T, expr string) parser.Expr {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s\n%v", expr, err)
	}
	return e
}

// grouped are the labels that aggregations in an expression group by.
func grouped(t *testing.T, expr string) (by []string) {
	t.Helper()
	parser.Inspect(parse(t, expr), func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			by = append(by, a.Grouping...)
		}
		return nil
	})
	return by
}

// check finds the series and labels of an expression that nobody exposes.
func (s series) check(t *testing.T, where, expr string) {
	t.Helper()
	names := map[string]bool{}
	for _, selector := range parser.ExtractSelectors(parse(t, expr)) {
		var name string
		for _, m := range selector {
			if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
				name = m.Value
			}
		}
		has, ok := s[name]
		if !ok {
			t.Errorf("%s: nobody exposes %q\n%s", where, name, expr)
			continue
		}
		names[name] = true
		for _, m := range selector {
			if m.Name == model.MetricNameLabel || slices.Contains(scraped, m.Name) {
				continue
			}
			values, ok := has[m.Name]
			if !ok {
				t.Errorf("%s: %s has no label %q\n%s", where, name, m.Name, expr)
			} else if values != nil && !slices.ContainsFunc(values, m.Matches) {
				t.Errorf("%s: of %s, no %s is %s %q; there are %q\n%s", where, name, m.Name, m.Type, m.Value, values, expr)
			}
		}
	}
	for _, label := range grouped(t, expr) {
		if !slices.Contains(scraped, label) && !slices.ContainsFunc(slices.Collect(maps.Keys(names)), func(name string) bool {
			_, ok := s[name][label]
			return ok
		}) {
			t.Errorf("%s: groups by %q, which %v do not have\n%s", where, label, slices.Sorted(maps.Keys(names)), expr)
		}
	}
}

func TestRulesAskForWhatIsExposed(t *testing.T) {
	all := exposed(t)
	for i, r := range rules(t) {
		all.check(t, fmt.Sprintf("rule %d %s%s", i+1, r.Record, r.Alert), r.Expr.String())
	}
}
