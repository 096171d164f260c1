package app_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// pair is a rig whose route acme has the fallback backup: with another SMSC,
// another sender, another kind of concatenation, and ids that responses have in
// hexadecimal and receipts in decimal.
type pair struct {
	*rig
	backup       *smsctest.SMSC
	dead, refuse atomic.Bool // of acme's SMSC: takes no binds; refuses the account
}

// newPair has own and backup configure the two; ownKeys and backupKeys are
// further keys of the routes.
func newPair(t *testing.T, own, backup smsctest.Config, ownKeys, backupKeys string) *pair {
	t.Helper()
	p := new(pair)
	own.OnBind = bindsUnless(&p.dead)
	if own.OnSubmit == nil {
		own.OnSubmit = func(*smsctest.Submit) smsctest.Action {
			if p.refuse.Load() {
				return smsctest.Action{Status: prohibited}
			}
			return smsctest.Action{}
		}
	}
	backup.IDs = smsctest.IDs{Submit: smsctest.Hex, Receipt: smsctest.Decimal}
	p.backup = smsctest.New(backup)
	t.Cleanup(func() { _ = p.backup.Close() })
	addr, err := p.backup.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(ownKeys, "fallback_after:") {
		ownKeys += "    fallback_after: 1s\n"
	}
	p.rig = newRig(t, own, `    fallback: backup
    backoff: {base: 20ms, max: 50ms}
    account_probe: {initial: 100ms, max: 200ms}
`+ownKeys+fmt.Sprintf(`  - name: backup
    endpoints: [%q]
    system_id: acme2
    password_env: ACME_PASSWORD
    source: {address: BACKUP}
    concat: udh16
    message_id: {submit: hex, receipt: decimal}
    retry: {initial: 200ms, max: 1s}
    backoff: {base: 20ms, max: 50ms}
%s`, addr, backupKeys))
	return p
}

func bindsUnless(dead *atomic.Bool) func(*smsctest.BindRequest) uint32 {
	return func(*smsctest.BindRequest) uint32 {
		if dead.Load() {
			return smsctest.RSYSERR
		}
		return smsctest.ROK
	}
}

// kill has acme's SMSC drop all connections and take no more.
func (p *pair) kill() {
	p.dead.Store(true)
	p.smsc.CutConnections()
}

// submitsOf counts by text what an SMSC was asked to send.
func submitsOf(smsc *smsctest.SMSC) map[string]int {
	n := make(map[string]int)
	for _, m := range smsc.Submits() {
		n[m.Text()]++
	}
	return n
}

// diverted waits until jobs go by backup, or by acme again.
func (p *pair) diverted(want bool) {
	p.t.Helper()
	apptest.Until(p.t, fmt.Sprintf("jobs go by the fallback: %t", want), func() bool { return (p.Route().Diversion != nil) == want })
}

func TestJobsOfARouteThatWasNeverBoundGoByItsFallback(t *testing.T) {
	t.Parallel()
	p := newPair(t, smsctest.Config{}, smsctest.Config{}, "", "")
	p.dead.Store(true)
	p.Worker("w1")
	p.Worker("w2") // receipts come to either
	apptest.Until(t, "both say that jobs go by another", func() bool { return p.Logged("its jobs go by another") == 2 })
	p.Publish(`{"id":"one","to":"447700900123","text":"one","meta":{"order":7}}`, threeParts("long"))
	p.Publish(apptest.Jobs(40, `{"id":"j%d","to":"447700900123","text":"j%d"}`)...)
	all := p.Await("every outcome and receipt", func(all []*sms.Result) bool { return len(all) == 42+44 })

	for _, res := range all {
		if res.Route != "acme" || res.Via != "backup" || res.Producer != "shop" || res.JobID == "" {
			t.Fatalf("%s of %q of %s: route %s, via %q", res.Kind, res.JobID, res.Producer, res.Route, res.Via)
		}
		if res.Kind != sms.KindReceipt && (res.Kind != sms.KindSubmitted || res.Attempt != 1 || res.PossibleDuplicate || !strings.HasPrefix(res.Bind, "backup/")) {
			t.Errorf("%s %s: attempt %d, possible_duplicate %t, bind %s", res.JobID, res.Kind, res.Attempt, res.PossibleDuplicate, res.Bind)
		}
	}
	got := p.AwaitKinds("one", sms.KindSubmitted, sms.KindReceipt)
	if got[0].Parts[0].MessageID != got[1].MessageID || got[1].JobState != sms.StateDelivered || string(got[1].Meta) != `{"order":7}` {
		t.Errorf("submitted %+v, receipt %+v", got[0], got[1].Receipt)
	}
	for _, m := range p.backup.Submits() {
		if udh, _ := m.UserData(); m.Source != "BACKUP" || len(udh) != 0 && udh[1] != 8 {
			t.Errorf("from %s with user data header % x: not as backup makes messages", m.Source, udh)
		}
	}
	if n := len(p.backup.Submits()); n != 44 {
		t.Errorf("%d submits at the fallback, want 44", n)
	}
	d := p.Route().Diversion
	if d == nil || d.Via != "backup" || d.Reason != dispatcher.LimitNoBind {
		t.Errorf("diversion in the status: %+v", d)
	}
	if n := p.Logged("its jobs go by another"); n != 2 {
		t.Errorf("%d lines say that jobs go by another route, want 1 of each worker", n)
	}
}

func TestARouteThatDiesUnderLoadLosesNothingAndComesBack(t *testing.T) {
	t.Parallel()
	p := newPair(t, smsctest.Config{Latency: 20 * time.Millisecond}, smsctest.Config{}, "    rate: 400\n    burst: 20\n", "")
	p.Worker("w1")
	jobs := apptest.Jobs(500, `{"id":"j%d","to":"447700900123","text":"j%d"}`)
	p.Publish(jobs...)
	apptest.Until(t, "some are out", func() bool { return p.accepted() > 50 })
	p.kill()
	p.diverted(true)
	apptest.Until(t, "some are out by the fallback", func() bool { return len(p.backup.Submits()) > 50 })
	p.dead.Store(false)
	p.diverted(false)
	back := p.accepted()
	p.Publish(apptest.Jobs(20, `{"id":"late%d","to":"447700900123","text":"late%d"}`)...)
	all := p.Await("every outcome", func([]*sms.Result) bool { return len(p.Outcomes()) == 520 })

	own, other := submitsOf(p.smsc), submitsOf(p.backup)
	for job, n := range p.Outcomes() {
		if n != 1 {
			t.Errorf("%s has %d outcomes", job, n)
		}
		if own[job] > 0 && other[job] > 0 {
			t.Errorf("%s went out by both routes", job)
		}
		if own[job]+other[job] > 2 || other[job] > 1 {
			t.Errorf("%s went out %d times by its own route, %d times by the fallback", job, own[job], other[job])
		}
	}
	for _, res := range all {
		if res.Kind == sms.KindReceipt {
			continue
		}
		if res.Kind != sms.KindSubmitted || (res.Via == "backup") != (other[res.JobID] > 0) {
			t.Errorf("%s is %s via %q, %d submits at the fallback", res.JobID, res.Kind, res.Via, other[res.JobID])
		}
		if own[res.JobID] > 1 && !res.PossibleDuplicate || res.PossibleDuplicate && res.Via != "" {
			t.Errorf("%s went out %d times, possible_duplicate %t", res.JobID, own[res.JobID], res.PossibleDuplicate)
		}
	}
	if p.accepted() == back {
		t.Error("nothing went by the route's own binds after it came back")
	}
	if n, m := p.Logged("its jobs go by another"), p.Logged("route sends again"); n != 1 || m != 1 {
		t.Errorf("%d lines on leaving, %d on return, want 1 each", n, m)
	}
	apptest.Until(t, "the status counts all jobs that the fallback had", func() bool { return int(p.Route().Diverted) == len(other) })
}

func TestJobsOfARefusedAccountGoByTheFallbackAtOnceUntilItIsTakenAgain(t *testing.T) {
	t.Parallel()
	p := newPair(t, smsctest.Config{}, smsctest.Config{}, "    fallback_after: 24h\n", "")
	p.refuse.Store(true)
	p.Worker("w1")
	p.Publish(apptest.Jobs(50, `{"id":"j%d","to":"447700900123","text":"j%d"}`)...)
	p.Await("every outcome", func([]*sms.Result) bool { return len(p.Outcomes()) == 50 })
	if n := len(submitsOf(p.backup)); n != 50 {
		t.Errorf("%d jobs at the fallback, want all 50", n)
	}
	if d := p.Route().Diversion; d == nil || d.Reason != dispatcher.LimitAccount {
		t.Errorf("diversion in the status: %+v", d)
	}
	p.refuse.Store(false)
	for i := 0; p.Route().Diversion != nil; i++ { // somebody must try
		job := fmt.Sprintf("try%d", i)
		p.Publish(fmt.Sprintf(`{"id":%q,"to":"447700900123","text":%q}`, job, job))
		p.AwaitKinds(job, sms.KindSubmitted)
	}
	p.Publish(`{"id":"last","to":"447700900123","text":"last"}`)
	if last := p.AwaitKinds("last", sms.KindSubmitted)[0]; last.Via != "" || last.Attempt != 1 {
		t.Errorf("via %q at attempt %d after the account was taken again", last.Via, last.Attempt)
	}
	for job, n := range submitsOf(p.backup) {
		if n != 1 {
			t.Errorf("%s went out %d times by the fallback", job, n)
		}
	}
}

func TestJobsWaitForWhicheverOfTwoDeadRoutesComesBack(t *testing.T) {
	t.Parallel()
	var backupDead atomic.Bool
	backupDead.Store(true)
	backup := smsctest.Config{OnBind: bindsUnless(&backupDead)}
	p := newPair(t, smsctest.Config{}, backup, "", "")
	p.dead.Store(true)
	p.Worker("w1")
	p.Publish(apptest.Jobs(30, `{"id":"j%d","to":"447700900123","text":"j%d"}`)...)
	apptest.Until(t, "all wait", func() bool { return p.Route().Lanes[sms.LaneNormal].Waiting == 30 })
	backupDead.Store(false)
	p.Await("every outcome", func([]*sms.Result) bool { return len(p.Outcomes()) == 30 })
	if n := len(submitsOf(p.backup)); n != 30 {
		t.Errorf("%d jobs by the fallback, want 30", n)
	}

	backupDead.Store(true)
	p.backup.CutConnections()
	p.Publish(apptest.Jobs(30, `{"id":"k%d","to":"447700900123","text":"k%d"}`)...)
	apptest.Until(t, "the fallback is seen to be dead too", func() bool { return p.Logged("nor can another in its place") == 1 })
	p.dead.Store(false)
	p.Await("every outcome", func([]*sms.Result) bool { return len(p.Outcomes()) == 60 })
	for job, n := range submitsOf(p.smsc) {
		if n != 1 || job[0] != 'k' {
			t.Errorf("%s went out %d times by its own route", job, n)
		}
	}
}

func TestAFallbackWhoseAccountIsRefusedIsTriedByTheJobsThatGoByIt(t *testing.T) {
	t.Parallel()
	var refusals atomic.Int64
	p := newPair(t, smsctest.Config{}, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		if refusals.Add(1) <= 3 {
			return smsctest.Action{Status: prohibited}
		}
		return smsctest.Action{}
	}}, "", "    window: 1\n    account_probe: {initial: 100ms, max: 200ms}\n")
	p.dead.Store(true)
	p.Worker("w1")
	p.Publish(apptest.Jobs(20, `{"id":"j%d","to":"447700900123","text":"j%d"}`)...)
	all := p.Await("every outcome", func([]*sms.Result) bool { return len(p.Outcomes()) == 20 })
	for _, res := range all {
		if res.Kind != sms.KindReceipt && (res.Kind != sms.KindSubmitted || res.Via != "backup" || res.Attempt != 1) {
			t.Errorf("%s is %s via %q at attempt %d", res.JobID, res.Kind, res.Via, res.Attempt)
		}
	}
	if n := len(p.backup.Submits()); n != 23 {
		t.Errorf("%d submits at the fallback, want 20 and one for each refusal", n)
	}
	if n := p.Logged(`msg="route paused: the SMSC refuses the account" worker=w1 route=backup`); n != 1 {
		t.Errorf("%d pauses, want the fallback's", n)
	}
}

func TestAThrottledFallbackCostsNoAttempts(t *testing.T) {
	t.Parallel()
	p := newPair(t, smsctest.Config{}, smsctest.Config{Rate: 40, Burst: 4}, "", "")
	p.dead.Store(true)
	p.Worker("w1")
	p.Publish(apptest.Jobs(60, `{"id":"j%d","to":"447700900123","text":"j%d"}`)...)
	all := p.Await("every outcome", func([]*sms.Result) bool { return len(p.Outcomes()) == 60 })
	for _, res := range all {
		if res.Kind != sms.KindReceipt && (res.Kind != sms.KindSubmitted || res.Via != "backup" || res.Attempt != 1) {
			t.Errorf("%s is %s via %q at attempt %d", res.JobID, res.Kind, res.Via, res.Attempt)
		}
	}
}

func TestTheFallbacksRateHoldsForBothRoutesJobs(t *testing.T) {
	t.Parallel()
	p := newPair(t, smsctest.Config{}, smsctest.Config{}, "", "    rate: 50\n    burst: 5\n")
	p.dead.Store(true)
	p.Worker("w1")
	p.diverted(true)
	p.Publish(apptest.Jobs(60, `{"id":"j%d","to":"447700900123","text":"j%d"}`)...)
	p.PublishTo("backup", apptest.Jobs(60, `{"id":"b%d","to":"447700900123","text":"b%d"}`)...)
	p.Await("every outcome", func([]*sms.Result) bool { return len(p.Outcomes()) == 120 })
	at := make([]time.Time, 0, 120)
	for _, m := range p.backup.Submits() {
		at = append(at, m.Time)
	}
	slices.SortFunc(at, time.Time.Compare)
	for from := range at {
		for to := from + 1; to < len(at); to++ {
			// A tenth of a second for what holds arrivals up and then lets them go together.
			if d := at[to].Sub(at[from]); d >= time.Second && float64(to-from+1) > 50*(d.Seconds()+0.1)+5+1 {
				t.Fatalf("%d submits in %v at 50/s and a burst of 5", to-from+1, d)
			}
		}
	}
}

func TestAWorkerWithoutABindOfEitherRouteLeavesTheJobsToOthers(t *testing.T) {
	t.Parallel()
	p := newPair(t, smsctest.Config{}, smsctest.Config{}, "    max_binds: 2\n", "    max_binds: 1\n") // the fallback's is one worker's
	p.Worker("w1")
	p.Worker("w2")
	apptest.Until(t, "each has one of the route's binds", func() bool { s := p.Route().Slots; return s != nil && s.Held == 1 && p.bindsNow() == 2 })
	p.kill()
	p.Publish(apptest.Jobs(40, `{"id":"j%d","to":"447700900123","text":"j%d"}`)...)
	p.Await("every outcome", func([]*sms.Result) bool { return len(p.Outcomes()) == 40 })
	for job, n := range submitsOf(p.backup) {
		if n != 1 {
			t.Errorf("%s went out %d times", job, n)
		}
	}
	again := func() int {
		return p.Logged(`msg="route has binds again" worker=w1 route=acme`) + p.Logged(`msg="route has binds again" worker=w2 route=acme`)
	}
	before := again()
	p.dead.Store(false)
	apptest.Until(t, "both take jobs again", func() bool { return again() > before })
	apptest.Until(t, "neither sends by the fallback", func() bool {
		return p.Logged("its jobs go by another") == p.Logged("route sends again")+p.Logged("nor can another in its place") && p.bindsNow() == 2
	})
	p.Publish(`{"id":"last","to":"447700900123","text":"last"}`)
	if last := p.AwaitKinds("last", sms.KindSubmitted)[0]; last.Via != "" {
		t.Errorf("via %q when the route is back", last.Via)
	}
}
