package smsctest

import (
	"bytes"
	"errors"
	"io"
	"net"
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

// nowhere is a connection that leads nowhere.
type nowhere struct{ net.Conn }

func (nowhere) Close() error         { return nil }
func (nowhere) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// FuzzConnection holds that no stream, however it is cut, makes the simulator
// panic, and that all it says in return are whole PDUs.
func FuzzConnection(f *testing.F) {
	bind := PDU{CommandID: BindTransceiver, Sequence: 1, Body: []byte("acme\x00secret\x00\x00\x34\x00\x00\x00")}.Append(nil)
	submit := PDU{CommandID: SubmitSM, Sequence: 2, Body: []byte("\x00\x05\x00ACME\x00\x01\x01447700900123\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x05hello")}.Append(bind)
	f.Add(submit, uint16(40))
	f.Add(PDU{CommandID: DeliverSMResp, Sequence: 1, Body: []byte{0}}.Append(submit), uint16(1))
	f.Add(PDU{CommandID: Unbind, Sequence: 3}.Append(PDU{CommandID: EnquireLink}.Append(bind)), uint16(17))
	f.Add(PDU{CommandID: 0x777, Sequence: 3}.Append(nil)[:15], uint16(3))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16) {
		s := New(Config{OnBind: func(*BindRequest) uint32 { return ROK }})
		c := newConn(s, 1, nowhere{})
		at := min(int(cut), len(stream))
		used, err := c.frames(stream[:at])
		c.flush()
		if used > at || used < 0 {
			t.Fatalf("used %d of %d octets", used, at)
		}
		if err == nil {
			used, err := c.frames(stream[used:])
			c.flush()
			if used > len(stream) || err != nil && !errors.Is(err, errHangUp) {
				t.Fatalf("used %d of %d octets, %v", used, len(stream), err)
			}
		}
		for r := bytes.NewReader(c.out); ; {
			p, err := ReadPDU(r)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("the simulator writes %x: %v", c.out, err)
			}
			if again := p.Append(nil); len(again) != headerOctets+len(p.Body) {
				t.Fatalf("%d octets of %+v", len(again), p)
			}
		}
	})
}

// FuzzReadPDU holds that a frame is read as it stands, and that no more room
// is made than its length says.
func FuzzReadPDU(f *testing.F) {
	f.Add(PDU{CommandID: EnquireLink, Sequence: 1}.Append(nil))
	f.Add(PDU{CommandID: DeliverSM, Status: 1, Sequence: 0xFFFFFFFF, Body: []byte("body")}.Append(nil))
	f.Add([]byte{0, 2, 0, 1, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ReadPDU(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again := p.Append(nil); !bytes.Equal(again, b[:len(again)]) || cap(p.Body) > len(b) {
			t.Errorf("%x read as %+v", b, p)
		}
	})
}
