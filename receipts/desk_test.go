package receipts

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// deliver hands the desk a message and checks what it answers.
func deliver(tb testing.TB, d *Desk, m *sms.Message, want uint32) {
	tb.Helper()
	if got := d.Deliver(tb.Context(), "acme", "acme/1", m); got != want {
		tb.Fatalf("Deliver answers 0x%08X, want 0x%08X", got, want)
	}
}

// only returns the one result that was published.
func only(tb testing.TB, pub *results) *sms.Result {
	tb.Helper()
	all := pub.list()
	if len(all) != 1 {
		tb.Fatalf("%d results published, want 1", len(all))
	}
	return all[0]
}

// parkedCount is how many receipts are parked or in the due index.
func parkedCount(tb testing.TB, d *Desk) int64 {
	tb.Helper()
	n := must(d.store.client.ZCard(tb.Context(), d.keys.dueIndex("acme")).Result())(tb)
	for _, key := range must(d.store.client.Keys(tb.Context(), d.keys.parked+"*").Result())(tb) {
		n = max(n, must(d.store.client.LLen(tb.Context(), key).Result())(tb))
	}
	return n
}

func date(s string) *time.Time {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		panic(err)
	}
	return &t
}

func TestAReceiptIsPublishedWithItsJob(t *testing.T) {
	t.Parallel()
	srv := start(t)
	sender, _ := newDesk(t, srv.Addr, nil)
	d, pub := newDesk(t, srv.Addr, nil)
	ref := jobRef("j1")
	ref.Attempt, ref.Doubt = 2, true
	submit(t, sender, ref, "Msg-1")
	m := deliverReceipt("msg-1", "DELIVRD")
	m.TLVs = []sms.TLV{{Tag: sms.TagNetworkError, Value: []byte{3, 4, 0}}}
	deliver(t, d, m, statusOK)

	want := &sms.Result{
		ID:   sms.ReceiptID("acme", "msg-1", sms.StateDelivered, "000", date("2026-03-01 12:01:00")),
		Kind: sms.KindReceipt, JobID: "j1", Producer: "shop", Route: "acme", Meta: ref.Meta, Attempt: 2, PossibleDuplicate: true,
		Receipt: &sms.Receipt{
			MessageID: "Msg-1", Part: 1, PartsTotal: 1, State: sms.StateDelivered, Final: true, ErrorCode: "000", NetworkError: "3:1024",
			SubmitDate: date("2026-03-01 12:00:00"), DoneDate: date("2026-03-01 12:01:00"),
			Text: "hello", Raw: string(m.ShortMessage), JobState: sms.StateDelivered,
		},
	}
	if diff := cmp.Diff(want, only(t, pub), cmpopts.IgnoreFields(sms.Result{}, "Time")); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}

	deliver(t, d, m, statusOK)
	if all := pub.list(); len(all) != 2 || all[0].ID != all[1].ID {
		t.Errorf("a repeated receipt has another id")
	}
}

func TestAFinalReceiptShortensHowLongItsIDIsKept(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	submit(t, d, jobRef("j1"), "A1")
	ttl := func() time.Duration {
		return must(d.store.client.PTTL(t.Context(), d.keys.id("acme", "a1")).Result())(t)
	}
	deliver(t, d, deliverReceipt("A1", "ENROUTE"), statusOK)
	if got := ttl(); got < 191*time.Hour {
		t.Errorf("after an intermediate state: %v left, want 192h", got)
	}
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
	if got := ttl(); got > 24*time.Hour || got < 23*time.Hour {
		t.Errorf("after the final state: %v left, want 24h", got)
	}
}

func TestIDsMeetInWhateverNotation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rules  IDRules
		submit string
		text   string
		tlv    string
		want   string // message_id in results
	}{
		"as it is, other case":                {IDRules{}, "AbC-9", "aBc-9", "", "AbC-9"},
		"hexadecimal and decimal":             {IDRules{IDHex, IDDecimal}, "00C0FFEE", "0012648430", "", "12648430"},
		"decimal and hexadecimal":             {IDRules{IDDecimal, IDHex}, "12648430", "c0ffee", "", "12648430"},
		"hexadecimal of two widths":           {IDRules{IDHex, IDHex}, "00B8BE20", "b8be20", "", "12107296"},
		"the TLV repeats the response":        {IDRules{}, "c0ffee", "0012648430", "c0ffee\x00", "c0ffee"},
		"the TLV is written like the text":    {IDRules{IDHex, IDDecimal}, "C0FFEE", "0012648430", "12648430", "12648430"},
		"the TLV names something else":        {IDRules{}, "A77", "A77", "other", "A77"},
		"the TLV has a suffix":                {IDRules{}, "1700.12", "", "1700.12@15550100", "1700.12"},
		"a UUID under a numeric rule":         {IDRules{IDHex, IDDecimal}, "3F0E8A52-77", "3f0e8a52-77", "", "3F0E8A52-77"},
		"more digits than 64 bits":            {IDRules{IDDecimal, IDDecimal}, "918800000000000000000077", "918800000000000000000077", "", "918800000000000000000077"},
		"braces and blanks around":            {IDRules{}, " {x}y ", "{x}y", "", "{x}y"},
		"the gateway's id before the SMSC's":  {IDRules{}, "smsc-5", "gw-1 id:smsc-5", "", "smsc-5"},
		"octets that are no UTF-8":            {IDRules{}, "a\xff", "a\xff", "", `a\xFF`},
		"hexadecimal with prefix and decimal": {IDRules{IDHex, IDDecimal}, "0xC0FFEE", "12648430", "", "12648430"},
	} {
		for _, early := range []bool{false, true} {
			when := map[bool]string{false: ", receipt after", true: ", receipt before"}[early]
			t.Run(name+when, func(t *testing.T) {
				t.Parallel()
				srv := start(t)
				d, pub := newDesk(t, srv.Addr, withRoute(Route{IDs: tc.rules}))
				m := deliverReceipt(tc.text, "DELIVRD")
				if tc.tlv != "" {
					m.TLVs = []sms.TLV{{Tag: sms.TagReceiptedMsgID, Value: []byte(tc.tlv)}}
				}
				if early {
					deliver(t, d, m, statusOK)
				}
				outcome := submit(t, d, jobRef("j1"), tc.submit)
				if !early {
					deliver(t, d, m, statusOK)
				}
				got := only(t, pub)
				if got.JobID != "j1" || got.MessageID != tc.want {
					t.Errorf("receipt of job %q with message id %q, want j1, %q", got.JobID, got.MessageID, tc.want)
				}
				want := []sms.Part{{Number: 1, MessageID: tc.want, RawMessageID: tc.submit}}
				if diff := cmp.Diff(want, outcome.Parts); diff != "" {
					t.Errorf("parts (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestTwoRoutesMayGiveOutTheSameID(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	submit(t, d, jobRef("j1"), "7")
	other := jobRef("j2")
	other.Route = "other"
	submit(t, d, other, "7")
	if d.Deliver(t.Context(), "other", "other/1", deliverReceipt("7", "DELIVRD")) != statusOK {
		t.Fatal("refused")
	}
	if got := only(t, pub); got.JobID != "j2" || got.Route != "other" {
		t.Errorf("receipt went to %s on %s", got.JobID, got.Route)
	}
}

func TestAnIDGivenOutTwiceStaysWithTheFirst(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	submit(t, d, jobRef("j1"), "7")
	submit(t, d, jobRef("j2"), "7")
	deliver(t, d, deliverReceipt("7", "DELIVRD"), statusOK)
	if got := only(t, pub); got.JobID != "j1" {
		t.Errorf("receipt went to %s, want j1", got.JobID)
	}
	if got := d.Stats().IDClashes; got != 1 {
		t.Errorf("%d clashes counted, want 1", got)
	}
}

func TestTheLastFinalPartCarriesTheStateOfTheJob(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	submit(t, d, jobRef("j1"), "A1", "A2", "A3")
	for _, r := range [][2]string{{"A1", "DELIVRD"}, {"A2", "ENROUTE"}, {"A3", "EXPIRED"}, {"A1", "DELIVRD"}, {"A2", "DELIVRD"}} {
		deliver(t, d, deliverReceipt(r[0], r[1]), statusOK)
	}
	var got []sms.State
	for _, r := range pub.list() {
		got = append(got, r.JobState)
	}
	if diff := cmp.Diff([]sms.State{"", "", "", "", sms.StateExpired}, got); diff != "" {
		t.Errorf("job states (-want +got):\n%s", diff)
	}
}

func TestAMessageFromAMobileIsPublished(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	m := &sms.Message{
		Source: sms.Address{Addr: "447700900123"}, Destination: sms.Address{Addr: "15550100"}, DataCoding: 8,
		ESMClass: sms.ESMClassUDHI, ShortMessage: []byte("\x06\x05\x04\x0b\x84\x23\xf0\x00h\x00i"),
	}
	deliver(t, d, m, statusOK)
	deliver(t, d, m, statusOK)
	if len(pub.inbound) != 2 || pub.inbound[0].ID == pub.inbound[1].ID {
		t.Fatalf("published %+v, want two with ids of their own", pub.inbound)
	}
	want := &sms.Inbound{
		Route: "acme", Bind: "acme/1", From: "447700900123", To: "15550100", Text: "hi", Data: m.ShortMessage, DataCoding: 8, ESMClass: 0x40,
	}
	if diff := cmp.Diff(want, pub.inbound[0], cmpopts.IgnoreFields(sms.Inbound{}, "ID", "Time")); diff != "" {
		t.Errorf("inbound (-want +got):\n%s", diff)
	}
}

func TestAMessageFromAMobileIsReadInTheAlphabetOfItsRoute(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for alphabet, want := range map[text.Alphabet]string{"": "é@", text.Latin1: "\x05\x00", text.GSM7Packed: "A@"} {
		d, pub := newDesk(t, srv.Addr, func(c *Config) { c.Routes = map[string]Route{"acme": {Alphabet: alphabet}} })
		m := &sms.Message{ShortMessage: []byte{5, 0}}
		if alphabet == text.GSM7Packed { // one fill bit behind the header, then 'A' and '@'
			m = &sms.Message{ESMClass: sms.ESMClassUDHI, ShortMessage: []byte{5, 0, 3, 1, 1, 1, 0x82, 0x00}}
		}
		deliver(t, d, m, statusOK)
		if got := pub.inbound[0].Text; got != want {
			t.Errorf("%q: text %q, want %q", alphabet, got, want)
		}
	}
}

func TestWhatCannotBePublishedInTimeIsRefused(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, func(c *Config) { c.DeliverTimeout = 250 * time.Millisecond })
	submit(t, d, jobRef("j1"), "A1")
	pub.setDown(true)
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusTemporary)
	deliver(t, d, &sms.Message{ShortMessage: []byte("hi")}, statusTemporary)
	deliver(t, d, deliverReceipt("", "DELIVRD"), statusTemporary)
	deliver(t, d, deliverReceipt("early", "DELIVRD"), statusOK)
	if got := d.Stats(); got.Refused != 3 || got.PublishErrors != 3 || got.Parked != 1 {
		t.Errorf("stats %+v", got)
	}
	pub.setDown(false)
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
	only(t, pub)
}

func TestCountsAreKeptByRoute(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, withRoute(Route{}))
	other := jobRef("j2")
	other.Route = "other"
	submit(t, d, jobRef("j1"), "7")
	submit(t, d, jobRef("j3"), "7")
	submit(t, d, other, "8")
	deliver(t, d, deliverReceipt("7", "DELIVRD"), statusOK)
	for _, m := range []*sms.Message{deliverReceipt("8", "DELIVRD"), deliverReceipt("9", "DELIVRD"), deliverReceipt("", "DELIVRD"), {ShortMessage: []byte("hi")}} {
		if d.Deliver(t.Context(), "other", "other/1", m) != statusOK {
			t.Fatal("refused")
		}
	}
	if err := d.SetRoutes(map[string]Route{"third": {}}); err != nil {
		t.Fatal(err)
	}
	deliver(t, d, deliverReceipt("7", "DELIVRD"), statusOK)
	want := map[string]RouteStats{
		"acme":    {Receipts: 2, Matched: 2, IDClashes: 1},
		"other":   {Receipts: 3, Matched: 1, Parked: 1, Unmatched: 1, Inbound: 1},
		"third":   {},
		"unknown": {},
	}
	var sum RouteStats
	for route, want := range want {
		if diff := cmp.Diff(want, d.RouteStats(route)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", route, diff)
		}
		sum.add(want)
	}
	if diff := cmp.Diff(sum, d.Stats().RouteStats); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
}
