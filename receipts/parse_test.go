package receipts

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// tlv makes an optional parameter.
func tlv(tag uint16, value string) sms.TLV { return sms.TLV{Tag: tag, Value: []byte(value)} }

// utf16Text is s in UTF-16 of the given order.
func utf16Text(order binary.AppendByteOrder, s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func TestReceiptsAreReadAsSMSCsWriteThem(t *testing.T) {
	t.Parallel()
	const appendixB = "id:7Q2 sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:DELIVRD err:000 text:see you"
	at1200, at1201 := date("2026-03-01 12:00:00"), date("2026-03-01 12:01:00")
	plain := Parsed{
		TextID: "7Q2", State: sms.StateDelivered, Stat: "DELIVRD", Sub: "001", Dlvrd: "001", ErrorCode: "000",
		SubmitDate: at1200, DoneDate: at1201, Text: "see you",
	}
	for name, tc := range map[string]struct {
		esm  uint8
		text string
		tlvs []sms.TLV
		want Parsed // without Raw
	}{
		"appendix B":              {4, appendixB, nil, plain},
		"NULs around":             {4, appendixB + "\x00\x00", nil, plain},
		"in message_payload":      {4, "", []sms.TLV{tlv(sms.TagMessagePayload, appendixB)}, plain},
		"with UDHI and a header":  {0x44, "\x05\x00\x03\x09\x01\x01" + appendixB, nil, plain},
		"with UDHI and no header": {0x44, appendixB, nil, plain},
		"in UCS-2":                {4, utf16Text(binary.BigEndian, appendixB), nil, plain},
		"in UCS-2, little endian": {4, utf16Text(binary.LittleEndian, appendixB), nil, plain},
		"labels in any case and order, run together dates": {
			4, "STAT:DELIVRD Err:000 TEXT_:x DLVRD:001 sub:001 DoneDate:2603011201 submit_date:2603011200 ID:7Q2 Text: see you ", nil,
			func() Parsed { p := plain; p.ErrorCode = "000"; return p }(),
		},
		"TLVs win over the text": {
			4, appendixB, []sms.TLV{tlv(sms.TagReceiptedMsgID, "1c8a\x00"), tlv(sms.TagMessageState, "\x05"), tlv(sms.TagNetworkError, "\x03\x00\x1B")},
			func() Parsed {
				p := plain
				p.TLVID, p.State, p.NetworkError = "1c8a", sms.StateUndeliverable, "3:27"
				return p
			}(),
		},
		"TLVs that say nothing": {
			4, appendixB, []sms.TLV{tlv(sms.TagReceiptedMsgID, "\x00"), tlv(sms.TagMessageState, "\xFF"), tlv(sms.TagNetworkError, "\x07")},
			func() Parsed { p := plain; p.NetworkError = "07"; return p }(),
		},
		"TLVs only, no esm_class": {
			0, "", []sms.TLV{tlv(sms.TagReceiptedMsgID, "5f"), tlv(sms.TagMessageState, "\x08"), tlv(sms.TagNetworkError, "069")},
			Parsed{TLVID: "5f", State: sms.StateRejected, NetworkError: "069"},
		},
		"an intermediate notification": {
			0x20, "id:5 stat:ENROUTE err:054", nil,
			Parsed{TextID: "5", State: sms.StateEnroute, Stat: "ENROUTE", ErrorCode: "054", Intermediate: true},
		},
		"something glued in front of the id": {
			4, "15550100#id:5 stat:UNDELIV", nil, Parsed{TextID: "5", State: sms.StateUndeliverable, Stat: "UNDELIV"},
		},
		"labels inside other words": {
			4, "id:5 xstat:DELIVRD mid:9 stat:EXPIRED", nil, Parsed{TextID: "5", State: sms.StateExpired, Stat: "EXPIRED"},
		},
		"labels inside the sender's text": {
			4, "id:5 stat:DELIVRD text:id:6 err:9 stat:EXPIRED", nil,
			Parsed{TextID: "5", State: sms.StateDelivered, Stat: "DELIVRD", Text: "id:6 err:9 stat:EXPIRED"},
		},
		"the state after the text": {
			4, "id:5 text:- stat:DELIVRD", nil, Parsed{TextID: "5", State: sms.StateDelivered, Stat: "DELIVRD", Text: "-"},
		},
		"empty values": {
			4, "id: sub: stat: err: text:", nil, Parsed{State: sms.StateUnknown},
		},
		"blanks and line ends": {
			4, "id: 5\nstat: DELIVRD\r\nerr:\t00B,", nil, Parsed{TextID: "5", State: sms.StateDelivered, Stat: "DELIVRD", ErrorCode: "00B"},
		},
		"foreign fields between and after": {
			4, "id:5 mccmnc:99901 stat:FAILED:no route| here err:E_NET price:0.02", nil,
			Parsed{TextID: "5", State: sms.StateUndeliverable, Stat: "FAILED:no route| here", ErrorCode: "E_NET"},
		},
		"two ids": {
			4, "ID:gw-77 STAT:Delivered id:5b", nil, Parsed{TextID: "gw-77", OtherID: "5b", State: sms.StateDelivered, Stat: "Delivered"},
		},
		"text that is no UTF-8": {
			4, "id:5 stat:DELIVRD text:gr\xfc\xdfe", nil, Parsed{TextID: "5", State: sms.StateDelivered, Stat: "DELIVRD", Text: `gr\xFC\xDFe`},
		},
		"no receipt at all": {4, "hello", nil, Parsed{State: sms.StateUnknown}},
		"nothing":           {4, "", nil, Parsed{State: sms.StateUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &sms.Message{ESMClass: tc.esm, ShortMessage: []byte(tc.text), TLVs: tc.tlvs}
			if !IsReceipt(m) {
				t.Error("not taken for a receipt")
			}
			got := Parse(m)
			got.Raw = ""
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessagesFromMobilesAreNoReceipts(t *testing.T) {
	t.Parallel()
	for _, esm := range []uint8{0, 0x40, 0x80, sms.ESMClassSMEAck, sms.ESMClassManualAck} {
		if IsReceipt(&sms.Message{ESMClass: esm, ShortMessage: []byte("id:5 stat:DELIVRD")}) {
			t.Errorf("esm_class 0x%02X is taken for a receipt", esm)
		}
	}
}

func TestStatesInEverySpelling(t *testing.T) {
	t.Parallel()
	for stat, want := range map[string]sms.State{
		"DELIVRD": sms.StateDelivered, "delivered": sms.StateDelivered, "DELIVERD": sms.StateDelivered,
		"EXPIRED": sms.StateExpired, "DELETED": sms.StateDeleted,
		"UNDELIV": sms.StateUndeliverable, "UNDELIVERABLE": sms.StateUndeliverable, "FAILED": sms.StateUndeliverable,
		"ACCEPTD": sms.StateAccepted, "ACCEPTED": sms.StateAccepted, "ACKED": sms.StateEnroute,
		"ENROUTE": sms.StateEnroute, "BUFFRED": sms.StateEnroute, "REJECTD": sms.StateRejected, "DND_REJECTED": sms.StateRejected,
		"SCHEDULED": sms.StateScheduled, "SKIPPED": sms.StateSkipped,
		"UNKNOWN": sms.StateUnknown, "0": sms.StateUnknown, "": sms.StateUnknown, "BADSTAT": sms.StateUnknown,
	} {
		if got := statState(stat); got != want {
			t.Errorf("stat %q is %s, want %s", stat, got, want)
		}
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2603011201":           "2026-03-01T12:01:00Z",
		"260301120102":         "2026-03-01T12:01:02Z",
		"202603011201":         "2026-03-01T12:01:00Z", // YYMMDDhhmmss would have month 26
		"20260301120102":       "2026-03-01T12:01:02Z",
		"260301120102508+":     "2026-03-01T10:01:02.5Z",
		"260301120102020-":     "2026-03-01T17:01:02Z",
		"2026-03-01 12:01:02":  "2026-03-01T12:01:02Z",
		"2026-03-01T12:01:02":  "2026-03-01T12:01:02Z",
		"2026-03-01T12:01:02Z": "2026-03-01T12:01:02Z",
		"9912312359":           "1999-12-31T23:59:00Z",
		"0000000000":           "",
		"000000000000":         "",
		"2613011201":           "",
		"2602301201":           "",
		"260301x201":           "",
		"260301120102049+":     "", // 49 quarters: 48 is the most
		"26030112010204x+":     "",
		"260301120102049R":     "",
		"260301120102099+":     "",
		"":                     "",
		"soon":                 "",
	} {
		got := ""
		if d := ParseDate(in); d != nil {
			got = d.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("ParseDate(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(uint8(4), []byte("id:5 sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:DELIVRD err:000 text:x"), []byte("1c\x00"), []byte{2}, []byte{3, 0, 1})
	f.Add(uint8(0x44), []byte("\x05\x00\x03\x01\x02\x01id:5"), []byte(nil), []byte{9}, []byte("069"))
	f.Add(uint8(4), []byte("\x00i\x00d\x00:\x005\xd8\x00"), []byte("@"), []byte{}, []byte{})
	f.Add(uint8(4), []byte("id:\xff\xfe İD:K text: stat:"), []byte("a@b"), []byte{200}, []byte{1})
	f.Fuzz(func(t *testing.T, esm uint8, text, id, state, nec []byte) {
		m := &sms.Message{ESMClass: esm, ShortMessage: text, TLVs: []sms.TLV{
			{Tag: sms.TagReceiptedMsgID, Value: id}, {Tag: sms.TagMessageState, Value: state}, {Tag: sms.TagNetworkError, Value: nec},
		}}
		p := Parse(m)
		for _, s := range []string{p.Raw, p.Text, p.TLVID, p.TextID, p.OtherID, p.Stat, p.ErrorCode, p.Sub, p.Dlvrd, p.NetworkError} {
			if !utf8.ValidString(s) {
				t.Errorf("%q is no UTF-8", s)
			}
		}
		if p.State == "" {
			t.Error("no state")
		}
		if unescape(p.Raw) != string(text) {
			t.Errorf("raw %q is not %q", p.Raw, text)
		}
		for _, rules := range []IDRules{{IDAsIs, IDAsIs}, {IDHex, IDDecimal}, {IDDecimal, IDHex}, {IDAuto, IDAuto}} {
			for _, key := range rules.Candidates(p) {
				if key == "" || key != strings.TrimSpace(key) && p.TLVID == "" {
					t.Errorf("candidate %q", key)
				}
			}
		}
		res := receiptResult("acme", IDRules{}.shown(p), &p)
		if err := res.Validate(); err != nil {
			t.Error(err)
		}
	})
}

func TestARoutesStatesAreReadBeforeFieldsOfTheSMSCsOwn(t *testing.T) {
	t.Parallel()
	rules := &ReceiptRules{States: map[string]sms.State{"0": sms.StateDelivered, "lost contact": sms.StateExpired}}
	for text, want := range map[string]sms.State{
		"id:5 stat:0":                  sms.StateDelivered,
		"id:5 stat:0 price:0.02 err:0": sms.StateDelivered,
		"id:5|stat:0|price:0.02":       sms.StateDelivered,
		"id:5 stat:Lost Contact err:0": sms.StateExpired,
		"id:5 stat:01":                 sms.StateUnknown,
		"id:5 stat:DELIVRD price:0.02": sms.StateDelivered,
	} {
		if p := rules.Parse(&sms.Message{ESMClass: sms.ESMClassReceipt, ShortMessage: []byte(text)}); p.State != want {
			t.Errorf("%q is %s, want %s", text, p.State, want)
		}
	}
}
