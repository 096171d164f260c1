package smpp

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// deliverBody returns the body of a deliver_sm with the text.
func deliverBody(text string) []byte {
	b := []byte{0, 1, 1}
	b = appendCString(b, "447700900123")
	b = append(b, 0, 0)
	b = appendCString(b, "ACME")
	b = append(b, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(text)))
	return append(b, text...)
}

func TestDeliverSMIsAnsweredAfterItsHandlerWithSeventeenOctets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var handled time.Time
		r := startPipe(t, Config{Handler: Each(func(_ context.Context, in *Inbound) uint32 {
			time.Sleep(3 * time.Second)
			handled = time.Now()
			if in.Command == CommandDataSM {
				return StatusTemporary
			}
			return StatusOK
		})})
		r.peer.send(rawPDU{command: cmdDeliverSM, sequence: 0xA2859F22, body: deliverBody("x")})
		p := r.peer.want(cmdDeliverSM | responseBit)
		if handled.IsZero() {
			t.Error("answered before the handler returned")
		}
		if diff := cmp.Diff("000000118000000500000000a2859f2200", hex.EncodeToString(p.bytes())); diff != "" {
			t.Errorf("deliver_sm_resp (-want +got):\n%s", diff)
		}
		r.peer.send(rawPDU{command: cmdDataSM, sequence: 4, body: deliverBody("x")})
		p = r.peer.want(cmdDataSM | responseBit)
		if diff := cmp.Diff("0000001180000103000000640000000400", hex.EncodeToString(p.bytes())); diff != "" {
			t.Errorf("data_sm_resp (-want +got):\n%s", diff)
		}
	})
}

func TestOddPDUsLeaveTheSessionUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{Handler: Each(func(context.Context, *Inbound) uint32 { return 0 })})
		r.peer.send(
			rawPDU{command: 0x110, sequence: 0x0A342EE7, body: []byte("junk")}, // unknown request
			rawPDU{command: 0x80000110, sequence: 0x0A342EE8},                  // unknown response: never nacked
			rawPDU{command: cmdOutbind, sequence: 3, body: []byte("a\x00b\x00")},
			rawPDU{command: cmdAlertNotification, sequence: 4},
			rawPDU{command: cmdSubmitSMResp, sequence: 4711, body: []byte("x\x00")},  // answers nothing
			rawPDU{command: cmdDeliverSM, sequence: 6, body: []byte{0, 1, 1, '4'}},   // ends inside the address
			rawPDU{command: cmdDeliverSM, sequence: 7, body: deliverBody("x")[:24]},  // ends after it
			rawPDU{command: cmdSubmitSM, sequence: 8, body: []byte("not a request")}, // not ours to serve
		)
		type answer struct{ command, status, sequence uint32 }
		want := map[answer]bool{
			{cmdGenericNack, StatusInvCmdID, 0x0A342EE7}:     true,
			{cmdDeliverSM | responseBit, StatusInvCmdLen, 6}: true,
			{cmdDeliverSM | responseBit, StatusOK, 7}:        true,
			{cmdGenericNack, StatusInvCmdID, 8}:              true,
		}
		got := map[answer]bool{}
		for range want {
			p := <-r.peer.in
			got[answer{p.command, p.status, p.sequence}] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		r.peer.send(rawPDU{command: cmdEnquireLink, sequence: 99})
		r.peer.want(cmdEnquireLinkResp)
	})
}

func TestALengthThatCannotBeTrueEndsTheSession(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"0000000f", "00000000", "f0000011", "00020001"} {
		synctest.Test(t, func(t *testing.T) {
			r := startPipe(t, Config{})
			b, _ := hex.DecodeString(prefix + "000000150000000000000001")
			r.peer.sendBytes(b)
			<-r.done
			if !errors.Is(r.err, ErrOutOfStep) {
				t.Errorf("length %s: Run returned %v", prefix, r.err)
			}
		})
	}
}

func TestPDUsBeforeTheBindResponseAreDealtWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		peer := newRawPeer(t, there)
		go func() {
			bind := peer.want(cmdBindTransceiver)
			peer.send(rawPDU{command: cmdDeliverSM, sequence: 1, body: deliverBody("early")})
			peer.send(rawPDU{command: cmdEnquireLink, sequence: 2})
			peer.want(cmdEnquireLinkResp)
			peer.respond(bind, 0, "smsc\x00\x02\x10\x00\x01\x34")
		}()
		texts := make(chan string, 1)
		s, err := Bind(t.Context(), here, Config{Handler: Each(func(_ context.Context, in *Inbound) uint32 {
			texts <- string(in.Message.ShortMessage)
			return 0
		})})
		if err != nil {
			t.Fatal(err)
		}
		want := BindResult{SystemID: "smsc", InterfaceVersion: 0x34, TLVs: []sms.TLV{{Tag: 0x0210, Value: []byte{0x34}}}}
		if diff := cmp.Diff(want, s.Peer()); diff != "" {
			t.Errorf("peer (-want +got):\n%s", diff)
		}
		ended := make(chan error)
		go func() { ended <- s.Run(t.Context()) }()
		if got := <-texts; got != "early" {
			t.Errorf("handler got %q", got)
		}
		if p := peer.want(cmdDeliverSM | responseBit); p.sequence != 1 {
			t.Errorf("got %+v", p)
		}
		_ = there.Close()
		<-ended
	})
}

func TestBindFailuresSayWhy(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s", 20)
	cases := map[string]struct {
		answer func(p *rawPeer, bind rawPDU)
		status uint32
		text   string
		took   time.Duration
	}{
		"header-only response": {
			answer: func(p *rawPeer, bind rawPDU) { p.respond(bind, 0x0E, "") }, status: 0x0E},
		"response of one NUL": {
			answer: func(p *rawPeer, bind rawPDU) { p.respond(bind, 0x53, "\x00") }, status: 0x53},
		"response with body and TLV": {
			answer: func(p *rawPeer, bind rawPDU) { p.respond(bind, 0x0D, "smsc\x00\x02\x10\x00\x01\x34") }, status: 0x0D},
		"reserved status": {
			answer: func(p *rawPeer, bind rawPDU) { p.respond(bind, 0x1D, "") }, status: 0x1D},
		"generic_nack": {
			answer: func(p *rawPeer, bind rawPDU) {
				p.send(rawPDU{command: cmdGenericNack, status: 0x08, sequence: bind.sequence})
			}, status: 0x08, text: "generic_nack"},
		"silence": {
			answer: func(*rawPeer, rawPDU) {}, text: "no answer within 30s", took: 30 * time.Second},
		"close": {
			answer: func(p *rawPeer, _ rawPDU) { _ = p.conn.Close() }, text: "connection ended before the response"},
		"unbind": {
			answer: func(p *rawPeer, _ rawPDU) { p.send(rawPDU{command: cmdUnbind, sequence: 1}) }, text: "unbind"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				peer := newRawPeer(t, there)
				go func() { c.answer(peer, peer.want(cmdBindTransmitter)) }()
				start := time.Now()
				_, err := Bind(t.Context(), here, Config{SystemID: long, Password: long, BindType: Transmitter})
				var e *sms.Error
				if !errors.As(err, &e) || e.Op != "bind_transmitter" || e.Status != c.status || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("took %s", took)
				}
				_ = there.Close()
			})
		})
	}
}

func TestBindEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		newRawPeer(t, there)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Bind(ctx, here, Config{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheBindRequestIsAsConfigured(t *testing.T) {
	t.Parallel()
	b, err := appendBind(nil, 7, &Config{
		BindType: Receiver, SystemID: "acme", Password: "secret", SystemType: "VMA",
		InterfaceVersion: 0x34, AddrTON: 1, AddrNPI: 2, AddressRange: "^44",
	})
	want := "00000027" + "00000001" + "00000000" + "00000007" +
		"61636d6500" + "73656372657400" + "564d4100" + "34" + "01" + "02" + "5e343400"
	if diff := cmp.Diff(want, hex.EncodeToString(b)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := appendBind(nil, 1, &Config{Password: "a\x00b"}); err == nil {
		t.Error("a NUL in the password is accepted")
	}
}

func TestFramesOfEverySizeComeThrough(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	sizes := []int{0, 1, readBufOctets - headerOctets, readBufOctets - headerOctets + 1, 70_000, maxPDUOctets - headerOctets, 0, 3}
	go func() {
		var all []byte
		for i, n := range sizes {
			all = append(all, rawPDU{command: 0x15, sequence: uint32(i), body: bytes.Repeat([]byte{byte(i)}, n)}.bytes()...)
		}
		_, _ = there.Write(all)
		_ = there.Close()
	}()
	r := newFrameReader(here, time.Minute)
	for i, n := range sizes {
		f, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.sequence != uint32(i) || !bytes.Equal(f.body, bytes.Repeat([]byte{byte(i)}, n)) {
			t.Errorf("frame %d: sequence %d, %d octets", i, f.sequence, len(f.body))
		}
	}
	if _, err := r.next(); err == nil || err.Error() != "EOF" {
		t.Errorf("at the end: %v", err)
	}
}
