package app_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts"
)

// ghost is a worker that only keeps its ledger, and dies.
type ghost struct {
	ledger *receipts.Ledger
	die    func() // its lease ends, its claims stay
}

func (r *rig) ghost(id string) *ghost {
	r.t.Helper()
	db := redis.NewClient(&redis.Options{Addr: r.Redis.Addr})
	r.t.Cleanup(func() { _ = db.Close() })
	d, err := receipts.New(receipts.Config{WorkerID: id}, receipts.Deps{Redis: db, Publisher: nowhere{}})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	g := &ghost{ledger: d.Ledger(), die: func() { cancel(); <-ended; ended <- nil }}
	r.t.Cleanup(g.die)
	return g
}

// nowhere is the Publisher of somebody who has nothing to say.
type nowhere struct{}

func (nowhere) Publish(context.Context, *sms.Result) error                     { return nil }
func (nowhere) PublishThen(_ context.Context, _ *sms.Result, done func(error)) { done(nil) }
func (nowhere) PublishInbound(context.Context, *sms.Inbound) error             { return nil }

// left is how a worker leaves a job of two parts behind.
type left func(ctx context.Context, l *receipts.Ledger, ref sms.JobRef) error

func untouched(context.Context, *receipts.Ledger, sms.JobRef) error { return nil }

// claimed leaves a claim with so many parts accepted.
func claimed(parts int) left {
	return func(ctx context.Context, l *receipts.Ledger, ref sms.JobRef) error {
		_, _, err := begin(ctx, l, ref, parts)
		return err
	}
}

// claimedAt leaves the claim of a later attempt.
func claimedAt(attempt int) left {
	return func(ctx context.Context, l *receipts.Ledger, ref sms.JobRef) error {
		ref.Attempt = attempt
		return claimed(0)(ctx, l, ref)
	}
}

func released(parts int, doubt bool) left {
	return func(ctx context.Context, l *receipts.Ledger, ref sms.JobRef) error {
		token, accepted, err := begin(ctx, l, ref, parts)
		if err != nil {
			return err
		}
		ref.Doubt = doubt
		return l.Release(ctx, ref, token, accepted)
	}
}

// late leaves a claim whose answers came after their timeout.
func late(parts int) left {
	return func(ctx context.Context, l *receipts.Ledger, ref sms.JobRef) error {
		if _, err := l.Claim(ctx, ref); err != nil {
			return err
		}
		for n := range parts {
			if err := l.Late(ctx, ref, acceptedPart(ref, n+1)); err != nil {
				return err
			}
		}
		return nil
	}
}

func settledAs(kind sms.Kind, code sms.Code) left {
	return func(ctx context.Context, l *receipts.Ledger, ref sms.JobRef) error {
		token, accepted, err := begin(ctx, l, ref, 1)
		if err != nil {
			return err
		}
		outcome := &sms.Result{
			ID: sms.OutcomeID(ref.Producer, ref.JobID), Kind: kind, JobID: ref.JobID, Producer: ref.Producer, Route: ref.Route,
			Time: time.Now().UTC(), Attempt: 1, Parts: accepted, Code: code,
		}
		if code != "" {
			outcome.Reason = "as the other worker said"
		}
		return l.Settle(ctx, ref, token, outcome)
	}
}

func begin(ctx context.Context, l *receipts.Ledger, ref sms.JobRef, n int) (token string, parts []sms.Part, err error) {
	c, err := l.Claim(ctx, ref)
	if err != nil {
		return "", nil, err
	}
	for i := range n {
		p, err := l.Accept(ctx, ref, c.Token, acceptedPart(ref, i+1), parts, nil)
		if err != nil {
			return "", nil, err
		}
		parts = append(parts, p)
	}
	return c.Token, parts, nil
}

func acceptedPart(ref sms.JobRef, part int) sms.Accepted {
	return sms.Accepted{Part: part, PartsTotal: 2, RawMessageID: fmt.Sprintf("%s.%d", ref.JobID, part), At: time.Now()}
}

// fate is what a job comes to: its outcome, and the parts that this worker
// sent, each once.
type fate struct {
	Kind    sms.Kind
	Sent    []int
	Doubled bool // possible_duplicate
}

func TestWhatALedgerSaysDecidesWhatIsSent(t *testing.T) {
	t.Parallel()
	both := []int{1, 2}
	submitted := fate{sms.KindSubmitted, both, false}
	uncertain := fate{sms.KindUncertain, nil, true}
	type who string
	const (
		dead  who = "a worker that died"
		same  who = "this worker before it died"
		alive who = "a worker that lives for a while"
	)
	cases := []struct {
		name  string
		who   who
		left  left
		least fate // at_least_once
		most  fate // at_most_once
	}{
		{"not begun", dead, untouched, submitted, submitted},
		{"claimed", dead, claimed(0), fate{sms.KindSubmitted, both, true}, uncertain},
		{"claimed", same, claimed(0), fate{sms.KindSubmitted, both, true}, uncertain},
		{"claimed", alive, claimed(0), fate{sms.KindSubmitted, both, true}, uncertain},
		{"claimed for the last attempt", dead, claimedAt(5), uncertain, uncertain},
		{"one part accepted", dead, claimed(1), fate{sms.KindSubmitted, []int{2}, true}, uncertain},
		{"one part accepted", same, claimed(1), fate{sms.KindSubmitted, []int{2}, true}, uncertain},
		{"one part accepted", alive, claimed(1), fate{sms.KindSubmitted, []int{2}, true}, uncertain},
		{"one part accepted late", dead, late(1), fate{sms.KindSubmitted, []int{2}, true}, uncertain},
		{"every part accepted late", dead, late(2), fate{sms.KindSubmitted, nil, true}, fate{sms.KindSubmitted, nil, true}},
		{"released", dead, released(0, false), submitted, submitted},
		{"released", alive, released(0, false), submitted, submitted},
		{"released with one part", dead, released(1, false), fate{sms.KindSubmitted, []int{2}, false}, fate{sms.KindSubmitted, []int{2}, false}},
		{"released in doubt", dead, released(0, true), fate{sms.KindSubmitted, both, true}, uncertain},
		{"submitted", dead, settledAs(sms.KindSubmitted, ""), fate{Kind: sms.KindSubmitted}, fate{Kind: sms.KindSubmitted}},
		{"submitted", alive, settledAs(sms.KindSubmitted, ""), fate{Kind: sms.KindSubmitted}, fate{Kind: sms.KindSubmitted}},
		{"failed", same, settledAs(sms.KindFailed, sms.CodeRejected), fate{Kind: sms.KindFailed}, fate{Kind: sms.KindFailed}},
		{"uncertain", dead, settledAs(sms.KindUncertain, sms.CodeUncertain), fate{Kind: sms.KindUncertain}, fate{Kind: sms.KindUncertain}},
	}
	r := newRig(t, smsctest.Config{Receipts: smsctest.ReceiptConfig{Off: true}}, "")
	ghosts := map[who]*ghost{dead: r.ghost("ghost"), same: r.ghost("w1"), alive: r.ghost("other-ghost")}
	type job struct {
		name, id, to string
		want         fate
	}
	var jobs []job
	text, busy := strings.Repeat("0123456789", 20), 0 // two parts
	for i, c := range cases {
		for mode, want := range map[sms.DeliveryMode]fate{sms.AtLeastOnce: c.least, sms.AtMostOnce: c.most} {
			j := job{fmt.Sprintf("%s by %s, %s", c.name, c.who, mode), fmt.Sprintf("j%d-%s", i, mode), fmt.Sprintf("447700900%d%02d", len(mode)%9, i), want}
			if err := c.left(t.Context(), ghosts[c.who].ledger, sms.JobRef{Producer: "shop", JobID: j.id, Route: "acme", Attempt: 1}); err != nil {
				t.Fatal(err)
			}
			if c.who == alive && (c.name == "claimed" || c.name == "one part accepted") {
				busy++
			}
			jobs = append(jobs, j)
			r.Publish(fmt.Sprintf(`{"id":%q,"to":%q,"text":%q,"delivery":%q}`, j.id, j.to, text, mode))
		}
	}
	ghosts[dead].die()
	ghosts[same].die()
	r.Worker("w1")
	apptest.Until(t, "all are settled but those that the living worker has", func() bool {
		return int(r.Pending()) == busy && len(r.Outcomes()) == len(jobs)-busy
	})
	ghosts[alive].die()
	r.Await("an outcome of each job", func([]*sms.Result) bool { return len(r.Outcomes()) == len(jobs) })

	sent := map[string][]int{}
	for _, m := range r.smsc.Submits() {
		sent[m.Destination] = append(sent[m.Destination], partOf(&m))
	}
	for _, j := range jobs {
		res := r.AwaitKinds(j.id, j.want.Kind)[0]
		if diff := cmp.Diff(j.want, fate{res.Kind, sent[j.to], res.PossibleDuplicate}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", j.name, diff)
		}
	}
	if n := r.Outcomes(); len(n) != len(jobs) {
		t.Errorf("%d jobs have an outcome, want %d", len(n), len(jobs))
	}
}

func TestAJobPublishedAgainLaterGetsItsOutcomeAndIsNotSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, `    rate: 0
  - name: other
    endpoints: ["$SMSC"]
    system_id: acme
    password_env: ACME_PASSWORD
`)
	js, err := jetstream.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{sms.Subjects{}.StreamJobs("acme"), sms.Subjects{}.StreamJobs("other"), sms.Subjects{}.StreamResults()} {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.Duplicates = 300 * time.Millisecond // in place of 5 and 30 minutes
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(route string) (dropped bool) {
		t.Helper()
		ack, err := js.Publish(t.Context(), "sms.jobs."+route+".normal.shop",
			[]byte(`{"id":"again","to":"447700900123","text":"x","meta":{"order":7}}`), jetstream.WithMsgID("again"))
		if err != nil {
			t.Fatal(err)
		}
		return ack.Duplicate
	}
	outcomes := func() (all []*sms.Result) {
		for _, res := range r.Results() {
			if res.Kind != sms.KindReceipt {
				all = append(all, res)
			}
		}
		return all
	}
	r.Worker("w1")
	if publish("acme") {
		t.Fatal("the first was dropped")
	}
	r.AwaitKinds("again", sms.KindSubmitted, sms.KindReceipt)
	for n, route := range []string{"acme", "other"} {
		apptest.Until(t, "the outcome is published again", func() bool {
			if len(outcomes()) == n+1 {
				publish(route)
			}
			return len(outcomes()) > n+1
		})
	}
	all := outcomes()
	for _, again := range all[1:] {
		if diff := cmp.Diff(all[0], again); diff != "" {
			t.Errorf("the outcome is another (-first +again):\n%s", diff)
		}
	}
	apptest.Until(t, "all repeats are acked", func() bool { return r.Pending() == 0 })
	if n := len(r.smsc.Submits()); n != 1 {
		t.Errorf("%d submit_sm, want 1", n)
	}
}

// The lease of a worker runs out while it is held up: another takes its claim
// over and settles the job, and only then comes the answer of the SMSC.
func TestAWorkerThatLostItsClaimLeavesTheOutcomeToTheOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Hold: true} }}, "")
	other := r.ghost("other")
	r.Worker("w1")
	r.Publish(`{"id":"held-up","to":"447700900123","text":"x","delivery":"at_most_once"}`)
	apptest.Until(t, "the message is at the SMSC", func() bool { return r.accepted() == 1 })

	ref := sms.JobRef{Producer: "shop", JobID: "held-up", Route: "acme", Attempt: 1}
	if n, err := r.redis().Del(t.Context(), "sw:w:{w1}").Result(); err != nil || n != 1 {
		t.Fatalf("%d leases ended: %v", n, err)
	}
	c, err := other.ledger.Claim(t.Context(), ref)
	if err != nil || c.State != sms.ClaimInDoubt {
		t.Fatalf("claim %+v, %v", c, err)
	}
	outcome := &sms.Result{
		ID: sms.OutcomeID("shop", "held-up"), Kind: sms.KindUncertain, JobID: "held-up", Producer: "shop", Route: "acme",
		Time: time.Now().UTC(), Attempt: 2, PossibleDuplicate: true, Code: sms.CodeUncertain, Reason: "as the other worker said",
	}
	if err := other.ledger.Settle(t.Context(), ref, c.Token, outcome); err != nil {
		t.Fatal(err)
	}
	r.smsc.ReleaseHeld(false)
	r.AwaitKinds("held-up", sms.KindUncertain, sms.KindReceipt)
	apptest.Until(t, "the job is acked", func() bool { return r.Pending() == 0 })
	for _, res := range r.Results() {
		if res.Kind == sms.KindSubmitted {
			t.Error("the worker that lost its claim tells an outcome of its own")
		}
	}
	if n := len(r.smsc.Submits()); n != 1 {
		t.Errorf("%d submit_sm, want 1", n)
	}
}
