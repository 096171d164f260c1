package receipts

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// hostile makes texts of about n octets that are dear to read carelessly.
var hostile = map[string]func(n int) string{
	"nothing but ids":           func(n int) string { return strings.Repeat("id:", n/3) },
	"ids without values":        func(n int) string { return strings.Repeat("id:,", n/8) + strings.Repeat(" ", n/2) },
	"every label over and over": func(n int) string { return strings.Repeat("stat:err:sub:dlvrd:id:done date:", n/32) },
	"blanks":                    func(n int) string { return "id:" + strings.Repeat(" ", n) + "stat:" + strings.Repeat("\t", n/8) },
	"NULs":                      func(n int) string { return "id:5" + strings.Repeat("\x00", n) + "stat:DELIVRD" },
	"no UTF-8":                  func(n int) string { return "id:5 text:" + strings.Repeat("\xff", n) },
	"one long id":               func(n int) string { return "id:" + strings.Repeat("7", n) + " stat:DELIVRD" },
	"separators":                func(n int) string { return "id:5" + strings.Repeat(";|", n/2) + "stat:DELIVRD" },
	"beginnings of labels":      func(n int) string { return strings.Repeat("submit date ", n/12) },
	"half escapes":              func(n int) string { return "id:5 text:" + strings.Repeat(`\x`, n/2) },
	"states after the text":     func(n int) string { return "id:5 text:" + strings.Repeat("id:stat;", n/8) },
	"UTF-16":                    func(n int) string { return strings.Repeat("\x00i\x00d\x00:", n/6) },
	"a date of great length":    func(n int) string { return "id:5 done date:2026-03-01T" + strings.Repeat("0", n) },
}

const most = 64 << 10 // octets that message_payload can have

// The values do not overlap, so no octet is read for two of them; labels are
// looked for in one pass. What is allocated grows no faster than the text.
// Not parallel: octets are counted for the whole process.
func TestReadingHostileReceiptsTakesWorkInProportion(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			body := text(most)
			f := scan(body, true)
			read := make([]int, len(body))
			for l := range f.start {
				for at := f.start[l]; f.start[l] > 0 && at < f.end[l]; at++ {
					if read[at]++; read[at] > 1 {
						t.Fatalf("the octet at %d belongs to two values", at)
					}
				}
			}
			if raceDetector {
				return // which allocates on its own account
			}
			half, whole := allocated(text(most/2)), allocated(body)
			if whole > 5*half/2+4<<10 || whole > 24*most {
				t.Errorf("%d octets allocated for %d, %d for half of it", whole, most, half)
			}
		})
	}
}

// allocated is how many octets Parse allocates for a text.
func allocated(text string) uint64 {
	m := &sms.Message{ESMClass: sms.ESMClassReceipt, ShortMessage: []byte(text)}
	const runs = 8
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		Parse(m)
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}

func TestHostileReceiptsArePublishedAndAnswered(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, pub := newDesk(t, srv.Addr, func(c *Config) { c.Prefix = "sw" + fmt.Sprint(deskNumber.Load()); quickParking(c) })
			body := []byte(text(most))
			m := &sms.Message{ESMClass: sms.ESMClassReceipt, TLVs: []sms.TLV{{Tag: sms.TagMessagePayload, Value: body}}}
			deliver(t, d, m, statusOK)
			until(t, "the receipt is published", func() bool { sweepNow(t, d); return len(pub.list()) > 0 })
			got := only(t, pub)
			if unescape(got.Raw) != string(body) {
				t.Error("raw is not what was received")
			}
			b, err := got.AppendJSON(nil)
			if err != nil {
				t.Error(err)
			}
			const maxPayload = 1 << 20 // of NATS, unless configured
			if len(b) > maxPayload-4<<10 {
				t.Errorf("the result has %d octets", len(b))
			}
			if !bytes.Contains(b, []byte(`"producer":"_unmatched"`)) {
				t.Error("published with a job")
			}
		})
	}
}

// What is read shares one allocation, and the dates another.
// Not parallel: allocations are counted for the whole process.
func TestReadingAReceiptAllocatesLittle(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates on its own account")
	}
	m := deliverReceipt("0059113979", "DELIVRD")
	m.TLVs = []sms.TLV{
		{Tag: sms.TagReceiptedMsgID, Value: []byte("38601FB\x00")},
		{Tag: sms.TagMessageState, Value: []byte{2}},
		{Tag: sms.TagNetworkError, Value: []byte{3, 4, 0}},
	}
	var p Parsed
	if got := testing.AllocsPerRun(200, func() { p = Parse(m) }); got > 2 {
		t.Errorf("%v allocations, want at most 2", got)
	}
	if p.DoneDate == nil || p.State != sms.StateDelivered || p.TLVID != "38601FB" || p.NetworkError != "3:1024" {
		t.Errorf("read %+v", p)
	}
	payload := &sms.Message{ESMClass: sms.ESMClassReceipt, TLVs: []sms.TLV{{Tag: sms.TagMessagePayload, Value: append(m.ShortMessage, make([]byte, most)...)}}}
	if got := testing.AllocsPerRun(200, func() { p = Parse(payload) }); got > 3 {
		t.Errorf("%v allocations for 64 KiB, want at most 3", got)
	}
}
