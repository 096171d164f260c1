package text

import "testing"

func TestPartsOfOneMessageAreReadTogether(t *testing.T) {
	t.Parallel()
	part := func(coding uint8, octets string) Received {
		return Received{DataCoding: coding, Octets: []byte(octets), Header: 6}
	}
	for name, tc := range map[string]struct {
		alphabet Alphabet
		parts    []Received
		want     string
		binary   bool
	}{
		"GSM 03.38 cut behind an escape":         {"", []Received{part(0, "1 \x1b"), part(0, "e or so")}, "1 € or so", false},
		"UTF-16 cut within a surrogate pair":     {"", []Received{part(8, "\x00a\xd8\x3d"), part(8, "\xdc\x4d\x00b")}, "a👍b", false},
		"UTF-16 cut within a unit":               {"", []Received{part(8, "\x00a\x04"), part(8, "\x3f")}, "aп", false},
		"Latin-1 behind data_coding 0":           {Latin1, []Received{part(0, "gr\xfc"), part(0, "n")}, "grün", false},
		"ASCII":                                  {ASCII, []Received{part(0, "a_"), part(1, "b")}, "a_b", false},
		"two data_codings":                       {"", []Received{part(0, "\x00 "), part(8, "\x04\x3f"), part(3, "\xe9")}, "@ пé", false},
		"packed septets, each behind a header":   {GSM7Packed, []Received{part(0, "\x82\x00"), part(0, "\x82\x00")}, "A@A@", false},
		"UCS-2 where the alphabet is packed":     {GSM7Packed, []Received{part(8, "\x00a"), part(8, "\x00b")}, "ab", false},
		"one binary part":                        {"", []Received{part(0, "a"), part(4, "\x01")}, "", true},
		"8-bit data with a message class":        {"", []Received{part(0xF5, "a")}, "", true},
		"message classes and waiting indicators": {"", []Received{part(0x10, "a"), part(0xF1, "b"), part(0xC8, "c"), part(0xD0, "d"), part(0xE0, "\x00e"), part(0x18, "\x00f")}, "abcdef", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := tc.alphabet.DecodeParts(tc.parts)
			if got != tc.want || ok == tc.binary {
				t.Errorf("%q, %v, want %q, %v", got, ok, tc.want, !tc.binary)
			}
		})
	}
}
