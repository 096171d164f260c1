package receipts

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// unmatchedOf is a receipt with the id, as it is published without a job.
func unmatchedOf(id string) *sms.Result {
	m := deliverReceipt(id, "DELIVRD")
	p := Parse(m)
	return receiptResult("acme", p.TextID, &p)
}

const redisLostData = "ids of receipts are those of jobs sent by this worker, and Redis does not know them: has it lost its data?"

func TestTheHintNamesWhyReceiptsDoNotFindTheirJobs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rules           IDRules
		submit, receipt func(n int) string
		want            string
	}{
		"hexadecimal and decimal": {
			IDRules{IDAsIs, IDAsIs}, format("%08X"), format("%010d"),
			"resp ids look hexadecimal, receipts decimal: set message_id.submit: hex, message_id.receipt: decimal",
		},
		"hexadecimal and decimal, half of it set": {
			IDRules{IDHex, IDAsIs}, format("%x"), format("%d"),
			"resp ids look hexadecimal, receipts decimal: set message_id.receipt: decimal",
		},
		"decimal and hexadecimal": {
			IDRules{IDAsIs, IDAsIs}, format("%d"), format("%08x"),
			"resp ids look decimal, receipts hexadecimal: set message_id.submit: decimal, message_id.receipt: hex",
		},
		"digits with leading zeros": {
			IDRules{IDAsIs, IDAsIs}, format("%d"), format("%012d"),
			"ids of responses and receipts differ in leading zeros: set message_id.submit: decimal, message_id.receipt: decimal",
		},
		"letters with leading zeros": {
			IDRules{IDAsIs, IDAsIs}, format("00%X"), format("%x"),
			"ids of responses and receipts differ in leading zeros: set message_id.submit: auto, message_id.receipt: auto",
		},
		"the same, against the rules": {
			IDRules{IDHex, IDDecimal}, format("%d"), format("%d"),
			"receipts write ids as responses do: set message_id.submit: as-is, message_id.receipt: as-is",
		},
		"the same in another case": {IDRules{IDAsIs, IDAsIs}, format("%X-a"), format("%x-A"), redisLostData},
		"as the rules say":         {IDRules{IDHex, IDDecimal}, format("%x"), format("%d"), redisLostData},
		"cut in the receipt": {
			IDRules{IDAsIs, IDAsIs}, format("%08xzzzz"), format("%08x"),
			"receipts have only 8 characters of longer ids: ask the SMSC for whole ids, or for receipted_message_id",
		},
		"cut in the response": {
			IDRules{IDAsIs, IDAsIs}, format("%08d"), format("zz%08d"),
			"responses have only 8 characters of longer ids: ask the SMSC for whole ids; interface_version 3.3 may be the cause",
		},
		"no id at all": {
			IDRules{IDAsIs, IDAsIs}, format("%x"), format("%.0s"),
			"receipts have no message id: ask the SMSC for one in the text, or in receipted_message_id",
		},
		"nothing in common": {IDRules{IDAsIs, IDAsIs}, format("%d-a"), format("%d-b"), ""},
		"digits in both notations by chance": { // 2048 is 800 in hexadecimal
			IDRules{IDAsIs, IDAsIs}, func(n int) string { return fmt.Sprint(n - 12647220) }, func(n int) string { return fmt.Sprint(n - 12646000) }, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c routeCounters
			now := time.Now()
			last := ""
			for n := 12648000; n < 12648430; n++ {
				c.matching.submitted(tc.submit(n), now, time.Minute)
				c.unmatched.Add(1)
				now = now.Add(time.Millisecond)
				if hint := c.unmatchedReceipt(unmatchedOf(tc.receipt(n)), tc.rules, now); hint != "" {
					if last != "" {
						t.Errorf("logged twice: %q after %q", hint, last)
					}
					last = hint
				}
			}
			if last != tc.want {
				t.Errorf("hint %q, want %q", last, tc.want)
			}
		})
	}
}

// format formats a number, or what stands for it: nothing.
func format(verb string) func(int) string {
	if verb == "%.0s" {
		return func(int) string { return "" }
	}
	return func(n int) string { return fmt.Sprintf(verb, n) }
}

func TestTheHintWaitsForMoreThanAFewAndGoesWhenReceiptsMatch(t *testing.T) {
	t.Parallel()
	var c routeCounters
	rules := IDRules{IDAsIs, IDAsIs}
	now := time.Now()
	unmatched := func(n int) {
		c.matching.submitted(fmt.Sprintf("%x", n), now, time.Minute)
		c.unmatched.Add(1)
		c.unmatchedReceipt(unmatchedOf(fmt.Sprint(n)), rules, now)
	}
	match := func() Matching {
		c.matching.mu.Lock()
		defer c.matching.mu.Unlock()
		c.rotate(now)
		return c.match(rules)
	}
	if _, ok := match().Rate(); ok {
		t.Error("a rate without receipts")
	}
	unmatched(48879)
	unmatched(57005)
	if got := match(); got.Hint != "" {
		t.Errorf("after two: %q", got.Hint)
	}
	unmatched(64206)
	if got := match(); !strings.HasPrefix(got.Hint, "resp ids look hexadecimal") {
		t.Errorf("after three: %q", got.Hint)
	}
	c.matched.Add(27)
	got := match()
	if rate, _ := got.Rate(); rate != 0.9 || got.Hint != "" {
		t.Errorf("27 of 30 match: %v, %q", rate, got.Hint)
	}
	now = now.Add(matchWindow)
	if got := match(); got.Unmatched != 3 {
		t.Errorf("a window later: %+v", got)
	}
	now = now.Add(matchWindow)
	if got := match(); got.Unmatched != 0 || got.Matched != 0 {
		t.Errorf("two windows later: %+v", got)
	}
}

func TestRecentIDsAreKeptInBoundedMemoryAndSpreadOverTime(t *testing.T) {
	t.Parallel()
	var m matching
	now := time.Now()
	for n := range 20 * idsKept {
		m.submitted(fmt.Sprint(n), now, time.Minute)
		now = now.Add(time.Millisecond)
	}
	if len(m.ids) != idsKept {
		t.Fatalf("%d ids kept", len(m.ids))
	}
	// After the first 1024 the others came one in 117 ms.
	if kept := m.kept.Load(); kept < idsKept+160 || kept > idsKept+170 {
		t.Errorf("%d ids were kept", kept)
	}
}

func TestReceiptsThatDoNotMatchAreExplainedOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, quickParking)
	var log bytes.Buffer
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	const n = 5
	for i := range n {
		submit(t, d, jobRef(fmt.Sprint("j", i)), fmt.Sprintf("%08X", 0xC0FFEE+i))
		deliver(t, d, deliverReceipt(fmt.Sprint(0xC0FFEE+i), "DELIVRD"), statusOK)
	}
	until(t, "all are published as unmatched", func() bool { sweepNow(t, d); return len(pub.list()) == n })
	const want = "resp ids look hexadecimal, receipts decimal: set message_id.submit: hex, message_id.receipt: decimal"
	got := d.Matching("acme")
	if got.Hint != want || got.Unmatched != n || got.Matched != 0 {
		t.Errorf("%+v, want %d unmatched and the hint %q", got, n, want)
	}
	if c := strings.Count(log.String(), want); c != 1 {
		t.Errorf("logged %d times:\n%s", c, &log)
	}
	if err := d.SetRoutes(map[string]Route{"acme": {IDs: IDRules{IDHex, IDDecimal}}}); err != nil {
		t.Fatal(err)
	}
	submit(t, d, jobRef("next"), "00BADBAD")
	deliver(t, d, deliverReceipt("12245933", "DELIVRD"), statusOK)
	if all := pub.list(); all[len(all)-1].JobID != "next" {
		t.Error("following the hint does not help")
	}
}
