package smsctest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is returned once the simulator is closed.
var ErrClosed = errors.New("smsctest: closed")

// lastID makes message ids unique in this process, and different from those
// of a process that began a second earlier and made fewer than 2^20 per second.
var lastID atomic.Uint64

func init() { lastID.Store(uint64(time.Now().Unix()) << 20) }

// SMSC is the simulator. Its methods are safe for concurrent use.
type SMSC struct {
	cfg     Config
	weights float64 // of cfg.Receipts.States, summed
	sched   *scheduler
	magic   *magicTable
	gate    gate
	rec     *recorder   // nil without Config.RecordTo
	times   *timeline   // nil without Config.TimesTo
	holding atomic.Bool // deliveries are held back
	begin   sync.Once   // starts sched
	wg      sync.WaitGroup

	mu        sync.Mutex
	closed    bool                // guarded by mu
	refusing  bool                // guarded by mu
	listeners []net.Listener      // guarded by mu
	conns     map[uint64]*conn    // guarded by mu
	nextConn  uint64              // guarded by mu
	accounts  map[string]*account // guarded by mu
	bound     map[string]int      // guarded by mu; binds by system_id
	history   []*Bind             // guarded by mu; every bind there was
	stats     Stats               // guarded by mu
	rate      rateMeter           // guarded by mu
	seen      map[uint64]struct{} // guarded by mu; keys of accepted messages
	submits   []*Submit           // guarded by mu
	deliver   []*delivery         // guarded by mu
	held      []*answer           // guarded by mu
	changed   chan struct{}       // guarded by mu; closed on change, made by WaitFor
}

// New returns a simulator that has no connections and no goroutines yet.
func New(cfg Config) *SMSC {
	s := &SMSC{
		cfg:      cfg.withDefaults(),
		magic:    newMagicTable(),
		conns:    map[uint64]*conn{},
		accounts: map[string]*account{},
		bound:    map[string]int{},
		seen:     map[uint64]struct{}{},
	}
	s.stats.RefusedByStatus = map[uint32]uint64{}
	s.stats.BindsNo = map[string]uint64{}
	for _, st := range cfg.Receipts.States {
		s.weights += st.Weight
	}
	s.sched = newScheduler(s.fire)
	if cfg.RecordTo != nil {
		s.rec = newRecorder(cfg.RecordTo, func(flush func()) { s.sched.after(recordFlush, event{call: flush}) })
	}
	if cfg.TimesTo != nil {
		s.times = newTimeline(cfg.TimesTo, func(flush func()) { s.sched.after(recordFlush, event{call: flush}) })
	}
	return s
}

// Listen listens on a TCP address, "127.0.0.1:0", and returns the one it got.
// It may be called more than once.
func (s *SMSC) Listen(addr string) (net.Addr, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("smsctest: %w", err)
	}
	if err := s.Serve(l); err != nil {
		return nil, err
	}
	return l.Addr(), nil
}

// Serve accepts connections from l, for instance a TLS listener, until Close,
// which closes l. It returns at once.
func (s *SMSC) Serve(l net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = l.Close()
		return ErrClosed
	}
	s.listeners = append(s.listeners, l)
	s.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_ = s.accept(nc)
		}
	})
	return nil
}

// Dial returns the client's end of a new in-memory connection (net.Pipe), or
// ErrClosed. While Refuse is on, the other end is closed already.
func (s *SMSC) Dial() (net.Conn, error) {
	client, server := net.Pipe()
	if err := s.accept(server); err != nil {
		return nil, err
	}
	return client, nil
}

// DialContext is Dial with the signature of net.Dialer.DialContext; it looks
// at nothing but whether ctx is done.
func (s *SMSC) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Dial()
}

// Refuse makes the simulator close every new connection at once, as a host
// that does not know the peer's address does; off ends that.
func (s *SMSC) Refuse(on bool) {
	s.mu.Lock()
	s.refusing = on
	s.mu.Unlock()
}

func (s *SMSC) accept(nc net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = nc.Close()
		return ErrClosed
	}
	if s.refusing {
		_ = nc.Close()
		return nil
	}
	s.begin.Do(func() { s.wg.Go(s.sched.run) })
	s.nextConn++
	c := newConn(s, s.nextConn, nc)
	s.conns[c.id] = c
	s.wg.Go(c.read)
	s.wg.Go(c.write)
	return nil
}

// Close closes listeners and connections, without unbinding, joins all
// goroutines and flushes the record. It returns the record's write errors.
func (s *SMSC) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	listeners, conns := s.listeners, s.allLocked()
	s.mu.Unlock()
	close(s.sched.stop)
	for _, l := range listeners {
		_ = l.Close()
	}
	for _, c := range conns {
		c.kill()
	}
	s.wg.Wait()
	var errs []error
	if s.rec != nil {
		errs = append(errs, s.rec.flush())
	}
	if s.times != nil {
		errs = append(errs, s.times.flush())
	}
	return errors.Join(errs...)
}

// allLocked returns the connections in the order of connecting.
func (s *SMSC) allLocked() []*conn {
	out := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *conn) int { return int(a.id) - int(b.id) })
	return out
}

func (s *SMSC) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allLocked()
}

func (s *SMSC) account(systemID string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[systemID]
	if a == nil {
		a = &account{s: s, systemID: systemID}
		s.accounts[systemID] = a
	}
	return a
}

// fire runs a batch of due events: answers first reach the connections'
// buffers, then deliveries their queues, then every touched writer wakes once.
func (s *SMSC) fire(events []event) {
	var conns []*conn
	ready := map[*account][]*delivery{}
	for i := range events {
		switch ev := &events[i]; {
		case ev.ans != nil:
			ev.ans.c.answerLater(ev.ans)
			if !slices.Contains(conns, ev.ans.c) {
				conns = append(conns, ev.ans.c)
			}
		case ev.d != nil:
			ready[ev.d.acct] = append(ready[ev.d.acct], ev.d)
		case ev.call != nil:
			ev.call()
		}
	}
	for a, ds := range ready {
		a.enqueue(ds...)
	}
	for _, c := range conns {
		c.wake()
	}
}

// gate holds readers and writers while the simulator is stalled.
type gate struct{ shut atomic.Pointer[chan struct{}] }

func (g *gate) wait(stop <-chan struct{}) {
	for {
		ch := g.shut.Load()
		if ch == nil {
			return
		}
		select {
		case <-*ch:
		case <-stop:
			return
		}
	}
}

func (g *gate) close() {
	ch := make(chan struct{})
	g.shut.CompareAndSwap(nil, &ch)
}

func (g *gate) open() {
	if ch := g.shut.Swap(nil); ch != nil {
		close(*ch)
	}
}
