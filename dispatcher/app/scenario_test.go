package app_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestJobIsSubmittedAndItsReceiptFindsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "")
	r.Worker("w1")
	r.Publish(`{"id":"j1","to":"+447700900123","from":"SHOP","text":"Héllo €","meta":{"order":7}}`)

	got := r.AwaitKinds("j1", sms.KindSubmitted, sms.KindReceipt)
	submitted, receipt := got[0], got[1]
	m := r.smsc.Submits()[0]
	if m.Destination != "447700900123" || m.DestTON != 1 || m.Source != "SHOP" || m.SourceTON != 5 || m.Text() != "Héllo €" {
		t.Errorf("the SMSC got to=%s ton=%d from=%s ton=%d text=%q", m.Destination, m.DestTON, m.Source, m.SourceTON, m.Text())
	}
	want := []sms.Part{{Number: 1, MessageID: m.MessageID, RawMessageID: m.MessageID}}
	if diff := cmp.Diff(want, submitted.Parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if receipt.Receipt == nil || receipt.State != sms.StateDelivered || !receipt.Final || receipt.JobState != sms.StateDelivered || receipt.Part != 1 || receipt.PartsTotal != 1 {
		t.Errorf("receipt: %+v", receipt.Receipt)
	}
	for _, res := range got {
		if res.Producer != "shop" || res.Route != "acme" || string(res.Meta) != `{"order":7}` || res.Attempt != 1 || res.PossibleDuplicate {
			t.Errorf("%s: producer %s, route %s, meta %s, attempt %d, possible_duplicate %t", res.Kind, res.Producer, res.Route, res.Meta, res.Attempt, res.PossibleDuplicate)
		}
	}
}

func TestLongTextGoesOutInPartsAndEachHasItsReceipt(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	r.Worker("w1")
	text := strings.Repeat("0123456789", 31)
	r.Publish(fmt.Sprintf(`{"id":"long","to":"447700900123","text":%q}`, text))
	r.AwaitKinds("long", sms.KindSubmitted)
	all := r.Await("three receipts", func(all []*sms.Result) bool { return len(all) == 4 })
	jobStates := 0
	for _, res := range all {
		if res.Kind == sms.KindReceipt && res.JobState == sms.StateDelivered {
			jobStates++
		}
	}
	if jobStates != 1 {
		t.Errorf("%d receipts carry job_state, want 1", jobStates)
	}
	joined, refs := make([]string, 3), map[byte]bool{}
	for _, m := range r.smsc.Submits() {
		udh, payload := m.UserData()
		if len(udh) != 6 || udh[4] != 3 {
			t.Fatalf("user data header % x, want 05 00 03 ref 03 n", udh)
		}
		refs[udh[3]] = true
		joined[udh[5]-1] = string(payload)
	}
	if got := strings.Join(joined, ""); got != text || len(refs) != 1 {
		t.Errorf("parts join to %q with %d references", got, len(refs))
	}
}

func TestMalformedJobFailsAndIsADeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	r.Worker("w1")
	bad := `{"id":"bad","to":"abc","txt":"x","priority":9}`
	r.Publish(bad, `not json at all`)
	failed := r.AwaitKinds("bad", sms.KindFailed)[0]
	for _, field := range []string{"to", "txt", "priority"} {
		if failed.Code != sms.CodeInvalid || !strings.Contains(failed.Reason, field) {
			t.Errorf("code %s, reason %q: does not name %s", failed.Code, failed.Reason, field)
		}
	}
	js, err := jetstream.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	dead, err := js.Stream(t.Context(), sms.Subjects{}.StreamDead())
	if err != nil {
		t.Fatal(err)
	}
	apptest.Until(t, "two dead letters are kept", func() bool {
		info, err := dead.Info(t.Context())
		return err == nil && info.State.Msgs == 2
	})
	first, err := dead.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Data) != bad && string(first.Data) != "not json at all" {
		t.Errorf("dead letter holds %q", first.Data)
	}
}

func TestSameJobTwiceIsSubmittedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	stop := r.Worker("w1")
	job := `{"id":"once","to":"447700900123","text":"x"}`
	r.Publish(job) // without Nats-Msg-Id: the server cannot tell that it is a repeat
	r.AwaitKinds("once", sms.KindSubmitted, sms.KindReceipt)
	r.Publish(job)
	if err := stop(); err != nil { // another worker meets the repeat
		t.Fatal(err)
	}
	r.Worker("w2")
	apptest.Until(t, "the repeat is acked", func() bool { return r.Pending() == 0 })
	if n := len(r.smsc.Submits()); n != 1 {
		t.Errorf("%d submit_sm, want 1", n)
	}
	if n := r.Outcomes()["once"]; n != 1 {
		t.Errorf("%d outcomes, want 1", n)
	}
}

func TestSameJobOnTwoRoutesAtOnceIsSubmittedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Latency: time.Second}, `    rate: 0
  - name: other
    endpoints: ["$SMSC"]
    system_id: acme
    password_env: ACME_PASSWORD
`)
	r.Worker("w1")
	js, err := jetstream.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{"acme", "other"} {
		body := `{"id":"both","to":"447700900123","text":"x","delivery":"at_most_once"}`
		if _, err := js.Publish(t.Context(), "sms.jobs."+route+".normal.shop", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	r.AwaitKinds("both", sms.KindSubmitted)
	apptest.Until(t, "the second is settled too", func() bool { return r.Pending() == 0 })
	if n := len(r.smsc.Submits()); n != 1 {
		t.Errorf("%d submit_sm, want 1", n)
	}
	if n := r.Outcomes()["both"]; n != 1 {
		t.Errorf("%d outcomes, want 1", n)
	}
}

func TestLedgerLostBetweenPartsRepeatsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "    rate: 2\n    burst: 1\n") // a part each half second
	r.Worker("w1")
	r.Publish(fmt.Sprintf(`{"id":"slow","to":"447700900123","text":%q}`, strings.Repeat("0123456789", 40)))
	apptest.Until(t, "the first part is accepted", func() bool { return r.accepted() == 1 })
	r.forgetAll()
	r.AwaitKinds("slow", sms.KindSubmitted)
	if n := len(r.smsc.Submits()); n != 3 {
		t.Errorf("%d submit_sm, want 3", n)
	}
}

func TestBindRateBelowTheNumberOfPartsStopsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "    bind_rate: 8\n")
	r.Worker("w1")
	r.Publish(
		fmt.Sprintf(`{"id":"long","to":"447700900123","text":%q}`, strings.Repeat("0123456789", 40)),
		`{"id":"short","to":"447700900123","text":"x"}`,
	)
	r.AwaitKinds("long", sms.KindSubmitted)
	r.AwaitKinds("short", sms.KindSubmitted)
}

func TestDrainDoesNotWaitForASilentSMSC(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{Drop: true}
	}}, "")
	stop := r.Worker("w1")
	r.Publish(
		`{"id":"least","to":"447700900123","text":"least"}`,
		`{"id":"most","to":"447700900123","text":"most","delivery":"at_most_once"}`,
	)
	apptest.Until(t, "both are at the SMSC", func() bool { return r.accepted() == 2 })
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("drain: %v", err)
		}
	case <-time.After(20 * time.Second): // drain_timeout is 8 s
		t.Fatal("the drain hangs")
	}
	r.Worker("w2") // finds both in doubt
	r.AwaitKinds("most", sms.KindUncertain)
	apptest.Until(t, "the other is sent again", func() bool { return r.accepted() == 3 })
}

func TestUnansweredSubmitFollowsTheDeliveryOfItsJob(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{} // guarded by mu: binds are served side by side
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		mu.Lock()
		defer mu.Unlock()
		text := m.Text()
		seen[text]++
		return smsctest.Action{Drop: seen[text] == 1} // taken in, never answered
	}}, "    response_timeout: 300ms\n    enquire_link: 200ms\n")
	r.Worker("w1")
	r.Publish(
		`{"id":"most","to":"447700900123","text":"most","delivery":"at_most_once"}`,
		`{"id":"least","to":"447700900123","text":"least"}`,
	)
	uncertain := r.AwaitKinds("most", sms.KindUncertain)[0]
	if uncertain.Code != sms.CodeUncertain {
		t.Errorf("code %s, want uncertain", uncertain.Code)
	}
	again := r.AwaitKinds("least", sms.KindSubmitted)[0]
	if !again.PossibleDuplicate || again.Attempt != 2 {
		t.Errorf("possible_duplicate %t, attempt %d; want true, 2", again.PossibleDuplicate, again.Attempt)
	}
	n := map[string]int{}
	for _, m := range r.smsc.Submits() {
		n[m.Text()]++
	}
	if diff := cmp.Diff(map[string]int{"most": 1, "least": 2}, n); diff != "" {
		t.Errorf("submits by job (-want +got):\n%s", diff)
	}
}

func TestLateResponseStillRegistersItsMessageID(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{Delay: time.Second}
	}, Receipts: smsctest.ReceiptConfig{Delay: 500 * time.Millisecond}},
		"    response_timeout: 200ms\n    enquire_link: 100ms\n")
	r.Worker("w1")
	r.Publish(`{"id":"late","to":"447700900123","text":"x","delivery":"at_most_once"}`)
	got := r.AwaitKinds("late", sms.KindUncertain, sms.KindReceipt)
	if got[1].Receipt == nil || got[1].State != sms.StateDelivered {
		t.Errorf("receipt: %+v", got[1])
	}
}

func TestRefusalsAreRetriedOrFinalByTheirClass(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Magic: true}, "")
	r.Worker("w1")
	r.Publish(
		`{"id":"throttled","to":"447700900458","text":"a"}`,
		`{"id":"refused","to":"447700900404","text":"b"}`,
		`{"id":"busy","to":"447700900408","text":"c"}`,
	)
	if got := r.AwaitKinds("throttled", sms.KindSubmitted)[0]; got.Attempt != 1 || got.PossibleDuplicate {
		t.Errorf("throttled twice: attempt %d, possible_duplicate %t; want 1, false", got.Attempt, got.PossibleDuplicate)
	}
	if got := r.AwaitKinds("busy", sms.KindSubmitted)[0]; got.Attempt != 2 {
		t.Errorf("busy once: attempt %d, want 2", got.Attempt)
	}
	refused := r.AwaitKinds("refused", sms.KindFailed)[0]
	if refused.Code != sms.CodeRejected || refused.Status != smsctest.RINVDSTADR || refused.StatusName != "ESME_RINVDSTADR" {
		t.Errorf("refused: code %s, status %#x %s", refused.Code, refused.Status, refused.StatusName)
	}
}

func TestExpiredJobIsNotSubmitted(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 { return smsctest.RSYSERR }}, "")
	r.Worker("w1") // never binds: the second job expires while it waits
	soon := time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
	r.Publish(
		`{"id":"past","to":"447700900123","text":"x","expires_at":"2020-01-01T00:00:00Z"}`,
		fmt.Sprintf(`{"id":"waiting","to":"447700900123","text":"x","expires_at":%q}`, soon),
	)
	r.AwaitKinds("past", sms.KindExpired)
	r.AwaitKinds("waiting", sms.KindExpired)
	if n := len(r.smsc.Submits()); n != 0 {
		t.Errorf("%d submit_sm, want none", n)
	}
}

func TestReceiptBeforeTheResponseIsMet(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Latency: 100 * time.Millisecond, Receipts: smsctest.ReceiptConfig{Before: true}}, "")
	r.Worker("w1")
	r.Publish(apptest.Jobs(50, `{"id":"early-%d","to":"447700900123","text":"n %d"}`)...)
	for i := range 50 {
		r.AwaitKinds(fmt.Sprintf("early-%d", i), sms.KindSubmitted, sms.KindReceipt)
	}
}

func TestReceiptOfNobodyIsPublishedAsUnmatched(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{MessageID: "known", Receipts: []smsctest.Receipt{{ID: "stranger"}}}
	}}, "    parking_time: 1s\n")
	r.Worker("w1")
	r.Publish(`{"id":"j","to":"447700900123","text":"x"}`)
	all := r.Await("the unmatched receipt", func(all []*sms.Result) bool {
		for _, res := range all {
			if res.Producer == sms.UnmatchedProducer {
				return true
			}
		}
		return false
	})
	for _, res := range all {
		if res.Producer == sms.UnmatchedProducer && (res.MessageID != "stranger" || res.JobID != "" || res.Raw == "") {
			t.Errorf("unmatched: %+v %+v", res, res.Receipt)
		}
	}
}

func TestDrainUnderLoadLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Latency: 20 * time.Millisecond}, "    rate: 500\n    burst: 20\n")
	const n = 2000
	stop := r.Worker("w1")
	r.Publish(apptest.Jobs(n, `{"id":"d-%d","to":"447700900123","text":"n %d"}`)...)
	apptest.Until(t, "a tenth is sent", func() bool { return r.accepted() > n/10 })
	began := time.Now()
	if err := stop(); err != nil {
		t.Fatalf("drain: %v", err)
	}
	t.Logf("drained in %v with %d of %d accepted", time.Since(began).Round(time.Millisecond), r.accepted(), n)
	if s := r.smsc.Stats(); s.Unbinds < 2 {
		t.Errorf("the SMSC saw %d unbinds, want 2", s.Unbinds)
	}
	if r.accepted() >= n {
		t.Fatal("everything was sent before the drain: the test shows nothing")
	}
	apptest.Until(t, "what is settled is acked, and nothing else", func() bool {
		return int(r.Pending())+len(r.Outcomes()) == n
	})
	r.Worker("w2")
	r.Await("all outcomes", func([]*sms.Result) bool { return len(r.Outcomes()) == n })
	if got := len(r.smsc.Submits()); got != n {
		t.Errorf("%d submit_sm for %d jobs", got, n)
	}
	for job, outcomes := range r.Outcomes() {
		if outcomes != 1 {
			t.Errorf("%s has %d outcomes", job, outcomes)
		}
	}
}

func TestRedisAwayHoldsJobsAndLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Latency: 5 * time.Millisecond}, "    rate: 500\n    burst: 10\n")
	const n = 600
	r.Worker("w1")
	r.Publish(apptest.Jobs(n, `{"id":"r-%d","to":"447700900123","text":"n %d"}`)...)
	apptest.Until(t, "some are sent", func() bool { return r.accepted() > 50 })
	resume := r.Redis.Stall()
	held := 0
	apptest.Until(t, "nothing goes out any more", func() bool {
		before := held
		held = r.accepted()
		return before == held && held > 50
	})
	resume()
	r.Await("all outcomes and receipts", func(all []*sms.Result) bool { return len(all) >= 2*n })
	r.judgeOncePerJob(n)
}

func TestNATSRestartHoldsResultsAndLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Latency: 5 * time.Millisecond}, "    rate: 500\n    burst: 10\n")
	const n = 600
	r.Worker("w1")
	r.Publish(apptest.Jobs(n, `{"id":"n-%d","to":"447700900123","text":"n %d"}`)...)
	apptest.Until(t, "some are sent", func() bool { return r.accepted() > 50 })
	r.RestartNATS()
	r.Await("all outcomes and receipts", func(all []*sms.Result) bool { return len(all) >= 2*n })
	r.judgeOncePerJob(n)
}

func TestSMSCConnectionsCutLoseNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Latency: 20 * time.Millisecond}, "    rate: 400\n    burst: 10\n")
	const n = 400
	r.Worker("w1")
	r.Publish(apptest.Jobs(n, `{"id":"c-%d","to":"447700900123","text":"n %d"}`)...)
	apptest.Until(t, "some are sent", func() bool { return r.accepted() > 50 })
	r.smsc.CutConnections()
	r.Await("all outcomes", func([]*sms.Result) bool { return len(r.Outcomes()) == n })
	doubted := 0
	for _, res := range r.Results() {
		if res.Kind == sms.KindSubmitted && res.PossibleDuplicate {
			doubted++
		}
	}
	if extra := len(r.smsc.Submits()) - n; extra > doubted {
		t.Errorf("%d submit_sm beyond one per job, only %d results say possible_duplicate", extra, doubted)
	}
}

// rig is workers and an SMSC simulator.
type rig struct {
	*apptest.Rig
	t    *testing.T
	smsc *smsctest.SMSC
}

// newRig starts everything but workers. $SMSC in routeKeys is its address.
func newRig(t *testing.T, cfg smsctest.Config, routeKeys string) *rig {
	t.Helper()
	smsc, addr := apptest.SMSC(t, cfg)
	return &rig{apptest.Start(t, addr, strings.ReplaceAll(routeKeys, "$SMSC", addr)), t, smsc}
}

// accepted counts the messages that the SMSC took in.
func (r *rig) accepted() int { return int(r.smsc.Stats().Accepted) }

// redis is a client of the test's own.
func (r *rig) redis() *redis.Client {
	db := redis.NewClient(&redis.Options{Addr: r.Redis.Addr})
	r.t.Cleanup(func() { _ = db.Close() })
	return db
}

// forgetAll empties Redis.
func (r *rig) forgetAll() {
	r.t.Helper()
	if !r.Redis.Real() {
		r.t.Skip("needs redis-server: the stand-in cannot be flushed from outside")
	}
	if err := r.redis().FlushAll(r.t.Context()).Err(); err != nil {
		r.t.Fatal(err)
	}
}

// judgeOncePerJob checks one outcome and one submit per job.
func (r *rig) judgeOncePerJob(n int) {
	r.t.Helper()
	outcomes := r.Outcomes()
	if len(outcomes) != n {
		r.t.Errorf("%d jobs have an outcome, want %d", len(outcomes), n)
	}
	for job, k := range outcomes {
		if k != 1 {
			r.t.Errorf("%s has %d outcomes", job, k)
		}
	}
	if got := len(r.smsc.Submits()); got != n {
		r.t.Errorf("%d submit_sm for %d jobs", got, n)
	}
}
