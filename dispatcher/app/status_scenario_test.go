package app_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const (
	prohibited = 0x101 // ESME_RPROHIBITED
	creditGone = 0x401 // some vendors'
)

// judgeAcceptedOnce waits until each of n jobs has one outcome and checks that the SMSC
// took one message for each.
func (r *rig) judgeAcceptedOnce(n int) {
	r.t.Helper()
	r.Await("all outcomes", func([]*sms.Result) bool { return len(r.Outcomes()) == n })
	for job, k := range r.Outcomes() {
		if k != 1 {
			r.t.Errorf("%s has %d outcomes", job, k)
		}
	}
	if got := r.accepted(); got != n {
		r.t.Errorf("%d messages taken in for %d jobs", got, n)
	}
}

// judgeFirstAttempts is judgeAcceptedOnce, and each in its first attempt.
func (r *rig) judgeFirstAttempts(n int) {
	r.t.Helper()
	r.judgeAcceptedOnce(n)
	for _, res := range r.Results() {
		if res.Kind != sms.KindReceipt && (res.Kind != sms.KindSubmitted || res.Attempt != 1 || res.PossibleDuplicate) {
			r.t.Fatalf("%s: %s in attempt %d, possible_duplicate %t", res.JobID, res.Kind, res.Attempt, res.PossibleDuplicate)
		}
	}
}

func TestABarredAccountPausesTheRouteAndFailsNoJob(t *testing.T) {
	t.Parallel()
	var barred atomic.Uint32
	barred.Store(prohibited)
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{Status: barred.Load()}
	}}, "    account_probe: {initial: 200ms, max: 400ms}\n    status: {0x401: account}\n")
	const n, inHand = 500, 2*50 + 256
	r.Publish(apptest.Jobs(n, `{"id":"b-%d","to":"447700900123","text":"n %d"}`)...)
	r.Worker("w1")
	refused := func() int {
		by := r.smsc.Stats().RefusedByStatus
		return int(by[prohibited] + by[creditGone])
	}
	apptest.Until(t, "the route is paused", func() bool { return r.Route().Limit == dispatcher.LimitAccount })
	if p := r.Route().Paused; p == nil || p.Status != prohibited || p.StatusName != "ESME_RPROHIBITED" || !p.Next.After(p.Since) {
		t.Errorf("paused: %+v", p)
	}
	apptest.Until(t, "six jobs have tried", func() bool { return r.Logged("still refuses the account") >= 6 })
	if got := refused(); got > inHand+20 {
		t.Errorf("%d submit_sm were refused, want no more than was in hand, and one for each try", got)
	}
	barred.Store(creditGone) // what the route calls so holds it as well
	apptest.Until(t, "the vendor's status is met", func() bool { return r.smsc.Stats().RefusedByStatus[creditGone] >= 2 })
	if r.Logged("level=ERROR") != 1 || r.Logged("route paused: the SMSC refuses the account") != 1 {
		t.Error("the pause is not logged as one error")
	}
	if len(r.Results()) != 0 || r.Pending() != n {
		t.Errorf("%d results, %d jobs kept; want 0, %d", len(r.Results()), r.Pending(), n)
	}
	barred.Store(smsctest.ROK)
	r.judgeFirstAttempts(n)
	apptest.Until(t, "the pause is over", func() bool {
		s := r.Route()
		return s.Paused == nil && s.Limit == dispatcher.LimitNone && s.LimitedFor["account"] > 0
	})
}

func TestAServiceTypeOfAJobsOwnThatIsRefusedFailsTheJobAndPausesNothing(t *testing.T) {
	t.Parallel()
	const unauthorised = 0x100 // ESME_RSERTYPUNAUTH
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) (a smsctest.Action) {
		if m.ServiceType == "BAD" {
			a.Status = unauthorised
		}
		return a
	}}, "")
	r.Worker("w1")
	r.Publish(apptest.Jobs(20, `{"id":"bad-%d","to":"447700900123","service_type":"BAD","text":"n %d"}`)...)
	r.Publish(apptest.Jobs(20, `{"id":"good-%d","to":"447700900123","text":"n %d"}`)...)
	r.Await("all outcomes", func([]*sms.Result) bool { return len(r.Outcomes()) == 40 })
	for _, res := range r.Results() {
		bad := strings.HasPrefix(res.JobID, "bad")
		switch {
		case res.Kind == sms.KindReceipt:
		case bad && (res.Kind != sms.KindFailed || res.Code != sms.CodeRejected || res.Status != unauthorised):
			t.Errorf("%s: %s, %s, %#x", res.JobID, res.Kind, res.Code, res.Status)
		case !bad && (res.Kind != sms.KindSubmitted || res.Attempt != 1):
			t.Errorf("%s: %s in attempt %d", res.JobID, res.Kind, res.Attempt)
		}
	}
	if n := r.Logged("route paused: the SMSC refuses the account"); n != 0 {
		t.Errorf("paused %d times", n)
	}
}

func TestADrainOfAPausedRouteHandsItsJobsBack(t *testing.T) {
	t.Parallel()
	var barred atomic.Uint32
	barred.Store(prohibited)
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{Status: barred.Load()}
	}}, "    account_probe: {initial: 1h, max: 1h}\n")
	const n = 50
	r.Publish(apptest.Jobs(n, `{"id":"p-%d","to":"447700900123","text":"n %d"}`)...)
	stop := r.Worker("w1")
	apptest.Until(t, "the route is paused", func() bool { return r.Route().Limit == dispatcher.LimitAccount })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	barred.Store(smsctest.ROK)
	r.Worker("w2")
	r.judgeFirstAttempts(n)
}

func TestAThrottledRouteSlowsDownAndNoJobLosesAnAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Rate: 200, Burst: 20}, "")
	const n = 600
	r.Publish(apptest.Jobs(n, `{"id":"t-%d","to":"447700900123","text":"n %d"}`)...)
	r.Worker("w1")
	apptest.Until(t, "throttling holds the route", func() bool {
		s := r.Route()
		return s.Limit == dispatcher.LimitThrottled && s.Rate.Reason == "throttled" && s.Rate.Effective > 0
	})
	r.judgeFirstAttempts(n)
	if throttled := r.smsc.Stats().RefusedByStatus[smsctest.RTHROTTLED]; throttled > n/2 {
		t.Errorf("%d answers were ESME_RTHROTTLED for %d jobs: the route did not slow down", throttled, n)
	}
}

func TestASessionThatMayNotSubmitIsLeftAndTheJobGoesElsewhere(t *testing.T) {
	t.Parallel()
	var first sync.Once
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) (a smsctest.Action) {
		first.Do(func() { a.Status = smsctest.RINVBNDSTS })
		return a
	}}, "")
	r.Worker("w1")
	r.Publish(apptest.Jobs(20, `{"id":"s-%d","to":"447700900123","text":"n %d"}`)...)
	r.judgeAcceptedOnce(20)
	again := 0
	for _, res := range r.Results() {
		if res.Kind == sms.KindSubmitted && res.Attempt == 2 {
			again++
		}
	}
	if again != 1 {
		t.Errorf("%d jobs needed a second attempt, want 1", again)
	}
	apptest.Until(t, "the session was ended in good order, and another bound", func() bool {
		s := r.smsc.Stats()
		return s.Unbinds == 1 && s.BindsTotal == 3 && s.Binds == 2
	})
}

func TestAnAnswerThatMayPassIsFinalTheSecondTime(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{} // guarded by mu
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		mu.Lock()
		defer mu.Unlock()
		text := m.Text()
		if seen[text]++; seen[text] == 1 || text == "never" {
			return smsctest.Action{Status: 0x45}
		}
		return smsctest.Action{}
	}}, "")
	r.Worker("w1")
	r.Publish(`{"id":"once","to":"447700900123","text":"once"}`, `{"id":"never","to":"447700900123","text":"never"}`)
	if got := r.AwaitKinds("once", sms.KindSubmitted)[0]; got.Attempt != 2 {
		t.Errorf("refused once: attempt %d, want 2", got.Attempt)
	}
	if got := r.AwaitKinds("never", sms.KindFailed)[0]; got.Attempt != 2 || got.Code != sms.CodeRejected || got.StatusName != "ESME_RSUBMITFAIL" {
		t.Errorf("refused for good: attempt %d, code %s, %s; want 2, rejected", got.Attempt, got.Code, got.StatusName)
	}
}

func TestARouteDecidesWhatAStatusMeansToIt(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{} // guarded by mu
	answers := map[string]uint32{"vendor": 0x40A, "address": smsctest.RINVDSTADR, "busy": smsctest.RSYSERR}
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		mu.Lock()
		defer mu.Unlock()
		if seen[m.Text()]++; seen[m.Text()] == 1 {
			return smsctest.Action{Status: answers[m.Text()]}
		}
		return smsctest.Action{}
	}}, "    status: {0x0000040A: throttle, ESME_RINVDSTADR: retry, ESME_RSYSERR: permanent}\n")
	r.Worker("w1")
	for job := range answers {
		r.Publish(`{"id":"` + job + `","to":"447700900123","text":"` + job + `"}`)
	}
	if got := r.AwaitKinds("vendor", sms.KindSubmitted)[0]; got.Attempt != 1 {
		t.Errorf("throttled: attempt %d, want 1", got.Attempt)
	}
	if got := r.AwaitKinds("address", sms.KindSubmitted)[0]; got.Attempt != 2 {
		t.Errorf("retried: attempt %d, want 2", got.Attempt)
	}
	if got := r.AwaitKinds("busy", sms.KindFailed)[0]; got.Code != sms.CodeRejected || got.Attempt != 1 {
		t.Errorf("permanent: code %s, attempt %d", got.Code, got.Attempt)
	}
}

func TestAWindowSmallerThanSaidRefusesNoJobForGood(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Window: 5, WindowStatus: smsctest.RSUBMITFAIL, Latency: 20 * time.Millisecond}, "")
	r.Worker("w1")
	const n = 80
	r.Publish(apptest.Jobs(n, `{"id":"w-%d","to":"447700900123","text":"n %d"}`)...)
	r.judgeAcceptedOnce(n)
	if r.smsc.Stats().RefusedByStatus[smsctest.RSUBMITFAIL] == 0 {
		t.Error("the SMSC refused nothing: the test shows nothing")
	}
}
