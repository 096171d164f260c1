package crash_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// carried is points at which something of the job is at the fallback's SMSC, or
// may be. The job's own route can send again when the successor starts.
var carried = []row{
	{point: "after-claim", after: "claimed, nothing written", then: doubt(none, none)},
	{point: "after-write", after: "written", smsc: slow, then: doubt(all, none)},
	{point: "after-record", after: "one part recorded", then: doubt(all, first)},
	{point: "after-record:3", after: "all parts recorded, the result not published", then: once},
	{point: "after-publish", after: "result published, not acked", then: once},
	{point: "receipt-received", after: "receipt received", smsc: late, then: once},
	{point: "receipt-parked", after: "early receipt parked, not indexed", smsc: early, then: doubt(all, none)},
	{point: "after-release", after: "one part refused for now, claim given back", smsc: busyForTwo, then: once},
	{point: "after-schedule", after: "retry of one part scheduled, not acked", smsc: busyForTwo, then: once},
}

func TestWorkerKilledWhileAnotherRouteCarriesTheJobKeepsThePromises(t *testing.T) {
	t.Parallel()
	for _, r := range carried {
		for _, amo := range []bool{false, true} {
			for _, successor := range []string{"w1", "w2"} {
				if !whole && (amo || successor != "w1" || r.smsc == slow || r.smsc == early) {
					continue
				}
				j := job{parts: 3, atMostOnce: amo}
				t.Run(name(r, j, successor), func(t *testing.T) {
					t.Parallel()
					s, own := newViaStage(t, r.smsc)
					s.play(r, j, successor)
					if n := len(own.Submits()); n > 0 {
						t.Errorf("%d messages by the job's own route", n)
					}
				})
			}
		}
	}
}

// newViaStage is a stage whose SMSC is that of acme's fallback. acme's own takes
// binds only when the worker is dead.
func newViaStage(t *testing.T, m manner) (s *stage, own *smsctest.SMSC) {
	s = newStage(t, m)
	var alive atomic.Bool
	own = smsctest.New(smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 {
		if alive.Load() {
			return smsctest.ROK
		}
		return smsctest.RSYSERR
	}})
	t.Cleanup(func() { _ = own.Close() })
	addr, err := own.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	backup := s.addr
	s.addr = addr.String()
	s.keys = fmt.Sprintf(`    fallback: backup
    fallback_after: 1s
    backoff: {base: 20ms, max: 50ms}
%s  - name: backup
    endpoints: [%q]
    system_id: acme2
    password_env: ACME_PASSWORD
    window: 50
%s`, s.keys, backup, s.keys)
	s.between = func() { alive.Store(true) }
	path := filepath.Join(t.TempDir(), "setup.yaml")
	if err := os.WriteFile(path, []byte(s.config("setup")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := app.Load(path, func(string) string { return "secret" })
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Setup(t.Context(), cfg, io.Discard); err != nil {
		t.Fatal(err)
	}
	s.hurry()
	return s, own
}
