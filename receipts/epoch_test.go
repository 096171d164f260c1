package receipts

import (
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// beat looks at the ledger's epoch until its beat has moved on.
func beat(t *testing.T, d *Desk) (began time.Time) {
	t.Helper()
	before := d.epoch.beat
	until(t, "the next beat", func() bool {
		began = must(d.epoch.look(t.Context()))(t)
		return d.epoch.beat > before
	})
	return began
}

func TestALedgerThatLostDataBeginsAnewAndPutsOlderJobsInDoubt(t *testing.T) {
	t.Parallel()
	type redisData = map[string]string
	for name, tc := range map[string]struct {
		damage func(t *testing.T, addr string, worker *Desk, earlier redisData)
		lost   bool
	}{
		"Redis kept everything": {func(*testing.T, string, *Desk, redisData) {}, false},
		"Redis came back empty": {func(t *testing.T, _ string, worker *Desk, _ redisData) {
			must(worker.store.client.FlushAll(t.Context()).Result())(t)
		}, true},
		"Redis came back with an earlier copy": {func(t *testing.T, _ string, worker *Desk, earlier redisData) {
			must(worker.store.client.FlushAll(t.Context()).Result())(t)
			must(worker.store.client.HSet(t.Context(), worker.keys.epoch, earlier).Result())(t)
		}, true},
		"another worker saw the loss before": {func(t *testing.T, addr string, worker *Desk, _ redisData) {
			must(worker.store.client.FlushAll(t.Context()).Result())(t)
			other, _ := newDesk(t, addr, nil)
			beat(t, other)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			d, _ := newDesk(t, srv.Addr, nil)
			if err := Begin(t.Context(), d.store.client, ""); err != nil {
				t.Fatal(err)
			}
			whole := beat(t, d)
			earlier := must(d.store.client.HGetAll(t.Context(), d.keys.epoch).Result())(t)
			beat(t, d)
			tc.damage(t, srv.Addr, d, earlier)

			redelivered := jobRef("j1")
			redelivered.Stored = whole.UnixMilli() + 1
			want := sms.ClaimFresh
			if tc.lost {
				want = sms.ClaimInDoubt
			}
			c := claim(t, d, redelivered, want)
			began := beat(t, d)
			if tc.lost != began.After(whole) || tc.lost != !d.LedgerLost().IsZero() || tc.lost != !c.Lost.IsZero() || tc.lost != c.Doubt {
				t.Errorf("the ledger began at %v, before at %v; noted as lost at %v; claim %+v", began, whole, d.LedgerLost(), c)
			}
			claim(t, d, jobRef("never-delivered"), sms.ClaimFresh)
			young := jobRef("younger-than-the-ledger")
			young.Stored = began.UnixMilli() + 1
			claim(t, d, young, sms.ClaimFresh)
			if err := Begin(t.Context(), d.store.client, ""); err != nil { // setup runs again at every upgrade
				t.Fatal(err)
			}
			if again := beat(t, d); !again.Equal(began) {
				t.Errorf("the ledger began at %v, after another setup at %v", began, again)
			}
		})
	}
}
