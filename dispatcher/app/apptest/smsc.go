package apptest

import (
	"testing"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// SMSC starts a simulator, until the end of the test, and returns its address too.
func SMSC(t *testing.T, cfg smsctest.Config) (smsc *smsctest.SMSC, addr string) {
	t.Helper()
	smsc = smsctest.New(cfg)
	t.Cleanup(func() { _ = smsc.Close() })
	at, err := smsc.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return smsc, at.String()
}
