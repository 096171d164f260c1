package text_test

import (
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

func TestDecodersAreLenient(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		coding uint8
		octets string
		want   string
	}{
		{"gsm7", 0, "\x00\x11\x1b\x65", "@_€"},
		{"unknown extension shows the basic character", 0, "\x1ba", "a"},
		{"lone escape is a space", 0, "a\x1b", "a "},
		{"two escapes are spaces", 0, "\x1b\x1b\x65", " €"},
		{"octets from 0x80 are Latin-1", 0, "\xe9\x1b\xe9", "é é"},
		{"ascii", 1, "a@b", "a@b"},
		{"latin1", 3, "\xe7a", "ça"},
		{"ucs2", 8, "\x04\x2f\xd8\x3d\xde\x00", "Я😀"},
		{"ucs2 with half a pair", 8, "\xd8\x3d\x00a", "\uFFFDa"},
		{"ucs2 with an odd octet", 8, "\x00a\x00", "a\uFFFD"},
		{"flash gsm7", 0x10, "\x00", "@"},
		{"class 0 by the F group", 0xF0, "\x00", "@"},
		{"flash ucs2", 0x18, "\x04\x2f", "Я"},
		{"message waiting in ucs2", 0xE0, "\x04\x2f", "Я"},
		{"nothing", 8, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := text.Decode(tt.coding, []byte(tt.octets)); !ok || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, ok, tt.want)
			}
		})
	}
}

func TestBinaryDataIsNotDecoded(t *testing.T) {
	t.Parallel()
	for _, coding := range []uint8{2, 4, 5, 0x0A, 0x14, 0x15, 0x1C, 0x20, 0xF4, 0xF5} {
		if got, ok := text.Decode(coding, []byte("a")); ok {
			t.Errorf("data_coding %#x: %q", coding, got)
		}
	}
}
