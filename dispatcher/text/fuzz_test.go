package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "hello", "é€[]~", "\x1b", "я😀", "\ufffd", "\xff", "\ufeffa", "1234567\r"} {
		for _, n := range []int{1, 17, 70, 160, 1000} {
			f.Add(strings.Repeat(s, n), byte(0), byte(n), byte(n/16), uint16(0x1234), 0)
			f.Add(strings.Repeat(s, n)+"a", byte(3), byte(n/16), byte(n), uint16(7), 8)
		}
	}
	encodings := []sms.Encoding{"", "auto", "gsm7", "latin1", "ucs2"}
	alphabets := []text.Alphabet{text.GSM7, text.GSM7Packed, text.Latin1, text.ASCII}
	concats := []text.Concat{text.UDH8, text.UDH16, text.SAR, text.Payload}
	f.Fuzz(func(t *testing.T, s string, encoding, alphabet, concat byte, ref uint16, perPart int) {
		o := text.Options{
			Encoding: encodings[int(encoding)%len(encodings)], Ref: ref, SeptetsPerPart: perPart,
			Alphabet: alphabets[int(alphabet)%len(alphabets)], Concat: concats[int(concat)%len(concats)],
		}
		e, err := text.Encode(s, o)
		if err != nil {
			if sms.CodeOf(err) != sms.CodeInvalid {
				t.Errorf("error %v", err)
			}
			short := len(s) < 1000
			if short && utf8.ValidString(s) && (o.Encoding == "" || o.Encoding == "auto" || o.Encoding == "ucs2") && perPart == 0 {
				t.Errorf("refused %q: %v", s, err)
			}
			return
		}
		if n := len(e.Segments); n < 1 || n > text.MaxParts || o.Concat == text.Payload && n > 1 {
			t.Fatalf("%d parts", n)
		}
		checkSegments(t, s, o, e)
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(byte(0), []byte("\x1b\x1b\xff"))
	f.Add(byte(8), []byte("\xd8\x00\xd8"))
	f.Fuzz(func(t *testing.T, coding byte, b []byte) {
		for _, a := range []text.Alphabet{text.GSM7, text.GSM7Packed, text.Latin1} {
			if s, _ := a.Decode(coding, b, int(coding)%8); !utf8.ValidString(s) {
				t.Errorf("%s, data_coding %#x: % x decodes to invalid UTF-8", a, coding, b)
			}
		}
	})
}
