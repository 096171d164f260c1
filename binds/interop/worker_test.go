//go:build interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// The whole worker against the third-party SMSC: it binds, sends, correlates
// and drains, and what node-smpp decoded is what the producer wrote.
func TestWorkerBindsSendsCorrelatesAndDrains(t *testing.T) {
	t.Parallel()
	s := startNode(t)
	r := apptest.Start(t, s.addr, "")
	stop := r.Worker("w1")

	const n = 500
	texts := make(map[string]int, n)
	all := make([]string, n)
	for i := range all {
		text := fmt.Sprintf("Nr. %d", i)
		switch i % 4 {
		case 1:
			text += " – Ваш код 🔐"
		case 2:
			text += strings.Repeat(" [€] and some more", 20)
		case 3:
			text += strings.Repeat(" длинный текст", 12)
		}
		texts[text]++
		all[i] = fmt.Sprintf(`{"id":"i-%d","to":"+447700900%03d","text":%q}`, i, i%400, text)
	}
	r.Publish(all...)
	r.Publish(
		`{"id":"refused","to":"+447700900404","text":"nobody"}`,
		`{"id":"throttled","to":"+447700900458","text":"twice not now"}`,
	)
	texts["twice not now"]++
	if f := r.AwaitKinds("refused", sms.KindFailed)[0]; f.StatusName != "ESME_RINVDSTADR" {
		t.Errorf("refused: %s %s", f.Code, f.StatusName)
	}
	if got := r.AwaitKinds("throttled", sms.KindSubmitted, sms.KindReceipt)[0]; got.Attempt != 1 {
		t.Errorf("throttled twice: attempt %d, want 1", got.Attempt)
	}
	r.Await("every outcome, and every receipt of every part", func(results []*sms.Result) bool {
		parts, receipts, outcomes := 0, 0, 0
		for _, res := range results {
			if res.Kind == sms.KindReceipt && res.Producer == "shop" && res.Final {
				receipts++
			} else if res.Kind.Terminal() {
				outcomes++
				parts += len(res.Parts)
			}
		}
		return outcomes == n+2 && receipts == parts
	})
	if err := stop(); err != nil {
		t.Errorf("drain: %v", err)
	}
	s.await(t, "unbind", 2)

	got := make(map[string]int, n)
	for _, m := range s.lines(t, "message") {
		got[m.Text]++
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		t.Errorf("texts as node-smpp joined and decoded them (-sent +got):\n%s", diff)
	}
}

func TestWorkerSubmitsAndHearsOverAPairWithTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(t)
	s := startNode(t, "--tls-cert", cert, "--tls-key", key)
	r := apptest.Start(t, s.addr, fmt.Sprintf("    bind_type: transmitter+receiver\n    tls: {enabled: true, ca_file: %q}\n", ca.file))
	stop := r.Worker("w1")
	inbound := followInbound(t, r)
	w := newWorkload(t, 200)
	r.Publish(w.jobs...)
	states := map[string]sms.State{"900501": sms.StateUndeliverable, "900502": sms.StateDelivered, "900503": sms.StateDelivered, "900504": sms.StateDelivered}
	for ending := range states {
		r.Publish(fmt.Sprintf(`{"id":%q,"to":"+447700%s","text":"receipt"}`, ending, ending))
	}
	r.Publish(`{"id":"answer","to":"+447700900779","text":"please write back"}`)
	for ending, want := range states {
		if got := r.AwaitKinds(ending, sms.KindSubmitted, sms.KindReceipt)[1]; got.State != want || got.Part != 1 {
			t.Errorf("%s: receipt %+v", ending, got.Receipt)
		}
	}
	r.AwaitKinds("answer", sms.KindSubmitted, sms.KindReceipt)
	in := inbound()
	if want := "Long message from the handset: " + strings.Repeat("grün und € 12 [ok] ", 20) + "end."; in.Text != want || in.From != "447700900779" || !strings.HasSuffix(in.Bind, "/rx") {
		t.Errorf("inbound on %s from %s: %q", in.Bind, in.From, in.Text)
	}
	outcomes := w.settled(r)
	received(r, outcomes)
	if err := stop(); err != nil {
		t.Errorf("drain: %v", err)
	}
	kinds := map[string]int{}
	for _, b := range s.lines(t, "bind") {
		kinds[b.Command]++
	}
	if diff := cmp.Diff(map[string]int{"bind_transmitter": 2, "bind_receiver": 2}, kinds); diff != "" {
		t.Errorf("binds (-want +got):\n%s", diff)
	}
	if n := len(s.lines(t, "unbind")); n != 4 {
		t.Errorf("%d sessions said unbind, want 4", n)
	}
	s.audit(t) // submits on the transmitters only, deliveries on the receivers
	w.judgeOnce(t, s, outcomes)
}

// followInbound subscribes to the messages that the worker takes in, and
// returns what waits for the next.
func followInbound(t *testing.T, r *apptest.Rig) (next func() *sms.Inbound) {
	t.Helper()
	nc := r.Connect()
	sub, err := nc.SubscribeSync(sms.Subjects{}.Inbound("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return func() *sms.Inbound {
		m, err := sub.NextMsg(30 * time.Second)
		if err != nil {
			t.Fatalf("no inbound message: %v", err)
		}
		in := &sms.Inbound{}
		if err := json.Unmarshal(m.Data, in); err != nil {
			t.Fatal(err)
		}
		return in
	}
}
