package smsctest_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// client is an ESME made of raw frames.
type client struct {
	t  *testing.T
	nc net.Conn
}

func dial(t *testing.T, s *smsctest.SMSC) *client {
	t.Helper()
	nc, err := s.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &client{t: t, nc: nc}
}

// bound is a client with an accepted bind.
func bound(t *testing.T, s *smsctest.SMSC, command uint32, systemID string) *client {
	t.Helper()
	c := dial(t, s)
	if st := c.bind(command, systemID, "secret"); st != smsctest.ROK {
		t.Fatalf("bind: status %s", smsctest.StatusName(st))
	}
	return c
}

func (c *client) bind(command uint32, systemID, password string) uint32 {
	c.t.Helper()
	c.send(smsctest.PDU{CommandID: command, Sequence: 1, Body: bindBody(systemID, password)})
	p := c.recv()
	if p.CommandID != command|0x80000000 || p.Sequence != 1 {
		c.t.Fatalf("bind answered with %+v", p)
	}
	return p.Status
}

func bindBody(systemID, password string) []byte {
	b := smsctest.AppendCString(nil, systemID)
	b = smsctest.AppendCString(b, password)
	b = smsctest.AppendCString(b, "")
	b = append(b, 0x34, 0, 0)
	return smsctest.AppendCString(b, "")
}

func (c *client) write(b []byte) {
	c.t.Helper()
	_ = c.nc.SetDeadline(time.Now().Add(10 * time.Minute))
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) send(p smsctest.PDU) { c.t.Helper(); c.write(p.Append(nil)) }

func (c *client) recv() smsctest.PDU {
	c.t.Helper()
	_ = c.nc.SetDeadline(time.Now().Add(10 * time.Minute))
	p, err := smsctest.ReadPDU(c.nc)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return p
}

// silent fails if anything comes within d.
func (c *client) silent(d time.Duration) {
	c.t.Helper()
	_ = c.nc.SetDeadline(time.Now().Add(d))
	p, err := smsctest.ReadPDU(c.nc)
	var timeout net.Error
	if err == nil || !errors.As(err, &timeout) || !timeout.Timeout() {
		c.t.Fatalf("wanted silence, got %+v, %v", p, err)
	}
}

// ended fails unless the connection is closed within ten minutes with nothing
// more to read.
func (c *client) ended() {
	c.t.Helper()
	_ = c.nc.SetDeadline(time.Now().Add(10 * time.Minute))
	if p, err := smsctest.ReadPDU(c.nc); !errors.Is(err, io.EOF) {
		c.t.Fatalf("wanted the end, got %+v, %v", p, err)
	}
}

// message is a submit_sm to be.
type message struct {
	to, text   string
	esm, dcs   byte
	registered byte
	tlvs       []byte
}

func (m message) body() []byte {
	b := []byte{0, 5, 0}
	b = smsctest.AppendCString(b, "ACME")
	b = append(b, 1, 1)
	b = smsctest.AppendCString(b, m.to)
	b = append(b, m.esm, 0, 0, 0, 0, m.registered, 0, m.dcs, 0, byte(len(m.text)))
	b = append(b, m.text...)
	return append(b, m.tlvs...)
}

func (c *client) submit(seq uint32, m message) {
	c.t.Helper()
	c.send(smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: seq, Body: m.body()})
}

// submitted submits and returns the message id of the response that follows.
func (c *client) submitted(seq uint32, m message) string {
	c.t.Helper()
	c.submit(seq, m)
	p := c.recv()
	if p.CommandID != smsctest.SubmitSMResp || p.Sequence != seq || p.Status != 0 {
		c.t.Fatalf("submit_sm answered with %+v", p)
	}
	return cString(p.Body)
}

func cString(b []byte) string {
	for i, ch := range b {
		if ch == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// deliver is a deliver_sm as this test reads it.
type deliver struct {
	seq              uint32
	source, dest     string
	esm              byte
	text             string
	tlvs             map[uint16][]byte
	commandID        uint32
	sourceTON, dstTN byte
}

func (c *client) recvDeliver() deliver {
	c.t.Helper()
	p := c.recv()
	if p.CommandID != smsctest.DeliverSM && p.CommandID != smsctest.DataSM {
		c.t.Fatalf("wanted deliver_sm or data_sm, got %+v", p)
	}
	b := p.Body[1:]
	d := deliver{seq: p.Sequence, commandID: p.CommandID, tlvs: map[uint16][]byte{}, sourceTON: b[0]}
	d.source = cString(b[2:])
	b = b[3+len(d.source):]
	d.dstTN = b[0]
	d.dest = cString(b[2:])
	b = b[3+len(d.dest):]
	d.esm = b[0]
	if p.CommandID == smsctest.DeliverSM {
		n := int(b[9])
		d.text = string(b[10 : 10+n])
		b = b[10+n:]
	} else {
		b = b[3:]
	}
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint16(b[2:]))
		d.tlvs[binary.BigEndian.Uint16(b)] = b[4 : 4+n]
		b = b[4+n:]
	}
	return d
}

func (c *client) ack(d deliver, status uint32) {
	c.t.Helper()
	c.send(smsctest.PDU{CommandID: d.commandID | 0x80000000, Status: status, Sequence: d.seq, Body: []byte{0}})
}
