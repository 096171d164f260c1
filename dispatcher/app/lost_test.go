package app_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestAReceiptAfterRedisLostItsDataIsUnmatchedWithAllItHas(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		if m.Text() == "later" {
			return smsctest.Action{Receipts: []smsctest.Receipt{{ID: "first-id"}}}
		}
		return smsctest.Action{MessageID: "first-id", NoReceipt: true}
	}}, "    parking_time: 1s\n")
	r.Worker("w1")
	r.Publish(`{"id":"before","to":"447700900123","text":"x"}`)
	r.AwaitKinds("before", sms.KindSubmitted)
	r.forgetAll()
	r.Publish(`{"id":"after","to":"447700900123","text":"later"}`) // nothing blocks
	r.AwaitKinds("after", sms.KindSubmitted)
	var got *sms.Result
	r.Await("the unmatched receipt", func(all []*sms.Result) bool {
		for _, res := range all {
			if res.Producer == sms.UnmatchedProducer {
				got = res
			}
		}
		return got != nil
	})
	if got.Route != "acme" || got.MessageID != "first-id" || got.State != sms.StateDelivered || !got.Final || got.DoneDate == nil || got.SubmitDate == nil || got.Raw == "" {
		t.Errorf("unmatched: %+v %+v", got, got.Receipt)
	}
	apptest.Until(t, "the log says that data was lost", func() bool { return r.Logged("redis lost what it knew of jobs") == 1 })
	if r.Status().LedgerLost == nil {
		t.Error("the status does not say that data was lost")
	}
}

// Two jobs are at the SMSC, unanswered, when their worker dies and Redis loses
// everything; nobody but JetStream knows that they were in hand.
func TestRedeliveredJobsAreInDoubtWhenRedisLostItsData(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		return smsctest.Action{Drop: m.Text() != "fresh"}
	}}, "")
	stop := r.Worker("w1")
	r.Publish(
		`{"id":"most","to":"447700900123","text":"most","delivery":"at_most_once"}`,
		`{"id":"least","to":"447700900123","text":"least"}`,
	)
	apptest.Until(t, "both are at the SMSC", func() bool { return r.accepted() == 2 })
	if err := stop(); err != nil { // out of time: handed back, still claimed
		t.Fatal(err)
	}
	r.forgetAll()
	r.Publish(`{"id":"fresh","to":"447700900123","text":"fresh","delivery":"at_most_once"}`) // older than the new ledger, never delivered
	r.Worker("w2")
	most := r.AwaitKinds("most", sms.KindUncertain)[0]
	if !strings.Contains(most.Reason, "Redis has lost") || !most.PossibleDuplicate {
		t.Errorf("possible_duplicate %t, reason %q", most.PossibleDuplicate, most.Reason)
	}
	if fresh := r.AwaitKinds("fresh", sms.KindSubmitted)[0]; fresh.PossibleDuplicate {
		t.Error("a first delivery is in doubt")
	}
	apptest.Until(t, "the other is sent again", func() bool { return r.accepted() == 4 })
	n := map[string]int{}
	for _, m := range r.smsc.Submits() {
		n[m.Text()]++
	}
	if n["most"] != 1 || n["least"] != 2 || n["fresh"] != 1 {
		t.Errorf("submits: %v", n)
	}
}

// A job comes to a worker that has it in hand and is put off, in place of the
// first delivery; then that worker dies and Redis loses everything.
func TestAJobPutOffWhileItWasInHandIsInDoubtWhenRedisLostItsData(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Drop: true} }}, "")
	stop := r.Worker("w1")
	job := `{"id":"most","to":"447700900123","text":"most","delivery":"at_most_once"}`
	r.Publish(job)
	apptest.Until(t, "it is at the SMSC", func() bool { return r.accepted() == 1 })
	js, err := jetstream.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	stream := func(name string) jetstream.Stream {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	r.Publish(job)
	apptest.Until(t, "it is put off", func() bool { return stream(sms.Subjects{}.StreamRetry()).CachedInfo().State.Msgs == 1 })
	if err := stream(sms.Subjects{}.StreamJobs("acme")).Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.forgetAll()
	r.Worker("w2")
	if got := r.AwaitKinds("most", sms.KindUncertain)[0]; !got.PossibleDuplicate {
		t.Error("possible_duplicate is false")
	}
	if n := r.accepted(); n != 1 {
		t.Errorf("%d messages at the SMSC, want 1", n)
	}
}

func TestARetryWhoseLedgerIsLostSendsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: perPart(func(part, before int) smsctest.Action {
		if part == 2 && before == 0 {
			return smsctest.Action{Status: smsctest.RXTAPPN} // again in 5 s
		}
		return smsctest.Action{}
	})}, "")
	r.Worker("w1")
	r.Publish(threeParts("long"))
	apptest.Until(t, "the retry is scheduled", func() bool { return r.Route().Retries == 1 })
	r.forgetAll()
	r.AwaitKinds("long", sms.KindSubmitted)
	if parts, refs := r.sent(); parts[1] != 1 || parts[2] != 2 || parts[3] != 1 || refs != 1 {
		t.Errorf("submits by part %v with %d references", parts, refs)
	}
}

func TestCheckWarnsOfARedisThatForgets(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "")
	if !r.Redis.Real() {
		t.Skip("needs redis-server: the stand-in does not say how it keeps data")
	}
	db := r.redis()
	check := func() string {
		t.Helper()
		var out bytes.Buffer
		if err := app.Check(t.Context(), r.Config("check"), true, &out); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		return out.String()
	}
	set := func(key, value string) {
		t.Helper()
		if err := db.ConfigSet(t.Context(), key, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("appendonly", "no")
	set("maxmemory-policy", "allkeys-lru")
	if got := check(); !strings.Contains(got, "WARNING: appendonly is off") || !strings.Contains(got, "WARNING: maxmemory-policy is allkeys-lru") {
		t.Errorf("check says:\n%s", got)
	}
	set("appendonly", "yes")
	set("maxmemory-policy", "noeviction")
	if got := check(); strings.Contains(got, "WARNING") {
		t.Errorf("check says:\n%s", got)
	}
}
