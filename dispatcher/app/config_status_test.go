package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds"
)

func TestARouteHasClassesOfItsOwn(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("f.yaml", []byte(minimal+`
    status:
      0x0000040A: throttle
      "1025": account
      ESME_RSUBMITFAIL: permanent
`), env)
	if err != nil {
		t.Fatal(err)
	}
	want := binds.Overrides{0x40A: binds.ClassThrottle, 0x401: binds.ClassAccount, 0x45: binds.ClassMessage}
	if diff := cmp.Diff(want, cfg.Routes[0].pool(nil, 0).Status); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFaultOfARoutesClassesHasItsLine(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml", []byte(`routes:
  - name: acme
    endpoints: [127.0.0.1:2775]
    system_id: acme
    password_env: ACME_PASSWORD
    account_probe: {initial: 10s, max: 5s}
    status:
      0x40A: throtle
      1034: account
      0x0000040a: retry
      RSYSERR: retry
      0x58: [retry]
      0: permanent
      0x14: {class: retry}
`), env)
	want := strings.TrimSpace(`
f.yaml:6: routes[0].account_probe.max: must be 10s..24h, is 5s
f.yaml:8: routes[0].status.0x40A: must be one of throttle, retry, retry_once, permanent, account, session, is "throtle"
f.yaml:9: routes[0].status.1034: is the same status (0x0000040A) as 0x0000040a
f.yaml:11: routes[0].status.RSYSERR: is no command_status: write its number (0x00000058) or its name (ESME_RTHROTTLED); did you mean ESME_RSYSERR?
f.yaml:12: routes[0].status.0x58: must be a single value, is a list
f.yaml:13: routes[0].status.0: is ESME_ROK, which is success and nothing else
f.yaml:14: routes[0].status.0x14: must be a single value, is a mapping
`)
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestClassesMustBeAMapping(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml", []byte(minimal+"    status: [throttle]\n"), env)
	if err == nil || !strings.Contains(err.Error(), "routes[0].status: must have keys of its own, is a list") {
		t.Errorf("got %v", err)
	}
}
