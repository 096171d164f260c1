package smpp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	headerOctets = 16
	// maxPDUOctets bounds command_length: message_payload may hold 64 KiB, and
	// a length beyond twice that means the stream is out of step.
	maxPDUOctets   = 128 << 10
	readBufOctets  = 16 << 10
	maxSequence    = 0x7FFFFFFF
	respBodyOctets = 1 // an empty C-octet string
)

// ErrOutOfStep reports a command_length that cannot be true. Nothing after it
// can be trusted, so the connection has to be closed.
var ErrOutOfStep = errors.New("command_length out of range")

// ErrStalled reports a PDU of which the rest did not come in time.
var ErrStalled = errors.New("rest of a PDU did not come")

// header is the first 16 octets of every PDU (§3.2).
type header struct {
	command  uint32
	status   uint32
	sequence uint32
}

// frame is one PDU. body is valid until the next frame is read.
type frame struct {
	header
	body []byte
}

// clock counts time since a session began. A reading is taken once for each
// read from the connection and shared by all PDUs that came with it.
type clock struct {
	start    time.Time
	lastRead atomic.Int64 // nanoseconds since start
}

func (c *clock) now() time.Duration { return time.Since(c.start) }

// stampedConn notes when octets arrive.
type stampedConn struct {
	net.Conn
	clock  *clock
	octets atomic.Int64
}

func (c *stampedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.clock.lastRead.Store(int64(c.clock.now()))
		c.octets.Add(int64(n))
	}
	return n, err
}

// frameReader cuts a connection's octets into PDUs. Many PDUs come with one
// read; those that fit the read buffer are not copied.
type frameReader struct {
	conn  net.Conn
	buf   *bufio.Reader
	stall time.Duration // longest wait for the rest of a PDU that has begun
	armed bool          // a deadline for the rest is set
	used  int           // octets of the last frame still in buf
	large []byte        // holds bodies beyond readBufOctets, at most maxPDUOctets
}

func newFrameReader(conn net.Conn, stall time.Duration) *frameReader {
	return &frameReader{conn: conn, buf: bufio.NewReaderSize(conn, readBufOctets), stall: stall}
}

// next returns the next PDU. It waits without limit for the first octet and
// at most stall for the rest. Errors are the connection's, ErrOutOfStep,
// ErrStalled, and io.EOF only between two PDUs. With an error the frame has the
// header, if that much came.
func (r *frameReader) next() (frame, error) {
	if _, err := r.buf.Discard(r.used); err != nil {
		return frame{}, err
	}
	r.used = 0
	if r.buf.Buffered() == 0 {
		if _, err := r.buf.Peek(1); err != nil {
			return frame{}, err
		}
	}
	f, err := r.rest()
	if r.armed {
		r.armed = false
		if e := r.conn.SetReadDeadline(time.Time{}); err == nil {
			err = e
		}
	}
	return f, midPDU(err, r.stall)
}

// rest reads a PDU of which at least one octet is there.
func (r *frameReader) rest() (frame, error) {
	if err := r.arm(headerOctets); err != nil {
		return frame{}, err
	}
	h, err := r.buf.Peek(headerOctets)
	if err != nil {
		return frame{}, err
	}
	length := binary.BigEndian.Uint32(h)
	f := frame{header: header{
		command:  binary.BigEndian.Uint32(h[4:]),
		status:   binary.BigEndian.Uint32(h[8:]),
		sequence: binary.BigEndian.Uint32(h[12:]),
	}}
	if length < headerOctets || length > maxPDUOctets {
		return f, fmt.Errorf("%w: %d", ErrOutOfStep, length)
	}
	if err := r.arm(int(length)); err != nil {
		return f, err
	}
	if length <= readBufOctets {
		p, err := r.buf.Peek(int(length))
		if err != nil {
			return f, err
		}
		f.body, r.used = p[headerOctets:], int(length)
		return f, nil
	}
	f.body, err = r.readLarge(int(length))
	return f, err
}

// arm starts the stall deadline unless need octets are already buffered.
func (r *frameReader) arm(need int) error {
	if r.armed || r.buf.Buffered() >= need {
		return nil
	}
	r.armed = true
	return r.conn.SetReadDeadline(time.Now().Add(r.stall))
}

// readLarge reads a PDU that does not fit the read buffer.
func (r *frameReader) readLarge(length int) ([]byte, error) {
	if _, err := r.buf.Discard(headerOctets); err != nil {
		return nil, err
	}
	n := length - headerOctets
	if cap(r.large) < n {
		r.large = make([]byte, n)
	}
	_, err := io.ReadFull(r.buf, r.large[:n])
	return r.large[:n], err
}

// midPDU tells a connection that ended inside a PDU from one that ended
// between two. The only read deadline is that of a PDU which has begun.
func midPDU(err error, stall time.Duration) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w within %s", ErrStalled, stall)
	}
	return err
}
