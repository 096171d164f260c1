package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smpp"
)

// traced prints a PDU as a trace does.
func traced(t *testing.T, unmasked bool, pdu string) string {
	t.Helper()
	lines := traceLines{route: "acme", decoder: NewDecoder(nil), unmasked: unmasked}
	b, err := json.Marshal(lines.decode(smpp.TracedPDU{Sent: true, Bind: "acme/1", Octets: []byte(pdu)}))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	number = "447700900123"
	prose  = "meet me at noon"
)

// pdus that hold a number, a text or a password, each in every place it has.
var revealing = map[string]string{
	"bind":      "\x00\x00\x00\x2d\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x01acme\x00hunter2\x00\x00\x34\x01\x01" + number + "\x00",
	"bind, cut": "\x00\x00\x00\x2d\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x01acme\x00hunt",
	"outbind":   "\x00\x00\x00\x1d\x00\x00\x00\x0b\x00\x00\x00\x00\x00\x00\x00\x01SMSC\x00hunter2\x00",
	"submit_sm": "\x00\x00\x00\x5e\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x01" + number + "\x00\x01\x01" + number + "\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0f" + prose +
		"\x03\x81\x00\x0c" + number,
	"deliver_sm": "\x00\x00\x00\x89\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x01" + number + "\x00\x00\x00SHOP\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x04\x24\x00\x2cid:7 stat:DELIVRD err:" + number + " te:" + prose[:6] + "\x14\x00\x00\x0c" + number + "\x00\x1d\x00\x0f" + prose,
	"receipt": "\x00\x00\x00\x5d\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x01" + number + "\x00\x00\x00SHOP\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x1e" +
		"id:7 stat:REJ " + prose[:7] + " text:" + "hi " + prose[:0] + "\x02",
	"receipt of odd text": "\x00\x00\x00\x58\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x01" + number + "\x00\x00\x00SHOP\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x27" +
		"id:7 stat:REJECTD text:" + prose + "\x02",
	"submit_multi": "\x00\x00\x00\x40\x00\x00\x00\x21\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x01" + number + "\x00\x01\x01\x01\x01" + number + "\x00",
	"no NUL":       "\x00\x00\x00\x33\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01CMT\x01\x01" + number + "\x01\x01" + prose + "\x00",
	"unknown":      "\x00\x00\x00\x1c\x00\x00\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01" + number,
	"header data":  "\x00\x00\x00\x4d\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x01" + number + "\x00\x01\x01" + number + "\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x0f\x0e\x24\x0c" + number,
}

func TestAMaskedTraceShowsNoNumberAndNoText(t *testing.T) {
	t.Parallel()
	for name, pdu := range revealing {
		line := traced(t, false, pdu)
		for _, bad := range []string{number, prose[:6], "6d656574", "3434373730303930", "hunt", "68756e74"} {
			if strings.Contains(line, bad) {
				t.Errorf("%s shows %s: %s", name, bad, line)
			}
		}
		if !strings.Contains(line, `"masked":true`) {
			t.Errorf("%s does not say that it is masked: %s", name, line)
		}
	}
}

func TestAnUnmaskedTraceShowsAllButPasswords(t *testing.T) {
	t.Parallel()
	for name, pdu := range revealing {
		line := traced(t, true, pdu)
		for _, bad := range []string{"hunt", "68756e74"} {
			if strings.Contains(line, bad) {
				t.Errorf("%s shows the password: %s", name, line)
			}
		}
		if secret := strings.Contains(pdu, "hunt"); secret == strings.Contains(line, `"hex":"00000`) {
			t.Errorf("%s: octets shown, password inside: %t: %s", name, secret, line)
		}
	}
	if line := traced(t, true, revealing["submit_sm"]); !strings.Contains(line, `"text":"`+prose) || !strings.Contains(line, number) {
		t.Errorf("masked: %s", line)
	}
}

func TestATraceTellsWhyReadingEnded(t *testing.T) {
	t.Parallel()
	lines := traceLines{route: "acme", decoder: NewDecoder(nil)}
	p := lines.decode(smpp.TracedPDU{Bind: "acme/1", Fault: "connection closed by peer"})
	p.Time = nil
	want := &DecodedPDU{Direction: "received", Route: "acme", Bind: "acme/1", Masked: true, Error: "connection closed by peer"}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
