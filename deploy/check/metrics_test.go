package check

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"sigs.k8s.io/yaml"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// exporter are the metrics of prometheus-nats-exporter -jsz=all that are used.
var exporter = []string{"jetstream_consumer_num_pending", "jetstream_consumer_num_ack_pending", "jetstream_consumer_delivered_consumer_seq"}

// sometimes are those that a worker has only when there is something to tell;
// dispatcher/app/metrics*.go makes them.
var sometimes = map[string]string{
	"shortwire_ledger_lost_timestamp_seconds": "shortwire.ledger.lost.timestamp",
	"shortwire_submit_latency_seconds":        "shortwire.submit.latency",
	"shortwire_receipts_delay_seconds":        "shortwire.receipts.delay",
}

// exported runs a worker, sends a job through it and returns the metrics that
// it shows, by name, with the names of their labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	_, addr := apptest.SMSC(t, smsctest.Config{SystemID: "acme", Password: "secret"})
	rig := apptest.Start(t, addr, "    rate: 100\n    max_binds: 4\n")
	rig.Worker("w1")
	rig.Publish(`{"id": "one", "to": "447700900123", "text": "hello", "receipt": "all"}`, `{"id": "two", "to": "nobody", "text": "hello"}`)
	apptest.Until(t, "one job has its receipt and the other its end", func() bool {
		r := rig.Route()
		return r.Receipts.MatchRate != nil && r.Outcomes["submitted"] == 1 && r.Outcomes["failed"] == 1
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rig.AdminURL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for name, f := range families {
		var labels []string
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels = append(labels, l.GetName())
			}
		}
		slices.Sort(labels)
		for _, suffix := range suffixes[f.GetType().String()] {
			all[name+suffix] = slices.Compact(labels)
		}
	}
	return all
}

var suffixes = map[string][]string{
	"COUNTER": {""}, "GAUGE": {""}, "UNTYPED": {""},
	"SUMMARY": {"", "_sum", "_count"}, "HISTOGRAM": {"_bucket", "_sum", "_count"},
}

// expressions are all that the dashboard, the rules and the rules' tests ask.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	read(t, "../grafana/shortwire.json", json.Unmarshal, &dashboard)
	for _, p := range dashboard.Panels {
		for i, q := range p.Targets {
			all["panel "+p.Title+" "+string(rune('A'+i))] = q.Expr
		}
	}
	for _, v := range dashboard.Templating.List {
		all["variable "+v.Name] = v.Definition
	}
	for name, expr := range ruleExpressions(t) {
		all["rule "+name] = expr
	}
	var tests struct {
		Tests []struct {
			Name  string
			Input []struct{ Series string } `json:"input_series"`
		}
	}
	read(t, "../prometheus/rules_test.yaml", func(b []byte, v any) error { return yaml.Unmarshal(b, v) }, &tests)
	for _, test := range tests.Tests {
		for _, s := range test.Input {
			all["test "+test.Name+" "+s.Series] = s.Series
		}
	}
	return all
}

func ruleExpressions(t *testing.T) map[string]string {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Record, Expr string }
		}
	}
	read(t, "../prometheus/rules.yaml", func(b []byte, v any) error { return yaml.Unmarshal(b, v) }, &rules)
	all := make(map[string]string)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all[r.Alert+r.Record] = r.Expr
		}
	}
	return all
}

func read(t *testing.T, file string, decode func([]byte, any) error, v any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = decode(data, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

var (
	metricName = regexp.MustCompile(`\b(?:shortwire|process|go|jetstream|nats|gnatsd)[_:][a-z0-9_:]+`)
	matchers   = regexp.MustCompile(`\b((?:shortwire|jetstream)[_:][a-z0-9_:]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
)

func TestDashboardAndRulesAskForMetricsThatAWorkerExports(t *testing.T) {
	t.Parallel()
	all := exported(t)
	var source strings.Builder
	for _, file := range []string{"metrics.go", "metrics_config.go", "metrics_worker.go", "metrics_latency.go"} {
		data, err := os.ReadFile("../../dispatcher/app/" + file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(data)
	}
	known := func(name string) bool {
		if _, ok := all[name]; ok || slices.Contains(exporter, name) {
			return true
		}
		if _, recorded := ruleExpressions(t)[name]; recorded {
			return true
		}
		made, ok := sometimes[name]
		return ok && strings.Contains(source.String(), `"`+made+`"`)
	}
	asked := make(map[string]bool)
	for where, expr := range expressions(t) {
		names := metricName.FindAllString(expr, -1)
		if len(names) == 0 && !strings.HasPrefix(where, "variable datasource") {
			t.Errorf("%s asks for nothing: %q", where, expr)
		}
		for _, name := range names {
			asked[name] = true
			if !known(name) {
				t.Errorf("%s asks for %s, which no worker exports", where, name)
			}
		}
		for _, m := range matchers.FindAllStringSubmatch(expr, -1) {
			labels, ok := all[m[1]]
			if !ok {
				continue
			}
			for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(labels, l[1]) && l[1] != "instance" && l[1] != "job" {
					t.Errorf("%s: %s has no label %s, but %v", where, m[1], l[1], labels)
				}
			}
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "shortwire_") && !asked[name] {
			t.Logf("neither dashboard nor rules use %s", name)
		}
	}
}

func TestRulesAreRight(t *testing.T) {
	t.Parallel()
	tool(t, "promtool")
	run(t, "promtool", "check", "rules", "../prometheus/rules.yaml")
	run(t, "promtool", "test", "rules", "../prometheus/rules_test.yaml")
	run(t, "promtool", "check", "config", "--syntax-only", "../compose/prometheus.yml")
}

// PromQL with Grafana's variables filled in, as rules that promtool reads.
func TestTheDashboardsQueriesAreRight(t *testing.T) {
	t.Parallel()
	tool(t, "promtool")
	fill := strings.NewReplacer("$__rate_interval", "1m", "$route", ".*")
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for where, expr := range expressions(t) {
		if strings.HasPrefix(where, "panel ") {
			rules = append(rules, rule{"panel_" + regexp.MustCompile(`[^a-zA-Z0-9]`).ReplaceAllString(where, "_"), fill.Replace(expr)})
		}
	}
	if len(rules) < 20 {
		t.Fatalf("the dashboard has %d queries", len(rules))
	}
	data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/rules.yaml"
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "promtool", "check", "rules", file)
}

// Every alarm has a test in which it fires.
func TestEveryAlarmIsTested(t *testing.T) {
	t.Parallel()
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Name string `json:"alertname"`
				Exp  []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	read(t, "../prometheus/rules_test.yaml", func(b []byte, v any) error { return yaml.Unmarshal(b, v) }, &tests)
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range tests.Tests {
		for _, a := range test.Alerts {
			if len(a.Exp) > 0 {
				fires[a.Name] = true
			} else {
				silent[a.Name] = true
			}
		}
	}
	for name := range ruleExpressions(t) {
		if strings.HasPrefix(name, "Shortwire") && !(fires[name] && silent[name]) {
			t.Errorf("no test has %s fire, or none has it silent", name)
		}
	}
}

func TestPanelsDoNotOverlapAndHaveNumbersOfTheirOwn(t *testing.T) {
	t.Parallel()
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
		}
	}
	read(t, "../grafana/shortwire.json", json.Unmarshal, &d)
	for i, a := range d.Panels {
		for _, b := range d.Panels[:i] {
			p, q := a.GridPos, b.GridPos
			if a.ID == b.ID || (p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H) {
				t.Errorf("%q and %q", a.Title, b.Title)
			}
		}
	}
}

// tool skips, and says so, where a program is not installed.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed: not checked", name)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx := t.Context()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
