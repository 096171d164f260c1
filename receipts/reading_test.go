package receipts

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestAReadingTellsAbsentFromEmpty(t *testing.T) {
	t.Parallel()
	said := func(s string) *string { return &s }
	type written struct{ Sub, Dlvrd, Stat, ErrorCode, Text *string }
	for text, want := range map[string]written{
		"":                                   {},
		"id:7 sub: stat:DELIVRD":             {Sub: said(""), Stat: said("DELIVRD")},
		"id:7 dlvrd:001 err:00B, text:":      {Dlvrd: said("001"), ErrorCode: said("00B"), Text: said("")},
		"id:7 text: hello ":                  {Text: said("hello")},
		"id:7 err: text:\x04\x1f\x04\x40":    {ErrorCode: said(""), Text: said("\x04\x1f\x04@")},
		"id:7 stat: text:gr\xfc\xdf\x00\x00": {Stat: said("")},
	} {
		r, ok := Read(&sms.Message{ESMClass: 4, ShortMessage: []byte(text)})
		if !ok {
			t.Errorf("%q is no receipt", text)
		}
		if diff := cmp.Diff(want, written{r.Sub, r.Dlvrd, r.Stat, r.ErrorCode, r.Text}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	r, _ := Read(&sms.Message{ESMClass: 4, ShortMessage: []byte("id:7 text: gr\xfc\xdf\x00")})
	if string(r.TextOctets) != " gr\xfc\xdf" {
		t.Errorf("octets of the text: %q", r.TextOctets)
	}
}

func TestWhatReadsLikeAReceiptIsToldByKind(t *testing.T) {
	t.Parallel()
	const text = "id:7 sub:001 stat:DELIVRD"
	for _, tc := range []struct {
		m    sms.Message
		want Kind
	}{
		{sms.Message{ESMClass: 0x04, ShortMessage: []byte(text)}, KindReceipt},
		{sms.Message{ESMClass: 0x44, ShortMessage: []byte("whatever")}, KindReceipt},
		{sms.Message{ESMClass: 0x20, ShortMessage: []byte(text)}, KindIntermediate},
		{sms.Message{TLVs: []sms.TLV{{Tag: sms.TagMessageState, Value: []byte{2}}}}, KindReceipt},
		{sms.Message{ESMClass: 0x08, ShortMessage: []byte(text)}, KindSMEAck},
		{sms.Message{ESMClass: 0x10, ShortMessage: []byte(text)}, KindUserAck},
		{sms.Message{ShortMessage: []byte(" " + text)}, KindUntyped},
		{sms.Message{ShortMessage: []byte("see " + text)}, ""},
		{sms.Message{ShortMessage: []byte("id: 5 for the door")}, ""},
		{sms.Message{ESMClass: 0x10, ShortMessage: []byte("yes")}, ""},
		{sms.Message{}, ""},
	} {
		r, ok := Read(&tc.m)
		if r.Kind != tc.want || ok != (tc.want != "") {
			t.Errorf("esm_class 0x%02x %q: kind %q, want %q", tc.m.ESMClass, tc.m.ShortMessage, r.Kind, tc.want)
		}
		if worker := r.Kind == KindReceipt || r.Kind == KindIntermediate; worker != IsReceipt(&tc.m) {
			t.Errorf("esm_class 0x%02x %q: a worker thinks otherwise", tc.m.ESMClass, tc.m.ShortMessage)
		}
	}
}

func TestEveryNotationOfAnIDIsListedOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		p    Parsed
		want []string
	}{
		{Parsed{}, nil},
		{Parsed{TextID: "0318794433"}, []string{"0318794433", "13006AC1", "13295502387", "318794433"}},
		{Parsed{TLVID: "38601fa", TextID: "0059113978"}, []string{"38601fa", "0059113978", "1494301048", "59113978"}},
		{Parsed{TLVID: "a1@447700900123", TextID: "A1"}, []string{"a1@447700900123", "A1", "161"}},
		{Parsed{TextID: "gw-77", OtherID: "5b"}, []string{"gw-77", "5b"}},
		{Parsed{TextID: "-17"}, []string{"-17"}},
		{Parsed{TextID: "340000000000000000000000000000000012"}, []string{"340000000000000000000000000000000012"}},
	} {
		if diff := cmp.Diff(tc.want, AnyNotation(tc.p)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tc.p, diff)
		}
	}
}

// The ids that are shown are those that are looked up.
func TestIDsAreTheCandidatesInTheirOwnCase(t *testing.T) {
	t.Parallel()
	ids := []string{"", "0A1f", "a1F", "161", "0000000161", "41247", "x@1", "0A1f@1", "İD", "7-B"}
	rules := []IDRule{IDAsIs, IDHex, IDDecimal}
	for _, submit := range rules {
		for _, receipt := range rules {
			for _, tlv := range ids {
				for _, text := range ids {
					for _, other := range []string{"", "A1F", "161"} {
						p := Parsed{TLVID: tlv, TextID: text, OtherID: other}
						r := IDRules{Submit: submit, Receipt: receipt}
						var keys []string
						for _, id := range r.IDs(p) {
							if key := strings.ToLower(id); !slices.Contains(keys, key) {
								keys = append(keys, key)
							}
						}
						if want := r.Candidates(p); !slices.Equal(want, keys) {
							t.Fatalf("%+v under %+v: candidates %q, ids %q", p, r, want, keys)
						}
						if p.MessageID() != "" && r.ShownID(p) == "" {
							t.Fatalf("%+v under %+v shows no id", p, r)
						}
					}
				}
			}
		}
	}
}
