package smsctest

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readOctets = 64 << 10
	// maxBacklog is how much may wait for a peer that does not read before the
	// simulator stops reading from it.
	maxBacklog = 16 << 20
	// closeLinger is how long a connection stays open after unbind_resp, for
	// responses that are on their way.
	closeLinger = time.Second
)

// conn is one connection: a reader that decides, and a writer that drains the
// buffer which reader, scheduler and deliveries fill.
type conn struct {
	id  uint64
	s   *SMSC
	nc  net.Conn
	rng *rand.Rand    // the reader's
	seq atomic.Uint32 // last sequence_number of the simulator's own requests

	// Set by the reader at bind, before anything else can reach the conn.
	acct *account
	bind *Bind       // fields guarded by s.mu
	tx   atomic.Bool // set when the bind response is out

	b           burst // the reader's
	outstanding atomic.Int64

	flights  map[uint32]flight // guarded by acct.mu
	sweeping bool              // guarded by acct.mu; a sweep is scheduled

	mu         sync.Mutex
	cond       *sync.Cond
	out, spare []byte // out guarded by mu; spare is the writer's
	later      int    // guarded by mu; scheduled answers
	unbind     *PDU   // guarded by mu; the client's unbind, until it is answered
	closing    bool   // guarded by mu; close when out is drained
	dead       bool   // guarded by mu
}

// burst is what the frames of one read added up to; flush hands it on.
type burst struct {
	now     time.Time
	out     []byte
	submits []*Submit
	settled int64 // submit_sm that are no longer outstanding
	deepest int64
	made    []*delivery
	before  []*delivery
	after   []*delivery
	acks    []ack
	hangUp  bool // close after what is in out
	enquiry uint64
	alive   uint64
	nacks   uint64
	reads   uint64
}

func newConn(s *SMSC, id uint64, nc net.Conn) *conn {
	c := &conn{
		id: id, s: s, nc: nc,
		rng:     rand.New(rand.NewPCG(uint64(s.cfg.Seed), id)),
		flights: map[uint32]flight{},
	}
	if first := s.cfg.Quirks.FirstSequence; first != 0 {
		c.seq.Store(first - 1)
	}
	c.cond = sync.NewCond(&c.mu)
	return c
}

// sequence returns the next number, 1 to 0x7FFFFFFF (SMPP 3.4 §3.2) unless
// the quirks say otherwise.
func (c *conn) sequence() uint32 {
	if c.s.cfg.Quirks.FirstSequence != 0 {
		return c.seq.Add(1)
	}
	for {
		if n := c.seq.Add(1) & 0x7FFFFFFF; n != 0 {
			return n
		}
	}
}

var errHangUp = errors.New("hang up")

func (c *conn) read() {
	defer c.end()
	buf := make([]byte, readOctets)
	n := 0
	for {
		if c.s.cfg.IdleTimeout > 0 {
			_ = c.nc.SetReadDeadline(time.Now().Add(c.s.cfg.IdleTimeout))
		}
		got, err := c.nc.Read(buf[n:])
		c.s.gate.wait(c.s.sched.stop)
		n += got
		c.b.reads++
		used, perr := c.frames(buf[:n])
		hangUp := perr != nil || c.b.hangUp
		c.flush()
		if hangUp {
			c.finish()
			c.drain()
			return
		}
		if err != nil {
			return
		}
		n = copy(buf, buf[used:n])
		if n >= 4 {
			if want := int(binary.BigEndian.Uint32(buf)); want > len(buf) {
				buf = append(buf, make([]byte, want-len(buf))...)
			}
		}
	}
}

// drain waits for the writer to close the connection, and throws away what
// still comes, so that a pipe's peer is not stuck in its write.
func (c *conn) drain() {
	sink := make([]byte, 4096)
	for {
		if _, err := c.nc.Read(sink); err != nil {
			return
		}
	}
}

// frames handles every complete frame in b and says how much of it that was.
func (c *conn) frames(b []byte) (int, error) {
	c.b.now = time.Now()
	used := 0
	for len(b)-used >= headerOctets {
		size := binary.BigEndian.Uint32(b[used:])
		if size < headerOctets || size > maxOctets {
			// Without a length there is no next PDU to find (SMPP 3.4 §4.3.1).
			c.b.out = appendHeader(c.b.out, headerOctets, GenericNack, RINVCMDLEN, 0)
			return used, errHangUp
		}
		if len(b)-used < int(size) {
			break
		}
		frame := b[used : used+int(size) : used+int(size)]
		used += int(size)
		if err := c.handle(frame); err != nil {
			return used, err
		}
	}
	return used, nil
}

// flush makes the burst known: first to the record, so that who has seen a
// response finds its submit there, then to the peer.
func (c *conn) flush() {
	b := &c.b
	c.s.commit(c, b)
	if len(b.before) > 0 {
		c.acct.enqueue(b.before...)
	}
	c.outstanding.Add(-b.settled)
	if len(b.out) > 0 {
		c.mu.Lock()
		c.out = append(c.out, b.out...)
		c.cond.Broadcast()
		for len(c.out) > maxBacklog && !c.dead {
			c.cond.Wait()
		}
		c.mu.Unlock()
	}
	if len(b.after) > 0 {
		c.acct.enqueue(b.after...)
	}
	if len(b.acks) > 0 {
		c.acct.acked(c, b.acks)
	}
	clear(b.submits)
	clear(b.made)
	clear(b.before)
	clear(b.after)
	*b = burst{
		now: b.now, out: b.out[:0], submits: b.submits[:0],
		made: b.made[:0], before: b.before[:0], after: b.after[:0], acks: b.acks[:0],
	}
}

func (c *conn) wake() { c.cond.Broadcast() }

// send puts octets into the buffer and wakes the writer.
func (c *conn) send(b []byte) {
	c.mu.Lock()
	c.out = append(c.out, b...)
	c.mu.Unlock()
	c.wake()
}

func (c *conn) write() {
	for {
		c.mu.Lock()
		for len(c.out) == 0 && !c.closing && !c.dead {
			c.cond.Wait()
		}
		if c.dead || len(c.out) == 0 {
			c.mu.Unlock()
			_ = c.nc.Close()
			return
		}
		buf := c.out
		c.out, c.spare = c.spare[:0], nil
		c.mu.Unlock()
		c.wake() // a reader may wait for room
		c.s.gate.wait(c.s.sched.stop)
		err := c.writeOut(buf)
		c.s.count(func(st *Stats) { st.Writes++ })
		c.spare = buf[:0]
		if err != nil {
			c.kill()
		}
	}
}

// finish closes the connection once everything in its buffer is written.
func (c *conn) finish() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.wake()
}

// kill closes the connection now; over TCP the peer sees a reset when it has
// not been read to the end.
func (c *conn) kill() {
	c.mu.Lock()
	c.dead = true
	c.mu.Unlock()
	c.wake()
	_ = c.nc.Close()
}

// end is the reader's last act.
func (c *conn) end() {
	c.kill()
	if c.acct != nil {
		c.acct.lost(c)
	}
	c.s.gone(c)
}
