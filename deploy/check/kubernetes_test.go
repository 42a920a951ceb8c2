package check

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/apps"
	appsinstall "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	scalinginstall "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	scalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	coreinstall "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	networkinginstall "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	policyinstall "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// overlays are the directories that one applies.
var overlays = []string{"base", "hpa", "keda", "keda-scale"}

// object is one of what 'kubectl apply -k' would send.
type object struct {
	kind, name string
	text       []byte
}

// render is 'kubectl kustomize deploy/kubernetes/OVERLAY'.
func render(t *testing.T, overlay string) []object {
	t.Helper()
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), deploy("kubernetes", overlay))
	if err != nil {
		t.Fatal(err)
	}
	var objects []object
	for _, r := range all.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object{r.GetGvk().Kind, r.GetName(), text})
	}
	return objects
}

// find is the only object of a kind.
func find(t *testing.T, all []object, kind string) object {
	t.Helper()
	var found []object
	for _, o := range all {
		if o.kind == kind {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d of kind %s", len(found), kind)
	}
	return found[0]
}

// into decodes an object into its type and refuses fields that it does not have.
func into[T any](t *testing.T, o object) (v T) {
	t.Helper()
	if err := yaml.UnmarshalStrict(o.text, &v); err != nil {
		t.Fatalf("%s %s: %v", o.kind, o.name, err)
	}
	return v
}

// decode reads an object as the API server does: strictly, with defaults, into
// the type that is validated.
func decode(t *testing.T, o object) runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	coreinstall.Install(scheme)
	appsinstall.Install(scheme)
	scalinginstall.Install(scheme)
	policyinstall.Install(scheme)
	networkinginstall.Install(scheme)
	v, err := runtime.Decode(serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder(), o.text)
	if err != nil {
		t.Fatalf("%s %s: %v", o.kind, o.name, err)
	}
	return v
}

// problems are what the API server finds wrong with an object that is made.
func problems(t *testing.T, v runtime.Object) field.ErrorList {
	t.Helper()
	switch v := v.(type) {
	case *core.Namespace:
		return corevalidation.ValidateNamespace(v)
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(v)
	case *core.Service:
		v.Spec.ClusterIPs = []string{"10.0.0.1"} // which the API server gives it before
		v.Spec.ClusterIP = v.Spec.ClusterIPs[0]
		v.Spec.IPFamilies = []core.IPFamily{core.IPv4Protocol}
		return corevalidation.ValidateServiceCreate(v)
	case *apps.Deployment:
		return appsvalidation.ValidateDeployment(v, corevalidation.PodValidationOptions{})
	case *autoscaling.HorizontalPodAutoscaler:
		return scalingvalidation.ValidateHorizontalPodAutoscaler(v, scalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{MinReplicasLowerBound: 1})
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(v, policyvalidation.PodDisruptionBudgetValidationOptions{})
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(v, networkingvalidation.NetworkPolicyValidationOptions{})
	default:
		t.Fatalf("no validation for a %T", v)
		return nil
	}
}

func TestKubernetesTakesEveryObject(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			for _, o := range render(t, overlay) {
				switch o.kind {
				case "PodMonitor":
					into[monitoring.PodMonitor](t, o)
				case "ScaledObject", "TriggerAuthentication":
					checkKEDA(t, o)
				default:
					for _, err := range problems(t, decode(t, o)) {
						t.Errorf("%s %s: %v", o.kind, o.name, err)
					}
				}
			}
		})
	}
}

func TestAMistakeIsSeen(t *testing.T) {
	o := find(t, render(t, "base"), "Deployment")
	o.text = []byte(strings.Replace(string(o.text), "maxUnavailable: 0", "maxUnavailable: -1", 1))
	if errs := problems(t, decode(t, o)); len(errs) != 1 {
		t.Errorf("validation finds %v", errs)
	}
}
