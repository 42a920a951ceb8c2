package check

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	scalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	security "k8s.io/pod-security-admission/api"
	securitypolicy "k8s.io/pod-security-admission/policy"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// scaleAt is the protected share to aim at.
const scaleAt = 0.7

// pod is the Deployment's, with its container and the config that it reads.
type pod struct {
	appsv1.Deployment
	corev1.Container
	config struct {
		Broker, Creds string
		Slots         int
		Grace         string
		KillTimeout   string `json:"kill_timeout"`
		SettleTimeout string `json:"settle_timeout"`
	}
	files map[string]string // of the ConfigMap
}

func thePod(t *testing.T) *pod {
	t.Helper()
	all := render(t, "base")
	p := &pod{Deployment: into[appsv1.Deployment](t, find(t, all, "Deployment"))}
	p.Container = p.Spec.Template.Spec.Containers[0]
	p.files = into[corev1.ConfigMap](t, find(t, all, "ConfigMap")).Data
	if err := json.Unmarshal([]byte(p.files["serve.json"]), &p.config); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pod) labels() map[string]string { return p.Spec.Template.Labels }

// port is the number of a port of the container, by name or number; 0: none.
func (p *pod) port(of intstr.IntOrString) int32 {
	for _, have := range p.Ports {
		if have.Name == of.StrVal || have.ContainerPort == of.IntVal {
			return have.ContainerPort
		}
	}
	return 0
}

func TestServeKnowsTheFlagsOfThePod(t *testing.T) {
	checkFlags(t, thePod(t).Args)
}

func TestThePodMayStopInOrder(t *testing.T) {
	p := thePod(t)
	waits := time.Duration(*p.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	checkGrace(t, duration(t, p.config.Grace), duration(t, p.config.KillTimeout), duration(t, p.config.SettleTimeout), waits)
}

func TestASlotIsACPU(t *testing.T) {
	p := thePod(t)
	cpus := p.Resources.Requests.Cpu()
	if cpus.Cmp(*resource.NewQuantity(int64(p.config.Slots), resource.DecimalSI)) != 0 {
		t.Errorf("%d slots on %v CPUs", p.config.Slots, cpus)
	}
	if limit := p.Resources.Limits.Cpu(); !limit.IsZero() && limit.Cmp(*resource.NewQuantity(int64(p.config.Slots)+1, resource.DecimalSI)) < 0 {
		t.Errorf("a limit of %v CPUs leaves the server none beside %d slots", limit, p.config.Slots)
	}
	memory := p.Resources.Limits.Memory()
	if memory.IsZero() || memory.Cmp(*p.Resources.Requests.Memory()) != 0 {
		t.Errorf("memory: %v requested of %v: what is there for all must be there for each", p.Resources.Requests.Memory(), memory)
	}
	for _, e := range p.Env {
		if e.Name == "GOMEMLIMIT" {
			soft := resource.MustParse(strings.TrimSuffix(e.Value, "B"))
			if soft.Cmp(*memory) >= 0 {
				t.Errorf("GOMEMLIMIT %v is not below %v", &soft, memory)
			}
			return
		}
	}
	t.Error("there is no GOMEMLIMIT")
}

func TestThePodMayDoNothingItNeedNot(t *testing.T) {
	p := thePod(t)
	checks, err := securitypolicy.NewEvaluator(securitypolicy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := security.Level(into[corev1.Namespace](t, find(t, render(t, "base"), "Namespace")).Labels[security.EnforceLevelLabel])
	if level != security.LevelRestricted {
		t.Errorf("the namespace enforces %q", level)
	}
	for _, r := range checks.EvaluatePod(security.LevelVersion{Level: level, Version: security.LatestVersion()}, &p.Spec.Template.ObjectMeta, &p.Spec.Template.Spec) {
		if !r.Allowed {
			t.Errorf("%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
	i := newImage(t)
	if user := p.Spec.Template.Spec.SecurityContext; *user.RunAsUser != int64(i.uid) || *user.RunAsGroup != int64(i.gid) || *user.FSGroup != int64(i.gid) {
		t.Errorf("the pod runs as %d:%d (volumes of %d), the image is for %d:%d", *user.RunAsUser, *user.RunAsGroup, *user.FSGroup, i.uid, i.gid)
	}
	if ro := p.SecurityContext.ReadOnlyRootFilesystem; ro == nil || !*ro {
		t.Error("the root file system can be written to")
	}
}

func selects(t *testing.T, what string, selector, labels map[string]string) {
	t.Helper()
	for k, v := range selector {
		if labels[k] != v {
			t.Errorf("%s selects %s=%s, which the pods do not have", what, k, v)
		}
	}
	if len(selector) == 0 {
		t.Errorf("%s selects everything", what)
	}
}

func TestObjectsMeanTheSamePods(t *testing.T) {
	all, p := render(t, "base"), thePod(t)
	service := into[corev1.Service](t, find(t, all, "Service"))
	selects(t, "the Deployment", p.Spec.Selector.MatchLabels, p.labels())
	selects(t, "the Service", service.Spec.Selector, p.labels())
	for _, port := range service.Spec.Ports {
		if p.port(port.TargetPort) == 0 {
			t.Errorf("the Service's port %s leads nowhere", port.Name)
		}
	}
	selects(t, "the PodDisruptionBudget", into[policyv1.PodDisruptionBudget](t, find(t, all, "PodDisruptionBudget")).Spec.Selector.MatchLabels, p.labels())
	netpol := into[networkingv1.NetworkPolicy](t, find(t, all, "NetworkPolicy"))
	selects(t, "the NetworkPolicy", netpol.Spec.PodSelector.MatchLabels, p.labels())
	for _, rule := range netpol.Spec.Ingress {
		for _, port := range rule.Ports {
			if p.port(*port.Port) == 0 {
				t.Errorf("the NetworkPolicy lets in to port %v, where nobody listens", port.Port)
			}
		}
	}
	broker, err := url.Parse(p.config.Broker)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(netpol.Spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
		return len(rule.Ports) == 1 && rule.Ports[0].Port.String() == broker.Port()
	}) {
		t.Errorf("the NetworkPolicy keeps the server from its broker, %s", broker)
	}
	monitor := into[monitoring.PodMonitor](t, find(t, all, "PodMonitor"))
	selects(t, "the PodMonitor", monitor.Spec.Selector.MatchLabels, p.labels())
	if job := p.labels()[monitor.Spec.JobLabel]; job != "occamy" {
		t.Errorf("the job is %q; the rules want occamy", job)
	}
	for _, e := range monitor.Spec.PodMetricsEndpoints {
		if e.Port == nil || p.port(intstr.FromString(*e.Port)) == 0 {
			t.Errorf("the PodMonitor's port %v is none of the pods", e.Port)
		}
	}
}

// TestThePodRuns runs the container as the kubelet would, with its volumes, and
// asks what it and the others would ask. It listens on this machine alone, and
// the broker is that of another server.
func TestThePodRuns(t *testing.T) {
	p, i := thePod(t), newImage(t)
	broker := i.serve(t, nil, append(i.cmd, "--listen=127.0.0.1:0", "--http=none", "--slots=1", "--sync=false")...)
	defer broker.stop(t)
	const token = "0123456789abcdef0123456789abcdef"
	mounted := map[string]string{}
	for _, m := range p.VolumeMounts {
		mounted[m.Name] = m.MountPath
	}
	config := strings.NewReplacer(`"replicas": 3`, `"replicas": 1`, p.config.Creds, "").Replace(p.files["serve.json"])
	for _, v := range p.Spec.Template.Spec.Volumes {
		switch {
		case v.ConfigMap != nil:
			i.volume(t, mounted[v.Name]+"/serve.json", config)
		case v.Secret != nil:
			for _, item := range v.Secret.Items {
				i.volume(t, mounted[v.Name]+"/"+item.Path, token)
			}
			if !slices.ContainsFunc(v.Secret.Items, func(k corev1.KeyToPath) bool { return mounted[v.Name]+"/"+k.Path == p.config.Creds }) {
				t.Errorf("the secret has no %s", p.config.Creds)
			}
		}
	}
	listens := "0.0.0.0:" + itoa(p.Ports[0].ContainerPort)
	at := freeAddress(t)
	var args []string
	for _, arg := range p.Args {
		args = append(args, strings.Replace(arg, listens, at, 1))
	}
	if slices.Equal(args, p.Args) {
		t.Fatalf("%q does not listen on %s, the port of the container", p.Args, listens)
	}
	s := i.serve(t, []string{"OCCAMY_BROKER=" + broker.Broker}, args...)
	if s.Slots != p.config.Slots {
		t.Errorf("it has %d slots; want %d", s.Slots, p.config.Slots)
	}
	for _, probe := range []*corev1.Probe{p.StartupProbe, p.LivenessProbe, p.ReadinessProbe} {
		if p.port(probe.HTTPGet.Port) != p.Ports[0].ContainerPort {
			t.Errorf("a probe asks port %v", probe.HTTPGet.Port)
		}
		if status, body := get(t, at, probe.HTTPGet.Path, ""); status != http.StatusOK {
			t.Errorf("%s answers the kubelet with %d %s", probe.HTTPGet.Path, status, body)
		}
	}
	all := exposed(t)
	_, body := get(t, at, "/metrics", token)
	for name := range all {
		family := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "occamy_") && !strings.Contains(body, "# TYPE "+family+" ") {
			t.Errorf("/metrics has no %s", family)
		}
	}
	for _, tr := range triggers(t, "keda-scale") {
		u, _ := url.Parse(tr.Metadata["url"])
		service := into[corev1.Service](t, find(t, render(t, "base"), "Service"))
		if u.Host != service.Name+"."+service.Namespace+".svc:"+itoa(service.Spec.Ports[0].Port) {
			t.Errorf("KEDA asks %s, which is not the Service", u)
		}
		_, body := get(t, at, u.Path, token)
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		for key := range strings.SplitSeq(tr.Metadata["valueLocation"], ".") {
			m, _ := v.(map[string]any)
			v = m[key]
		}
		if _, ok := v.(float64); !ok {
			t.Errorf("%s has no number %s\n%s", u, tr.Metadata["valueLocation"], body)
		}
	}
	s.stop(t)
}

func TestAutoscalersAimAtTheSameShare(t *testing.T) {
	p := thePod(t)
	perServer := float64(p.config.Slots) * scaleAt
	hpa := into[scalingv2.HorizontalPodAutoscaler](t, find(t, render(t, "hpa"), "HorizontalPodAutoscaler"))
	if to := hpa.Spec.ScaleTargetRef; to.Name != p.Deployment.Name || to.Kind != "Deployment" || p.Spec.Replicas != nil {
		t.Errorf("%v is to be scaled, with %v replicas set", to, p.Spec.Replicas)
	}
	for _, m := range hpa.Spec.Metrics {
		switch {
		case m.Pods != nil:
			near(t, m.Pods.Metric.Name, m.Pods.Target.AverageValue.AsApproximateFloat64(), scaleAt)
		case m.External != nil:
			near(t, m.External.Metric.Name, m.External.Target.AverageValue.AsApproximateFloat64(), perServer)
		}
	}
	for _, overlay := range []string{"keda", "keda-scale"} {
		for _, tr := range triggers(t, overlay) {
			target := resource.MustParse(tr.Metadata["threshold"] + tr.Metadata["targetValue"])
			near(t, overlay, target.AsApproximateFloat64(), perServer)
		}
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if got-want > 1e-6 || want-got > 1e-6 {
		t.Errorf("%s aims at %v; want %v", what, got, want)
	}
}

func TestKEDAAsksForWhatIsRecorded(t *testing.T) {
	for _, tr := range triggers(t, "keda") {
		exposed(t).check(t, "keda", tr.Metadata["query"])
	}
}
