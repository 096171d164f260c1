package smpp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// pump sends n messages from as many goroutines as the window has slots and
// fails unless each is accepted.
func pump(t testing.TB, s *Session, n int) { pumpFrom(t, s, s.Window(), n) }

func pumpFrom(t testing.TB, s *Session, senders, n int) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			b := Burst{Done: make(chan *Call, 1)}
			msgs := []*sms.Message{message(1, 1)}
			for left.Add(-1) >= 0 {
				if err := s.Acquire(context.Background()); err != nil {
					t.Error(err)
					return
				}
				if err := s.Go(&b, msgs); err != nil {
					t.Error(err)
					return
				}
				c := <-b.Done
				if c.Err != nil || c.Status != 0 || c.MessageID == "" {
					t.Errorf("call ended with %v, status %d, id %q", c.Err, c.Status, c.MessageID)
					return
				}
				b = Burst{Done: b.Done}
			}
		})
	}
	wg.Wait()
}

func TestAResponseThatRacesItsWriteFindsItsCall(t *testing.T) {
	t.Parallel()
	s := dialEcho(t, Config{Window: 100})
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	pump(t, s, n)
	allFree(s)
	st := s.Stats()
	if st.Submits != uint64(n) || st.Responses != uint64(n) || st.Unmatched != 0 || st.InFlight != 0 {
		t.Errorf("after %d messages: %+v", n, st)
	}
}

// allFree waits for the last slot, which comes free just after its call does.
func allFree(s *Session) {
	for s.Free() < s.Window() {
		runtime.Gosched()
	}
}

func TestManyWaitersShareASmallWindow(t *testing.T) {
	t.Parallel()
	s := dialEcho(t, Config{Window: 7})
	pumpFrom(t, s, 500, 50_000)
	allFree(s)
	if st := s.Stats(); st.Responses != 50_000 || st.InFlight != 0 {
		t.Errorf("%+v", st)
	}
}

func TestEveryCallEndsOnceWhenThePeerResets(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			resetMidBurst(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

// resetMidBurst lets the peer answer some messages and then reset the connection.
func resetMidBurst(t *testing.T, rng *rand.Rand) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	answers := rng.IntN(3000)
	var read atomic.Int64 // submit_sm that reached the peer
	peerDone := make(chan struct{})
	go func() {
		defer close(peerDone)
		c, err := l.Accept()
		if err != nil {
			return
		}
		bind, _ := readRaw(c)
		_, _ = c.Write(rawPDU{command: bind.command | responseBit, sequence: bind.sequence, body: []byte{0}}.bytes())
		for range answers {
			p, err := readRaw(c)
			if err != nil {
				return
			}
			read.Add(1)
			_, _ = c.Write(rawPDU{command: p.command | responseBit, sequence: p.sequence, body: []byte("1\x00")}.bytes())
		}
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Bind(t.Context(), conn, Config{Window: 200})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background()) }()

	var accepted, ok, uncertain, unavailable atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			done := make(chan *Call, 3)
			for s.Acquire(context.Background()) == nil {
				if err := s.Go(&Burst{Done: done}, []*sms.Message{message(1, 1)}); err != nil {
					return
				}
				accepted.Add(1)
				c := <-done
				var e *sms.Error
				switch {
				case c.Err == nil:
					ok.Add(1)
				case errors.As(c.Err, &e) && e.Code == sms.CodeUncertain:
					uncertain.Add(1)
				case errors.As(c.Err, &e) && e.Code == sms.CodeUnavailable:
					unavailable.Add(1)
				default:
					t.Errorf("unexpected end %v", c.Err)
				}
				select {
				case c := <-done:
					t.Errorf("a second end: %+v", c)
				default:
				}
			}
		})
	}
	wg.Wait()
	if err := <-ended; err == nil {
		t.Error("Run returned nil after a reset")
	}
	<-peerDone
	if got := ok.Load() + uncertain.Load() + unavailable.Load(); got != accepted.Load() {
		t.Errorf("%d calls accepted, %d ended", accepted.Load(), got)
	}
	if ok.Load()+uncertain.Load() < read.Load() {
		t.Errorf("peer read %d, but only %d are known as written", read.Load(), ok.Load()+uncertain.Load())
	}
	if s.Free() != s.Window() {
		t.Errorf("%d of %d slots came free", s.Free(), s.Window())
	}
}
