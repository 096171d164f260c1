package smpp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// streamConn is a connection from which a stream of octets is read, chunk
// octets at a time, and to which writing leads nowhere.
type streamConn struct {
	net.Conn
	stream []byte
	chunk  int
}

func (c *streamConn) Read(p []byte) (int, error) {
	if len(c.stream) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.stream[:min(len(c.stream), c.chunk)])
	c.stream = c.stream[n:]
	return n, nil
}

func (c *streamConn) SetReadDeadline(time.Time) error { return nil }
func (c *streamConn) Close() error                    { return nil }

func addRecords(f *testing.F, add func(octets []byte)) {
	_, records := readRecords(f)
	var all []byte
	for _, r := range records {
		add(r.octets)
		all = append(all, r.octets...)
	}
	add(all)
}

// FuzzFrames holds that a stream is cut where its lengths say, however it
// arrives, and that no buffer is larger than the PDU that it is for.
func FuzzFrames(f *testing.F) {
	addRecords(f, func(octets []byte) {
		f.Add(octets, uint16(1))
		f.Add(octets, uint16(4096))
	})
	f.Add(rawPDU{command: cmdDeliverSM, body: make([]byte, 70_000)}.bytes(), uint16(1000))
	f.Fuzz(func(t *testing.T, stream []byte, chunk uint16) {
		r := newFrameReader(&streamConn{stream: stream, chunk: int(chunk) + 1}, time.Minute)
		largest := 0
		for rest := stream; ; {
			got, err := r.next()
			length := 0
			if len(rest) >= 4 {
				length = int(binary.BigEndian.Uint32(rest))
			}
			largest = max(largest, min(length, maxPDUOctets))
			if cap(r.large) > largest {
				t.Fatalf("a buffer of %d octets for PDUs of at most %d", cap(r.large), largest)
			}
			switch {
			case len(rest) == 0:
				if err != io.EOF {
					t.Fatalf("at the end: %v", err)
				}
				return
			case len(rest) >= headerOctets && (length < headerOctets || length > maxPDUOctets):
				if !errors.Is(err, ErrOutOfStep) {
					t.Fatalf("length %d: %v", length, err)
				}
				return
			case len(rest) < headerOctets || len(rest) < length:
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("cut after %d of %d octets: %v", len(rest), length, err)
				}
				return
			}
			want := frame{header: header{
				command:  binary.BigEndian.Uint32(rest[4:]),
				status:   binary.BigEndian.Uint32(rest[8:]),
				sequence: binary.BigEndian.Uint32(rest[12:]),
			}}
			if err != nil || got.header != want.header || !bytes.Equal(got.body, rest[headerOctets:length]) {
				t.Fatalf("got %+v, %v, want %+v with %d octets", got.header, err, want.header, length-headerOctets)
			}
			rest = rest[length:]
		}
	})
}

// FuzzSession holds that whatever frames come, each request gets one answer
// under its sequence number, no response gets one, and each open call ends once.
func FuzzSession(f *testing.F) {
	addRecords(f, func(octets []byte) { f.Add(octets) })
	f.Fuzz(func(t *testing.T, stream []byte) {
		handled := 0
		s, err := newSession(&streamConn{}, Config{Window: 4, MaxHandled: 1, Handler: Each(func(context.Context, *Inbound) uint32 {
			handled++ // one handler, awaited before it is read
			return StatusOK
		})})
		if err != nil {
			t.Fatal(err)
		}
		b := &Burst{Done: make(chan *Call, 4)}
		if !s.TryAcquire(4) {
			t.Fatal("no slots")
		}
		if err := s.Go(b, []*sms.Message{message(1, 4), message(2, 4), message(3, 4), message(4, 4)}); err != nil {
			t.Fatal(err)
		}
		s.out = nil

		r := newFrameReader(&streamConn{stream: stream, chunk: 1 << 16}, time.Minute)
		want := map[header]int{}
		messages := 0
		ctx, end := context.WithCancel(t.Context())
		defer end()
		for {
			got, err := r.next()
			if err != nil || got.command == cmdUnbind {
				break
			}
			if s.state == stateClosed {
				break // nacked as out of step
			}
			s.handle(ctx, got)
			expectAnswer(want, got)
			if in, err := newInbound(frame{header: got.header, body: got.body}); (got.command == cmdDeliverSM || got.command == cmdDataSM) && err == nil && in != nil {
				messages++
			}
		}
		s.waitFor(ctx, s.answeredAll)
		end()
		s.handlers.Wait()
		if diff := cmp.Diff(want, answersIn(t, s.out)); diff != "" && s.state != stateClosed {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if handled != messages {
			t.Errorf("%d of %d messages handled", handled, messages)
		}
		s.endCalls()
		if len(b.Done) != 4 || s.Free() != 4 {
			t.Errorf("%d of 4 calls ended, %d slots free", len(b.Done), s.Free())
		}
	})
}

// expectAnswer notes the answer that a frame is to have.
func expectAnswer(want map[header]int, f frame) {
	switch f.command {
	case cmdDeliverSM, cmdDataSM:
		status := StatusOK
		if _, err := decodeMessage(f.command, f.body); err != nil {
			status = StatusInvCmdLen
		}
		want[header{f.command | responseBit, status, f.sequence}]++
	case cmdEnquireLink:
		want[header{cmdEnquireLinkResp, StatusOK, f.sequence}]++
	case cmdOutbind, cmdAlertNotification:
	default:
		if f.command&responseBit == 0 {
			want[header{cmdGenericNack, StatusInvCmdID, f.sequence}]++
		}
	}
}

func answersIn(t *testing.T, out []byte) map[header]int {
	got := map[header]int{}
	r := newFrameReader(&streamConn{stream: out, chunk: 1 << 16}, time.Minute)
	for {
		f, err := r.next()
		if err != nil {
			if err != io.EOF {
				t.Errorf("what the session writes: %v", err)
			}
			return got
		}
		got[f.header]++
	}
}

// FuzzMessageRoundTrip holds that what submit_sm and data_sm are encoded to
// reads as what it was, and that nothing is encoded that does not.
func FuzzMessageRoundTrip(f *testing.F) {
	f.Add("", "ACME", "447700900123", "", []byte("Your code is 1234"), []byte{}, uint16(0x1400), uint32(0x05000101))
	f.Add("CMT", "447700900124", "447700900123", "000002000000000R", bytes.Repeat([]byte{0xD8}, 255), []byte{1, 2}, uint16(0x0204), uint32(0x40F5FFFF))
	f.Add("CMTCMT", "A\x00B", "", "0", []byte{}, []byte("x"), uint16(0), uint32(0))
	f.Fuzz(func(t *testing.T, service, from, to, validity string, text, value []byte, tag uint16, octets uint32) {
		m := sms.Message{
			ServiceType: service, ValidityPeriod: validity, ShortMessage: text,
			Source:      sms.Address{TON: uint8(octets), NPI: uint8(octets >> 8), Addr: from},
			Destination: sms.Address{TON: uint8(octets >> 16), NPI: uint8(octets >> 24), Addr: to},
			ESMClass:    uint8(octets >> 3), DataCoding: uint8(octets >> 5), RegisteredDelivery: uint8(octets >> 7),
			ProtocolID: uint8(octets >> 11), PriorityFlag: uint8(octets >> 13), ReplaceIfPresent: uint8(octets >> 17),
			TLVs: []sms.TLV{{Tag: tag, Value: value}, {Tag: tag}},
		}
		roundTrip(t, m, cmdDeliverSM, appendSubmitSM)
		// data_sm has no place for these (§4.7.1).
		m.ValidityPeriod, m.ProtocolID, m.PriorityFlag, m.ReplaceIfPresent = "", 0, 0, 0
		roundTrip(t, m, cmdDataSM, appendDataSM)
	})
}

// roundTrip encodes m and reads it as command, which has the same layout.
func roundTrip(t *testing.T, m sms.Message, command uint32, encode func([]byte, uint32, *sms.Message) ([]byte, error)) {
	b, err := encode([]byte("before"), 1, &m)
	if err != nil {
		if string(b) != "before" {
			t.Errorf("refused, and %d octets written", len(b)-len("before"))
		}
		return
	}
	b = b[len("before"):]
	if n := binary.BigEndian.Uint32(b); int(n) != len(b) || len(b) > maxPDUOctets {
		t.Errorf("command_length %d of %d octets", n, len(b))
	}
	got, err := decodeMessage(command, b[headerOctets:])
	if err != nil {
		t.Fatal(err)
	}
	want := m
	if command == cmdDataSM || len(m.ShortMessage) > maxShortMessageOctets {
		want.ShortMessage = nil
		want.TLVs = append(want.TLVs[:len(want.TLVs):len(want.TLVs)], sms.TLV{Tag: sms.TagMessagePayload, Value: m.ShortMessage})
	}
	octets := cmp.Transformer("octets", func(b []byte) string { return string(b) })
	if diff := cmp.Diff(want, got, octets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
