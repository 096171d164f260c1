package receipts

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// shortLease makes workers die fast; nothing renews it unless Run runs.
func shortLease(c *Config) { c.LeaseTTL = 60 * time.Millisecond }

// die waits until the worker's lease is gone from Redis.
func die(t *testing.T, d *Desk) {
	t.Helper()
	until(t, "lease expired", func() bool {
		n, err := d.store.client.Exists(t.Context(), d.keys.worker(d.cfg.WorkerID)).Result()
		return err == nil && n == 0
	})
}

func TestAJobIsFreshOnceAndBusyForOthers(t *testing.T) {
	t.Parallel()
	srv := start(t)
	one, _ := newDesk(t, srv.Addr, nil)
	two, _ := newDesk(t, srv.Addr, nil)
	c := claim(t, one, jobRef("j1"), sms.ClaimFresh)
	if c.Token == "" || c.Attempt != 0 || c.Doubt {
		t.Errorf("fresh claim is %+v", c)
	}
	claim(t, two, jobRef("j1"), sms.ClaimBusy)

	elsewhere := jobRef("j1")
	elsewhere.Route = "other"
	claim(t, two, elsewhere, sms.ClaimBusy)
	other := jobRef("j1")
	other.Producer = "bank"
	claim(t, two, other, sms.ClaimFresh)
}

func TestASettledJobAnswersWithItsOutcome(t *testing.T) {
	t.Parallel()
	srv := start(t)
	one, _ := newDesk(t, srv.Addr, nil)
	two, _ := newDesk(t, srv.Addr, nil)

	want := submit(t, one, jobRef("accepted"), "A1", "A2")
	if diff := cmp.Diff([]sms.Part{{Number: 1, MessageID: "A1", RawMessageID: "A1"}, {Number: 2, MessageID: "A2", RawMessageID: "A2"}}, want.Parts); diff != "" {
		t.Errorf("Accept did not add the part to the outcome (-want +got):\n%s", diff)
	}
	got := claim(t, two, jobRef("accepted"), sms.ClaimSettled)
	if diff := cmp.Diff(want, got.Outcome); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}

	ref := jobRef("refused")
	c := claim(t, one, ref, sms.ClaimFresh)
	want = outcomeOf(ref)
	want.Kind, want.Code, want.Status, want.StatusName, want.Reason = sms.KindFailed, sms.CodeRejected, 0x0B, "ESME_RINVDSTADR", "no such number"
	if err := one.Ledger().Settle(t.Context(), ref, c.Token, want); err != nil {
		t.Fatal(err)
	}
	got = claim(t, two, ref, sms.ClaimSettled)
	if diff := cmp.Diff(want, got.Outcome); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func TestAReleasedJobIsResumedWithItsParts(t *testing.T) {
	t.Parallel()
	srv := start(t)
	one, _ := newDesk(t, srv.Addr, nil)
	two, _ := newDesk(t, srv.Addr, nil)
	ref := jobRef("j1")
	ref.Attempt = 3
	c := claim(t, one, ref, sms.ClaimFresh)
	part := must(one.Ledger().Accept(t.Context(), ref, c.Token, accepted(2, 3, "B7"), nil, nil))(t)
	if err := one.Ledger().Release(t.Context(), ref, c.Token, []sms.Part{part}); err != nil {
		t.Fatal(err)
	}
	got := claim(t, two, jobRef("j1"), sms.ClaimResumed)
	want := sms.Claim{State: sms.ClaimResumed, Token: got.Token, Attempt: 3, Parts: []sms.Part{part}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	claim(t, one, jobRef("j1"), sms.ClaimBusy)
}

func TestTheClaimOfADeadWorkerIsInDoubtForGood(t *testing.T) {
	t.Parallel()
	srv := start(t)
	dead, _ := newDesk(t, srv.Addr, shortLease)
	two, _ := newDesk(t, srv.Addr, nil)
	three, _ := newDesk(t, srv.Addr, nil)
	ref := jobRef("j1")
	c := claim(t, dead, ref, sms.ClaimFresh)
	part := must(dead.Ledger().Accept(t.Context(), ref, c.Token, accepted(1, 2, "C1"), nil, nil))(t)
	die(t, dead)

	got := claim(t, three, ref, sms.ClaimInDoubt)
	want := sms.Claim{State: sms.ClaimInDoubt, Token: got.Token, Attempt: 1, Doubt: true, Parts: []sms.Part{part}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	again := ref
	again.Attempt, again.Doubt = 2, true
	if err := three.Ledger().Release(t.Context(), again, got.Token, got.Parts); err != nil {
		t.Fatal(err)
	}
	got = claim(t, two, ref, sms.ClaimResumed)
	if !got.Doubt || got.Attempt != 2 {
		t.Errorf("resumed after doubt: doubt %v, attempt %d, want true, 2", got.Doubt, got.Attempt)
	}
}

func TestAClaimThatOurOwnWorkerForgotIsInDoubt(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	claim(t, d, jobRef("j1"), sms.ClaimFresh)
	claim(t, d, jobRef("j1"), sms.ClaimInDoubt)
}

func TestAWorkerThatStartsAgainTakesItsOldClaimsForDead(t *testing.T) {
	t.Parallel()
	srv := start(t)
	same := func(c *Config) { c.WorkerID = "pod-0" }
	before, _ := newDesk(t, srv.Addr, same)
	other, _ := newDesk(t, srv.Addr, nil)
	claim(t, before, jobRef("j1"), sms.ClaimFresh)
	claim(t, before, jobRef("j2"), sms.ClaimFresh)
	claim(t, other, jobRef("j1"), sms.ClaimBusy)

	after, _ := newDesk(t, srv.Addr, same)
	claim(t, after, jobRef("j1"), sms.ClaimInDoubt)
	claim(t, other, jobRef("j2"), sms.ClaimInDoubt)
	before.lease.until.Store(0)
	if _, err := before.Ledger().Claim(t.Context(), jobRef("j3")); !errors.Is(err, ErrWorkerID) {
		t.Errorf("claim by the older process: %v, want ErrWorkerID", err)
	}
	if err := before.Run(t.Context()); !errors.Is(err, ErrWorkerID) {
		t.Errorf("Run of the older process: %v, want ErrWorkerID", err)
	}
}

func TestOfManyWorkersOneGetsTheJob(t *testing.T) {
	t.Parallel()
	srv := start(t)
	dead, _ := newDesk(t, srv.Addr, shortLease)
	claim(t, dead, jobRef("orphan"), sms.ClaimFresh)
	die(t, dead)

	states := map[string]map[sms.ClaimState]int{"new": {}, "orphan": {}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		d, _ := newDesk(t, srv.Addr, nil)
		for job := range states {
			wg.Go(func() {
				c, err := d.Ledger().Claim(t.Context(), jobRef(job))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				states[job][c.State]++
			})
		}
	}
	wg.Wait()
	want := map[string]map[sms.ClaimState]int{
		"new":    {sms.ClaimFresh: 1, sms.ClaimBusy: 7},
		"orphan": {sms.ClaimInDoubt: 1, sms.ClaimBusy: 7},
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("claims by state (-want +got):\n%s", diff)
	}
}

func TestAClaimWhoseAnswerWasLostIsRecognised(t *testing.T) {
	t.Parallel()
	srv := start(t)
	r := newRelay(t, srv.Addr)
	d, _ := newDesk(t, r.addr, nil)
	claim(t, d, jobRef("warm-up"), sms.ClaimFresh)
	for id, ask := range map[string]func(ref sms.JobRef) (sms.Claim, error){
		"waited for": func(ref sms.JobRef) (sms.Claim, error) { return d.Ledger().Claim(t.Context(), ref) },
		"told of":    func(ref sms.JobRef) (sms.Claim, error) { return claimThen(t.Context(), d.Ledger(), ref) },
	} {
		r.lose.Store(3) // more than go-redis repeats by itself
		if c, err := ask(jobRef(id)); err != nil || c.State != sms.ClaimFresh {
			t.Errorf("%s: state %d, %v, want fresh", id, c.State, err)
		}
		if left := r.lose.Load(); left > 0 {
			t.Errorf("%s: %d answers were not lost", id, left)
		}
	}
}

func TestALostClaimOverwritesNothing(t *testing.T) {
	t.Parallel()
	for name, leaseLooksAlive := range map[string]bool{
		"when the worker knows that its lease is over": false,
		"when it was held up between look and write":   true,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			slow, _ := newDesk(t, srv.Addr, shortLease)
			fast, _ := newDesk(t, srv.Addr, nil)
			ref := jobRef("j1")
			lost := claim(t, slow, ref, sms.ClaimFresh)
			die(t, slow)
			c := claim(t, fast, ref, sms.ClaimInDoubt)
			want := outcomeOf(ref)
			must(fast.Ledger().Accept(t.Context(), ref, c.Token, accepted(1, 1, "D1"), nil, want))(t)

			if leaseLooksAlive {
				slow.lease.until.Store(int64(time.Hour))
			}
			l := slow.Ledger()
			_, part := l.Accept(t.Context(), ref, lost.Token, accepted(1, 2, "D2"), nil, nil)
			_, last := l.Accept(t.Context(), ref, lost.Token, accepted(2, 2, "D3"), nil, outcomeOf(ref))
			_, told := acceptThen(t.Context(), l, ref, lost.Token, accepted(1, 1, "D4"), nil, outcomeOf(ref))
			for step, err := range map[string]error{
				"Accept of a part": part, "Accept of the last": last, "AcceptThen": told,
				"Settle":  l.Settle(t.Context(), ref, lost.Token, outcomeOf(ref)),
				"Release": l.Release(t.Context(), ref, lost.Token, nil),
			} {
				if !errors.Is(err, ErrClaimLost) {
					t.Errorf("%s: %v, want ErrClaimLost", step, err)
				}
			}
			if got := slow.Stats().ClaimsLost; got != 5 {
				t.Errorf("%d lost claims counted, want 5", got)
			}
			got := claim(t, fast, ref, sms.ClaimSettled)
			if diff := cmp.Diff(want, got.Outcome); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if known := must(fast.lookUp(t.Context(), "acme", []string{"d3"}, false, new(correlation)))(t); !known {
				t.Error("the message id of the lost claim's part is not known")
			}
		})
	}
}

func TestARecordOfALaterVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	key := d.keys.job("shop", "j1")
	if err := d.store.client.Set(t.Context(), key, `2X{"t":"abc"}`, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	claim(t, d, jobRef("j1"), sms.ClaimBusy)
}

func TestALateResponseCounts(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	l := d.Ledger()
	ref := jobRef("j1")
	c := claim(t, d, ref, sms.ClaimFresh)
	first := must(l.Accept(t.Context(), ref, c.Token, accepted(1, 3, "E1"), nil, nil))(t)
	d.Deliver(t.Context(), "acme", "b1", deliverReceipt("E2", "DELIVRD"))
	for _, a := range []sms.Accepted{accepted(2, 3, "E2"), accepted(2, 3, "E2"), accepted(3, 3, "E3")} {
		if err := l.Late(t.Context(), ref, a); err != nil {
			t.Fatal(err)
		}
	}
	if got := pub.list(); len(got) != 1 || got[0].Part != 2 || got[0].JobID != "j1" {
		t.Errorf("the receipt before the late response was not published with its job: %+v", got)
	}
	if err := l.Release(t.Context(), ref, c.Token, []sms.Part{first}); err != nil {
		t.Fatal(err)
	}
	got := claim(t, d, ref, sms.ClaimResumed)
	want := []sms.Part{first, {Number: 2, MessageID: "E2", RawMessageID: "E2"}, {Number: 3, MessageID: "E3", RawMessageID: "E3"}}
	if diff := cmp.Diff(want, got.Parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}

	settled := submit(t, d, jobRef("j2"), "F1")
	if err := l.Late(t.Context(), jobRef("j2"), accepted(2, 2, "F2")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settled, claim(t, d, jobRef("j2"), sms.ClaimSettled).Outcome); diff != "" {
		t.Errorf("a late response changed an outcome (-want +got):\n%s", diff)
	}
}

func TestBothCopiesOfAMessageSayTheStateOfTheJobOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	ref := jobRef("j1")
	c := claim(t, d, ref, sms.ClaimFresh) // sent, not answered in time
	again := ref
	again.Attempt, again.Doubt = 2, true
	if err := d.Ledger().Release(t.Context(), again, c.Token, nil); err != nil {
		t.Fatal(err)
	}
	c = claim(t, d, again, sms.ClaimResumed)
	must(d.Ledger().Accept(t.Context(), again, c.Token, accepted(1, 1, "H2"), nil, outcomeOf(again)))(t)
	if err := d.Ledger().Late(t.Context(), ref, accepted(1, 1, "H1")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"H1", "H2"} {
		d.Deliver(t.Context(), "acme", "b1", deliverReceipt(id, "DELIVRD"))
	}
	states := 0
	for _, res := range pub.list() {
		if res.JobID != "j1" || !res.PossibleDuplicate {
			t.Errorf("receipt of job %q, possible_duplicate %t", res.JobID, res.PossibleDuplicate)
		}
		if res.JobState != "" {
			states++
		}
	}
	if states != 1 || len(pub.list()) != 2 {
		t.Errorf("%d of %d receipts carry job_state, want 1 of 2", states, len(pub.list()))
	}
}

func TestAPartWithoutAMessageIDIsRecorded(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	want := submit(t, d, jobRef("j1"), "")
	if diff := cmp.Diff([]sms.Part{{Number: 1}}, want.Parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, claim(t, d, jobRef("j1"), sms.ClaimSettled).Outcome); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func TestEverythingInRedisExpires(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	submit(t, d, jobRef("j1"), "G1", "G2")
	c := claim(t, d, jobRef("j2"), sms.ClaimFresh)
	if err := d.Ledger().Release(t.Context(), jobRef("j2"), c.Token, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Ledger().Late(t.Context(), jobRef("j2"), accepted(1, 2, "G3")); err != nil {
		t.Fatal(err)
	}
	d.Deliver(t.Context(), "acme", "b1", deliverReceipt("G1", "DELIVRD"))
	d.Deliver(t.Context(), "acme", "b1", deliverReceipt("nobody", "DELIVRD"))
	keys := must(d.store.client.Keys(t.Context(), "*").Result())(t)
	if len(keys) < 9 {
		t.Errorf("only %d keys: %q", len(keys), keys)
	}
	for _, key := range keys {
		ttl := must(d.store.client.PTTL(t.Context(), key).Result())(t)
		if ttl <= 0 && key != d.keys.routes { // bounded by the number of routes
			t.Errorf("%s never expires", key)
		}
	}
}

func TestTheLeaseLivesAsLongAsRun(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, func(c *Config) { c.LeaseTTL, c.RenewEvery = 2*time.Second, 20*time.Millisecond })
	other, _ := newDesk(t, srv.Addr, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	until(t, "lease held", d.lease.held)
	first := d.lease.until.Load()
	until(t, "lease renewed", func() bool { return d.lease.until.Load() > first })
	claim(t, d, jobRef("j1"), sms.ClaimFresh)
	claim(t, other, jobRef("j1"), sms.ClaimBusy)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	claim(t, other, jobRef("j1"), sms.ClaimInDoubt)
}

func TestAFailedJobIsReopenedByEachReplayOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	one, _ := newDesk(t, srv.Addr, nil)
	two, _ := newDesk(t, srv.Addr, nil)
	ref := jobRef("j1")
	ref.Attempt = 5
	c := claim(t, one, ref, sms.ClaimFresh)
	failed := outcomeOf(ref)
	failed.Kind, failed.Code, failed.Reason = sms.KindFailed, sms.CodeTemporary, "busy"
	failed.Parts = []sms.Part{{Number: 2, MessageID: "B7", RawMessageID: "B7"}}
	if err := one.Ledger().Settle(t.Context(), ref, c.Token, failed); err != nil {
		t.Fatal(err)
	}
	claim(t, two, jobRef("j1"), sms.ClaimSettled) // the producer sends it again

	replay := jobRef("j1")
	replay.Replay = 1
	got := claim(t, two, replay, sms.ClaimResumed)
	if diff := cmp.Diff(sms.Claim{State: sms.ClaimResumed, Token: got.Token, Replay: 1, Parts: failed.Parts}, got); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	claim(t, one, replay, sms.ClaimBusy)
	if err := two.Ledger().Release(t.Context(), replay, got.Token, got.Parts); err != nil {
		t.Fatal(err)
	}
	repeat := claim(t, one, jobRef("j1"), sms.ClaimResumed) // of the job as it first came, between two attempts
	if diff := cmp.Diff(sms.Claim{State: sms.ClaimResumed, Token: repeat.Token, Attempt: 1, Replay: 1, Parts: failed.Parts}, repeat); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	failed.Replay = 1
	if err := one.Ledger().Settle(t.Context(), replay, repeat.Token, failed); err != nil {
		t.Fatal(err)
	}
	claim(t, two, replay, sms.ClaimSettled)
	replay.Replay = 2
	claim(t, two, replay, sms.ClaimResumed)
}

func TestWhatIsAtTheSMSCOrMayBeIsNotReopened(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	for _, kind := range []sms.Kind{sms.KindSubmitted, sms.KindUncertain, sms.KindExpired} {
		ref := jobRef(string(kind))
		c := claim(t, d, ref, sms.ClaimFresh)
		outcome := outcomeOf(ref)
		outcome.Kind = kind
		if err := d.Ledger().Settle(t.Context(), ref, c.Token, outcome); err != nil {
			t.Fatal(err)
		}
		ref.Replay = 1
		if got := claim(t, d, ref, sms.ClaimSettled); got.Outcome.Kind != kind {
			t.Errorf("outcome %s, want %s", got.Outcome.Kind, kind)
		}
	}
}
