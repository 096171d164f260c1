package text_test

import (
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

func BenchmarkEncode(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"short gsm7", "Your code is 123456. It expires in 10 minutes."},
		{"gsm7 160", strings.Repeat("a", 160)},
		{"gsm7 three parts", strings.Repeat("hello [€] ", 40)},
		{"ucs2 70", strings.Repeat("я", 70)},
		{"emoji last", strings.Repeat("a", 60) + "😀"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := text.Encode(bb.text, text.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
