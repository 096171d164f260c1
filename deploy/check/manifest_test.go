package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/google/go-cmp/cmp"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// scaledObject is keda.sh/v1alpha1 as of KEDA 2.21, without the status. Its own
// module is too large to require.
type scaledObject struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata,omitempty"`
	Spec            struct {
		ScaleTargetRef struct {
			Name                   string `json:"name"`
			APIVersion             string `json:"apiVersion,omitempty"`
			Kind                   string `json:"kind,omitempty"`
			EnvSourceContainerName string `json:"envSourceContainerName,omitempty"`
		} `json:"scaleTargetRef"`
		PollingInterval       *int32 `json:"pollingInterval,omitempty"`
		InitialCooldownPeriod *int32 `json:"initialCooldownPeriod,omitempty"`
		CooldownPeriod        *int32 `json:"cooldownPeriod,omitempty"`
		IdleReplicaCount      *int32 `json:"idleReplicaCount,omitempty"`
		MinReplicaCount       *int32 `json:"minReplicaCount,omitempty"`
		MaxReplicaCount       *int32 `json:"maxReplicaCount,omitempty"`
		Advanced              *struct {
			HorizontalPodAutoscalerConfig *struct {
				Behavior *autoscaling.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
				Name     string                                       `json:"name,omitempty"`
			} `json:"horizontalPodAutoscalerConfig,omitempty"`
			RestoreToOriginalReplicaCount bool `json:"restoreToOriginalReplicaCount,omitempty"`
		} `json:"advanced,omitempty"`
		Triggers []scaleTrigger `json:"triggers"`
		Fallback *struct {
			FailureThreshold int32  `json:"failureThreshold"`
			Replicas         int32  `json:"replicas"`
			Behavior         string `json:"behavior,omitempty"`
		} `json:"fallback,omitempty"`
	} `json:"spec"`
}

type scaleTrigger struct {
	Type             string            `json:"type"`
	Name             string            `json:"name,omitempty"`
	UseCachedMetrics bool              `json:"useCachedMetrics,omitempty"`
	Metadata         map[string]string `json:"metadata"`
	MetricType       string            `json:"metricType,omitempty"`
}

// strict decodes a document as the API server does with strict field
// validation: what the type does not know, in this very spelling, is refused.
func strict[T any](t *testing.T, d document) *T {
	t.Helper()
	var v T
	data, err := yaml.YAMLToJSONStrict([]byte(d.text))
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", d.kind, d.name, err, d.text)
	}
	unknown, err := kjson.UnmarshalStrict(data, &v)
	if err != nil || len(unknown) > 0 {
		t.Fatalf("%s %s: %v %v\n%s", d.kind, d.name, err, unknown, d.text)
	}
	return &v
}

// kinds decode every document that the chart renders.
var kinds = map[string]func(*testing.T, document){
	"v1 ConfigMap":                            func(t *testing.T, d document) { strict[core.ConfigMap](t, d) },
	"v1 Service":                              func(t *testing.T, d document) { strict[core.Service](t, d) },
	"v1 ServiceAccount":                       func(t *testing.T, d document) { strict[core.ServiceAccount](t, d) },
	"apps/v1 Deployment":                      func(t *testing.T, d document) { strict[apps.Deployment](t, d) },
	"batch/v1 Job":                            func(t *testing.T, d document) { strict[batch.Job](t, d) },
	"policy/v1 PodDisruptionBudget":           func(t *testing.T, d document) { strict[policy.PodDisruptionBudget](t, d) },
	"networking.k8s.io/v1 NetworkPolicy":      func(t *testing.T, d document) { strict[networking.NetworkPolicy](t, d) },
	"monitoring.coreos.com/v1 ServiceMonitor": func(t *testing.T, d document) { strict[monitoring.ServiceMonitor](t, d) },
	"monitoring.coreos.com/v1 PrometheusRule": func(t *testing.T, d document) { strict[monitoring.PrometheusRule](t, d) },
	"keda.sh/v1alpha1 ScaledObject":           func(t *testing.T, d document) { strict[scaledObject](t, d) },
}

func TestEveryManifestIsWhatKubernetesKnows(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, name := range valuesFiles {
		for _, d := range render(t, valuesOf(t, name)) {
			decode, known := kinds[d.api+" "+d.kind]
			if !known {
				t.Errorf("%s: %s %s has no type here", name, d.api, d.kind)
				continue
			}
			seen[d.api+" "+d.kind] = true
			decode(t, d)
			if faults := validation.IsDNS1123Subdomain(d.name); len(faults) > 0 {
				t.Errorf("%s: %s %s: %v", name, d.kind, d.name, faults)
			}
			if strings.Contains(d.text, "e+0") {
				t.Errorf("%s: %s %s has a number in scientific notation:\n%s", name, d.kind, d.name, d.text)
			}
		}
	}
	for kind := range kinds {
		if !seen[kind] {
			t.Errorf("no values file renders a %s", kind)
		}
	}
}

func deployment(t *testing.T, all []document, name string) *apps.Deployment {
	t.Helper()
	return strict[apps.Deployment](t, one(t, all, "Deployment", name))
}

func TestPodsHaveTimeToDrain(t *testing.T) {
	t.Parallel()
	for over, want := range map[string]int64{
		``: 30,
		`config: {worker: {drain_timeout: 500ms}}`:                                   6,
		`config: {worker: {drain_timeout: 1m30s}}`:                                   95,
		`config: {worker: {drain_timeout: 0.5h}}`:                                    1805,
		"preStop: {sleepSeconds: 7}\ndrainMarginSeconds: 3":                          35,
		"config: {worker: {drain_timeout: 45s}}\nterminationGracePeriodSeconds: 120": 120,
		"config: {worker: {drain_timeout: null}}\nterminationGracePeriodSeconds: 30": 30,
	} {
		pod := deployment(t, render(t, with(t, over)), "sms-shortwire").Spec.Template.Spec
		if got := *pod.TerminationGracePeriodSeconds; got != want {
			t.Errorf("%q: grace period %d, want %d", over, got, want)
		}
	}
}

func TestAPodIsWatchedAndMayDoLittle(t *testing.T) {
	t.Parallel()
	d := deployment(t, render(t, valuesOf(t, "minimal")), "sms-shortwire")
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	type asked struct{ Path, Port string }
	probe := func(p *core.Probe) asked { return asked{p.HTTPGet.Path, p.HTTPGet.Port.String()} }
	got := []asked{probe(c.StartupProbe), probe(c.ReadinessProbe), probe(c.LivenessProbe)}
	if diff := cmp.Diff([]asked{{"/healthz", "admin"}, {"/readyz", "admin"}, {"/healthz", "admin"}}, got); diff != "" {
		t.Error(diff)
	}
	if c.Ports[0].Name != "admin" || c.Ports[0].ContainerPort != 8080 {
		t.Errorf("ports: %v", c.Ports)
	}
	if !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation || !*pod.SecurityContext.RunAsNonRoot || *pod.AutomountServiceAccountToken {
		t.Error("the pod may do more than it needs")
	}
	for _, s := range pod.TopologySpreadConstraints {
		if diff := cmp.Diff(d.Spec.Selector.MatchLabels, s.LabelSelector.MatchLabels); diff != "" {
			t.Errorf("spread counts other pods: %s", diff)
		}
	}
	if len(pod.TopologySpreadConstraints) != 2 || *d.Spec.Replicas != 2 {
		t.Error("pods are not spread, or not two")
	}
	if scaled := deployment(t, render(t, valuesOf(t, "full")), "a-name-that-is-longer-than-thi"); scaled.Spec.Replicas != nil {
		t.Error("the deployment and KEDA both say how many")
	}
	hook := deployment(t, render(t, with(t, `preStop: {sleepSeconds: 3}`)), "sms-shortwire").Spec.Template.Spec.Containers[0].Lifecycle
	if hook == nil || hook.PreStop.Sleep.Seconds != 3 {
		t.Errorf("preStop: %+v", hook)
	}
}

// A worker's id is its host's name cut at 50 characters and its process's
// number, which is 1 in every pod.
func TestNamesOfPodsFitAWorkersID(t *testing.T) {
	t.Parallel()
	for _, name := range valuesFiles {
		for _, d := range render(t, valuesOf(t, name)) {
			if d.kind == "Deployment" && len(d.name)+len("-1234567890-12345") > 50 {
				t.Errorf("%s: pods of %s may have the same id", name, d.name)
			}
		}
	}
}

func TestOnlyRoutesChangeWithoutNewPods(t *testing.T) {
	t.Parallel()
	sum := func(over string) string {
		return deployment(t, render(t, with(t, over)), "sms-shortwire").Spec.Template.Annotations["checksum/restart"]
	}
	route := `config: {routes: [{name: other, endpoints: ["h:1"], system_id: a, password_env: ACME_PASSWORD}]}`
	if sum("") != sum(route) {
		t.Error("another route takes new pods")
	}
	if sum("") == sum(`config: {redis: {url: "redis://other:6379/0"}}`) {
		t.Error("another Redis takes none")
	}
}

func TestStreamsAreMadeBeforeTheRelease(t *testing.T) {
	t.Parallel()
	all := render(t, valuesOf(t, "full"))
	job := strict[batch.Job](t, one(t, all, "Job", "a-name-that-is-longer-than-thi-setup"))
	if job.Annotations["helm.sh/hook"] != "pre-install,pre-upgrade" {
		t.Errorf("annotations: %v", job.Annotations)
	}
	worker := deployment(t, all, "a-name-that-is-longer-than-thi").Spec.Template.Spec
	pod := job.Spec.Template.Spec
	if diff := cmp.Diff(worker.Containers[0].Env, pod.Containers[0].Env); diff != "" {
		t.Errorf("the job has another environment: %s", diff)
	}
	if diff := cmp.Diff(worker.Containers[0].VolumeMounts, pod.Containers[0].VolumeMounts); diff != "" {
		t.Errorf("the job has other files: %s", diff)
	}
	its := one(t, all, "ConfigMap", pod.Volumes[0].ConfigMap.Name)
	workers := one(t, all, "ConfigMap", worker.Volumes[0].ConfigMap.Name)
	if diff := cmp.Diff(strict[core.ConfigMap](t, workers).Data, strict[core.ConfigMap](t, its).Data); diff != "" {
		t.Errorf("the job has another configuration: %s", diff)
	}
	// Helm takes what has the lower weight first.
	if w := strict[core.ConfigMap](t, its).Annotations; w["helm.sh/hook"] != job.Annotations["helm.sh/hook"] || w["helm.sh/hook-weight"] != "-5" || job.Annotations["helm.sh/hook-weight"] != "0" {
		t.Errorf("the configuration does not come before the job: %v", w)
	}
	if len(job.Spec.Template.Labels) == 0 || job.Spec.Template.Labels["app.kubernetes.io/component"] != "setup" {
		t.Error("the job's pod is taken for a worker")
	}
}

func TestTheNetworkPolicyLetsThroughWhatTheConfigurationNames(t *testing.T) {
	t.Parallel()
	ports := func(values map[string]any, name string) (got [][]string) {
		np := strict[networking.NetworkPolicy](t, one(t, render(t, values), "NetworkPolicy", name))
		for _, rule := range np.Spec.Egress {
			var of []string
			for _, p := range rule.Ports {
				of = append(of, fmt.Sprintf("%s/%s", *p.Protocol, p.Port))
			}
			got = append(got, of)
		}
		return got
	}
	if diff := cmp.Diff([][]string{{"UDP/53", "TCP/53"}, {"TCP/4222"}, {"TCP/6379"}, {"TCP/2775"}}, ports(valuesOf(t, "minimal"), "sms-shortwire")); diff != "" {
		t.Error(diff)
	}
	want := [][]string{{"UDP/53", "TCP/53"}, {"TCP/4222", "TCP/4223"}, {"TCP/26379", "TCP/26380", "TCP/6379"}, {"TCP/2775", "TCP/3550"}, {"TCP/4317"}}
	if diff := cmp.Diff(want, ports(valuesOf(t, "full"), "a-name-that-is-longer-than-thi")); diff != "" {
		t.Error(diff)
	}
	sockets := with(t, `config: {nats: {url: "wss://nats.example.com"}}`)
	if diff := cmp.Diff([]string{"TCP/443"}, ports(sockets, "sms-shortwire")[1]); diff != "" {
		t.Error(diff)
	}
	cluster := with(t, `config: {redis: {url: "redis+cluster://redis-0:6379?addr=redis-1:6380&addr=redis-2"}}`)
	if diff := cmp.Diff([]string{"TCP/6379", "TCP/6380"}, ports(cluster, "sms-shortwire")[2]); diff != "" {
		t.Error(diff)
	}
}

func TestScalingAsksForEveryRouteAndLane(t *testing.T) {
	t.Parallel()
	so := strict[scaledObject](t, one(t, render(t, valuesOf(t, "full")), "ScaledObject", "a-name-that-is-longer-than-thi"))
	var got []string
	for _, tr := range so.Spec.Triggers {
		got = append(got, tr.Type+" "+tr.Metadata["stream"]+"/"+tr.Metadata["consumer"]+" "+tr.Metadata["lagThreshold"])
	}
	want := []string{
		"nats-jetstream SMS2_JOBS_ACME/high 20000", "nats-jetstream SMS2_JOBS_ACME/normal 20000", "nats-jetstream SMS2_JOBS_ACME/bulk 20000",
		"nats-jetstream SMS2_JOBS_BACK_UP/high 20000", "nats-jetstream SMS2_JOBS_BACK_UP/normal 20000", "nats-jetstream SMS2_JOBS_BACK_UP/bulk 20000",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// loadConfig reads text as the worker does in its pod, where every secret is there.
func loadConfig(t *testing.T, text string) (*app.Config, error) {
	t.Helper()
	dir := t.TempDir()
	// What is mounted from Secrets in the pod is here below dir.
	for _, m := range regexp.MustCompile(`/run/secrets/\S+`).FindAllString(text, -1) {
		file := filepath.Join(dir, m)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("what-is-held-in-"+filepath.Base(file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = strings.ReplaceAll(text, "/run/secrets/", dir+"/run/secrets/")
	path := filepath.Join(dir, "shortwire.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return app.Load(path, func(string) string { return "secret" })
}

func TestProbesAndPrometheusSpeakAsTheAdminServerDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		over, scheme string
		metrics      *string
	}{
		{`serviceMonitor: {enabled: false}`, "HTTP", nil},
		{`{config: {admin: {open_metrics: true}}, serviceMonitor: {enabled: true}}`, "HTTP", nil},
		{`{secretFiles: {admin: {secret: shortwire-admin}}, config: {admin: {tls: {cert_file: /run/secrets/admin/tls.crt, key_file: /run/secrets/admin/tls.key, client_ca_file: /run/secrets/admin/ca.crt}}},
			serviceMonitor: {enabled: true, tlsConfig: {serverName: a.example.com, cert: {secret: {name: prometheus, key: tls.crt}}, keySecret: {name: prometheus, key: tls.key}}}}`, "HTTPS", new("https")},
	} {
		all := render(t, with(t, c.over))
		p := deployment(t, all, "sms-shortwire").Spec.Template.Spec.Containers[0]
		for _, probe := range []*core.Probe{p.StartupProbe, p.ReadinessProbe, p.LivenessProbe} {
			if got := string(probe.HTTPGet.Scheme); got != c.scheme {
				t.Errorf("%s: a probe speaks %s", c.over, got)
			}
		}
		for _, d := range all {
			if d.kind != "ServiceMonitor" {
				continue
			}
			e := strict[monitoring.ServiceMonitor](t, d).Spec.Endpoints[0]
			if diff := cmp.Diff(c.metrics != nil, e.Scheme != nil && string(*e.Scheme) == "https"); diff != "" {
				t.Errorf("%s: %s", c.over, d.text)
			}
		}
	}
}

func TestTheConfigurationInTheChartIsOneThatWorkersTake(t *testing.T) {
	t.Parallel()
	values := map[string]map[string]any{
		"large numbers": with(t, `config: {nats: {jobs_max_bytes: 109951162777600, jobs_max_per_subject: 10000000, replicas: 1}}`),
	}
	for _, name := range valuesFiles {
		values[name] = valuesOf(t, name)
	}
	for name, v := range values {
		for _, d := range render(t, v) {
			if d.kind != "ConfigMap" {
				continue
			}
			cfg, err := loadConfig(t, strict[core.ConfigMap](t, d).Data["shortwire.yaml"])
			if err != nil {
				t.Errorf("%s: %s: %v\n%s", name, d.name, err, d.text)
				continue
			}
			if cfg.Admin.Listen != ":8080" {
				t.Errorf("%s: admin listens on %s", name, cfg.Admin.Listen)
			}
			if name == "large numbers" && (cfg.NATS.JobsMaxBytes != 109951162777600 || cfg.NATS.JobsMax != 10_000_000) {
				t.Errorf("%s: read as %d and %d", name, cfg.NATS.JobsMaxBytes, cfg.NATS.JobsMax)
			}
		}
	}
}
