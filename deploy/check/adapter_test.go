package check

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/prometheus-adapter/pkg/client"
	"sigs.k8s.io/prometheus-adapter/pkg/config"
	"sigs.k8s.io/prometheus-adapter/pkg/naming"

	scalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// TestTheAdapterServesWhatTheHPAWants has prometheus-adapter's own code read its
// rules, name the metrics and make the queries.
func TestTheAdapterServesWhatTheHPAWants(t *testing.T) {
	rules, err := config.FromYAML(read(t, deploy("prometheus/adapter.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	all := exposed(t)
	pods := schema.GroupResource{Resource: "pods"}

	var names []string
	for _, part := range []struct {
		rules  []config.DiscoveryRule
		series string
		query  func(naming.MetricNamer, string) (client.Selector, error)
	}{
		{rules.Rules, "occamy_protected_ratio", func(n naming.MetricNamer, series string) (client.Selector, error) {
			return n.QueryForSeries(series, pods, "occamy", labels.Everything(), "occamy-1", "occamy-2")
		}},
		{rules.ExternalRules, "occamy:demand_slots:sum", func(n naming.MetricNamer, series string) (client.Selector, error) {
			return n.QueryForExternalSeries(series, "occamy", labels.Everything())
		}},
	} {
		namers, err := naming.NamersFromConfig(part.rules, mapper)
		if err != nil || len(namers) != 1 {
			t.Fatalf("%d rules, %v", len(namers), err)
		}
		all.check(t, "the adapter", string(namers[0].Selector()))
		name, err := namers[0].MetricNameForSeries(client.Series{Name: part.series})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
		query, err := part.query(namers[0], part.series)
		if err != nil {
			t.Fatal(err)
		}
		all.check(t, "the adapter", string(query))
	}
	var wanted []string
	for _, m := range into[scalingv2.HorizontalPodAutoscaler](t, find(t, render(t, "hpa"), "HorizontalPodAutoscaler")).Spec.Metrics {
		if m.Pods != nil {
			wanted = append(wanted, m.Pods.Metric.Name)
		} else {
			wanted = append(wanted, m.External.Metric.Name)
		}
	}
	if !slices.Equal(names, wanted) {
		t.Errorf("the adapter serves %q; the HPA wants %q", names, wanted)
	}
}
