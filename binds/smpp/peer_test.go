package smpp

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// rawPDU is a PDU as a test sees it on the wire.
type rawPDU struct {
	command, status, sequence uint32
	body                      []byte
}

func (p rawPDU) bytes() []byte {
	b := appendHeader(nil, p.command, p.status, p.sequence)
	b = append(b, p.body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func readRaw(r io.Reader) (rawPDU, error) {
	var h [16]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return rawPDU{}, err
	}
	p := rawPDU{
		command:  binary.BigEndian.Uint32(h[4:]),
		status:   binary.BigEndian.Uint32(h[8:]),
		sequence: binary.BigEndian.Uint32(h[12:]),
		body:     make([]byte, binary.BigEndian.Uint32(h[:])-16),
	}
	_, err := io.ReadFull(r, p.body)
	return p, err
}

// rawPeer is the other end of a session: it reads all the time and writes
// what the test tells it to.
type rawPeer struct {
	t    *testing.T
	conn net.Conn
	in   chan rawPDU // closed when the session closes the connection
}

func newRawPeer(t *testing.T, conn net.Conn) *rawPeer { return newRawPeerOf(t, conn, 65536) }

// newRawPeerOf returns a peer that takes n PDUs before the test looks at them.
func newRawPeerOf(t *testing.T, conn net.Conn, n int) *rawPeer {
	p := &rawPeer{t: t, conn: conn, in: make(chan rawPDU, n)}
	go func() {
		defer close(p.in)
		for {
			pdu, err := readRaw(conn)
			if err != nil {
				return
			}
			p.in <- pdu
		}
	}()
	return p
}

func (p *rawPeer) send(pdus ...rawPDU) {
	p.t.Helper()
	for _, q := range pdus {
		p.sendBytes(q.bytes())
	}
}

func (p *rawPeer) sendBytes(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Errorf("peer write: %v", err)
	}
}

// want returns the next PDU and fails unless it is the command.
func (p *rawPeer) want(command uint32) rawPDU {
	p.t.Helper()
	pdu, ok := <-p.in
	if !ok {
		p.t.Fatalf("want command %#x, connection is closed", command)
	}
	if pdu.command != command {
		p.t.Fatalf("want command %#x, got %#x status %#x", command, pdu.command, pdu.status)
	}
	return pdu
}

func (p *rawPeer) respond(to rawPDU, status uint32, body string) {
	p.t.Helper()
	p.send(rawPDU{command: to.command | responseBit, status: status, sequence: to.sequence, body: []byte(body)})
}

// running is a bound session whose Run is under way.
type running struct {
	*Session
	peer *rawPeer
	done chan struct{}
	err  error // of Run, once done is closed
	stop context.CancelFunc
}

// startPipe binds a session over net.Pipe. The session ends with the test.
func startPipe(t *testing.T, cfg Config) *running {
	t.Helper()
	here, there := net.Pipe()
	return start(t, cfg, here, newRawPeer(t, there), nil)
}

func start(t *testing.T, cfg Config, conn net.Conn, peer *rawPeer, tweak func(*Session)) *running {
	t.Helper()
	go func() {
		if pdu, ok := <-peer.in; ok {
			peer.respond(pdu, 0, "smsc\x00")
		}
	}()
	s, err := Bind(t.Context(), conn, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if tweak != nil {
		tweak(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Session: s, peer: peer, done: make(chan struct{}), stop: cancel}
	go func() {
		defer close(r.done)
		r.err = s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
		_ = peer.conn.Close()
	})
	return r
}

// submit sends one message through an acquired slot.
func (r *running) submit(t *testing.T, ref sms.JobRef, done chan *Call) *Burst {
	t.Helper()
	if err := r.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &Burst{Ref: ref, Done: done}
	if err := r.Go(b, []*sms.Message{message(1, 1)}); err != nil {
		t.Fatal(err)
	}
	return b
}

func message(part, total int) *sms.Message {
	return &sms.Message{
		Source:             sms.Address{TON: 5, Addr: "ACME"},
		Destination:        sms.Address{TON: 1, NPI: 1, Addr: "447700900123"},
		RegisteredDelivery: 1,
		ShortMessage:       []byte("Your code is 1234"),
		Part:               part,
		PartsTotal:         total,
	}
}

// echoPeer accepts connections and answers every request at once, as many
// answers in one write as there were requests in one read.
func echoPeer(t testing.TB) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echo(c)
		}
	}()
	return l.Addr().String()
}

var echoID atomic.Uint64

func echo(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := make([]byte, 0, 256<<10)
	var out []byte
	for {
		n, err := c.Read(in[len(in):cap(in)])
		if err != nil {
			return
		}
		in = in[:len(in)+n]
		rest := in
		out = out[:0]
		for len(rest) >= 16 {
			l := int(binary.BigEndian.Uint32(rest))
			if len(rest) < l {
				break
			}
			command, sequence := binary.BigEndian.Uint32(rest[4:]), binary.BigEndian.Uint32(rest[12:])
			rest = rest[l:]
			if command&responseBit != 0 {
				continue
			}
			at := len(out)
			out = appendHeader(out, command|responseBit, 0, sequence)
			if command == cmdSubmitSM {
				out = binary.BigEndian.AppendUint64(out, 0x3030303030303030+echoID.Add(1)&0x0707070707070707)
				out = append(out, 0)
			}
			binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at))
		}
		in = append(in[:0], rest...)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// dialEcho returns a running session over TCP loopback to an echo peer.
func dialEcho(t testing.TB, cfg Config) *Session {
	t.Helper()
	conn, err := net.Dial("tcp", echoPeer(t))
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, conn, cfg)
}

// serve binds over conn and runs the session until the end of the test.
func serve(t testing.TB, conn net.Conn, cfg Config) *Session {
	t.Helper()
	s, err := Bind(context.Background(), conn, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(context.Background())
	}()
	t.Cleanup(func() {
		_ = s.Unbind(context.Background())
		<-ended
	})
	return s
}
