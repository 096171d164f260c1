package receipts

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// quickParking lets parked receipts be due at once.
var quickParking = withRoute(Route{ParkingTTL: time.Millisecond})

// sweepNow sweeps until nothing is parked.
func sweepNow(t *testing.T, d *Desk) {
	t.Helper()
	until(t, "nothing is parked", func() bool {
		if err := d.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return parkedCount(t, d) == 0
	})
}

func TestAReceiptBeforeItsResponseIsParkedAndMeetsItsJob(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	sender, sent := newDesk(t, srv.Addr, nil)
	deliver(t, d, deliverReceipt("A1", "ENROUTE"), statusOK)
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
	if n := parkedCount(t, d); n != 2 || len(pub.list()) != 0 {
		t.Fatalf("%d parked and %d published, want 2 and 0", n, len(pub.list()))
	}
	submit(t, sender, jobRef("j1"), "A1")
	all := sent.list()
	if len(all) != 2 || all[0].State != sms.StateEnroute || all[1].State != sms.StateDelivered {
		t.Fatalf("published %+v, want ENROUTE and DELIVERED", all)
	}
	for _, r := range all {
		if r.JobID != "j1" || r.Producer != "shop" {
			t.Errorf("published for job %q of %q", r.JobID, r.Producer)
		}
	}
	if all[1].JobState != sms.StateDelivered {
		t.Errorf("job state %q, want DELIVERED", all[1].JobState)
	}
	if n := parkedCount(t, d); n != 0 {
		t.Errorf("%d are still parked", n)
	}
}

func TestAResponseBetweenLookUpAndParkingIsSeen(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	sender, sent := newDesk(t, srv.Addr, nil)
	p := Parse(deliverReceipt("A1", "DELIVRD"))
	p.TLVID = "a second key"
	keys := IDRules{}.Candidates(p)
	res := receiptResult("acme", "A1", &p)
	var owner correlation
	if must(d.lookUp(t.Context(), "acme", keys, true, &owner))(t) {
		t.Fatal("found a job that nobody submitted")
	}
	submit(t, sender, jobRef("j1"), "A1")
	if known := must(d.park(t.Context(), "acme", keys, res, &owner))(t); !known || owner.JobID != "j1" {
		t.Fatalf("parking answers %v %+v, want job j1", known, owner)
	}
	if n := parkedCount(t, d); n != 0 || len(sent.list())+len(pub.list()) != 0 {
		t.Errorf("%d are parked, %d published, want none", n, len(sent.list())+len(pub.list()))
	}
}

func TestAParkedReceiptWithoutAJobIsPublishedUnmatched(t *testing.T) {
	t.Parallel()
	srv := start(t)
	one, first := newDesk(t, srv.Addr, quickParking)
	two, second := newDesk(t, srv.Addr, quickParking)
	m := deliverReceipt("A1", "DELIVRD")
	m.TLVs = []sms.TLV{{Tag: sms.TagReceiptedMsgID, Value: []byte("B1")}}
	deliver(t, one, m, statusOK)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for parkedKeys, err := two.store.client.Keys(t.Context(), two.keys.parked+"*").Result(); err == nil && len(parkedKeys) > 0; {
			if two.sweep(t.Context()) != nil {
				return
			}
			parkedKeys, err = two.store.client.Keys(t.Context(), two.keys.parked+"*").Result()
		}
	}()
	sweepNow(t, one)
	<-done
	all := append(first.list(), second.list()...)
	if len(all) == 0 {
		t.Fatal("nothing was published")
	}
	for _, r := range all {
		if r.Producer != sms.UnmatchedProducer || r.JobID != "" || r.MessageID != "B1" || r.Raw != string(m.ShortMessage) {
			t.Errorf("published %+v", r)
		}
		if r.ID != all[0].ID {
			t.Errorf("two sweepers used the ids %s and %s", r.ID, all[0].ID)
		}
	}
	submit(t, one, jobRef("j1"), "B1")
	deliver(t, one, m, statusOK)
	if last := first.list(); last[len(last)-1].JobID != "j1" || last[len(last)-1].ID == all[0].ID {
		t.Error("the repeated receipt does not get through to its job")
	}
}

func TestAReceiptWithoutAnIDIsPublishedUnmatchedAtOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	deliver(t, d, deliverReceipt("", "DELIVRD"), statusOK)
	deliver(t, d, &sms.Message{ESMClass: sms.ESMClassReceipt}, statusOK)
	all := pub.list()
	if len(all) != 2 || all[0].Producer != sms.UnmatchedProducer || all[0].ID == all[1].ID {
		t.Errorf("published %+v, want two unmatched ones with different ids", all)
	}
}

func TestWhatCouldNotBePublishedOnMeetingIsSwept(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, quickParking)
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
	pub.setDown(true)
	c := claim(t, d, jobRef("j1"), sms.ClaimFresh)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	must(d.Ledger().Accept(ctx, jobRef("j1"), c.Token, accepted(1, 1, "A1"), nil, outcomeOf(jobRef("j1"))))(t)
	pub.setDown(false)
	sweepNow(t, d)
	if got := only(t, pub); got.JobID != "j1" {
		t.Errorf("published for %q, want j1", got.JobID)
	}
}

func TestASweptReceiptFindsAJobThatTurnedUpUnderAnotherKey(t *testing.T) {
	t.Parallel()
	srv := start(t)
	strict, _ := newDesk(t, srv.Addr, quickParking)
	d, pub := newDesk(t, srv.Addr, quickParking)
	m := deliverReceipt("A1", "DELIVRD")
	m.TLVs = []sms.TLV{{Tag: sms.TagReceiptedMsgID, Value: []byte("B1")}}
	deliver(t, d, m, statusOK)
	// The job is recorded without looking for parked receipts, as by a worker
	// that died between the two.
	id := strict.newMessageID(new(jobRef("j1")), accepted(1, 1, "A1"), sms.Part{Number: 1, MessageID: "A1"})
	must(strict.store.many(t.Context(), "test", func() []redis.Cmder { return id.commands(nil)[:1] }))(t)
	sweepNow(t, d)
	all := pub.list()
	if len(all) != 2 || all[0].JobID != "j1" || all[0].ID != all[1].ID {
		t.Errorf("published %+v, want j1 under both keys with one id", all)
	}
}

func TestAReceiptThatComesAgainWhileItIsSweptStaysDue(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	before := time.Now().UnixMilli()
	m := deliverReceipt("A1", "DELIVRD")
	deliver(t, d, m, statusOK)
	p := Parse(m)
	member := dueMember(receiptResult("acme", "A1", &p).ID, "a1")
	if err := d.store.client.Del(t.Context(), d.keys.parking("acme", "a1")).Err(); err != nil {
		t.Fatal(err)
	}
	// The sweeper read the index before, and the list when it was empty.
	if err := d.sweepOne(t.Context(), "acme", member, before); err != nil {
		t.Fatal(err)
	}
	if n := parkedCount(t, d); n != 1 {
		t.Error("the sweeper forgot what came after it had looked")
	}
}

func TestAnUnreadableParkedReceiptStays(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, quickParking)
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
	if err := d.store.client.LSet(t.Context(), d.keys.parking("acme", "a1"), 0, "\x02later version").Err(); err != nil {
		t.Fatal(err)
	}
	if err := d.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := parkedCount(t, d); n != 1 || len(pub.list()) != 0 {
		t.Errorf("%d parked and %d published, want 1 and 0", n, len(pub.list()))
	}
}

func TestRunSweeps(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, func(c *Config) { quickParking(c); c.SweepEvery = 10 * time.Millisecond })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
	until(t, "swept", func() bool { return len(pub.list()) > 0 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
