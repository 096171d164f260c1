package receipts

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// mo is a message from a handset.
func mo(coding uint8, octets string) *sms.Message {
	return &sms.Message{
		Source: sms.Address{TON: 1, NPI: 1, Addr: "447700900123"}, Destination: sms.Address{TON: 1, NPI: 1, Addr: "15550100"},
		DataCoding: coding, ShortMessage: []byte(octets),
	}
}

// A scheme makes a part of several.
type scheme func(reference uint16, total, number int, coding uint8, octets string) *sms.Message

func udh8(reference uint16, total, number int, coding uint8, octets string) *sms.Message {
	m := mo(coding, string([]byte{5, 0, 3, byte(reference), byte(total), byte(number)})+octets)
	m.ESMClass = sms.ESMClassUDHI
	return m
}

func udh16(reference uint16, total, number int, coding uint8, octets string) *sms.Message {
	m := mo(coding, string([]byte{6, 8, 4, byte(reference >> 8), byte(reference), byte(total), byte(number)})+octets)
	m.ESMClass = sms.ESMClassUDHI
	return m
}

func sarTLVs(reference uint16, total, number int, coding uint8, octets string) *sms.Message {
	m := mo(coding, octets)
	m.TLVs = []sms.TLV{
		{Tag: sms.TagSarMsgRefNum, Value: binary.BigEndian.AppendUint16(nil, reference)},
		{Tag: sms.TagSarTotalSegs, Value: []byte{byte(total)}}, {Tag: sms.TagSarSegmentSeq, Value: []byte{byte(number)}},
	}
	return m
}

// asDataSM moves the user data to message_payload, as data_sm has it.
func asDataSM(m *sms.Message) *sms.Message {
	m.TLVs = append(m.TLVs, sms.TLV{Tag: sms.TagMessagePayload, Value: m.ShortMessage})
	m.ShortMessage = nil
	return m
}

func (p *results) listInbound() []*sms.Inbound {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.inbound)
}

// summarise writes what was published, each message once by its id.
func summarise(all []*sms.Inbound) []string {
	var lines []string
	seen := make(map[string]bool)
	for _, in := range all {
		if !seen[in.ID] {
			seen[in.ID] = true
			line := fmt.Sprintf("%d/%d %q", len(in.Parts), in.PartsTotal, in.Text)
			if len(in.PartsMissing) > 0 {
				line += fmt.Sprint(" without ", in.PartsMissing)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// sweepJoiningAt sweeps as if it were that much later.
func sweepJoiningAt(tb testing.TB, d *Desk, later time.Duration) {
	tb.Helper()
	asOf := time.Now().Add(later).UnixMilli()
	for _, name := range must(d.store.client.ZRange(tb.Context(), d.keys.joinDue("acme"), 0, -1).Result())(tb) {
		if err := d.sweepJoined(tb.Context(), "acme", name, asOf); err != nil {
			tb.Fatal(err)
		}
	}
}

// nothingWaits checks that nothing waits for parts, and that every key has an end.
func nothingWaits(tb testing.TB, d *Desk) {
	tb.Helper()
	if n := must(d.store.client.ZCard(tb.Context(), d.keys.joinDue("acme")).Result())(tb); n != 0 {
		tb.Errorf("%d messages are still due", n)
	}
	for _, key := range must(d.store.client.Keys(tb.Context(), d.keys.set+"*").Result())(tb) {
		if ttl := must(d.store.client.PTTL(tb.Context(), key).Result())(tb); ttl <= 0 || ttl > 10*time.Minute {
			tb.Errorf("%s ends in %v, want within 10m", key, ttl)
		}
		for field, v := range must(d.store.client.HGetAll(tb.Context(), key).Result())(tb) {
			if len(v) > digestLen {
				tb.Errorf("%s still holds a part in %s", key, field)
			}
		}
	}
}

func TestInboundTextIsDecoded(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for name, tc := range map[string]struct {
		alphabet text.Alphabet
		message  *sms.Message
		want     string
	}{
		"GSM 03.38, one octet a septet":          {"", mo(0, "\x00 \x1be \x05"), "@ € é"},
		"packed septets":                         {text.GSM7Packed, mo(0, "\xe8\x32\x9b\xfd\x06"), "hello"},
		"Latin-1 behind data_coding 0":           {text.Latin1, mo(0, "gr\xfcn"), "grün"},
		"ASCII behind data_coding 0":             {text.ASCII, mo(0, "a_b@"), "a_b@"},
		"ASCII by data_coding":                   {"", mo(1, "a_b@"), "a_b@"},
		"Latin-1 by data_coding":                 {"", mo(3, "gr\xfcn"), "grün"},
		"UCS-2 with surrogates":                  {text.Latin1, mo(8, "\x04\x3f\xd8\x3d\xdc\x4d"), "п👍"},
		"UCS-2 with a last odd octet":            {"", mo(8, "\x00a\x00"), "a\uFFFD"},
		"a message class":                        {"", mo(0x10, "\x00"), "@"},
		"UCS-2 with a message class":             {"", mo(0x18, "\x00a"), "a"},
		"binary":                                 {"", mo(4, "\x01\x02"), ""},
		"binary by message class":                {"", mo(0xF5, "\x01\x02"), ""},
		"message_payload":                        {"", asDataSM(mo(0, "hi")), "hi"},
		"behind a header with ports":             {"", &sms.Message{ESMClass: 0x40, ShortMessage: []byte("\x06\x05\x04\x0b\x84\x23\xf0hi")}, "hi"},
		"UDHI without a header":                  {"", &sms.Message{ESMClass: 0x40, ShortMessage: []byte("hi there")}, "hi there"},
		"nothing":                                {"", mo(0, ""), ""},
		"an acknowledgement of a handset":        {"", &sms.Message{ESMClass: sms.ESMClassManualAck, ShortMessage: []byte("id:1 stat:DELIVRD")}, "id:1 stat:DELIVRD"},
		"a forged receipt":                       {"", mo(0, "id:1 sub:001 dlvrd:001 stat:DELIVRD err:000"), "id:1 sub:001 dlvrd:001 stat:DELIVRD err:000"},
		"a part whose payload is too long to be": {"", asDataSM(udh8(1, 2, 1, 3, strings.Repeat("x", 300))), strings.Repeat("x", 300)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, pub := newDesk(t, srv.Addr, withRoute(Route{Alphabet: tc.alphabet}))
			deliver(t, d, tc.message, statusOK)
			all := pub.listInbound()
			if len(all) != 1 || all[0].Text != tc.want {
				t.Fatalf("published %+v, want the text %q", all, tc.want)
			}
			raw := tc.message.ShortMessage
			if payload, ok := tc.message.TLV(sms.TagMessagePayload); ok {
				raw = payload
			}
			if got := all[0].Data; all[0].PartsTotal == 0 && string(got) != string(raw) {
				t.Errorf("data %x, want what came: %x", got, raw)
			}
			if string(raw) != "" && len(all[0].Parts) > 0 && string(all[0].Parts[0].Data) != string(raw) {
				t.Errorf("part %x, want what came: %x", all[0].Parts[0].Data, raw)
			}
		})
	}
}

// orders lists every order of n things.
func orders(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, before := range orders(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(before), at, n-1))
		}
	}
	return all
}

func TestPartsAreJoinedInEveryOrderAcrossDesks(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for name, of := range map[string]scheme{
		"8-bit reference": udh8, "16-bit reference": udh16, "sar parameters": sarTLVs,
		"8-bit reference in data_sm": func(r uint16, total, n int, coding uint8, s string) *sms.Message {
			return asDataSM(udh8(r, total, n, coding, s))
		},
	} {
		for _, order := range orders(3) {
			t.Run(fmt.Sprint(name, order), func(t *testing.T) {
				t.Parallel()
				prefix := withPrefix(t)
				one, first := newDesk(t, srv.Addr, prefix)
				two, second := newDesk(t, srv.Addr, prefix)
				parts := []*sms.Message{of(0x0207, 3, 1, 8, "\x00a\xd8\x3d"), of(0x0207, 3, 2, 8, "\xdc\x4d\x00"), of(0x0207, 3, 3, 8, "b")}
				for i, n := range order {
					deliver(t, []*Desk{one, two}[i%2], parts[n], statusOK)
					if i < 2 && len(first.listInbound())+len(second.listInbound()) > 0 {
						t.Fatal("published before all parts were there")
					}
				}
				all := append(first.listInbound(), second.listInbound()...)
				if len(all) != 1 {
					t.Fatalf("%d published, want 1", len(all))
				}
				reference := all[0].Reference
				if reference == nil || *reference&0xFF != 7 {
					t.Errorf("reference %v, want 7 or 0x207", reference)
				}
				want := &sms.Inbound{
					Route: "acme", Bind: "acme/1", From: "447700900123", To: "15550100", Text: "a👍b", Data: []byte("\x00a\xd8\x3d\xdc\x4d\x00b"),
					DataCoding: 8, ESMClass: parts[0].ESMClass, PartsTotal: 3,
				}
				for i, m := range parts {
					want.Parts = append(want.Parts, sms.InboundPart{Number: i + 1, Data: allUserData(m)})
				}
				if diff := cmp.Diff(want, all[0], cmpopts.IgnoreFields(sms.Inbound{}, "ID", "Time", "Reference")); diff != "" {
					t.Errorf("inbound (-want +got):\n%s", diff)
				}
				nothingWaits(t, one)
			})
		}
	}
}

// withPrefix gives the test keys of its own.
func withPrefix(t *testing.T) func(*Config) {
	return func(c *Config) { c.Prefix = strings.ReplaceAll(t.Name(), "/", ".") }
}

func TestPartsThatDoNotComeAreNamed(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	other, also := newDesk(t, srv.Addr, nil)
	deliver(t, d, udh8(7, 4, 2, 0, "two "), statusOK)
	deliver(t, d, udh8(7, 4, 4, 0, "four"), statusOK)
	sweepJoiningAt(t, other, 9*time.Minute)
	if all := append(pub.listInbound(), also.listInbound()...); len(all) != 0 {
		t.Fatalf("published after 9 minutes: %v", summarise(all))
	}
	sweepJoiningAt(t, other, 11*time.Minute)
	got := also.listInbound()
	if diff := cmp.Diff([]string{`2/4 "two four" without [1 3]`}, summarise(got)); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if n := other.RouteStats("acme").Incomplete; n != 1 {
		t.Errorf("%d counted as incomplete", n)
	}
	nothingWaits(t, d)
	// What comes later is not lost.
	deliver(t, d, udh8(7, 4, 1, 0, "one "), statusOK)
	deliver(t, d, udh8(7, 4, 2, 0, "two "), statusOK)
	sweepJoiningAt(t, d, 11*time.Minute)
	if diff := cmp.Diff([]string{`2/4 "one two " without [3 4]`}, summarise(pub.listInbound())); diff != "" {
		t.Errorf("late (-want +got):\n%s", diff)
	}
}

func TestTextIsNotReadAcrossAMissingPart(t *testing.T) {
	t.Parallel()
	came := map[int]*inboundPart{1: {Data: []byte("one\x1b")}, 3: {Data: []byte("e")}}
	if in := assemble("acme", text.GSM7, 3, came); in.Text != "one e" || string(in.Data) != "one\x1be" {
		t.Errorf("text %q, data %q", in.Text, in.Data)
	}
	came[3].DataCoding = 4
	if in := assemble("acme", text.GSM7, 3, came); in.Text != "" || len(in.Parts) != 2 {
		t.Errorf("with a binary part: text %q, %d parts", in.Text, len(in.Parts))
	}
}

func TestRepeatsOfPartsMakeNoSecondMessage(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	one, two := udh8(7, 2, 1, 0, "one "), udh8(7, 2, 2, 0, "two")
	for _, m := range []*sms.Message{one, one, two, two, one, two, two} {
		deliver(t, d, m, statusOK)
	}
	sweepJoiningAt(t, d, 11*time.Minute)
	if diff := cmp.Diff([]string{`2/2 "one two"`}, summarise(pub.listInbound())); diff != "" || len(pub.listInbound()) != 1 {
		t.Errorf("%d published (-want +got):\n%s", len(pub.listInbound()), diff)
	}
	if n := d.RouteStats("acme").Repeats; n != 2 {
		t.Errorf("%d repeats counted, want the whole one and the part", n)
	}
	nothingWaits(t, d)
}

func TestWithoutJoiningEveryPartIsPublished(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, withRoute(Route{JoinTimeout: -1}))
	deliver(t, d, udh8(7, 2, 2, 0, "two"), statusOK)
	deliver(t, d, udh8(7, 2, 1, 0, "one"), statusOK)
	if diff := cmp.Diff([]string{`1/2 "one" without [2]`, `1/2 "two" without [1]`}, summarise(pub.listInbound())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestACompleteMessageOutlivesAnAbsentServer(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, func(c *Config) { c.DeliverTimeout = 250 * time.Millisecond })
	pub.setDown(true)
	deliver(t, d, udh8(7, 2, 1, 0, "one "), statusOK)
	deliver(t, d, udh8(7, 2, 2, 0, "two"), statusOK)
	if n := d.RouteStats("acme").PublishErrors; n != 1 {
		t.Errorf("%d publish errors, want 1", n)
	}
	pub.setDown(false)
	sweepJoiningAt(t, d, time.Second)
	if diff := cmp.Diff([]string{`2/2 "one two"`}, summarise(pub.listInbound())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	nothingWaits(t, d)
}

func TestAPartIsRefusedWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, func(c *Config) { c.DeliverTimeout = 250 * time.Millisecond })
	srv.Stop()
	deliver(t, d, udh8(7, 2, 1, 0, "one "), statusTemporary)
	deliver(t, d, mo(0, "short"), statusOK)
	if diff := cmp.Diff([]string{`0/0 "short"`}, summarise(pub.listInbound())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
