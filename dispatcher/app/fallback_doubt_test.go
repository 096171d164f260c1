package app_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestWhatIsInDoubtOrBegunStaysWithItsRoute(t *testing.T) {
	t.Parallel()
	var quiet atomic.Bool
	quiet.Store(true)
	p := newPair(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		udh, _ := m.UserData()
		switch {
		case len(udh) > 0 && udh[5] == 2 && quiet.Load():
			return smsctest.Action{Status: smsctest.RSYSERR}
		case len(udh) > 0:
			return smsctest.Action{}
		}
		return smsctest.Action{Drop: quiet.Load()}
	}}, smsctest.Config{}, "", "")
	p.Worker("w1")
	p.Publish(
		`{"id":"most","to":"447700900123","text":"most","delivery":"at_most_once"}`,
		`{"id":"least","to":"447700900123","text":"least"}`,
		threeParts("long"),
	)
	apptest.Until(t, "all are at the SMSC", func() bool { return len(p.smsc.Submits()) >= 5 })
	// What the SMSC has accepted, and nobody has read, would be in doubt too.
	p.Await("receipts of the two parts", func(all []*sms.Result) bool {
		receipts := 0
		for _, r := range all {
			if r.Kind == sms.KindReceipt && r.JobID == "long" {
				receipts++
			}
		}
		return receipts == 2
	})
	p.kill()
	if res := p.AwaitKinds("most", sms.KindUncertain)[0]; res.Via != "" {
		t.Errorf("via %q", res.Via)
	}
	p.diverted(true)
	retries := p.Route().Retries
	p.Publish(`{"id":"fresh","to":"447700900123","text":"fresh"}`)
	p.AwaitKinds("fresh", sms.KindSubmitted)
	apptest.Until(t, "both were looked at again", func() bool { return p.Pending() == 2 && p.Route().Retries >= retries })
	quiet.Store(false)
	p.dead.Store(false)
	least, long := p.AwaitKinds("least", sms.KindSubmitted)[0], p.AwaitKinds("long", sms.KindSubmitted)[0]
	if !least.PossibleDuplicate || least.Via != "" || long.PossibleDuplicate || long.Via != "" {
		t.Errorf("least: possible_duplicate %t, via %q; long: %t, %q", least.PossibleDuplicate, least.Via, long.PossibleDuplicate, long.Via)
	}
	if diff := cmp.Diff(map[string]int{"fresh": 1}, submitsOf(p.backup)); diff != "" {
		t.Errorf("submits at the fallback (-want +got):\n%s", diff)
	}
	own := map[int]int{}
	for _, m := range p.smsc.Submits() {
		if udh, _ := m.UserData(); len(udh) > 0 {
			own[int(udh[5])]++
		}
	}
	if own[1] != 1 || own[3] != 1 || own[2] < 2 {
		t.Errorf("submits by part: %v", own)
	}
}

func TestWhatTheFallbackHasBegunStaysWithIt(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[int]int{} // guarded by mu
	p := newPair(t, smsctest.Config{}, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		mu.Lock()
		defer mu.Unlock()
		udh, _ := m.UserData()
		if len(udh) == 0 {
			return smsctest.Action{}
		}
		part := int(udh[6])
		if seen[part]++; part == 2 && seen[part] < 3 {
			return smsctest.Action{Status: smsctest.RSYSERR}
		}
		return smsctest.Action{}
	}}, "", "")
	p.dead.Store(true)
	stop := p.Worker("w1")
	p.diverted(true)
	p.Publish(threeParts("long"))
	apptest.Until(t, "two parts are out and the third is tried again", func() bool { return len(p.backup.Submits()) >= 3 && p.Route().Retries > 0 })
	p.dead.Store(false)
	if err := stop(); err != nil { // another worker goes on, to which the route is not dead
		t.Fatal(err)
	}
	p.Worker("w2")
	res := p.AwaitKinds("long", sms.KindSubmitted)[0]
	if diff := cmp.Diff([]int{1, 2, 3}, numbers(res.Parts)); diff != "" || res.Via != "backup" || res.PossibleDuplicate {
		t.Errorf("via %q, possible_duplicate %t, parts (-want +got):\n%s", res.Via, res.PossibleDuplicate, diff)
	}
	if n := len(p.smsc.Submits()); n != 0 {
		t.Errorf("%d parts went by the job's own route", n)
	}
	p.Await("three receipts, one with the state of the job", func(all []*sms.Result) bool {
		states := 0
		receipts := 0
		for _, r := range all {
			if r.Kind == sms.KindReceipt && r.Via == "backup" && r.Route == "acme" {
				receipts++
				if r.JobState == sms.StateDelivered {
					states++
				}
			}
		}
		return receipts == 3 && states == 1
	})
}

func TestAFallbackInDoubtKeepsItsJob(t *testing.T) {
	t.Parallel()
	var quiet atomic.Bool
	quiet.Store(true)
	p := newPair(t, smsctest.Config{}, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{Drop: quiet.Load()}
	}}, "", "")
	p.dead.Store(true)
	stop := p.Worker("w1")
	p.Publish(
		`{"id":"most","to":"447700900123","text":"most","delivery":"at_most_once"}`,
		`{"id":"least","to":"447700900123","text":"least"}`,
	)
	apptest.Until(t, "both are at the fallback", func() bool { return len(p.backup.Submits()) == 2 })
	p.dead.Store(false)
	if err := stop(); err != nil { // out of time: handed back, still claimed
		t.Fatal(err)
	}
	quiet.Store(false)
	p.Worker("w2")
	most, least := p.AwaitKinds("most", sms.KindUncertain)[0], p.AwaitKinds("least", sms.KindSubmitted)[0]
	if most.Via != "backup" || least.Via != "backup" || !least.PossibleDuplicate {
		t.Errorf("most via %q; least via %q, possible_duplicate %t", most.Via, least.Via, least.PossibleDuplicate)
	}
	if own := submitsOf(p.smsc); len(own) != 0 {
		t.Errorf("submits at the job's own route: %v", own)
	}
	if diff := cmp.Diff(map[string]int{"most": 1, "least": 2}, submitsOf(p.backup)); diff != "" {
		t.Errorf("submits at the fallback (-want +got):\n%s", diff)
	}
}

func TestAJobThatItsProducerTriesOnAnotherRouteStaysWhereItWasBegun(t *testing.T) {
	t.Parallel()
	var busy atomic.Bool
	busy.Store(true)
	p := newPair(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		if udh, _ := m.UserData(); len(udh) > 0 && udh[5] == 2 && busy.Load() {
			return smsctest.Action{Status: smsctest.RSYSERR}
		}
		return smsctest.Action{}
	}}, smsctest.Config{}, "", "")
	p.Worker("w1")
	p.Publish(threeParts("long"))
	apptest.Until(t, "two parts are out and the third is to be tried again", func() bool { return p.Route().Retries > 0 })
	p.PublishTo("backup", threeParts("long"))
	apptest.Until(t, "the other route has tried it too", func() bool {
		retries := int64(0)
		for _, r := range p.Status().Routes {
			retries += r.Retries
		}
		return len(p.backup.Submits()) > 0 || retries > p.Route().Retries
	})
	busy.Store(false)
	res := p.AwaitKinds("long", sms.KindSubmitted)[0]
	if diff := cmp.Diff([]int{1, 2, 3}, numbers(res.Parts)); diff != "" || res.PossibleDuplicate {
		t.Errorf("route %s via %q, possible_duplicate %t, parts (-want +got):\n%s", res.Route, res.Via, res.PossibleDuplicate, diff)
	}
	if n := len(p.backup.Submits()); n != 0 {
		t.Errorf("%d parts went by the other route, to join none there", n)
	}
}
