package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestAPairSubmitsAndItsReceiptsFindTheirJobs(t *testing.T) {
	t.Parallel()
	const jobs = 50
	// Any receiver may get any receipt.
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret", Latency: time.Millisecond, Receipts: smsctest.ReceiptConfig{Via: smsctest.ViaAny}},
		"    bind_type: transmitter+receiver\n    backoff: {base: 50ms}\n")
	r.Worker("w1")
	for i := range jobs {
		if i == jobs/2 { // the receivers are cut in the middle: submitting goes on, receipts come later
			apptest.Until(t, "a receiver is bound", func() bool { return cutReceivers(t, r.smsc) > 0 })
		}
		r.Publish(fmt.Sprintf(`{"id":"p%d","to":"+447700900123","text":"x"}`, i))
	}
	r.Await("a receipt for each job", func(all []*sms.Result) bool {
		got := map[string]bool{}
		for _, res := range all {
			if res.Kind == sms.KindReceipt && res.Receipt.Final {
				got[res.JobID] = true
			}
		}
		return len(got) == jobs
	})
	for id, n := range r.Outcomes() {
		if n != 1 {
			t.Errorf("%s has %d outcomes", id, n)
		}
	}
	apptest.Until(t, "both receivers are back", func() bool {
		up := 0
		for _, b := range r.smsc.Binds() {
			if b.CommandID == smsctest.BindReceiver && b.Until.IsZero() {
				up++
			}
		}
		return up == 2
	})
	byType := map[uint32]int{}
	for _, b := range r.smsc.Binds() {
		byType[b.CommandID]++
		if b.CommandID == smsctest.BindReceiver && b.Submits > 0 {
			t.Errorf("%d submit_sm on a receiver", b.Submits)
		}
	}
	if byType[smsctest.BindTransmitter] != 2 || byType[smsctest.BindReceiver] < 3 || byType[smsctest.BindTransceiver] != 0 {
		t.Errorf("binds by command: %v", byType)
	}
}

// cutReceivers cuts the connection of each receiver that is bound, and returns
// how many these were.
func cutReceivers(t *testing.T, smsc *smsctest.SMSC) (n int) {
	t.Helper()
	for _, b := range smsc.Binds() {
		if b.CommandID == smsctest.BindReceiver && b.Until.IsZero() {
			if err := smsc.Cut(b.ID); err != nil {
				t.Error(err)
			}
			n++
		}
	}
	return n
}
