package app_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// hexAndDecimal is an SMSC that answers in hexadecimal, with letters, and whose
// receipts are text with decimal numbers.
func hexAndDecimal() smsctest.Config {
	var n atomic.Int64
	n.Store(0xC0FFEE)
	return smsctest.Config{
		Receipts: smsctest.ReceiptConfig{Format: smsctest.FormatText},
		OnSubmit: func(*smsctest.Submit) smsctest.Action {
			id := n.Add(1)
			return smsctest.Action{MessageID: fmt.Sprintf("%08X", id), Receipts: []smsctest.Receipt{{ID: fmt.Sprintf("%010d", id)}}}
		},
	}
}

func TestTheStatusSaysWhyReceiptsDoNotFindTheirJobs(t *testing.T) {
	t.Parallel()
	r := newRig(t, hexAndDecimal(), "    parking_time: 1s\n")
	r.Worker("w1")
	if s := r.Route().Receipts; s.MatchRate != nil || s.Hint != "" {
		t.Errorf("before any receipt: %+v", s)
	}
	r.Publish(apptest.Jobs(6, `{"id":"h-%d","to":"447700900123","text":"n %d"}`)...)
	const hint = "resp ids look hexadecimal, receipts decimal: set message_id.submit: hex, message_id.receipt: decimal"
	apptest.Until(t, "all receipts are unmatched", func() bool { return r.Route().Receipts.Unmatched == 6 })
	s := r.Route().Receipts
	if s.MatchRate == nil || *s.MatchRate != 0 || s.Hint != hint {
		t.Errorf("receipts: %+v, want the hint %q", s, hint)
	}
	if n := r.Logged(hint); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestReceiptsInAnotherNotationFindTheirJobs(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{"{submit: hex, receipt: decimal}", "{submit: auto, receipt: auto}"} {
		t.Run(rules, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, hexAndDecimal(), "    message_id: "+rules+"\n")
			r.Worker("w1")
			r.Publish(apptest.Jobs(20, `{"id":"n-%d","to":"447700900123","text":"n %d"}`)...)
			for i := range 20 {
				r.AwaitKinds(fmt.Sprintf("n-%d", i), sms.KindSubmitted, sms.KindReceipt)
			}
			apptest.Until(t, "all are counted", func() bool { return r.Route().Receipts.Matched == 20 })
			if s := r.Route().Receipts; s.MatchRate == nil || *s.MatchRate != 1 || s.Hint != "" {
				t.Errorf("receipts: %+v", s)
			}
		})
	}
}

func TestARouteSaysWhatItsReceiptsMean(t *testing.T) {
	t.Parallel()
	cfg := smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		return smsctest.Action{MessageID: m.Text(), Receipts: []smsctest.Receipt{{Text: "id:" + m.Text() + " stat:" + m.Text()[2:], TLVs: []smsctest.TLV{}}}}
	}}
	r := newRig(t, cfg, "    receipts: {stat: {'0': DELIVERED, Lost: EXPIRED}, final: [ACCEPTED]}\n")
	r.Worker("w1")
	for text, want := range map[string]sms.Receipt{
		"a-0":       {State: sms.StateDelivered, Final: true},
		"b-LOST":    {State: sms.StateExpired, Final: true},
		"c-ACCEPTD": {State: sms.StateAccepted, Final: true},
		"d-1":       {State: sms.StateUnknown},
		"e-DELIVRD": {State: sms.StateDelivered, Final: true},
	} {
		r.Publish(fmt.Sprintf(`{"id":%q,"to":"447700900123","text":%q}`, text, text))
		got := r.AwaitKinds(text, sms.KindSubmitted, sms.KindReceipt)[1]
		if got.State != want.State || got.Final != want.Final {
			t.Errorf("%s: %s, final %v", text, got.State, got.Final)
		}
	}
}

func TestForgedReceiptsAreMessagesUnlessTheRouteSaysOtherwise(t *testing.T) {
	t.Parallel()
	for keys, receipt := range map[string]bool{"": false, "    receipts: {untyped: true}\n": true} {
		t.Run(fmt.Sprint(receipt), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, smsctest.Config{Receipts: smsctest.ReceiptConfig{Off: true}, OnSubmit: func(*smsctest.Submit) smsctest.Action {
				return smsctest.Action{MessageID: "m-1"}
			}}, keys)
			r.Worker("w1")
			r.Publish(`{"id":"j","to":"447700900123","text":"x"}`)
			r.AwaitKinds("j", sms.KindSubmitted)
			r.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", Destination: "15550100",
				ShortMessage: []byte("id:m-1 sub:001 dlvrd:001 done date:2603011201 stat:DELIVRD err:000 text:")})
			if receipt {
				if got := r.AwaitKinds("j", sms.KindSubmitted, sms.KindReceipt)[1]; got.State != sms.StateDelivered {
					t.Errorf("%+v", got.Receipt)
				}
				return
			}
			apptest.Until(t, "the message is answered", func() bool { return r.smsc.Stats().MOs.Acked == 1 })
			if s := r.Route().Receipts; s.Matched+s.Parked+s.Unmatched != 0 {
				t.Errorf("taken for a receipt: %+v", s)
			}
		})
	}
}

func TestHostileReceiptsAreAnsweredAndPublishedRaw(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "    parking_time: 1s\n")
	r.Worker("w1")
	apptest.Until(t, "the bind is up", func() bool { return r.Route().Limit != "no_bind" })
	hostile := [][]byte{
		[]byte("id:" + strings.Repeat("\x00", 65000)),
		[]byte(strings.Repeat("id:7;stat:", 6500)),
		[]byte(strings.Repeat("\xff\xfe", 32000)),
		[]byte("stat:DELIVRD text:" + strings.Repeat("<", 65000)),
	}
	for _, body := range hostile {
		r.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", Destination: "15550100", ESMClass: 4,
			TLVs: []smsctest.TLV{{Tag: sms.TagMessagePayload, Value: body}}})
	}
	r.Await("all are published", func(all []*sms.Result) bool { return len(all) == len(hostile) })
	apptest.Until(t, "all are answered", func() bool { return r.smsc.Stats().MOs.Acked == uint64(len(hostile)) })
	r.Publish(`{"id":"after","to":"447700900123","text":"x"}`)
	r.AwaitKinds("after", sms.KindSubmitted, sms.KindReceipt)
}
