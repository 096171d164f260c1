package text_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// sizes returns the payload octets of each segment.
func sizes(e text.Encoded) []int {
	var n []int
	for _, s := range e.Segments {
		n = append(n, len(s.Payload))
	}
	return n
}

func TestKnownSizes(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	ref16 := text.Options{Concat: text.UDH16}
	tests := []struct {
		name     string
		text     string
		opts     text.Options
		encoding sms.Encoding
		coding   uint8
		octets   []int
	}{
		{"empty", "", text.Options{}, "gsm7", 0, []int{0}},
		{"160 septets are one part", rep("a", 160), text.Options{}, "gsm7", 0, []int{160}},
		{"161 septets are two", rep("a", 161), text.Options{}, "gsm7", 0, []int{153, 8}},
		{"306 septets are two", rep("a", 306), text.Options{}, "gsm7", 0, []int{153, 153}},
		{"307 septets are three", rep("a", 307), text.Options{}, "gsm7", 0, []int{153, 153, 1}},
		{"304 septets with a 16-bit reference are two", rep("a", 304), ref16, "gsm7", 0, []int{152, 152}},
		{"305 septets with a 16-bit reference are three", rep("a", 305), ref16, "gsm7", 0, []int{152, 152, 1}},
		{"part size from the options", rep("a", 161), text.Options{SeptetsPerPart: 152}, "gsm7", 0, []int{152, 9}},
		{"e acute is in the alphabet", rep("é", 80), text.Options{}, "gsm7", 0, []int{80}},
		{"80 euro signs are 160 septets", rep("€", 80), text.Options{}, "gsm7", 0, []int{160}},
		{"81 euro signs are cut between escapes", rep("€", 81), text.Options{}, "gsm7", 0, []int{152, 10}},
		{"escape at the 153 boundary moves on", rep("a", 152) + "€" + rep("a", 10), text.Options{}, "gsm7", 0, []int{152, 12}},
		{"escape before the 153 boundary stays", rep("a", 151) + "€" + rep("a", 10), text.Options{}, "gsm7", 0, []int{153, 10}},
		{"escape at the end of a single part", rep("a", 158) + "€", text.Options{}, "gsm7", 0, []int{160}},
		{"one character outside makes it UCS-2", "çava", text.Options{}, "ucs2", 8, []int{8}},
		{"70 units are one part", rep("я", 70), text.Options{}, "ucs2", 8, []int{140}},
		{"71 units are two", rep("я", 71), text.Options{}, "ucs2", 8, []int{134, 8}},
		{"134 units are two", rep("я", 134), text.Options{}, "ucs2", 8, []int{134, 134}},
		{"135 units are three", rep("я", 135), text.Options{}, "ucs2", 8, []int{134, 134, 2}},
		{"132 units with a 16-bit reference are two", rep("я", 132), ref16, "ucs2", 8, []int{132, 132}},
		{"35 emoji are one part", rep("😀", 35), text.Options{}, "ucs2", 8, []int{140}},
		{"36 emoji are cut between surrogate pairs", rep("😀", 36), text.Options{}, "ucs2", 8, []int{132, 12}},
		{"surrogate at the 67 boundary moves on", rep("я", 66) + "😀" + rep("я", 9), text.Options{}, "ucs2", 8, []int{132, 22}},
		{"surrogate before the 67 boundary stays", rep("я", 65) + "😀" + rep("я", 9), text.Options{}, "ucs2", 8, []int{134, 18}},
		{"latin1", rep("ç", 140), text.Options{Encoding: "latin1"}, "latin1", 3, []int{140}},
		{"latin1 in parts", rep("ç", 141), text.Options{Encoding: "latin1"}, "latin1", 3, []int{134, 7}},
		{"latin1 in parts with a 16-bit reference", rep("ç", 141), text.Options{Encoding: "latin1", Concat: text.UDH16}, "latin1", 3, []int{133, 8}},
		{"ucs2 forced", "abc", text.Options{Encoding: "ucs2"}, "ucs2", 8, []int{6}},
		{"flash gsm7", "abc", text.Options{Flash: true}, "gsm7", 0x10, []int{3}},
		{"flash ucs2", "яя", text.Options{Flash: true}, "ucs2", 0x18, []int{4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := text.Encode(tt.text, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.octets, sizes(e)); diff != "" {
				t.Errorf("octets per part (-want +got):\n%s", diff)
			}
			if e.Encoding != tt.encoding || e.DataCoding != tt.coding {
				t.Errorf("got %s with data_coding %#x, want %s with %#x", e.Encoding, e.DataCoding, tt.encoding, tt.coding)
			}
			checkSegments(t, tt.text, tt.opts, e)
		})
	}
}

// checkSegments checks what holds for everything that Encode accepts.
func checkSegments(t *testing.T, s string, o text.Options, e text.Encoded) {
	t.Helper()
	var joined strings.Builder
	for i, seg := range e.Segments {
		decoded, ok := o.Alphabet.Decode(e.DataCoding, seg.Payload, len(seg.UDH))
		if !ok {
			t.Fatalf("data_coding %#x is not known", e.DataCoding)
		}
		joined.WriteString(decoded)
		if !bytes.Equal(seg.UserData(), append(bytes.Clone(seg.UDH), seg.Payload...)) {
			t.Errorf("part %d: user data is not header and payload", i+1)
		}
		if e.Concat != text.Payload {
			checkFits(t, i+1, decoded, o, e)
		}
		checkReference(t, i+1, o, e)
	}
	got := joined.String()
	if o.Alphabet == text.GSM7Packed { // a carriage return may look like a filler
		got, s = strings.ReplaceAll(got, "\r", ""), strings.ReplaceAll(s, "\r", "")
	}
	if got != s {
		t.Errorf("the parts joined are %q, want %q", got, s)
	}
}

// checkFits checks that the part fits a short message on the air, with the
// header that it has or that an SMSC gives it in place of SAR parameters.
func checkFits(t *testing.T, number int, decoded string, o text.Options, e text.Encoded) {
	t.Helper()
	seg := e.Segments[number-1]
	bits := 8 * len(seg.Payload)
	if e.Encoding == "gsm7" {
		bits = 0
		for _, r := range decoded {
			bits += 7
			if strings.ContainsRune("\f^{}\\[~]|€", r) {
				bits += 7
			}
		}
	}
	header := len(seg.UDH)
	if e.Concat == text.SAR && o.SeptetsPerPart <= 153 {
		header = 6
	}
	if 8*header+bits > 8*text.MaxOctets {
		t.Errorf("part %d: %d octets of header and %d bits of text do not fit", number, header, bits)
	}
}

// checkReference checks header and SAR parameters against those of
// 3GPP TS 23.040 §9.2.3.24.1, §9.2.3.24.8 and SMPP 3.4 §5.3.2.22 to 24.
func checkReference(t *testing.T, number int, o text.Options, e text.Encoded) {
	t.Helper()
	total, n := byte(len(e.Segments)), byte(number)
	hi, lo := byte(o.Ref>>8), byte(o.Ref)
	var udh []byte
	var tlvs []sms.TLV
	switch {
	case total == 1:
	case o.Concat == text.SAR:
		tlvs = []sms.TLV{{Tag: 0x020C, Value: []byte{hi, lo}}, {Tag: 0x020E, Value: []byte{total}}, {Tag: 0x020F, Value: []byte{n}}}
	case o.Concat == text.UDH16:
		udh = []byte{6, 8, 4, hi, lo, total, n}
	default:
		udh = []byte{5, 0, 3, lo, total, n}
	}
	seg := e.Segments[number-1]
	if !bytes.Equal(udh, seg.UDH) {
		t.Errorf("part %d: header % x, want % x", number, seg.UDH, udh)
	}
	if diff := cmp.Diff(tlvs, e.TLVs(number-1)); diff != "" {
		t.Errorf("part %d: TLVs (-want +got):\n%s", number, diff)
	}
}

func TestAtMost255Parts(t *testing.T) {
	t.Parallel()
	e, err := text.Encode(strings.Repeat("a", 255*153), text.Options{Ref: 0x1234})
	if err != nil || len(e.Segments) != 255 {
		t.Fatalf("255 × 153 septets: %d parts, %v", len(e.Segments), err)
	}
	checkSegments(t, strings.Repeat("a", 255*153), text.Options{Ref: 0x1234}, e)
	_, err = text.Encode(strings.Repeat("a", 255*153+1), text.Options{})
	wantInvalid(t, err, "encode text: invalid: text needs 256 parts, at most 255 can be sent")
}

func wantInvalid(t *testing.T, err error, want string) {
	t.Helper()
	var e *sms.Error
	if !errors.As(err, &e) || e.Code != sms.CodeInvalid || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestRefusedTextsNameTheCharacterNotTheText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		opts       text.Options
		want       string
	}{
		{"not in gsm7", "aéя", text.Options{Encoding: "gsm7"}, "character 3 (U+044F) is not in gsm7"},
		{"not in latin1", "é€", text.Options{Encoding: "latin1"}, "character 2 (U+20AC) is not in latin1"},
		{"invalid UTF-8", "é\xff", text.Options{}, "text is not UTF-8 at octet 3"},
		{"invalid UTF-8 in latin1", "\xe9", text.Options{Encoding: "latin1"}, "text is not UTF-8 at octet 1"},
		{"flash in latin1", "a", text.Options{Encoding: "latin1", Flash: true}, "latin1 has no class 0 (flash) data_coding"},
		{"unknown encoding", "a", text.Options{Encoding: "utf8"}, `unknown encoding "utf8"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := text.Encode(tt.text, tt.opts)
			wantInvalid(t, err, "encode text: invalid: "+tt.want)
		})
	}
}

// The rows of 3GPP TS 23.038 §6.2.1 and §6.2.1.1, by code.
func TestEveryCharacterOfTheDefaultAlphabetHasItsCode(t *testing.T) {
	t.Parallel()
	const table = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	code := byte(0)
	for _, r := range table {
		e, err := text.Encode(string(r), text.Options{Encoding: "gsm7"})
		if r == 0x1B {
			wantInvalid(t, err, "encode text: invalid: character 1 (U+001B) is not in gsm7")
		} else if err != nil || !bytes.Equal(e.Segments[0].Payload, []byte{code}) {
			t.Errorf("%q: % x, %v, want %#x", r, e.Segments, err, code)
		}
		code++
	}
	if code != 128 {
		t.Fatalf("the table has %d characters", code)
	}
	extension := map[rune]byte{'\f': 0x0A, '^': 0x14, '{': 0x28, '}': 0x29, '\\': 0x2F, '[': 0x3C, '~': 0x3D, ']': 0x3E, '|': 0x40, '€': 0x65}
	for r, code := range extension {
		e, err := text.Encode(string(r), text.Options{Encoding: "gsm7"})
		if err != nil || !bytes.Equal(e.Segments[0].Payload, []byte{0x1B, code}) {
			t.Errorf("%q: %v, %v, want escape and %#x", r, e.Segments, err, code)
		}
	}
	fits := 0
	for r := rune(0); r <= 0x10FFFF; r++ {
		if r >= 0xD800 && r < 0xE000 {
			continue
		}
		if e, _ := text.Encode(string(r), text.Options{Encoding: "gsm7"}); e.Segments != nil {
			fits++
		}
	}
	if want := 127 + len(extension); fits != want {
		t.Errorf("%d characters fit, want %d", fits, want)
	}
}

func TestBinaryPayloads(t *testing.T) {
	t.Parallel()
	udh := []byte{6, 5, 4, 0x15, 0x81, 0, 0}
	e, err := text.SplitBinary(make([]byte, 133), udh, nil, false)
	if err != nil || len(e.Segments) != 1 || e.DataCoding != 4 || len(e.Segments[0].UserData()) != 140 {
		t.Errorf("140 octets: %+v, %v", e, err)
	}
	if diff := cmp.Diff(udh, e.Segments[0].UDH); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	_, err = text.SplitBinary(make([]byte, 134), udh, nil, false)
	wantInvalid(t, err, "encode text: invalid: udh and data are 141 octets, at most 140 fit")
	coding := uint8(0xF5)
	if e, _ := text.SplitBinary(nil, nil, &coding, false); e.DataCoding != 0xF5 || e.Segments[0].UDH != nil {
		t.Errorf("own data_coding: %+v", e)
	}
	if e, _ := text.SplitBinary(nil, nil, nil, true); e.DataCoding != 0x14 {
		t.Errorf("flash: %+v", e)
	}
}

func TestReferenceIsStableAndSpread(t *testing.T) {
	t.Parallel()
	if a, b := text.Reference("shop", "order-1"), text.Reference("shop", "order-1"); a != b {
		t.Errorf("%d and %d for one job", a, b)
	}
	low := map[byte]bool{}
	for i := range 2000 {
		low[byte(text.Reference("shop", "order-"+string(rune('a'+i%26))+strings.Repeat("x", i/26)))] = true
	}
	if len(low) < 240 {
		t.Errorf("2000 jobs share %d of 256 references", len(low))
	}
	if text.Reference("ab", "c") == text.Reference("a", "bc") {
		t.Error("the producer's end does not count")
	}
}

// Not parallel: allocations are counted for the whole process.
func TestAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _ = text.Reference("shop", "order-1") }); n != 0 {
		t.Errorf("a reference takes %v allocations, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = text.Encode("Your code is 123456.", text.Options{}) }); n > 2 {
		t.Errorf("a short text takes %v allocations, want 2", n)
	}
}
