package peers

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestKannelConfigurationIsFilledIn(t *testing.T) {
	t.Parallel()
	k := kannel{
		Where: Where{SMSC: "127.0.0.1:2775", Redis: "127.0.0.1:6379", SystemID: "acme", Password: "secret", Binds: 3, Window: 77},
		dir:   t.TempDir(), admin: 15001, boxPort: 15002, sendsmsPort: 15003,
	}
	path, err := k.write()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	conf := string(b)
	for _, line := range []string{
		"admin-port = 15001", "smsbox-port = 15002", "sendsms-port = 15003", "port = 2775", "port = 6379",
		"smsc-username = acme", "smsc-password = secret", "instances = 3", "max-pending-submits = 77", "dlr-storage = redis",
	} {
		if !strings.Contains(conf, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if left := regexp.MustCompile(`(?m)= .*[A-Z]{2}.*$`).FindAllString(conf, -1); len(left) > 0 {
		t.Errorf("not filled in: %q", left)
	}
	k.SMSC = "nowhere"
	if _, err := k.write(); err == nil {
		t.Error("an address without a port was accepted")
	}
}
