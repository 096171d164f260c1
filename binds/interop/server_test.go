//go:build interop

package interop_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// These tests hold the server itself to account, with frames made by hand, so
// that a failure of the others is known not to be its fault.

type rawClient struct {
	t  *testing.T
	nc net.Conn
}

func connect(t *testing.T, s *nodeSMSC) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	return &rawClient{t: t, nc: nc}
}

func (c *rawClient) send(id, status, seq uint32, body []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(smsctest.PDU{CommandID: id, Status: status, Sequence: seq, Body: body}.Append(nil)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) recv(id uint32) smsctest.PDU {
	c.t.Helper()
	p, err := smsctest.ReadPDU(c.nc)
	if err != nil {
		c.t.Fatal(err)
	}
	if p.CommandID != id {
		c.t.Fatalf("got %+v, want command %#x", p, id)
	}
	return p
}

func (c *rawClient) bind(systemID, password string) uint32 {
	c.t.Helper()
	body := []byte(systemID + "\x00" + password + "\x00\x00\x34\x00\x00\x00")
	c.send(smsctest.BindTransceiver, 0, 1, body)
	return c.recv(smsctest.BindTransceiverResp).Status
}

func (c *rawClient) bound() *rawClient {
	c.t.Helper()
	if status := c.bind("acme", "secret"); status != smsctest.ROK {
		c.t.Fatalf("bind: %s", smsctest.StatusName(status))
	}
	return c
}

func (c *rawClient) submit(seq uint32, to string, esm, registered, dcs byte, sm string) {
	c.t.Helper()
	b := append([]byte("\x00\x05\x00ACME\x00\x01\x01"), to...)
	b = append(b, 0, esm, 0, 0, 0, 0, registered, 0, dcs, 0, byte(len(sm)))
	c.send(smsctest.SubmitSM, 0, seq, append(b, sm...))
}

// shortMessage is the text of a deliver_sm after its user data header.
func shortMessage(p smsctest.PDU) string {
	fields := strings.SplitN(string(p.Body[3:]), "\x00", 2)
	b := []byte(fields[1])[2:]
	b = b[strings.IndexByte(string(b), 0)+1:]
	esm, sm := b[0], b[10:10+int(b[9])]
	if esm&0x40 != 0 {
		sm = sm[sm[0]+1:]
	}
	return string(sm)
}

func TestServerChecksCredentials(t *testing.T) {
	t.Parallel()
	s := startNode(t)
	if got := connect(t, s).bind("acme", "wrong"); got != smsctest.RINVPASWD {
		t.Errorf("wrong password: %s", smsctest.StatusName(got))
	}
	if got := connect(t, s).bind("acne", "secret"); got != smsctest.RINVSYSID {
		t.Errorf("unknown system_id: %s", smsctest.StatusName(got))
	}
	if got := connect(t, s).bind("acme", "secret"); got != smsctest.ROK {
		t.Errorf("right credentials: %s", smsctest.StatusName(got))
	}
}

func TestServerAnswersReceiptsAndSaysGoodbye(t *testing.T) {
	t.Parallel()
	s := startNode(t)
	c := connect(t, s).bound()
	c.submit(2, "447700900123", 0, 1, 0, "hello \x00 \x1b\x65") // "hello @ €"
	p := c.recv(smsctest.SubmitSMResp)
	id := strings.TrimRight(string(p.Body), "\x00")
	if p.Status != 0 || p.Sequence != 2 || id == "" {
		t.Fatalf("submit_sm answered with %+v", p)
	}
	receipt := c.recv(smsctest.DeliverSM)
	// node-smpp writes GSM 03.38, in which @ is 0.
	if text := shortMessage(receipt); !strings.HasPrefix(text, "id:"+id+" sub:001 dlvrd:001 submit date:") || !strings.Contains(text, " stat:DELIVRD err:000 text:hello \x00 ?") {
		t.Errorf("receipt %q", text)
	}
	c.send(smsctest.DeliverSMResp, smsctest.RXTAPPN, receipt.Sequence, []byte{0})
	again := c.recv(smsctest.DeliverSM)
	if shortMessage(again)[:20] != shortMessage(receipt)[:20] {
		t.Errorf("after a temporary error came %q", shortMessage(again))
	}
	c.send(smsctest.DeliverSMResp, smsctest.ROK, again.Sequence, []byte{0})
	c.send(smsctest.EnquireLink, 0, 3, nil)
	c.recv(smsctest.EnquireLinkResp)
	c.send(smsctest.Unbind, 0, 4, nil)
	c.recv(smsctest.UnbindResp)
	if _, err := smsctest.ReadPDU(c.nc); !errors.Is(err, io.EOF) {
		t.Errorf("after unbind: %v", err)
	}
	if got := s.await(t, "submit", 1)[0]; got.Text != "hello @ €" || got.MessageID != id {
		t.Errorf("recorded %+v", got)
	}
	if got := s.await(t, "deliver_resp", 2); got[0].Status != smsctest.RXTAPPN || got[1].Status != 0 || got[1].ID != id {
		t.Errorf("recorded %+v", got)
	}
	s.await(t, "unbind", 1)
}

func TestServerRefusesAndThrottles(t *testing.T) {
	t.Parallel()
	c := connect(t, startNode(t)).bound()
	for i, want := range []uint32{smsctest.RTHROTTLED, smsctest.RTHROTTLED, smsctest.ROK} {
		c.submit(uint32(i+2), "447700900458", 0, 0, 0, "x")
		if p := c.recv(smsctest.SubmitSMResp); p.Status != want {
			t.Errorf("try %d: %s", i+1, smsctest.StatusName(p.Status))
		}
	}
	c.submit(9, "447700900404", 0, 0, 0, "x")
	if p := c.recv(smsctest.SubmitSMResp); p.Status != smsctest.RINVDSTADR {
		t.Errorf("got %s", smsctest.StatusName(p.Status))
	}
}

func TestServerJoinsAndSendsLongMessages(t *testing.T) {
	t.Parallel()
	s := startNode(t)
	c := connect(t, s).bound()
	c.submit(2, "447700900777", 0x40, 0, 8, "\x05\x00\x03\x07\x02\x02\x04\x1f") // П
	c.recv(smsctest.SubmitSMResp)
	// The first part of the answer follows the response, since any part to that
	// number asks for one.
	var got strings.Builder
	for range 3 {
		p := c.recv(smsctest.DeliverSM)
		got.WriteString(shortMessage(p))
		c.send(smsctest.DeliverSMResp, 0, p.Sequence, []byte{0})
	}
	if text := got.String(); !strings.HasPrefix(text, "Long message from the handset: gr\x7en und \x1be 12 \x1b<ok\x1b> ") || !strings.HasSuffix(text, "end.") {
		t.Errorf("long message %q", text)
	}
	c.submit(3, "447700900777", 0x40, 0, 8, "\x05\x00\x03\x07\x02\x01\xd8\x3d\xde\x00") // 😀
	c.recv(smsctest.SubmitSMResp)
	if m := s.await(t, "message", 1)[0]; m.Text != "😀П" || m.Parts != 2 {
		t.Errorf("joined %+v", m)
	}
	if m := s.lines(t, "submit")[0]; m.UDH != "050003070202" {
		t.Errorf("recorded %+v", m)
	}
}
