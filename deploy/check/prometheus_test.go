package check

import (
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

func TestRulesAreRight(t *testing.T) {
	tool(t, "promtool", "check", "rules", "--lint-fatal", deploy("prometheus/rules.yaml"))
	tool(t, "promtool", "test", "rules", deploy("prometheus/rules_test.yaml"))
}

func TestPrometheusReadsItsConfig(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"prometheus.yml", "rules.yaml"} {
		write(t, filepath.Join(dir, name), read(t, deploy("prometheus", name)), 0o600)
	}
	write(t, filepath.Join(dir, "http-token"), []byte("secret"), 0o600)
	tool(t, "promtool", "check", "config", filepath.Join(dir, "prometheus.yml"))
}

// rules are those of rules.yaml, in the types of the Prometheus operator.
func rules(t *testing.T) []monitoring.Rule {
	t.Helper()
	var spec monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(read(t, deploy("prometheus/rules.yaml")), &spec); err != nil {
		t.Fatal(err)
	}
	var all []monitoring.Rule
	for _, g := range spec.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func TestEveryAlertIsTestedAndSaysWhatToDo(t *testing.T) {
	tests := string(read(t, deploy("prometheus/rules_test.yaml")))
	for _, r := range rules(t) {
		switch {
		case r.Alert == "":
			continue
		case strings.Count(tests, "alertname: "+r.Alert+"\n") < 2:
			t.Errorf("%s has no test in which it fires and one in which it does not", r.Alert)
		case r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "":
			t.Errorf("%s lacks a severity, a summary or a description", r.Alert)
		}
	}
}
