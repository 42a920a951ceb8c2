package check

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	kedaspec "k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"
)

// kedaModule is where the schema and the names of the metadata come from. KEDA's
// own types would take minutes to build, with its admission webhooks.
const kedaModule = "github.com/kedacore/keda/v2@v2.21.0"

var keda struct {
	once sync.Once
	dir  string
	err  error
}

// kedaFile reads a file of KEDA's module, which the Go tool fetches and verifies.
func kedaFile(t *testing.T, name string) []byte {
	t.Helper()
	keda.once.Do(func() {
		cmd := exec.Command("go", "mod", "download", "-json", kedaModule)
		cmd.Dir = filepath.VolumeName(t.TempDir()) + "/"
		out, err := cmd.Output()
		var module struct{ Dir, Error string }
		if json.Unmarshal(out, &module) != nil || module.Dir == "" {
			t.Errorf("go mod download %s: %v %s", kedaModule, err, module.Error)
		}
		keda.dir, keda.err = module.Dir, err
	})
	if keda.err != nil {
		t.Fatal(keda.err)
	}
	return read(t, filepath.Join(keda.dir, name))
}

// checkKEDA holds an object against the schema that KEDA installs.
func checkKEDA(t *testing.T, o object) {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema kedaspec.Schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(kedaFile(t, "config/crd/bases/keda.sh_"+strings.ToLower(o.kind)+"s.yaml"), &crd); err != nil {
		t.Fatal(err)
	}
	schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	v := into[map[string]any](t, o)
	for _, err := range validate.NewSchemaValidator(&schema, nil, "", strfmt.Default).Validate(v).Errors {
		t.Errorf("%s %s: %v", o.kind, o.name, err)
	}
	delete(v, "metadata") // of which the schema says nothing
	unknown(t, o.kind, &schema, v)
}

// unknown finds fields that a schema does not have.
func unknown(t *testing.T, path string, s *kedaspec.Schema, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			at := path + "." + key
			if of, ok := s.Properties[key]; ok {
				unknown(t, at, &of, value)
			} else if s.AdditionalProperties == nil {
				t.Errorf("KEDA knows no %s", at)
			} else if s.AdditionalProperties.Schema != nil {
				unknown(t, at, s.AdditionalProperties.Schema, value)
			}
		}
	case []any:
		for _, value := range v {
			if s.Items != nil {
				unknown(t, path, s.Items.Schema, value)
			}
		}
	}
}

// trigger is what a ScaledObject watches.
type trigger struct {
	Name, Type, MetricType string
	Metadata               map[string]string
	AuthenticationRef      struct{ Name string }
}

func triggers(t *testing.T, overlay string) []trigger {
	t.Helper()
	var so struct{ Spec struct{ Triggers []trigger } }
	if err := yaml.Unmarshal(find(t, render(t, overlay), "ScaledObject").text, &so); err != nil {
		t.Fatal(err)
	}
	return so.Spec.Triggers
}

// scalers are the files of KEDA that read the metadata of a type of trigger.
var scalers = map[string][]string{
	"prometheus":  {"pkg/scalers/prometheus_scaler.go"},
	"metrics-api": {"pkg/scalers/metrics_api_scaler.go", "pkg/scalers/authentication/authentication_types.go"},
}

var kedaTag = regexp.MustCompile("`keda:\"([^\"]*)\"`")

// TestScalersKnowTheirMetadata compares the metadata, which the schema takes for
// any words, with what KEDA's scalers declare that they read.
func TestScalersKnowTheirMetadata(t *testing.T) {
	for _, overlay := range []string{"keda", "keda-scale"} {
		for _, tr := range triggers(t, overlay) {
			known := map[string]bool{}
			for i, file := range scalers[tr.Type] {
				for _, tag := range kedaTag.FindAllStringSubmatch(string(kedaFile(t, file)), -1) {
					name, _, _ := strings.Cut(strings.TrimPrefix(tag[1], "name="), ",")
					if !strings.HasPrefix(tag[1], "name=") || !strings.Contains(tag[1], "triggerMetadata") {
						continue
					}
					for n := range strings.SplitSeq(name, ";") {
						known[n] = true
					}
					must := i == 0 && !strings.Contains(tag[1], "optional") && !strings.Contains(tag[1], "default=")
					if _, has := tr.Metadata[name]; must && !has {
						t.Errorf("%s: %s has no %s", overlay, tr.Type, name)
					}
				}
			}
			for key := range tr.Metadata {
				if !known[key] {
					t.Errorf("%s: %s knows no %s", overlay, tr.Type, key)
				}
			}
		}
	}
}
