package app_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// replayer of the route's dead letters.
func (r *rig) replayer(f app.DeadFilter) *app.Replayer {
	r.t.Helper()
	f.Route = "acme"
	found, err := app.NewReplayer(r.t.Context(), r.Config("replay"), f)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(found.Close)
	return found
}

// dead lists the dead letters by job.
func (r *rig) dead() map[string]*app.DeadLetter {
	r.t.Helper()
	all := map[string]*app.DeadLetter{}
	err := r.replayer(app.DeadFilter{}).List(r.t.Context(), func(d *app.DeadLetter) error {
		all[d.JobID] = d
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// replay returns the jobs that were replayed, and those that were not.
func (r *rig) replay(f app.DeadFilter) (replayed, skipped []string) {
	r.t.Helper()
	err := r.replayer(f).Replay(r.t.Context(), func(d *app.DeadLetter) error {
		if d.Skip != "" {
			skipped = append(skipped, d.JobID)
		} else {
			replayed = append(replayed, d.JobID)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return replayed, skipped
}

// taken counts the messages that the SMSC accepted, by text and part.
func (r *rig) taken() map[string]int {
	n := map[string]int{}
	for _, m := range r.smsc.Submits() {
		if m.Status == smsctest.ROK {
			udh, payload := m.UserData()
			n[fmt.Sprintf("% x %s", udh, payload)]++
		}
	}
	return n
}

// isPart reports whether m is this part of a long message.
func isPart(m *smsctest.Submit, part byte) bool {
	udh, _ := m.UserData()
	return len(udh) == 6 && udh[5] == part
}

func TestReplayedDeadLettersAreSentOnceEach(t *testing.T) {
	t.Parallel()
	var fixed atomic.Bool
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		if fixed.Load() || isPart(m, 1) || isPart(m, 3) {
			return smsctest.Action{}
		}
		return smsctest.Action{Status: smsctest.RSYSERR}
	}}, "")
	r.Worker("w1")
	const short = 20
	r.Publish(apptest.Jobs(short, `{"id":"job-%d","to":"447700900123","text":"n %d","meta":{"n":%d}}`)...)
	r.Publish(threeParts("long"), `{"id":"wrong"}`)
	r.Await("all failed", func([]*sms.Result) bool { return len(r.Outcomes()) == short+2 })

	dead := r.dead()
	if len(dead) != short+2 {
		t.Fatalf("%d dead letters, want %d", len(dead), short+2)
	}
	long := dead["long"]
	if long.Code != sms.CodeTemporary || long.Kind != sms.KindFailed || long.Attempts != 5 || long.Status != smsctest.RSYSERR ||
		long.StatusName != "ESME_RSYSERR" || long.Reason == "" || long.Time.IsZero() || long.Producer != "shop" || long.Skip != "" {
		t.Errorf("dead letter: %+v", long)
	}
	if diff := cmp.Diff([]int{1, 3}, numbers(long.Parts)); diff != "" {
		t.Errorf("accepted parts (-want +got):\n%s", diff)
	}

	fixed.Store(true)
	replayed, skipped := r.replay(app.DeadFilter{})
	if diff := cmp.Diff([]string{"wrong"}, skipped); len(replayed) != short+1 || diff != "" {
		t.Errorf("replayed %v, skipped (-want +got):\n%s", replayed, diff)
	}
	again, _ := r.replay(app.DeadFilter{})
	if len(again) > 0 {
		t.Errorf("replayed again: %v", again)
	}
	for id := range dead {
		if id == "wrong" {
			continue
		}
		got := r.AwaitKinds(id, sms.KindFailed, sms.KindSubmitted, sms.KindReceipt)
		failed, submitted := got[0], got[1]
		if failed.Replay != 0 || submitted.Replay != 1 || submitted.Attempt != 1 || submitted.PossibleDuplicate || submitted.ID == failed.ID {
			t.Errorf("%s: failed %+v, then submitted %+v", id, failed, submitted)
		}
		if diff := cmp.Diff(string(failed.Meta), string(submitted.Meta)); diff != "" {
			t.Errorf("%s: meta (-failed +submitted):\n%s", id, diff)
		}
	}
	taken := r.taken()
	for what, n := range taken {
		if n != 1 {
			t.Errorf("%q was accepted %d times", what, n)
		}
	}
	if len(taken) != short+3 {
		t.Errorf("%d messages accepted, want %d", len(taken), short+3)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, numbers(r.AwaitKinds("long", sms.KindSubmitted)[0].Parts)); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

// A replay that is cut off after its publish leaves the dead letter, and is run
// again: the stream's memory of ids may be over by then.
func TestAReplayThatComesTwiceIsSentOnce(t *testing.T) {
	t.Parallel()
	var fixed atomic.Bool
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		if fixed.Load() {
			return smsctest.Action{}
		}
		return smsctest.Action{Status: smsctest.RSYSERR}
	}}, "")
	r.Worker("w1")
	job := `{"id":"once","to":"447700900123","text":"x"}`
	r.Publish(job)
	r.AwaitKinds("once", sms.KindFailed)
	replay := func(number string) {
		t.Helper()
		js, err := jetstream.New(r.Connect())
		if err != nil {
			t.Fatal(err)
		}
		msg := &nats.Msg{Subject: "sms.jobs.acme.normal.shop", Header: nats.Header{"Shortwire-Replay": {number}}, Data: []byte(job)}
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		apptest.Until(t, "it is acked", func() bool { return r.Pending() == 0 })
	}
	replay("1") // fails again
	apptest.Until(t, "there are two outcomes", func() bool { return r.Outcomes()["once"] == 2 })
	fixed.Store(true)
	before := len(r.smsc.Submits())
	replay("1")
	r.Publish(job)
	apptest.Until(t, "all are acked", func() bool { return r.Pending() == 0 })
	if n := len(r.smsc.Submits()) - before; n != 0 {
		t.Fatalf("%d submit_sm for a replay that was done and for a repeat", n)
	}
	replay("2")
	if got := r.AwaitKinds("once", sms.KindSubmitted)[0]; got.Replay != 2 {
		t.Errorf("replay %d, want 2", got.Replay)
	}
	replay("2")
	replay("3") // submitted is the end
	if n := r.taken(); len(n) != 1 || n[" x"] != 1 {
		t.Errorf("accepted: %v", n)
	}
	if got := r.Outcomes()["once"]; got != 3 {
		t.Errorf("%d outcomes, want failed, failed and submitted", got)
	}
}

func TestAReplayWhoseLedgerIsLostSendsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	var fixed atomic.Bool
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		if isPart(m, 2) && !fixed.Load() {
			return smsctest.Action{Status: smsctest.RSYSERR}
		}
		return smsctest.Action{}
	}}, "")
	r.Worker("w1")
	r.Publish(threeParts("old"))
	r.AwaitKinds("old", sms.KindFailed)
	r.forgetAll()
	fixed.Store(true)
	if replayed, _ := r.replay(app.DeadFilter{Code: sms.CodeThrottled}); len(replayed) > 0 {
		t.Errorf("of another code: %v", replayed)
	}
	if replayed, _ := r.replay(app.DeadFilter{Code: sms.CodeTemporary, JobID: "old", Limit: 1}); len(replayed) != 1 {
		t.Errorf("replayed %v", replayed)
	}
	r.AwaitKinds("old", sms.KindSubmitted)
	if parts, refs := r.sent(); parts[1] != 1 || parts[3] != 1 || refs != 1 {
		t.Errorf("submits by part %v with %d references", parts, refs)
	}
}
