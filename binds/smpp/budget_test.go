package smpp

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// What a session may cost. The bounds are what it does cost and a little
// more; time is not among them, because machines differ.
const (
	maxWritesPerMessage  = 0.2 // at windows from 100
	maxAllocsPerSubmit   = 0.5 // it has none; buffers may grow
	maxAllocsPerResponse = 1.5 // it has one, the message id
	maxIdleOctets        = 64 << 10
)

func TestABurstIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	for _, window := range []int{100, 1000} {
		for name, dial := range map[string]func(testing.TB) net.Conn{"echo": dialPeer, "simulator over pipe": dialPipe} {
			t.Run(fmt.Sprint(name, " window ", window), func(t *testing.T) {
				t.Parallel()
				s := serve(t, dial(t), Config{Window: window})
				const n = 50_000
				pump(t, s, n)
				if per := float64(s.Stats().Writes) / n; per >= maxWritesPerMessage {
					t.Errorf("%.3f writes per message, want < %v", per, maxWritesPerMessage)
				}
			})
		}
	}
}

// It is not parallel to others: all that the process allocates counts.
func TestASubmitAllocatesNothingAndAResponseItsMessageID(t *testing.T) {
	const n = 1000
	here, there := net.Pipe()
	peer := newQuietPeer(there)
	go peer.answer(t, 1)
	s := serve(t, here, Config{Window: n, EnquireLink: -1})
	t.Cleanup(func() { go peer.answer(t, 1) }) // unbind

	done := make(chan *Call, n)
	bursts := make([]Burst, n)
	msgs := []*sms.Message{message(1, 1)}
	var submit, response float64
	for range 2 { // the buffers grow in the first
		for i := range bursts {
			bursts[i] = Burst{Done: done}
		}
		if !s.TryAcquire(n) {
			t.Fatal("no slots")
		}
		submit = mallocs(func() {
			for i := range bursts {
				if err := s.Go(&bursts[i], msgs); err != nil {
					t.Error(err)
				}
			}
			peer.read(t, n)
		}) / n
		response = mallocs(func() {
			peer.respond(t)
			for range n {
				<-done
			}
			allFree(s)
		}) / n
	}
	if submit > maxAllocsPerSubmit {
		t.Errorf("%.2f allocations for each submit, want at most %v", submit, maxAllocsPerSubmit)
	}
	if response > maxAllocsPerResponse {
		t.Errorf("%.2f allocations for each response, want at most %v", response, maxAllocsPerResponse)
	}
}

func mallocs(f func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs)
}

// It is not parallel to others: all that the process holds counts.
func TestAnIdleBindHoldsLittle(t *testing.T) {
	idleOctets(t) // what the runtime keeps for itself grows here
	begun, rested := idleOctets(t)
	if begun > maxIdleOctets {
		t.Errorf("%d octets for each bind that has just begun, want at most %d", begun, maxIdleOctets)
	}
	if rested > maxIdleOctets {
		t.Errorf("%d octets for each bind that is idle after a full window, want at most %d", rested, maxIdleOctets)
	}
}

// idleOctets returns what a bind with a window of 1000 holds when it has just
// begun, and when it has come to rest after a full window.
func idleOctets(t *testing.T) (begun, rested int64) {
	const binds = 50
	peer := newQuietPeer(nil) // one for all, so that peers hold next to nothing
	conns := make([]net.Conn, binds)
	sessions := make([]*Session, binds)
	ended := make(chan error, binds)
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		cancel()
		for range binds {
			<-ended
		}
	}()
	cfg := Config{Window: 1000, EnquireLink: time.Second, EnquireTimeout: time.Hour, ResponseTimeout: 5 * time.Second}
	empty := inUse()
	for i := range binds {
		here, there := net.Pipe()
		conns[i] = there
		peer.use(there)
		go peer.answer(t, 1)
		s, err := Bind(t.Context(), here, cfg)
		if err != nil {
			t.Fatal(err)
		}
		sessions[i] = s
		go func() { ended <- s.Run(ctx) }()
	}
	begun = (inUse() - empty) / binds
	for i, s := range sessions {
		peer.use(conns[i])
		fillOnce(t, s, peer)
	}
	for i := range sessions {
		peer.use(conns[i])
		peer.until(t, cmdEnquireLink)
	}
	rested = (inUse() - empty) / binds
	runtime.KeepAlive(sessions)
	return begun, rested
}

// fillOnce fills the window of s and has it answered.
func fillOnce(t *testing.T, s *Session, peer *quietPeer) {
	t.Helper()
	msgs := []*sms.Message{message(1, 1)}
	n := s.Window()
	done := make(chan *Call, n)
	if !s.TryAcquire(n) {
		t.Fatal("no slots")
	}
	for range n {
		if err := s.Go(&Burst{Done: done}, msgs); err != nil {
			t.Fatal(err)
		}
	}
	peer.answer(t, n)
	for range n {
		<-done
	}
	allFree(s)
}

// inUse returns the octets of heap and stacks in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // the first leaves what pools hold to the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// quietPeer answers requests without allocating, when it is told to.
type quietPeer struct {
	conn    net.Conn
	in      *bufio.Reader
	body    []byte
	answers []byte // of the requests read and not yet responded to
}

func newQuietPeer(conn net.Conn) *quietPeer {
	return &quietPeer{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), body: make([]byte, 4096), answers: make([]byte, 0, 64<<10)}
}

// use turns to another connection.
func (p *quietPeer) use(conn net.Conn) {
	p.conn = conn
	p.in.Reset(conn)
}

// read reads n submits or other requests; enquire_link does not count.
func (p *quietPeer) read(t *testing.T, n int) {
	p.answers = p.answers[:0]
	for n > 0 {
		command := p.next(t)
		if command == 0 {
			return
		}
		if command != cmdEnquireLink {
			n--
		}
	}
}

// until reads requests until one is the command.
func (p *quietPeer) until(t *testing.T, command uint32) {
	for {
		if got := p.next(t); got == command || got == 0 {
			return
		}
	}
}

// next reads a request, prepares its answer and returns its command, 0 when there is none.
func (p *quietPeer) next(t *testing.T) uint32 {
	h := p.body[:headerOctets]
	if _, err := io.ReadFull(p.in, h); err != nil {
		t.Error(err)
		return 0
	}
	command, sequence := binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[12:])
	at := len(p.answers)
	p.answers = append(appendHeader(p.answers, command|responseBit, 0, sequence), "12345678\x00"...)
	binary.BigEndian.PutUint32(p.answers[at:], uint32(len(p.answers)-at))
	if _, err := io.ReadFull(p.in, p.body[:binary.BigEndian.Uint32(h)-headerOctets]); err != nil {
		t.Error(err)
		return 0
	}
	return command
}

func (p *quietPeer) respond(t *testing.T) {
	if _, err := p.conn.Write(p.answers); err != nil {
		t.Error(err)
	}
}

func (p *quietPeer) answer(t *testing.T, n int) {
	p.read(t, n)
	p.respond(t)
}
