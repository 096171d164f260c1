package receipts

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// picky is a Publisher that never takes some results, as a server does not
// whose max_payload is too small for them.
type picky struct {
	*results
	refuses func(*sms.Result) bool
}

var errTooLarge = errors.New("too large")

func (p *picky) Publish(ctx context.Context, r *sms.Result) error {
	if p.refuses(r) {
		return errTooLarge
	}
	return p.results.Publish(ctx, r)
}

func TestAReceiptThatCannotBePublishedKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, func(c *Config) {
		quickParking(c)
		c.Routes["zebra"] = c.Routes["acme"]
	})
	const others = 2 * sweepBatch
	d.pub = &picky{pub, func(r *sms.Result) bool { return r.MessageID == "bad" }}
	for _, route := range []string{"acme", "zebra"} {
		d.Deliver(t.Context(), route, "b", deliverReceipt("bad", "DELIVRD"))
	}
	for i := range others {
		for _, route := range []string{"acme", "zebra"} {
			d.Deliver(t.Context(), route, "b", deliverReceipt(strings.Repeat("x", i+1), "DELIVRD"))
		}
	}
	until(t, "all are due", func() bool { return d.sweep(t.Context()) == nil && len(pub.list()) == 2*others })
	if n := parkedCount(t, d); n != 1 {
		t.Errorf("%d are parked, want the one that could not be published", n)
	}
	d.pub = pub
	until(t, "it is published in the end", func() bool { return d.sweep(t.Context()) == nil && len(pub.list()) == 2*others+2 })
}

// What makes an id free again must not depend on which came first.
func TestAFinalReceiptBeforeItsResponseShortensHowLongItsIDIsKept(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]func(t *testing.T, d *Desk){
		"parked before": func(t *testing.T, d *Desk) {
			deliver(t, d, deliverReceipt("86", "DELIVRD"), statusOK)
			submit(t, d, jobRef("first"), "86")
		},
		"the response between look-up and parking": func(t *testing.T, d *Desk) {
			p := Parse(deliverReceipt("86", "DELIVRD"))
			res := receiptResult("acme", "86", &p)
			submit(t, d, jobRef("first"), "86")
			var owner correlation
			if known := must(d.park(t.Context(), "acme", []string{"86"}, res, &owner))(t); !known {
				t.Fatal("parked though its job was known")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, pub := newDesk(t, start(t).Addr, nil)
			early(t, d)
			submit(t, d, jobRef("second"), "86")
			deliver(t, d, deliverReceipt("86", "EXPIRED"), statusOK)
			all := pub.list()
			if got := all[len(all)-1]; got.JobID != "second" || d.RouteStats("acme").IDClashes != 0 {
				t.Errorf("the receipt of the id's second job is the %s job's, %d clashes", got.JobID, d.RouteStats("acme").IDClashes)
			}
		})
	}
}

func TestAParkedReceiptThatMetItsJobIsGoneUnderItsOtherIDsToo(t *testing.T) {
	t.Parallel()
	d, pub := newDesk(t, start(t).Addr, nil)
	deliver(t, d, twoKeys("A1", "B1"), statusOK)
	submit(t, d, jobRef("j1"), "A1")
	submit(t, d, jobRef("another"), "B1")
	if got := only(t, pub); got.JobID != "j1" {
		t.Errorf("published for %s", got.JobID)
	}
	if n := parkedCount(t, d); n != 0 {
		t.Errorf("%d are still parked", n)
	}
}

// Of two equal receipts the second finds the job, and its worker dies before
// it can publish: the first, which was answered, stays due.
func TestAReceiptThatIsAlreadyParkedStaysDueWhenItsRepeatIsNotPublished(t *testing.T) {
	t.Parallel()
	d, pub := newDesk(t, start(t).Addr, quickParking)
	m := deliverReceipt("A1", "DELIVRD")
	deliver(t, d, m, statusOK)
	id := d.newMessageID(new(jobRef("j1")), accepted(1, 1, "A1"), sms.Part{Number: 1, MessageID: "A1"})
	must(d.store.many(t.Context(), "write id", func() []redis.Cmder { return id.commands(nil)[:1] }))(t)
	p := Parse(m)
	res := receiptResult("acme", "A1", &p)
	res.Time = res.Time.Add(time.Second)
	var owner correlation
	if known := must(d.park(t.Context(), "acme", []string{"a1"}, res, &owner))(t); !known {
		t.Fatal("parked though its job was known")
	}
	sweepNow(t, d)
	if got := only(t, pub); got.JobID != "j1" {
		t.Errorf("published for %q", got.JobID)
	}
}

func TestReceiptsThatSayDifferentThingsHaveDifferentIDs(t *testing.T) {
	t.Parallel()
	of := func(esm uint8, from, text string) *sms.Message {
		return &sms.Message{ESMClass: esm, Source: sms.Address{Addr: from}, ShortMessage: []byte(text)}
	}
	const mobile = "447700900123"
	seen := make(map[string]string)
	for name, m := range map[string]*sms.Message{
		"an intermediate notification": of(0x20, mobile, "id:5 done date:2603011201 stat:DELIVRD err:000"),
		"the receipt after it":         of(0x04, mobile, "id:5 done date:2603011201 stat:DELIVRD err:000"),
		"a state that nobody knows":    of(0x04, mobile, "id:5 done date:2603011201 stat:1 err:000"),
		"and another":                  of(0x04, mobile, "id:5 done date:2603011201 stat:0 err:000"),
		"no id, of one mobile":         of(0x04, mobile, "id: done date:2603011201 stat:DELIVRD err:000"),
		"no id, of another":            of(0x04, "447700900124", "id: done date:2603011201 stat:DELIVRD err:000"),
	} {
		d, pub := newDesk(t, start(t).Addr, quickParking)
		deliver(t, d, m, statusOK)
		sweepNow(t, d)
		id := only(t, pub).ID
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have one id", name, other)
		}
		seen[id] = name
	}
}

func TestTheLargestReceiptFitsAMessage(t *testing.T) {
	t.Parallel()
	d, pub := newDesk(t, start(t).Addr, quickParking)
	m := &sms.Message{ESMClass: sms.ESMClassReceipt, TLVs: []sms.TLV{
		{Tag: sms.TagMessagePayload, Value: []byte("text:" + strings.Repeat("\x01", most-5))},
		{Tag: sms.TagReceiptedMsgID, Value: []byte(strings.Repeat("\x01", most-200))},
	}}
	deliver(t, d, m, statusOK)
	sweepNow(t, d)
	b, err := only(t, pub).AppendJSON(nil)
	if err != nil || len(b) > 1<<20-4<<10 {
		t.Errorf("%d octets, %v", len(b), err)
	}
}

func (p *picky) PublishThen(ctx context.Context, r *sms.Result, done func(error)) {
	go func() { done(p.Publish(ctx, r)) }()
}
