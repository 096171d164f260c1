package text_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

func TestKnownSizesOfEveryWayToConcatenate(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	sar, payload := text.Options{Concat: text.SAR}, text.Options{Concat: text.Payload}
	with := func(o text.Options, septets int) text.Options { o.SeptetsPerPart = septets; return o }
	tests := []struct {
		name   string
		text   string
		opts   text.Options
		octets []int
	}{
		{"SAR leaves 160 septets whole", rep("a", 160), sar, []int{160}},
		{"SAR leaves room for the SMSC's header", rep("a", 161), sar, []int{153, 8}},
		{"SAR 306", rep("a", 306), sar, []int{153, 153}},
		{"SAR 307", rep("a", 307), sar, []int{153, 153, 1}},
		{"SAR with 152 septets", rep("a", 305), with(sar, 152), []int{152, 152, 1}},
		{"SAR with full parts", rep("a", 321), with(sar, 160), []int{160, 160, 1}},
		{"SAR leaves 70 UCS-2 characters whole", rep("я", 70), sar, []int{140}},
		{"SAR 71 UCS-2 characters", rep("я", 71), sar, []int{134, 8}},
		{"SAR 71 UCS-2 characters with 152 septets", rep("я", 71), with(sar, 152), []int{132, 10}},
		{"SAR 70-character UCS-2 parts", rep("я", 141), with(sar, 160), []int{140, 140, 2}},
		{"SAR surrogate pair at the boundary of 70", rep("я", 69) + "😀" + rep("я", 9), with(sar, 160), []int{138, 22}},
		{"SAR 141 octets of Latin-1", rep("ç", 141), text.Options{Encoding: "latin1", Concat: text.SAR}, []int{134, 7}},
		{"SAR of the smallest parts", rep("😀", 36), with(sar, 8), slices.Repeat([]int{4}, 36)},
		{"152 septets with an 8-bit reference", rep("a", 305), with(text.Options{}, 152), []int{152, 152, 1}},
		{"152 septets leave UCS-2 as it is", rep("я", 71), with(text.Options{}, 152), []int{134, 8}},
		{"message_payload leaves 160 septets to short_message", rep("a", 160), payload, []int{160}},
		{"message_payload takes 161", rep("a", 161), payload, []int{161}},
		{"message_payload takes 71 UCS-2 characters", rep("я", 71), payload, []int{142}},
		{"message_payload takes 64 KiB less one", rep("a", 65535), payload, []int{65535}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.opts.Ref = 0x1234
			e, err := text.Encode(tt.text, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.octets, sizes(e)); diff != "" {
				t.Errorf("octets per part (-want +got):\n%s", diff)
			}
			if want := tt.opts.Concat == text.Payload && tt.octets[0] > 140 && tt.octets[0] != 160; (e.Concat == text.Payload) != want {
				t.Errorf("concatenated by %q, payload is %t", e.Concat, want)
			}
			checkSegments(t, tt.text, tt.opts, e)
		})
	}
	_, err := text.Encode(rep("a", 65536), payload)
	wantInvalid(t, err, "encode text: invalid: text is 65536 octets, message_payload takes at most 65535")
	_, err = text.Encode(rep("я", 32768), payload)
	wantInvalid(t, err, "encode text: invalid: text is 65536 octets, message_payload takes at most 65535")
}

func TestPartSizesThatCannotBe(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 200)
	for _, tt := range []struct {
		opts text.Options
		want string
	}{
		{text.Options{SeptetsPerPart: 154}, "must be 8..153 with udh8, is 154"},
		{text.Options{SeptetsPerPart: 7}, "must be 8..153 with udh8, is 7"},
		{text.Options{SeptetsPerPart: 153, Concat: text.UDH16}, "must be 8..152 with udh16, is 153"},
		{text.Options{SeptetsPerPart: 161, Concat: text.SAR}, "must be 8..160 with sar, is 161"},
	} {
		_, err := text.Encode(long, tt.opts)
		wantInvalid(t, err, "encode text: invalid: septets per part: "+tt.want)
	}
	if err := text.Payload.CheckSeptetsPerPart(153); err == nil || err.Error() != "has no effect with payload: the SMSC splits" {
		t.Errorf("payload: %v", err)
	}
	for _, c := range []text.Concat{"", text.UDH8, text.UDH16, text.SAR, text.Payload} {
		if err := c.CheckSeptetsPerPart(0); err != nil {
			t.Errorf("%q: %v", c, err)
		}
	}
}

func TestWhatStandsBehindDataCoding0(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	tests := []struct {
		name     string
		alphabet text.Alphabet
		text     string
		encoding sms.Encoding
		coding   uint8
		octets   string // of the first part, hex
		sizes    []int
	}{
		{"gsm7 @", text.GSM7, "a@é", "", 0, "610005", []int{3}},
		{"latin1 @", text.Latin1, "a@é", "", 0, "6140e9", []int{3}},
		{"latin1 does not take what GSM 03.38 lacks", text.Latin1, "ç", "", 8, "00e7", []int{2}},
		{"latin1 does not take what it lacks itself", text.Latin1, "€", "", 8, "20ac", []int{2}},
		{"latin1 with encoding gsm7", text.Latin1, "é", "gsm7", 0, "e9", []int{1}},
		{"latin1 with encoding latin1 says so", text.Latin1, "ç", "latin1", 3, "e7", []int{1}},
		{"latin1 with encoding ucs2", text.Latin1, "a", "ucs2", 8, "0061", []int{2}},
		{"ascii @", text.ASCII, "a@_", "", 0, "61405f", []int{3}},
		{"ascii does not take accents", text.ASCII, "é", "", 8, "00e9", []int{2}},
		{"ascii does not take the grave accent, which GSM 03.38 lacks", text.ASCII, "`", "", 8, "0060", []int{2}},
		{"160 characters of latin1 are one part", text.Latin1, rep("é", 160), "", 0, rep("e9", 160), []int{160}},
		{"161 characters of latin1 are two", text.Latin1, rep("é", 161), "", 0, rep("e9", 153), []int{153, 8}},
		{"80 braces are 160 septets", text.ASCII, rep("{", 80), "", 0, rep("7b", 80), []int{80}},
		{"81 braces are two parts, not cut in two", text.ASCII, rep("{", 81), "", 0, rep("7b", 76), []int{76, 5}},
		{"packed hello", text.GSM7Packed, "hellohello", "", 0, "e8329bfd4697d9ec37", []int{9}},
		{"packed seven characters end in a filler", text.GSM7Packed, "1234567", "", 0, "31d98c56b3dd1a", []int{7}},
		{"160 packed characters are 140 octets", text.GSM7Packed, rep("a", 160), "", 0, "", []int{140}},
		{"161 packed characters are two parts", text.GSM7Packed, rep("a", 161), "", 0, "", []int{134, 8}},
		{"packed 71 UCS-2 characters", text.GSM7Packed, rep("я", 71), "", 8, "", []int{134, 8}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := text.Options{Alphabet: tt.alphabet, Encoding: tt.encoding}
			e, err := text.Encode(tt.text, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(e.Segments[0].Payload); tt.octets != "" && got != tt.octets {
				t.Errorf("octets %s, want %s", got, tt.octets)
			}
			if e.DataCoding != tt.coding {
				t.Errorf("data_coding %#x, want %#x", e.DataCoding, tt.coding)
			}
			if diff := cmp.Diff(tt.sizes, sizes(e)); diff != "" {
				t.Errorf("octets per part (-want +got):\n%s", diff)
			}
			checkSegments(t, tt.text, o, e)
		})
	}
	for _, tt := range []struct {
		opts       text.Options
		text, want string
	}{
		{text.Options{Alphabet: text.Latin1, Encoding: "gsm7"}, "a€", "character 2 (U+20AC) is not in both gsm7 and latin1, the route's alphabet"},
		{text.Options{Alphabet: text.ASCII, Encoding: "gsm7"}, "é", "character 1 (U+00E9) is not in both gsm7 and ascii, the route's alphabet"},
		{text.Options{Alphabet: "koi8-r"}, "a", `unknown alphabet "koi8-r"`},
	} {
		_, err := text.Encode(tt.text, tt.opts)
		wantInvalid(t, err, "encode text: invalid: "+tt.want)
	}
}

// Septets are laid from the low bits up (3GPP TS 23.038 §6.1.2.1.1), behind a
// header from the next septet boundary on (3GPP TS 23.040 §9.2.3.24).
func TestPackedSeptetsComeApartAgain(t *testing.T) {
	t.Parallel()
	for n := range 200 {
		for _, ref16 := range []text.Concat{text.UDH8, text.UDH16, text.SAR} {
			s := strings.Repeat("@Aé{", n)
			o := text.Options{Alphabet: text.GSM7Packed, Concat: ref16, Ref: 0xABCD}
			e, err := text.Encode(s, o)
			if err != nil {
				t.Fatal(err)
			}
			checkSegments(t, s, o, e)
			for i, seg := range e.Segments {
				if len(seg.UserData()) > text.MaxOctets {
					t.Errorf("%d characters: part %d has %d octets", 4*n, i+1, len(seg.UserData()))
				}
			}
		}
	}
	// 6 octets of header end 6 bits into a septet: one fill bit, then 'A'.
	e, _ := text.Encode(strings.Repeat("A", 161), text.Options{Alphabet: text.GSM7Packed})
	if got := e.Segments[0].Payload[:2]; !bytes.Equal(got, []byte{0x82, 0xC1}) {
		t.Errorf("octets behind the header % x, want 82 c1", got)
	}
}

func TestAPartSentAgainIsTheSame(t *testing.T) {
	t.Parallel()
	s := strings.Repeat("Grüße {} ", 60)
	for _, c := range []text.Concat{text.UDH8, text.UDH16, text.SAR, text.Payload} {
		for _, a := range []text.Alphabet{text.GSM7, text.GSM7Packed, text.Latin1, text.ASCII} {
			o := text.Options{Concat: c, Alphabet: a, Ref: text.Reference("shop", "order-1")}
			first, err := text.Encode(s, o)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := text.Encode(s, o)
			for i, seg := range first.Segments {
				if !bytes.Equal(seg.UserData(), again.Segments[i].UserData()) || cmp.Diff(first.TLVs(i), again.TLVs(i)) != "" {
					t.Errorf("%s, %s: part %d differs", c, a, i+1)
				}
			}
		}
	}
}
