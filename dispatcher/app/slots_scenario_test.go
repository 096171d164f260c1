package app_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/ratelimit"
)

// bindsNow counts the binds that the SMSC has.
func (r *rig) bindsNow() (n int) {
	for _, b := range r.smsc.Binds() {
		if b.Until.IsZero() {
			n++
		}
	}
	return n
}

// mostBinds is how many binds the SMSC had at once.
func (r *rig) mostBinds() (most int) {
	all := r.smsc.Binds()
	for _, at := range all {
		n := 0
		for _, b := range all {
			if !b.Since.After(at.Since) && (b.Until.IsZero() || b.Until.After(at.Since)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// awaitBinds waits until the SMSC has n binds.
func (r *rig) awaitBinds(n int) {
	r.t.Helper()
	apptest.Until(r.t, fmt.Sprintf("the SMSC has %d binds", n), func() bool { return r.bindsNow() == n })
}

// quotaHeld checks that the SMSC never had more binds, and refused none.
func (r *rig) quotaHeld(quota int) {
	r.t.Helper()
	if most := r.mostBinds(); most > quota {
		r.t.Errorf("the SMSC had %d binds at once, want at most %d", most, quota)
	}
	if n := r.smsc.Stats().BindsNo[smsctest.StatusName(smsctest.RALYNBD)]; n != 0 {
		r.t.Errorf("the SMSC refused %d binds", n)
	}
}

func TestMaxBindsHoldsOverTheFleetAndSlotsSpreadEvenly(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret", MaxBinds: 3, Latency: 5 * time.Millisecond}, "    max_binds: 3\n")
	w1 := r.Worker("w1")
	r.awaitBinds(2)
	r.Worker("w2")
	r.awaitBinds(3)
	r.Worker("w3")
	apptest.Until(t, "the third worker has a bind", func() bool {
		s := r.Route().Slots
		return s != nil && s.Held == 1 && s.Granted == 3 && s.Workers == 3 && r.bindsNow() == 3
	})
	if n := len(r.smsc.Binds()); n != 4 {
		t.Errorf("%d binds were made, want 4: one moved", n)
	}
	if s := r.Route(); s.BindsWanted != 1 || s.Slots.Limit != 3 || s.Slots.Wanted != 2 {
		t.Errorf("status of the third: wanted %d, slots %+v", s.BindsWanted, s.Slots)
	}
	const jobs = 200
	r.Publish(apptest.Jobs(jobs, `{"id":"j%d","to":"+447700900123","text":"x"}`)...)
	if err := w1(); err != nil {
		t.Error(err)
	}
	r.awaitBinds(3)
	apptest.Until(t, "each job has its outcome", func() bool { return len(r.Outcomes()) == jobs })
	r.quotaHeld(3)
}

func TestAWorkerWithoutASlotIsAReadyStandbyThatTakesNoJobs(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret", MaxBinds: 2, Latency: 5 * time.Millisecond}, "    max_binds: 2\n")
	w1 := r.Worker("w1")
	r.Worker("w2")
	r.awaitBinds(2)
	r.Worker("w3")
	apptest.Until(t, "the third stands by", func() bool {
		s := r.Route()
		return s.Limit == dispatcher.LimitStandby && len(s.Binds) == 2 && s.Binds[0].State == "standby" && s.Slots.Granted == 2 && s.Slots.Workers == 3
	})
	apptest.Until(t, "the third is ready", func() bool {
		resp, err := http.Get(r.AdminURL() + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	const jobs = 200
	r.Publish(apptest.Jobs(jobs, `{"id":"first-%d","to":"+447700900123","text":"x"}`)...)
	apptest.Until(t, "the others send", func() bool { return len(r.Outcomes()) == jobs })
	if n := r.Route().Received; n != 0 {
		t.Errorf("the standby took %d jobs", n)
	}
	r.Publish(apptest.Jobs(jobs, `{"id":"second-%d","to":"+447700900123","text":"x"}`)...)
	if err := w1(); err != nil {
		t.Error(err)
	}
	apptest.Until(t, "the third takes over", func() bool { return r.Route().Slots.Held == 1 && r.bindsNow() == 2 })
	third := 0
	apptest.Until(t, "the third takes jobs", func() bool {
		r.Publish(fmt.Sprintf(`{"id":"third-%d","to":"+447700900123","text":"x"}`, third))
		third++
		return r.Route().Received > 0
	})
	apptest.Until(t, "each job has its outcome", func() bool { return len(r.Outcomes()) == 2*jobs+third })
	for id, outcomes := range r.Outcomes() {
		if outcomes != 1 {
			t.Errorf("%s has %d outcomes", id, outcomes)
		}
	}
	r.quotaHeld(2)
}

func TestTheSlotsOfADeadWorkerAreTakenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "    max_binds: 2\n")
	// It says that it has both, renews once more when others may ask, and dies.
	ghost := ratelimit.NewSlots(ratelimit.SlotsConfig{Route: "acme", Worker: "ghost", Quota: 2}, r.redis())
	both := ratelimit.SlotUse{Held: 2, Bound: 2, Firm: 2, Wanted: 2}
	renew := func() ratelimit.SlotGrant {
		grant, err := ghost.Renew(t.Context(), both)
		if err != nil {
			t.Fatal(err)
		}
		return grant
	}
	renew()
	r.Worker("w1")
	var died time.Time
	apptest.Until(t, "the first is to give one back", func() bool {
		died = time.Now()
		return renew().Slots == 1
	})
	if n := len(r.smsc.Binds()); n != 0 {
		t.Errorf("%d binds while another worker had both", n)
	}
	r.awaitBinds(2)
	for _, b := range r.smsc.Binds() {
		if b.Since.Before(died.Add(5 * time.Second)) {
			t.Errorf("a bind %v after the last renewal, want 6s or more", b.Since.Sub(died))
		}
	}
}

func TestBindsOutliveARedisThatIsEmptied(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret", MaxBinds: 3}, "    max_binds: 3\n")
	r.Worker("w1")
	r.awaitBinds(2)
	r.Worker("w2")
	r.awaitBinds(3)
	r.forgetAll()
	r.Worker("w3")
	apptest.Until(t, "the third has a bind", func() bool {
		s := r.Route()
		return s.Slots != nil && s.Slots.Held == 1 && r.bindsNow() == 3
	})
	if n := len(r.smsc.Binds()); n != 4 {
		t.Errorf("%d binds were made, want 4: only what moved was dropped", n)
	}
	r.quotaHeld(3)
}

func TestBindsAreGoneBeforeTheirLeasesWhenRedisIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "    max_binds: 2\n")
	r.Worker("w1")
	r.awaitBinds(2)
	resume := r.Redis.Stall()
	r.awaitBinds(0)
	resume()
	for _, b := range r.smsc.Binds() {
		if !b.Unbound {
			t.Error("a bind ended without unbind")
		}
	}
	r.awaitBinds(2)
}

func TestTheFleetLearnsThatTheSMSCAllowsFewerBinds(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret", MaxBinds: 2}, "    max_binds: 4\n    backoff: {already_bound: 4s}\n")
	refused := func() uint64 { return uint64(r.smsc.Stats().BindsNo[smsctest.StatusName(smsctest.RALYNBD)]) }
	r.Worker("w1")
	r.awaitBinds(2)
	r.Worker("w2")
	apptest.Until(t, "the fleet tries two", func() bool {
		s := r.Route().Slots
		return s != nil && s.Limit == 2 && s.Granted == 2
	})
	if n := refused(); n != 2 {
		t.Errorf("refused %d times, want once for each bind too many", n)
	}
	apptest.Until(t, "it is tried again", func() bool { return refused() > 2 })
	for _, b := range r.smsc.Binds() {
		if !b.Until.IsZero() {
			t.Error("a bind that the SMSC had taken was given up")
		}
	}
}
