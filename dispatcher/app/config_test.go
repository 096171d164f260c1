package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func env(name string) string {
	return map[string]string{"ACME_PASSWORD": "s3cret", "BACKUP_PASSWORD": "s3cret", "EMPTY": ""}[name]
}

// minimal is as short as a configuration can be.
const minimal = `
routes:
  - name: acme
    endpoints: [127.0.0.1:2775]
    system_id: acme
    password_env: ACME_PASSWORD
`

func TestAMinimalFileGetsEveryDefault(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("shortwire.yaml", []byte(minimal), env)
	if err != nil {
		t.Fatal(err)
	}
	r := cfg.Routes[0]
	got := []any{
		cfg.NATS.URL, cfg.NATS.SubjectPrefix, cfg.NATS.Replicas, cfg.NATS.JobsMax, cfg.Redis.URL, cfg.Admin.Listen, cfg.Worker.DrainTimeout,
		string(r.Password), r.InterfaceVersion, r.BindType, r.Binds, r.MaxBinds, r.Window, r.Rate, r.Burst, r.Lanes, r.EnquireLink,
		r.ResponseTimeout, r.Receipt, r.MessageID, r.Concat, r.CorrelationTTL, r.LedgerTTL, r.Retry.MaxAttempts,
	}
	want := []any{
		"nats://127.0.0.1:4222", "sms", 1, int64(5_000_000), "redis://127.0.0.1:6379/0", "127.0.0.1:8080", 25 * time.Second,
		"s3cret", "3.4", "transceiver", 1, 0, 100, 0.0, 0, LanesConfig{8, 4, 1}, 30 * time.Second,
		60 * time.Second, r.Receipt, MessageIDConfig{"as-is", "as-is"}, "udh8", 192 * time.Hour, 24 * time.Hour, 5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if cfg.Worker.ID == "" {
		t.Error("the worker has no id")
	}
}

func TestEverythingWrongIsReportedAtOnceWithItsLine(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml", []byte(`
nats: {url: "http://x", replica: 3}
redis: {url: "redis://:pw@127.0.0.1"}
worker:
  drain_timeout: 25
routes:
  - name: acme
    endpoints: 127.0.0.1:2775
    system_id: acme
    password: hunter2
    window: 10s
    response_timeout: 60
    rate: 10
    burst: 0
    concat: udh9
  - name: ACME
    endpoints: [localhost]
    system_id: other
    password_env: NOT_THERE
    window: 0
    enquire_lnk: 30s
    fallback: nowhere
    binds: two
    tls: {ca_file: x.pem}
    lanes: {bulk: 0}
`), env)
	want := strings.TrimSpace(`
f.yaml:2: nats.replica: is not a known key; did you mean replicas?
f.yaml:2: nats.url: must be a URL that begins with nats:// or tls:// or ws:// or wss://
f.yaml:3: redis.url: must not hold a password: use password_env or password_file
f.yaml:5: worker.drain_timeout: needs a unit, like 25s or 25ms; is 25
f.yaml:7: routes[0].password_env: is required (or password_file): the password never stands in this file
f.yaml:8: routes[0].endpoints: must be a list, is "127.0.0.1:2775"
f.yaml:10: routes[0].password: must not stand in the file: name an environment variable with password_env, or a file with password_file
f.yaml:11: routes[0].window: must be a whole number, is "10s"
f.yaml:12: routes[0].response_timeout: needs a unit, like 60s or 60ms; is 60
f.yaml:14: routes[0].burst: must be 1..1000000, is 0
f.yaml:15: routes[0].concat: must be one of udh8, udh16, sar, payload, is "udh9"; did you mean udh8?
f.yaml:16: routes[1].name: is "ACME", and routes[0] is called "acme"; names must differ by more than case
f.yaml:17: routes[1].endpoints[0]: must be host:port with a port of 1..65535, is "localhost"
f.yaml:19: routes[1].password_env: names the environment variable NOT_THERE, which is not set or empty
f.yaml:20: routes[1].window: must be 1..10000, is 0
f.yaml:21: routes[1].enquire_lnk: is not a known key; did you mean enquire_link?
f.yaml:22: routes[1].fallback: names the route "nowhere", which is not configured
f.yaml:23: routes[1].binds: must be a whole number, is "two"
f.yaml:24: routes[1].tls.ca_file: has no effect while tls.enabled is false
f.yaml:25: routes[1].lanes.bulk: must be 1..1000, is 0
`)
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestOneLineOfARouteCanBeWrong(t *testing.T) {
	t.Parallel()
	cases := []struct{ line, want string }{
		{"max_binds: 1\n    binds: 2", "max_binds: must be 2..100000, is 1"},
		{"rate: -1", "rate: must be 0.001..1000000 submit_sm per second, or 0 for unlimited, is -1"},
		{"rate: .nan", "rate: must be a number, is .nan"},
		{"burst: 5", "burst: has no effect without a rate"},
		{"binds: 2.5", "binds: must be a whole number, is 2.5"},
		{"binds: 99999999999999999999", "binds: must be"},
		{"source: {address: ABCDEFGHIJKL}", "source.address: must be digits with an optional leading +, at most 20, or at most 11 letters"},
		{"source: {address: 123456789012345678901}", "source.address: must be digits with an optional leading +, at most 20"},
		{"source: {ton: 5}", "source.address: is required with ton or npi"},
		{"source: {address: A, ton: 256}", "source.ton: must be 0..255, is 256"},
		{"interface_version: 3.5", `interface_version: must be one of 3.3, 3.4, 5.0, is "3.5"`},
		{"bind_type: receiver", `bind_type: must be one of transceiver, transmitter+receiver, is "receiver"`},
		{"addr_ton: 256", "addr_ton: must be 0..255, is 256"},
		{"addr_npi: -1", "addr_npi: must be 0..255, is -1"},
		{"address_range: ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNO", "address_range: must be at most 40 characters, is 41"},
		{"address_range: ü", "address_range: must be printable ASCII"},
		{"failover: random", "failover: must be one of spread, ordered"},
		{"return_after: 10ms", "return_after: must be 1s..24h, is 10ms"},
		{"tcp: {keep_alive: 10ms}", "tcp.keep_alive: must be 1s..1h, is 10ms"},
		{"tcp: {user_timeout: 2h}", "tcp.user_timeout: must be 1s..1h, is 2h"},
		{"backoff: {base: 5m}", "backoff.max: must be 5m..24h, is 2m"},
		{"backoff: {credentials: 1s}", "backoff.credentials: must be 1m..24h, is 1s"},
		{"backoff: {already_bound: 0s}", "backoff.already_bound: must be 1s..1h, is 0s"},
		{`tls: {enabled: true, min_version: "1.4"}`, "tls.min_version: must be one of 1.0, 1.1, 1.2, 1.3"},
		{`tls: {min_version: "1.3"}`, "tls.min_version: has no effect while tls.enabled is false"},
		{"fallback: acme", "fallback: goes round in circles: acme → acme"},
		{"fallback_after: 1m", "fallback_after: has no effect without a fallback"},
		{"fallback: acme\n    fallback_after: 10ms", "fallback_after: must be 1s..24h, is 10ms"},
		{"receipt: always", "receipt: must be one of final, failure, all, none"},
		{"message_id: {submit: hexadecimal}", "message_id.submit: must be one of as-is, hex, decimal, auto"},
		{"message_id: {submit: auto}", "message_id: must be auto for both submit and receipt, or for neither"},
		{"receipts: {stat: {'0': OK}}", "receipts.stat.0: must be one of SCHEDULED, ENROUTE, DELIVERED"},
		{"receipts: {stat: {ok: DELIVERED, OK: EXPIRED}}", "receipts.stat.ok: stands here for the second time; case does not tell them apart"},
		{"receipts: {final: [DELIVERED]}", "receipts.final: must be one of ACCEPTED, UNKNOWN"},
		{"inbound: {join_timeout: 10ms}", "inbound.join_timeout: must be 1s..24h, is 10ms"},
		{"ledger_ttl: 5m", "ledger_ttl: must exceed response_timeout + retry.max (6m), is 5m"},
		{"parking_time: 2h\n    correlation_ttl: 1h", "parking_time: must not exceed correlation_ttl (1h), is 2h"},
		{"retry: {initial: 10s, max: 1s}", "retry.max: must be 10s..24h, is 1s"},
		{"enquire_link: 8d", "enquire_link: must be a duration like 500ms, 30s, 5m or 192h"},
		{"enquire_link: 0", "enquire_link: must be 100ms..1h, is 0s"},
		{"window: 1\n    window: 2", "window: stands here for the second time"},
		{"tls: true", "tls: must have keys of its own, is true"},
		{"tls: {enabled: yes please}", `tls.enabled: must be true or false, is "yes please"`},
		{"tls: {enabled: true, cert_file: c.pem}", "tls: needs cert_file and key_file together"},
		{"tls: {enabled: true, ca_file: none.pem}", "tls.ca_file: names none.pem, which cannot be read: no such file or directory"},
		{"system_type: [a]", "system_type: must be a single value, is a list"},
		{"system_type: true", "system_type: must be text, is true; put it in quotes"},
		{"password_file: p", "password_file: cannot stand beside password_env; choose one"},
		{"lanes: *nowhere", `lanes: refers to the anchor "nowhere", which is not defined`},
		{"lanes: &l {high: 1, <<: *l}", "lanes: is nested too deeply"},
		{"lanes: &l {<<: [*l, *l]}", "lanes: is the 1000th use of an anchor"},
		{"window: !!int 5", "window: has a tag (!!int); tags are not supported"},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f.yaml", []byte(minimal+"    "+c.line+"\n"), env)
			if err == nil || !strings.Contains(err.Error(), "routes[0]."+c.want) {
				t.Errorf("got:\n%v\nwant: %s", err, c.want)
			}
		})
	}
}

func TestAFileThatIsNotAConfigurationIsOneFault(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"":                      "f.yaml: is empty",
		"# nothing\n":           "f.yaml: is empty",
		"- a\n":                 "f.yaml:1: must have keys of its own, is a list",
		"a: [":                  "f.yaml:1: is not YAML: ",
		minimal + "---\nb: 1\n": "has a second YAML document",
		"nats: {}\n":            "f.yaml: routes: must list at least one route",
	}
	for data, want := range cases {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f.yaml", []byte(data), env)
			var faults Faults
			if !errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(faults[0].String(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), env); err == nil || !strings.Contains(err.Error(), "none.yaml: cannot be read: no such file or directory") {
		t.Errorf("missing file: %v", err)
	}
}

func TestARateThatCannotBeReadIsTheOnlyFaultBesideABurst(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml", []byte(minimal+"    rate: many\n    burst: 5\n    rate_without_redis: 2\n"), env)
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Path != "routes[0].rate" {
		t.Errorf("got %v", err)
	}
}

func TestFallbackLoopsOfSeveralRoutesAreFound(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("routes:\n")
	for _, r := range []string{"a b", "b c", "c b", "d a"} {
		name, fallback, _ := strings.Cut(r, " ")
		fmt.Fprintf(&b, "  - {name: %s, endpoints: ['h:1'], system_id: x, password_env: ACME_PASSWORD, fallback: %s}\n", name, fallback)
	}
	_, err := Parse("f.yaml", []byte(b.String()), env)
	want := "f.yaml:3: routes[1].fallback: goes round in circles: b → c → b\n" +
		"f.yaml:4: routes[2].fallback: goes round in circles: c → b → c"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

func TestRoutesMayShareKeysByAnchorAndMerge(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("f.yaml", []byte(`
routes:
  - &first
    name: one
    endpoints: &smsc [127.0.0.1:2775]
    system_id: 0123
    password_env: ACME_PASSWORD
    window: 7
  - {<<: *first, name: two, window: 8, endpoints: *smsc}
`), env)
	if err != nil {
		t.Fatal(err)
	}
	two := cfg.Routes[1]
	if diff := cmp.Diff([]any{"two", 8, "0123", []string{"127.0.0.1:2775"}}, []any{two.Name, two.Window, two.SystemID, two.Endpoints}); diff != "" {
		t.Error(diff)
	}
}

func TestAPasswordFileIsReadNextToTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte("päss word \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse(filepath.Join(dir, "f.yaml"), []byte(strings.Replace(minimal, "password_env: ACME_PASSWORD", "password_file: pw", 1)), env)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(cfg.Routes[0].Password); got != "päss word " {
		t.Errorf("password is %q", got)
	}
	if printed := fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg); strings.Contains(printed, "päss") {
		t.Error("the password stands in the printed configuration")
	}
}

func TestTheSmallExampleOfTheReadmeLoads(t *testing.T) {
	t.Parallel()
	cfg, err := Load(filepath.Join("testdata", "minimal.yaml"), env)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Routes) != 1 || cfg.Routes[0].Window == 0 {
		t.Errorf("routes: %+v", cfg.Routes)
	}
}

func TestTLSFilesMustHoldWhatTheyAreNamedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.pem"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for keys, want := range map[string]string{
		"ca_file: x.pem":                    "routes[0].tls: ca_file: holds no certificate in PEM",
		"cert_file: x.pem, key_file: x.pem": "routes[0].tls: cert_file: ",
	} {
		_, err := Parse(filepath.Join(dir, "f.yaml"), []byte(minimal+"    tls: {enabled: true, "+keys+"}\n"), env)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", keys, err, want)
		}
	}
}

func TestTheExampleLoadsAndHasEveryKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "deploy", "shortwire.example.yaml")
	cfg, err := Load(path, env)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Notices) > 0 {
		t.Errorf("notices: %q", cfg.Notices)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := decoderOf(t, path, data, new(Config))
	for _, key := range keys("", reflect.TypeFor[Config]()) {
		leaf := key[strings.LastIndex(key, ".")+1:]
		if _, ok := d.lines[key]; !ok && !strings.Contains(string(data), "# "+leaf+": ") {
			t.Errorf("%s does not stand in the example", key)
		}
	}
}

func FuzzParseNeverPanics(f *testing.F) {
	f.Add(minimal)
	f.Add("routes: &a [*a]\n")
	f.Add("routes: [{<<: [*x, {}], ? a : b}]\n")
	f.Fuzz(func(t *testing.T, data string) {
		if cfg, err := Parse("f.yaml", []byte(data), env); (cfg == nil) == (err == nil) {
			t.Errorf("cfg %v, err %v", cfg, err)
		}
	})
}
