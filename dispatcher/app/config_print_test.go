package app

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThePrintedConfigurationIsTheSameWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	const all = `
nats: {user: worker, password_env: A, url: "nats://a:4222,nats://b:4222", results_for: [shop, "7"]}
redis: {url: "redis+sentinel://s:26379/0?master_name=m", user: worker, password_env: A, sentinel_password_file: pw}
admin: {token_env: B, read_token_env: A, open_metrics: true}
privacy: {hash_key_env: A}
worker: {id: "on", drain_timeout: 90s}
routes:
  - {name: a, endpoints: ["h:1", "[::1]:2"], system_id: "0123", password_file: pw, fallback: b, rate: 0.5, tls: {enabled: true},
     source: {address: "+15550100", ton: 0}, receipts: {stat: {"on hold: #1": ENROUTE}, final: [UNKNOWN]}, status: {"0x450": retry, ESME_RSYSERR: account},
     number_format: {country_code: "44", trunk_prefix: "0", source: {form: national}, destination: {form: national, abroad: "00"}},
     message: {tlvs: [{tag: 5120, text: "a: 'b' # c"}, {tag: 5121}]}}
  - {name: b, endpoints: ["h:1"], system_id: b, password_env: B, inbound: {join_timeout: 0}}
`
	dir := t.TempDir()
	path := filepath.Join(dir, "f.yaml")
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte("secret-of-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return "secret-" + name + strings.Repeat("x", 40) }
	cfg, err := Parse(path, []byte(all), getenv)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := cfg.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "secret-") {
		t.Errorf("a secret is printed:\n%s", &out)
	}
	masks := regexp.MustCompile(`(?m)^ *(- )?(\w+): "?\[secret\]"?\n`)
	var masked []string
	for _, m := range masks.FindAllStringSubmatch(out.String(), -1) {
		masked = append(masked, m[2])
	}
	want := []string{"password", "password", "sentinel_password", "token", "read_token", "hash_key", "password", "password"}
	if diff := cmp.Diff(want, masked); diff != "" {
		t.Errorf("secrets shown as found (-want +got):\n%s", diff)
	}
	again := new(Config)
	decoderOf(t, path, []byte(masks.ReplaceAllString(out.String(), "")), again)
	elsewhere := cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().Type() == reflect.TypeFor[Secret]() || p.Last().String() == ".Held" || p.Last().String() == ".Notices"
	}, cmp.Ignore())
	if diff := cmp.Diff(cfg, again, elsewhere); diff != "" {
		t.Errorf("read again (-held +printed):\n%s\n%s", diff, &out)
	}
}
