package receipts

import (
	"strings"
	"testing"
	"time"
)

func TestEverythingWrongInAConfigIsReported(t *testing.T) {
	t.Parallel()
	_, err := New(Config{
		WorkerID: "pod 1", LeaseTTL: time.Second, RenewEvery: time.Second, DeliverTimeout: -1,
		Routes: map[string]Route{"acme": {IDs: IDRules{Submit: "octal"}, LedgerTTL: -time.Hour}},
	}, Deps{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"worker id", "renew every", "deliver timeout", "route acme", `"octal"`, "ledger ttl", "redis client"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

func TestRoutesCanBeReplaced(t *testing.T) {
	t.Parallel()
	d, _ := newDesk(t, "127.0.0.1:0", nil)
	if err := d.SetRoutes(map[string]Route{"acme": {IDs: IDRules{Submit: IDHex}}}); err != nil {
		t.Fatal(err)
	}
	if got := d.route("acme"); got.IDs != (IDRules{IDHex, IDAsIs}) || got.LedgerTTL != 24*time.Hour {
		t.Errorf("route acme is %+v", got)
	}
	if err := d.SetRoutes(map[string]Route{"acme": {ParkingTTL: -1}}); err == nil {
		t.Error("a negative parking time is taken")
	}
	if got := d.route("elsewhere"); got.IDs != (IDRules{IDAsIs, IDAsIs}) {
		t.Errorf("an unknown route is %+v", got)
	}
}

func TestRedisURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://127.0.0.1:6379/0":                                             "",
		"rediss://:secret@127.0.0.1:6379/1":                                    "",
		"redis+cluster://127.0.0.1:7000?addr=127.0.0.1:7001":                   "",
		"redis+sentinel://127.0.0.1:26379?master_name=main&addr=127.0.0.1:263": "",
		"127.0.0.1:6379":         "must begin with",
		"http://127.0.0.1":       "redis url",
		"redis+ring://127.0.0.1": "unknown scheme",
	} {
		c, err := Connect(url)
		switch {
		case err == nil && want == "":
			_ = c.Close()
		case err == nil || want == "" || !strings.Contains(err.Error(), want):
			t.Errorf("Connect(%q): %v, want %q", url, err, want)
		}
	}
}
