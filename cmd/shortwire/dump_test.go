package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// decodeAll decodes text and returns what would be printed.
func decodeAll(t *testing.T, input string) []app.DecodedPDU {
	t.Helper()
	var all []app.DecodedPDU
	d := dumpReader{decoder: app.NewDecoder(nil), emit: func(p *app.DecodedPDU) error {
		if _, err := json.Marshal(p); err != nil {
			t.Errorf("%+v cannot be printed: %v", p, err)
		}
		all = append(all, *p)
		return nil
	}}
	if err := d.read(t.Context(), strings.NewReader(input)); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestALineBeyondTheLimitIsRefusedAndTheNextIsRead(t *testing.T) {
	t.Parallel()
	got := decodeAll(t, strings.Repeat("0", maxLineOctets+1)+"\n00000010000000150000000000000001")
	if len(got) != 2 || got[0].Error != errLongLine.Error() || got[1].Command != "enquire_link" || got[1].Error != "" {
		t.Errorf("printed %+v", got)
	}
}

func FuzzDecodeInput(f *testing.F) {
	for _, s := range []string{
		"00000010800000040000005800000007", "00:00:00:10 0x80000004,\\x00\\x00", "zz", "",
		"00000000  00 00 00 10 00 00 00 15  00 00 00 00 00 00 00 0b  |................|\n*\n00000040\n",
		"00000000: 0000 0010 0000 0015 0000 0000 0000 000b  ................\n",
		"12:00:00.1 IP 10.0.0.1.1 > 10.0.0.2.2: Flags\n\t0x0000:  4500 0038 0001 4000 4006 0000 0a00 0001  E..8\n\t0x0010:  0a00 0002 0ad7 9c40 0000 0064 0000 0001\n\t0x0020:  5018 0200 0000 0000 0000 0010 0000 0015\n\t0x0030:  0000 0000 0000 000b\n",
		"0000   00 00 00 10 00 00 00\n    0000  00 00 00 15\n0007  15 00 00 00 00 00 00 00 0b\n",
		"0000002f0000000500000001000000010001013434370001013434370004000000000000000469643a3704270001020424ffff00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, input string) {
		for _, p := range decodeAll(t, input) {
			if p.Command == "" && p.Error == "" {
				t.Errorf("neither PDU nor error: %+v", p)
			}
			if (p.Error == "") != (p.Offset == nil) {
				t.Errorf("error without offset: %+v", p)
			}
		}
	})
}
