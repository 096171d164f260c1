package check

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"
)

const chartDir = "../helm/shortwire"

// load reads the chart as Helm does.
func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// valuesOf reads a values file of the chart's ci folder.
func valuesOf(t *testing.T, name string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValuesFile(filepath.Join(chartDir, "ci", name+"-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// with lays YAML over the minimal values.
func with(t *testing.T, over string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValues([]byte(over))
	if err != nil {
		t.Fatal(err)
	}
	return chartutil.MergeTables(v, valuesOf(t, "minimal"))
}

// template is what `helm template sms` does, with the schema. What it renders
// is by template file.
func template(t *testing.T, values map[string]any) (map[string]string, error) {
	t.Helper()
	c := load(t)
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "sms", Namespace: "messaging", Revision: 1, IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// render is template for values that must be right: all documents.
func render(t *testing.T, values map[string]any) []document {
	t.Helper()
	files, err := template(t, values)
	if err != nil {
		t.Fatal(err)
	}
	var all []document
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, text := range regexp.MustCompile(`(?m)^---\n`).Split(files[name], -1) {
			var head struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Metadata   struct{ Name string }
			}
			if err := yaml.Unmarshal([]byte(text), &head); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, text)
			}
			if head.Kind != "" {
				all = append(all, document{head.APIVersion, head.Kind, head.Metadata.Name, text})
			}
		}
	}
	return all
}

type document struct{ api, kind, name, text string }

// one returns the document of the kind and name, which must be there.
func one(t *testing.T, all []document, kind, name string) document {
	t.Helper()
	for _, d := range all {
		if d.kind == kind && d.name == name {
			return d
		}
	}
	t.Fatalf("no %s %s was rendered", kind, name)
	return document{}
}

var valuesFiles = []string{"minimal", "full", "bare"}

func TestTheChartIsLinted(t *testing.T) {
	t.Parallel()
	for _, name := range valuesFiles {
		linter := lint.All(chartDir, valuesOf(t, name), "messaging", true)
		for _, m := range linter.Messages {
			// An icon is for catalogues.
			if m.Severity >= support.WarningSev {
				t.Errorf("%s: %s", name, m)
			}
		}
	}
}

func TestValuesThatAreWrongAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ over, want string }{
		"no route":                    {`config: {routes: []}`, `(?s)config.routes.*(minItems|at least 1)`},
		"a key that is none":          {`replica: 3`, `replica`},
		"a key that is none, inside":  {`keda: {minReplica: 3}`, `(?s)keda.*minReplica`},
		"a password":                  {`config: {nats: {password: secret}}`, `config.nats.password: passwords never stand in values`},
		"a route's password":          {`config: {routes: [{name: a, endpoints: ["h:1"], system_id: a, password: x, password_env: X}]}`, `config.routes\[0\].password: passwords never`},
		"an address of its own":       {`config: {admin: {listen: "127.0.0.1:1"}}`, `config.admin.listen: the chart sets it`},
		"a worker's id for all":       {`config: {worker: {id: one}}`, `config.worker.id: all pods`},
		"a drain without unit":        {`config: {worker: {drain_timeout: "25"}}`, `(?s)config.worker.drain_timeout.*pattern`},
		"a bad level":                 {`log: {level: loud}`, `log.level`},
		"a lane that is none":         {`keda: {lanes: [urgent]}`, `keda.lanes.0`},
		"a grace period too short":    {`terminationGracePeriodSeconds: 29`, `terminationGracePeriodSeconds: is 29, must be at least 30: config.worker.drain_timeout \(25s\)`},
		"and with a longer drain":     {"config: {worker: {drain_timeout: 1m30.5s}}\nterminationGracePeriodSeconds: 95", `must be at least 96`},
		"and with preStop":            {"preStop: {sleepSeconds: 10}\nterminationGracePeriodSeconds: 39", `must be at least 40`},
		"a variable that nobody sets": {`config: {redis: {password_env: REDIS_PASSWORD}}`, `config.redis.password_env: REDIS_PASSWORD is neither in secretEnv nor in extraEnv`},
		"a route's variable":          {`config: {routes: [{name: a, endpoints: ["h:1"], system_id: a, password_env: OTHER}]}`, `config.routes\[0\].password_env: OTHER`},
		"metrics without a token":     {`serviceMonitor: {enabled: true}`, `serviceMonitor.authorization: is required: workers tell their metrics for a token`},
		"a token":                     {`config: {admin: {read_token: secret}}`, `config.admin.read_token: read_tokens never stand in values: name read_token_env`},
		"a token's variable":          {`config: {admin: {read_token_env: OTHER}}`, `config.admin.read_token_env: OTHER is neither`},
		"a password in a URL":         {`config: {redis: {url: "redis://:secret@redis:6379/0"}}`, `config.redis.url: passwords never stand in values`},
		"metrics with a CA alone":     {`serviceMonitor: {enabled: true, tlsConfig: {serverName: a.example.com}}`, `serviceMonitor.authorization: is required`},
		"a file that nobody mounts":   {`config: {admin: {token_file: /run/secrets/admin/token}}`, `config names .run.secrets.admin.token: admin is not in secretFiles`},
		"more at least than at most":  {`keda: {enabled: true, minReplicas: 11}`, `keda.minReplicas: is 11, must not be above maxReplicas .10.`},
		"a digest that is none":       {`image: {digest: latest}`, `image.digest`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := template(t, with(t, c.over))
			if err == nil {
				t.Fatal("it is taken")
			}
			// Helm 3 names a path with dots or slashes, by its schema library.
			if got := strings.ReplaceAll(err.Error(), "/", "."); !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("it is refused with %q, which does not tell %q", got, c.want)
			}
		})
	}
}

func TestTheDefaultsAloneAreRefusedForWantOfARoute(t *testing.T) {
	t.Parallel()
	if _, err := template(t, nil); err == nil || !strings.Contains(err.Error(), "routes") {
		t.Errorf("the chart without values renders: %v", err)
	}
}

func TestTheChartCarriesTheRulesThatAreTested(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("../prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(chartDir, "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("the chart's rules.yaml is another: cp deploy/prometheus/rules.yaml deploy/helm/shortwire/")
	}
}
