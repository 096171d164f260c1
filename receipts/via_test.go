package receipts

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// viaRef is a job of acme's that backup carries.
func viaRef(id string) sms.JobRef {
	ref := jobRef(id)
	ref.Via = "backup"
	return ref
}

// hexBackup has backup write ids in another notation than acme.
func hexBackup(c *Config) {
	c.Routes = map[string]Route{"acme": {}, "backup": {IDs: IDRules{Submit: IDHex, Receipt: IDDecimal}, ParkingTTL: time.Second}}
	c.SweepEvery = 20 * time.Millisecond
}

func TestAReceiptOnTheBindThatCarriedTheJobIsPublishedUnderTheJobsRoute(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"after the response", "before the response", "for a late response"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			sender, parkedPub := newDesk(t, srv.Addr, hexBackup)
			taker, pub := newDesk(t, srv.Addr, hexBackup)
			receipt := func(d *Desk) {
				t.Helper()
				if got := d.Deliver(t.Context(), "backup", "backup/1", deliverReceipt("255", "DELIVRD")); got != statusOK {
					t.Fatalf("deliver_sm_resp with status %#x", got)
				}
			}
			switch order {
			case "after the response":
				submit(t, sender, viaRef("j1"), "ff")
				receipt(taker)
			case "before the response":
				receipt(taker)
				submit(t, sender, viaRef("j1"), "ff")
				pub = parkedPub
			default:
				claim(t, sender, viaRef("j1"), sms.ClaimFresh)
				if err := sender.Ledger().Late(t.Context(), viaRef("j1"), accepted(1, 1, "ff")); err != nil {
					t.Fatal(err)
				}
				receipt(taker)
			}
			all := pub.list()
			if len(all) != 1 {
				t.Fatalf("%d results", len(all))
			}
			got := all[0]
			if got.Route != "acme" || got.Via != "backup" || got.JobID != "j1" || got.Producer != "shop" || got.MessageID != "255" {
				t.Errorf("route %s, via %s, job %s of %s, id %s", got.Route, got.Via, got.JobID, got.Producer, got.MessageID)
			}
			if sent, other := taker.RouteStats("backup").Matched+sender.RouteStats("backup").Matched, taker.RouteStats("acme").Matched; sent != 1 || other != 0 {
				t.Errorf("matched: backup %d, acme %d", sent, other)
			}
			if n := must(sender.store.client.Exists(t.Context(), sender.keys.parking("backup", "ff"), sender.keys.parking("backup", "255")).Result())(t); n != 0 {
				t.Error("the receipt is parked still")
			}
		})
	}
}

func TestAParkedReceiptIsSweptUnderTheRouteThatBroughtItOrTheJobs(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, hexBackup)
	for _, id := range []string{"255", "256"} {
		d.Deliver(t.Context(), "backup", "backup/1", deliverReceipt(id, "DELIVRD"))
	}
	// The job of one turns up, and its worker dies before it looks for receipts.
	ref := viaRef("j1")
	id := d.newMessageID(&ref, accepted(1, 1, "ff"), sms.Part{Number: 1, MessageID: "ff"})
	if err := d.store.client.Set(t.Context(), string(id.write.key), string(id.write.value), time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "both are published", func() bool { _ = d.sweep(t.Context()); return len(pub.list()) == 2 })
	got := map[string][3]string{}
	for _, r := range pub.list() {
		got[r.Producer] = [3]string{r.Route, r.Via, r.JobID}
	}
	want := map[string][3]string{"shop": {"acme", "backup", "j1"}, sms.UnmatchedProducer: {"backup", "", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("route, via and job by producer (-want +got):\n%s", diff)
	}
}

func TestAJobStaysWithTheRouteThatHasSomethingOfIt(t *testing.T) {
	t.Parallel()
	part := []sms.Part{{Number: 1, MessageID: "A1", RawMessageID: "A1"}}
	own, via, onBackup := jobRef("j1"), viaRef("j1"), jobRef("j1")
	onBackup.Route = "backup"
	doubtful := via
	doubtful.Doubt = true
	release := func(ref sms.JobRef, parts []sms.Part) func(*testing.T, *Desk, string) {
		return func(t *testing.T, d *Desk, token string) {
			if err := d.Ledger().Release(t.Context(), ref, token, parts); err != nil {
				t.Fatal(err)
			}
		}
	}
	failed := func(ref sms.JobRef, parts []sms.Part) func(*testing.T, *Desk, string) {
		return func(t *testing.T, d *Desk, token string) {
			o := outcomeOf(ref)
			o.Kind, o.Code, o.Reason, o.Parts, o.Via = sms.KindFailed, sms.CodeTemporary, "x", parts, ref.Via
			if err := d.Ledger().Settle(t.Context(), ref, token, o); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		first  sms.JobRef
		ends   func(*testing.T, *Desk, string)
		second sms.JobRef
		state  sms.ClaimState
		want   string
	}{
		"nothing of it, begun elsewhere":                 {via, release(via, nil), own, sms.ClaimResumed, ""},
		"nothing of it, begun here":                      {own, release(own, nil), via, sms.ClaimResumed, "backup"},
		"a part elsewhere":                               {via, release(via, part), own, sms.ClaimResumed, "backup"},
		"a part here":                                    {own, release(own, part), via, sms.ClaimResumed, ""},
		"in doubt elsewhere":                             {via, release(doubtful, nil), own, sms.ClaimResumed, "backup"},
		"the worker died with it elsewhere":              {via, func(*testing.T, *Desk, string) {}, own, sms.ClaimInDoubt, "backup"},
		"the worker died with it here":                   {own, func(*testing.T, *Desk, string) {}, via, sms.ClaimInDoubt, ""},
		"failed elsewhere, replayed":                     {via, failed(via, nil), own, sms.ClaimResumed, ""},
		"failed elsewhere but for a part":                {via, failed(via, part), own, sms.ClaimResumed, "backup"},
		"a late part of a dead worker's job":             {via, func(t *testing.T, d *Desk, _ string) { _ = d.Ledger().Late(t.Context(), via, accepted(2, 3, "A2")) }, own, sms.ClaimInDoubt, "backup"},
		"a part by another route's job of the same id":   {own, release(own, part), onBackup, sms.ClaimResumed, "acme"},
		"in doubt by another route's job of the same id": {own, func(*testing.T, *Desk, string) {}, onBackup, sms.ClaimInDoubt, "acme"},
		"a part here, by a worker of old": {own, func(t *testing.T, d *Desk, token string) {
			release(own, part)(t, d, token)
			key := d.keys.job("shop", "j1")
			raw := must(d.store.client.Get(t.Context(), key).Result())(t)
			if err := d.store.client.Set(t.Context(), key, strings.Replace(raw, "@acme", "", 1), time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
		}, via, sms.ClaimResumed, ""},
		"nothing of another route's job of the same id":          {own, release(own, nil), onBackup, sms.ClaimResumed, ""},
		"failed but for a part on another route, published anew": {own, failed(own, part), onBackup, sms.ClaimResumed, "acme"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			one, _ := newDesk(t, srv.Addr, shortLease)
			two, _ := newDesk(t, srv.Addr, nil)
			c := claim(t, one, tc.first, sms.ClaimFresh)
			if c.Via != tc.first.Via {
				t.Errorf("the fresh claim is via %q, want %q", c.Via, tc.first.Via)
			}
			tc.ends(t, one, c.Token)
			die(t, one)
			tc.second.Replay = 1
			again := claim(t, two, tc.second, tc.state)
			if again.Via != tc.want {
				t.Errorf("via %q, want %q", again.Via, tc.want)
			}
			// And what the new claim wrote says so to the next.
			carrier := sms.JobRef{Route: tc.second.Route, Via: tc.want}
			raw := must(two.store.client.Get(t.Context(), two.keys.job("shop", "j1")).Result())(t)
			if r, err := decodeRecord(raw); err != nil || r.carrier != carrier.Carrier() {
				t.Errorf("record %q: carried by %q, %v", raw, r.carrier, err)
			}
		})
	}
}

func TestFinalStatesAreKeptAsLongAsTheCarriersReceiptsMayTake(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, func(c *Config) {
		c.Routes = map[string]Route{"acme": {CorrelationTTL: time.Minute}, "backup": {}}
	})
	submit(t, d, viaRef("j1"), "A1", "A2")
	d.Deliver(t.Context(), "backup", "backup/1", deliverReceipt("A1", "DELIVRD"))
	if ttl := must(d.store.client.PTTL(t.Context(), d.keys.jobFinals("shop", "j1")).Result())(t); ttl < time.Hour {
		t.Errorf("the state of the first part is kept for %v", ttl)
	}
}
