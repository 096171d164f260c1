package receipts

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// deliverAll hands the desk a burst and returns what each was answered.
func deliverAll(tb testing.TB, d *Desk, burst ...*sms.Message) []uint32 {
	tb.Helper()
	all := make([]waiting, len(burst))
	deliveries := make([]Delivery, len(burst))
	for i, m := range burst {
		all[i] = waiting{m, make(chan uint32, 2)} // a second answer must not go unseen
		deliveries[i] = all[i]
	}
	d.DeliverAll(tb.Context(), "acme", "acme/1", deliveries)
	clear(deliveries) // the caller's again
	answers := make([]uint32, len(burst))
	for i, w := range all {
		select {
		case answers[i] = <-w.status:
		case <-time.After(patience):
			tb.Fatalf("message %d of the burst is not answered", i)
		}
	}
	for i, w := range all {
		if len(w.status) > 0 {
			tb.Errorf("message %d of the burst is answered twice", i)
		}
	}
	return answers
}

// what tells a published result by its job, part and state.
func what(r *sms.Result) string {
	return fmt.Sprint(r.Producer, " ", r.JobID, " ", r.Part, "/", r.PartsTotal, " ", r.Receipt.State, " ", r.JobState)
}

func TestABurstOfAllKindsIsAnsweredAndPublishedOneByOne(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	var burst []*sms.Message
	var want []string
	for i := range 40 {
		id := fmt.Sprint("one-", i)
		submit(t, d, jobRef(id), id)
		burst = append(burst, deliverReceipt(id, "DELIVRD"))
		want = append(want, "shop "+id+" 1/1 DELIVERED DELIVERED")
	}
	submit(t, d, jobRef("long"), "l1", "l2", "l3")
	burst = append(burst, deliverReceipt("l1", "DELIVRD"), deliverReceipt("l2", "UNDELIV"), deliverReceipt("l3", "ENROUTE"))
	doubtful := jobRef("doubtful")
	doubtful.Doubt = true
	submit(t, d, doubtful, "d1")
	burst = append(burst, deliverReceipt("d1", "EXPIRED"), deliverReceipt("early", "DELIVRD"), deliverReceipt("", "DELIVRD"), mo(0, "hello"))
	want = append(want, "shop long 1/3 DELIVERED ", "shop long 2/3 UNDELIVERABLE ", "shop long 3/3 ENROUTE ",
		"shop doubtful 1/1 EXPIRED EXPIRED", sms.UnmatchedProducer+"  0/0 DELIVERED ")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(burst), func(i, j int) { burst[i], burst[j] = burst[j], burst[i] })

	for i, status := range deliverAll(t, d, burst...) {
		if status != statusOK {
			t.Errorf("answer %d is 0x%08X", i, status)
		}
	}
	var got []string
	for _, r := range pub.list() {
		got = append(got, what(r))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	if n := parkedCount(t, d); n != 1 {
		t.Errorf("%d parked, want the early one", n)
	}
	if n := len(pub.inbound); n != 1 {
		t.Errorf("%d inbound messages published", n)
	}
	if n := d.route("acme").counters.receipts.Load(); n != int64(len(burst)-1) {
		t.Errorf("%d receipts counted of %d", n, len(burst)-1)
	}
}

func TestABurstIsKeptByTheSMSCWhileNothingCanBeStored(t *testing.T) {
	t.Parallel()
	for _, away := range []string{"redis", "nats"} {
		t.Run(away, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			d, pub := newDesk(t, srv.Addr, func(c *Config) { c.DeliverTimeout = 500 * time.Millisecond })
			submit(t, d, jobRef("j1"), "m1")
			submit(t, d, jobRef("j2"), "m2")
			burst := []*sms.Message{deliverReceipt("m1", "DELIVRD"), deliverReceipt("m2", "DELIVRD"), deliverReceipt("m3", "DELIVRD")}
			want := []uint32{statusTemporary, statusTemporary, statusTemporary}
			if away == "redis" {
				srv.Stop()
			} else {
				pub.setDown(true)
				want[2] = statusOK // parked
			}
			if diff := cmp.Diff(want, deliverAll(t, d, burst...)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			if all := pub.list(); len(all) > 0 {
				t.Errorf("%d published", len(all))
			}
			if away == "redis" {
				return
			}
			pub.setDown(false)
			if diff := cmp.Diff([]uint32{statusOK, statusOK}, deliverAll(t, d, burst[:2]...)); diff != "" {
				t.Errorf("answers to the repetition (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABurstThatLosesItsAnswerFromRedisIsLookedUpAgain(t *testing.T) {
	t.Parallel()
	srv := start(t)
	r := newRelay(t, srv.Addr)
	d, pub := newDesk(t, r.addr, nil)
	var burst []*sms.Message
	for i := range 20 {
		id := fmt.Sprint("m", i)
		submit(t, d, jobRef(id), id)
		burst = append(burst, deliverReceipt(id, "DELIVRD"))
	}
	r.lose.Store(1)
	for i, status := range deliverAll(t, d, burst...) {
		if status != statusOK {
			t.Errorf("answer %d is 0x%08X", i, status)
		}
	}
	if n := len(pub.list()); n != len(burst) {
		t.Errorf("%d of %d published", n, len(burst))
	}
}

// waiting is a delivery that somebody waits for.
type waiting struct {
	message *sms.Message
	status  chan uint32 // has room
}

func (w waiting) Content() *sms.Message { return w.message }
func (w waiting) Answer(status uint32)  { w.status <- status }

// Deliver takes one message and waits for the answer.
func (d *Desk) Deliver(ctx context.Context, route, bind string, m *sms.Message) (status uint32) {
	w := waiting{m, make(chan uint32, 1)}
	d.DeliverAll(ctx, route, bind, []Delivery{w})
	return <-w.status
}
