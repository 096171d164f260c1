package smsctest

import (
	"bytes"
	"testing"
)

// FuzzParseSubmit holds that no frame makes the simulator panic, and that what
// it reads is what stands there.
func FuzzParseSubmit(f *testing.F) {
	frame := func(body string) []byte {
		return PDU{CommandID: SubmitSM, Sequence: 2, Body: []byte(body)}.Append(nil)
	}
	f.Add(frame(""))
	f.Add(frame("\x00\x05\x00ACME\x00\x01\x01447700900123\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x05hello"))
	f.Add(frame("\x00\x05\x00ACME\x00\x01\x01447700900123\x00\x40\x00\x00\x00\x00\x01\x00\x08\x00\x06\x05\x00\x03\x01\x02\x01\x04\x24\x00\x01x"))
	f.Add(PDU{CommandID: DataSM, Sequence: 2, Body: []byte("\x00\x05\x00ACME\x00\x01\x01447700900123\x00\x00\x01\x00\x04\x24\x00\x01x")}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerOctets {
			return
		}
		m, err := parseSubmit(b)
		if err != nil {
			return
		}
		_ = m.Text()
		_ = m.key()
		_ = echo(m, 20)
		udh, payload := m.UserData()
		if len(m.ShortMessage) > 0 && len(udh)+len(payload) != len(m.ShortMessage) {
			t.Errorf("short_message of %d octets falls into %d and %d", len(m.ShortMessage), len(udh), len(payload))
		}
		if !bytes.Contains(b, m.ShortMessage) {
			t.Error("short_message is not in the frame")
		}
	})
}
