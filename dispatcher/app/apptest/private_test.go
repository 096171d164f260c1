package apptest

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestTheSearchForWhatIsPersonalFindsIt(t *testing.T) {
	t.Parallel()
	const s = "447700900123"
	private := PrivateForms([]string{s}, []string{"zebra crossing at noon", "žluťoučký kůň 你好"})
	for _, output := range []string{
		"to=+447700900123 ", "to=%2B447700900123", "07700900123", hex.EncodeToString([]byte(s)), "msg=" + strings.ToUpper(hex.EncodeToString([]byte("x"+s))),
		base64.StdEncoding.EncodeToString([]byte(`{"to":"` + s + `"}`)), base64.StdEncoding.EncodeToString([]byte(`{"to": "` + s + `"}`)),
		base64.StdEncoding.EncodeToString([]byte(`{"to":  "` + s + `"}`)), "text=zebra+crossing+at+noon", `"\u017elu\u0165ou\u010dk\u00fd k\u016f\u0148 \u4f60\u597d"`,
		"017e006c00750165006f0075010d006b00fd0020006b016f0148 00204f60597d"[:52] + "00204f60597d", "\x00z\x00e\x00b\x00r\x00a\x00 \x00c\x00r\x00o\x00s\x00s\x00i\x00n\x00g\x00 \x00a\x00t\x00 \x00n\x00o\x00o\x00n",
	} {
		if name, _ := private.Find([]byte(output)); name == "" {
			t.Errorf("it is not found in %q", output)
		}
	}
	for _, output := range []string{"447*******23", "no number at all", "job j447", hex.EncodeToString([]byte("something else")), "2026-11-23T09:00:12.447700Z"} {
		if name, _ := private.Find([]byte(output)); name != "" {
			t.Errorf("%s is found in %q", name, output)
		}
	}
}
