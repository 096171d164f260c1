package receipts

import (
	"strconv"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

func TestAJobInHandWhileAnotherRedisBecameMasterIsInDoubt(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--enable-debug-command", "yes")
	if !srv.Real() {
		t.Skip("needs redis-server: miniredis has no replicas")
	}
	d, _ := newDesk(t, srv.Addr, nil)
	if err := Begin(t.Context(), d.store.client, ""); err != nil {
		t.Fatal(err)
	}
	whole := beat(t, d)
	redelivered := func(id string) sms.JobRef {
		ref := jobRef(id)
		ref.Stored = whole.UnixMilli() + 1
		return ref
	}
	// What a replica does that takes over; so does a server that starts.
	takeOver := func() { must(d.store.client.Do(t.Context(), "debug", "change-repl-id").Result())(t) }

	claim(t, d, redelivered("while-it-was-whole"), sms.ClaimFresh)
	takeOver()
	if c := claim(t, d, redelivered("in-hand"), sms.ClaimInDoubt); !c.Doubt || c.Lost.IsZero() {
		t.Errorf("claim %+v, want it in doubt and since when", c)
	}
	claim(t, d, jobRef("never-delivered"), sms.ClaimFresh)
	young := jobRef("younger-than-the-master")
	young.Stored = time.Now().Add(time.Second).UnixMilli()
	claim(t, d, young, sms.ClaimFresh)

	other, _ := newDesk(t, srv.Addr, nil) // knows from Redis what the first one met
	claim(t, other, redelivered("in-hand-of-another"), sms.ClaimInDoubt)
	if !d.LedgerLost().IsZero() {
		t.Error("the whole ledger counts as lost")
	}
}

func TestDoubtAboutAnotherMasterEnds(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	if !srv.Real() {
		t.Skip("needs redis-server: miniredis has no replicas")
	}
	d, _ := newDesk(t, srv.Addr, nil)
	ctx := t.Context()
	long := time.Now().Add(-doubtAfterTakeover - time.Minute)
	must(d.store.client.HSet(ctx, d.keys.epoch, "began", long.Add(-time.Hour).UnixMilli(), "beat", long.UnixMilli()).Result())(t)
	replid := must(replicationScript.Run(ctx, d.store.client, []string{"any"}).Text())(t)
	must(d.store.client.HSet(ctx, d.keys.epoch, "m:"+replid, strconv.FormatInt(long.UnixMilli(), 10)).Result())(t)

	old := jobRef("old")
	old.Stored = long.Add(-time.Minute).UnixMilli()
	claim(t, d, old, sms.ClaimFresh)
}
