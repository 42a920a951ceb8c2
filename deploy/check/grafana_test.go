package check

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// variables have a value in the place of what Grafana fills in.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$job", ".*", "$instance", ".*")

// classic is the form of dashboards that every Grafana imports.
type classic = dashboard.Dashboard //nolint:staticcheck // it is superseded, not wrong: older ones know no other

func theDashboard(t *testing.T) classic {
	t.Helper()
	r := cog.NewRuntime()
	r.RegisterPanelcfgVariant(timeseries.VariantConfig())
	r.RegisterPanelcfgVariant(stat.VariantConfig())
	text := read(t, deploy("grafana/occamy.json"))
	strict(t, new(classic), text)
	var d classic // the strict one is left without its panels
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// strict reads JSON into a type of Grafana. Its error is never nil: without a
// fault it is an empty list.
func strict(t *testing.T, v interface{ UnmarshalJSONStrict([]byte) error }, text []byte) {
	t.Helper()
	if err := v.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		t.Fatal(err)
	}
}

// query is a target of a panel as the data source Prometheus reads it.
func query(t *testing.T, target any) (q prometheus.Dataquery) {
	t.Helper()
	text, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	strict(t, &q, text)
	return q
}

func TestGrafanaTakesTheDashboard(t *testing.T) {
	if err := theDashboard(t).Validate(); err != nil {
		t.Error(err)
	}
}

func TestTheDashboardAsksForWhatIsExposed(t *testing.T) {
	all, asked := exposed(t), map[string]bool{}
	for _, p := range theDashboard(t).Panels {
		for _, target := range p.Panel.Targets {
			expr := variables.Replace(query(t, target).Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: a variable is unknown: %s", *p.Panel.Title, expr)
			}
			all.check(t, *p.Panel.Title, expr)
			for name := range all {
				asked[name] = asked[name] || strings.Contains(expr, name)
			}
		}
		if p.Panel.Title == nil || *p.Panel.Title == "" {
			t.Errorf("panel %v has no title", p.Panel.Id)
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "occamy_") && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") && !asked[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}
