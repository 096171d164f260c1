package receipts

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var allOrders = flag.Bool("all-orders", false, "run the scenarios of three with sweepers too, which takes a minute")

// desk makes one of a run. What it parks is due after so many hours, which is
// when the sweepers of the test are: hours away from every clock.
func (w *world) desk(t *testing.T, r *run, name string, c redis.UniversalClient, pub Publisher, hours int) *Desk {
	t.Helper()
	d, err := New(Config{
		WorkerID: name, Prefix: r.prefix, DeliverTimeout: time.Hour,
		Routes: map[string]Route{"acme": {ParkingTTL: time.Duration(hours) * time.Hour}},
	}, Deps{Redis: c, Publisher: pub, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// submitter records the ids as the parts of job j1, the last with its outcome.
func submitter(ids ...string) actor {
	var token string
	ref := jobRef("j1")
	return actor{
		name: "submit",
		setUp: func(t *testing.T, _ *run, d *Desk) {
			token = claim(t, d, ref, sms.ClaimFresh).Token
		},
		do: func(ctx context.Context, d *Desk) bool {
			return acceptAll(ctx, d, ref, token, nil, ids) == nil
		},
	}
}

func acceptAll(ctx context.Context, d *Desk, ref sms.JobRef, token string, parts []sms.Part, ids []string) error {
	for i, id := range ids {
		if i < len(parts) {
			continue
		}
		var outcome *sms.Result
		if i == len(ids)-1 {
			outcome = outcomeOf(ref)
		}
		part, err := d.Ledger().Accept(ctx, ref, token, accepted(i+1, len(ids), id), parts, outcome)
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	return nil
}

// receiver is given a receipt.
func receiver(name string, m *sms.Message) actor {
	return actor{name: name, do: func(ctx context.Context, d *Desk) bool {
		return d.Deliver(ctx, "acme", "acme/1", m) == statusOK
	}}
}

// sweeper finds the receipt due under the key, hour hours from now. It is not
// there before the receipt was parked.
func sweeper(name string, m *sms.Message, key string, hour int) actor {
	p := Parse(m)
	member := dueMember(receiptResult("acme", firstID(m), &p).ID, key)
	return actor{name: name, do: func(ctx context.Context, d *Desk) bool {
		return d.sweepOne(ctx, "acme", member, time.Now().Add(time.Duration(hour)*time.Hour+time.Minute).UnixMilli()) == nil
	}}
}

// firstID is the id that the result of a receipt shows.
func firstID(m *sms.Message) string {
	p := Parse(m)
	return IDRules{Submit: IDAsIs, Receipt: IDAsIs}.shown(p)
}

// twoKeys is a receipt whose job may be known under either id.
func twoKeys(text, tlv string) *sms.Message {
	m := deliverReceipt(text, "DELIVRD")
	m.TLVs = []sms.TLV{{Tag: sms.TagReceiptedMsgID, Value: []byte(tlv)}}
	return m
}

// parked has the receipts wait for their job before anybody acts.
func parked(all ...*sms.Message) func(t *testing.T, r *run) {
	return func(t *testing.T, r *run) {
		for _, m := range all {
			deliver(t, r.rescue, m, statusOK)
		}
	}
}

// submitted has the job be known before anybody acts.
func submitted(ids ...string) func(t *testing.T, r *run) {
	return func(t *testing.T, r *run) { submit(t, r.rescue, jobRef("j1"), ids...) }
}

// recovery is what happens after a run: the SMSC repeats the receipts whose
// receiver died, the job is delivered to another worker, which submits again
// what is not recorded, and in the end everything that is parked is due. Where
// nobody died nothing happens: the receipts must be out already.
func recovery(repeats map[string]*sms.Message, ids ...string) func(t *testing.T, r *run) {
	return func(t *testing.T, r *run) {
		t.Helper()
		if !slices.ContainsFunc(r.stage, func(s *staged) bool { return s.dead.Load() }) {
			return
		}
		for _, s := range r.stage {
			if m := repeats[s.name]; m != nil && !s.done {
				deliver(t, r.rescue, m, statusOK)
			}
			if s.name == "submit" && !s.done {
				resubmit(t, r, ids)
			}
		}
		all := must(r.rescue.store.client.ZRange(t.Context(), r.rescue.keys.dueIndex("acme"), 0, -1).Result())(t)
		for _, member := range all {
			if err := r.rescue.sweepOne(t.Context(), "acme", member, time.Now().Add(24*time.Hour).UnixMilli()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// resubmit takes the job over from a worker that died. New messages have new ids.
func resubmit(t *testing.T, r *run, ids []string) {
	t.Helper()
	if err := r.rescue.store.client.Del(t.Context(), r.rescue.keys.worker("submit")).Err(); err != nil {
		t.Fatal(err)
	}
	ref := jobRef("j1")
	c := must(r.rescue.Ledger().Claim(t.Context(), ref))(t)
	switch c.State {
	case sms.ClaimSettled:
	case sms.ClaimInDoubt:
		ref.Attempt, ref.Doubt = 2, true
		again := append([]string(nil), ids...)
		for i := len(c.Parts); i < len(ids); i++ {
			again[i] += "-again"
		}
		if err := acceptAll(t.Context(), r.rescue, ref, c.Token, c.Parts, again); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("claim after a death: state %d", c.State)
	}
}

// verdicts is how often receipts may be published without their job.
type verdicts struct {
	unmatched bool // a sweeper may come before the job
	both      bool // the SMSC may repeat a receipt after it was published as unmatched
}

// onceEach demands one result id for each receipt: with its job, or without
// it when that may be. Results of one id must say the same.
func (v verdicts) onceEach(receipts ...*sms.Message) func(r *run) error {
	return func(r *run) error {
		wrote := false
		for key := range r.keys {
			wrote = wrote || strings.HasPrefix(key, r.rescue.keys.ids) && r.keys[key].past.Len() > 0
		}
		submitted := wrote
		for _, s := range r.stage {
			submitted = submitted && (s.name != "submit" || s.done)
		}
		for _, m := range receipts {
			ids, bodies := map[string]bool{}, map[string]string{}
			for _, res := range r.pub.list() {
				if res.Raw != string(m.ShortMessage) {
					continue
				}
				ids[res.ID] = true
				body := summary(res)
				if before, again := bodies[res.ID]; again && before != body {
					return fmt.Errorf("one id says both %s and %s", before, body)
				}
				bodies[res.ID] = body
				if res.Producer == sms.UnmatchedProducer && submitted && !v.unmatched {
					return errors.New("published as unmatched though the job was known")
				}
			}
			if len(ids) != 1 && !(v.both && len(ids) == 2) {
				return fmt.Errorf("%d result ids for the receipt %q", len(ids), m.ShortMessage)
			}
		}
		return nil
	}
}

// oneJobState demands that one result carries the state of the job.
func oneJobState(want sms.State, receipts ...*sms.Message) func(r *run) error {
	return func(r *run) error {
		if err := (verdicts{}).onceEach(receipts...)(r); err != nil {
			return err
		}
		carriers := map[string]sms.State{}
		for _, res := range r.pub.list() {
			if res.Producer == sms.UnmatchedProducer {
				return nil // its worker died before the id was recorded: the parts are never complete
			}
			if res.JobState != "" {
				carriers[res.ID] = res.JobState
			}
		}
		if len(carriers) != 1 {
			return fmt.Errorf("%d results carry job_state, want 1", len(carriers))
		}
		for _, got := range carriers {
			if got != want {
				return fmt.Errorf("job_state %s, want %s", got, want)
			}
		}
		return nil
	}
}

func summary(r *sms.Result) string {
	return fmt.Sprintf("producer=%s job=%s part=%d/%d state=%s job_state=%s", r.Producer, r.JobID, r.Part, r.PartsTotal, r.State, r.JobState)
}

func describe(all []*sms.Result) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%s %s\n", r.ID, summary(r))
	}
	return b.String()
}

func TestEveryOrderOfStepsAndDeathsPublishesAReceiptOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	final, early, both := deliverReceipt("A1", "DELIVRD"), deliverReceipt("A1", "ENROUTE"), twoKeys("B1", "A1")
	second, failed := deliverReceipt("A2", "DELIVRD"), deliverReceipt("A1", "UNDELIV")
	type repeats = map[string]*sms.Message
	scenarios := map[string]*scenario{
		"a submit and its receipt": {
			actors: []actor{submitter("A1"), receiver("receipt", final)}, crashes: 2,
			after: recovery(repeats{"receipt": final}, "A1"), judge: verdicts{}.onceEach(final),
		},
		"a submit and two receipts on two desks": {
			actors: []actor{submitter("A1"), receiver("early", early), receiver("final", final)}, crashes: 1,
			after: recovery(repeats{"early": early, "final": final}, "A1"), judge: verdicts{}.onceEach(early, final),
		},
		"a submit, a receipt and its repeat on another desk": {
			actors: []actor{submitter("A1"), receiver("receipt", final), receiver("repeat", final)}, crashes: 1,
			after: recovery(repeats{"receipt": final, "repeat": final}, "A1"), judge: verdicts{}.onceEach(final),
		},
		"a submit under the second id of a receipt": {
			actors: []actor{submitter("B1"), receiver("receipt", both)}, crashes: 2,
			after: recovery(repeats{"receipt": both}, "B1"), judge: verdicts{}.onceEach(both),
		},
		"two sweepers and nobody else": {
			before: parked(final), actors: []actor{sweeper("sweep", final, "a1", 1), sweeper("other-sweep", final, "a1", 1)}, crashes: 2,
			after: recovery(nil), judge: verdicts{unmatched: true}.onceEach(final),
		},
		"the receipts of two parts and a repeat": {
			before: submitted("A1", "A2"), actors: []actor{receiver("first", failed), receiver("second", second), receiver("repeat", failed)}, crashes: 2,
			after: recovery(repeats{"first": failed, "second": second, "repeat": failed}),
			judge: oneJobState(sms.StateUndeliverable, failed, second),
		},
		"a submit of two parts and their receipts": {
			actors: []actor{submitter("A1", "A2"), receiver("first", failed), receiver("second", second)}, crashes: 1,
			after: recovery(repeats{"first": failed, "second": second}, "A1", "A2"),
			judge: oneJobState(sms.StateUndeliverable, failed, second),
		},
		"a late submit and a sweeper": {
			before: parked(final), actors: []actor{submitter("A1"), sweeper("sweep", final, "a1", 1)}, crashes: 2,
			after: recovery(nil, "A1"), judge: verdicts{unmatched: true}.onceEach(final),
		},
		"a late submit under the second id and a sweeper of the first": {
			before: parked(both), actors: []actor{submitter("B1"), sweeper("sweep", both, "a1", 1)}, crashes: 2,
			after: recovery(nil, "B1"), judge: verdicts{unmatched: true}.onceEach(both),
		},
	}
	if *allOrders {
		maps.Copy(scenarios, map[string]*scenario{
			"a late submit and two sweepers": {
				before: parked(final), actors: []actor{submitter("A1"), sweeper("sweep", final, "a1", 1), sweeper("other-sweep", final, "a1", 1)}, crashes: 1,
				after: recovery(nil, "A1"), judge: verdicts{unmatched: true}.onceEach(final),
			},
			"a late submit under the second id and sweepers of both": {
				before: parked(both), actors: []actor{submitter("B1"), sweeper("sweep", both, "a1", 1), sweeper("other-sweep", both, "b1", 1)}, crashes: 1,
				after: recovery(nil, "B1"), judge: verdicts{unmatched: true}.onceEach(both),
			},
			"a late submit, a sweeper and a repeat of the receipt": {
				before: parked(final), actors: []actor{submitter("A1"), sweeper("sweep", final, "a1", 1), later(receiver("repeat", final))}, crashes: 1,
				after: recovery(repeats{"repeat": final}, "A1"), judge: verdicts{unmatched: true, both: true}.onceEach(final),
			},
		})
	}
	for name, sc := range scenarios {
		if raceDetector { // looks for something else, and slowly
			sc.crashes = 0
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orders, runs := sc.explore(t, srv.Addr)
			t.Logf("%d orders in %d runs", orders, runs)
		})
	}
}

// later has what an actor parks be due after the sweepers.
func later(a actor) actor {
	a.parks = 3
	return a
}
