//go:build interop

package interop_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// The whole worker against the third-party SMSC: it binds, sends, correlates
// and drains, and what node-smpp decoded is what the producer wrote.
func TestWorkerBindsSendsCorrelatesAndDrains(t *testing.T) {
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
	if got := r.AwaitKinds("throttled", sms.KindSubmitted, sms.KindReceipt)[0]; got.Attempt != 3 {
		t.Errorf("throttled twice: attempt %d, want 3", got.Attempt)
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
