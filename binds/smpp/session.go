package smpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Config describes a session. Zero values mean the defaults.
type Config struct {
	BindType         BindType
	SystemID         string
	Password         string
	SystemType       string
	InterfaceVersion uint8 // default 0x34
	AddrTON          uint8
	AddrNPI          uint8
	AddressRange     string

	Window          int           // unanswered submit_sm, 1..10000. Default 10
	EnquireLink     time.Duration // longest silence; enquire_link goes out a sixth earlier. Default 30s; negative: never
	ResponseTimeout time.Duration // submit_sm to its response. Default 60s
	EnquireTimeout  time.Duration // enquire_link to any PDU. Default the smaller of EnquireLink and ResponseTimeout
	BindTimeout     time.Duration // bind request to its response. Default 30s
	WriteTimeout    time.Duration // one write to the connection. Default 10s
	FrameTimeout    time.Duration // rest of a PDU that has begun. Default 10s
	UnbindTimeout   time.Duration // unbind to its response. Default 5s
	MaxHandled      int           // messages with the handler at a time. Default 512
	MaxQueued       int           // messages that wait for the handler; beyond it the SMSC is told to keep them. Default 4096

	// Handler takes the deliver_sm and data_sm that have come, at least one, and
	// has each answered, sooner or later, by its Answer. It is called again when
	// it has returned; burst is not its own afterwards. ctx ends with the
	// session. Nil answers ESME_RX_T_APPN.
	Handler func(ctx context.Context, burst []*Inbound)
	// Late hears of a message that the SMSC accepted after its call had timed
	// out or was abandoned. It is called on the reader and must not block.
	Late func(ref sms.JobRef, a sms.Accepted)
	// Congestion hears of each congestion_state, 0..100, that a response carries
	// when InterfaceVersion is 5.0. It is called on the reader and must not block.
	Congestion func(state uint8)
	// OnFree is called when slots come free after a TryAcquire that failed.
	// It must not block.
	OnFree func()
	// Logger defaults to none.
	Logger *slog.Logger
	// Tracer lets somebody watch the session's PDUs, under Name.
	Tracer *Tracer
	Name   string
}

// MaxWindow is the largest window.
const MaxWindow = 10000

// Errors that say how a session ended, and that it has.
var (
	ErrNotBound      = errors.New("session is not bound")
	ErrPeerUnbind    = errors.New("peer sent unbind")
	ErrLinkDead      = errors.New("no answer to enquire_link")
	ErrUnbindTimeout = errors.New("no answer to unbind")
	ErrNotReading    = errors.New("peer does not read")
	ErrNacked        = errors.New("peer reports a broken stream (generic_nack, ESME_RINVCMDLEN)")
)

func (c *Config) withDefaults() (Config, error) {
	d := *c
	set := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	set(&d.EnquireLink, 30*time.Second)
	set(&d.ResponseTimeout, time.Minute)
	set(&d.EnquireTimeout, min(max(d.EnquireLink, time.Second), d.ResponseTimeout))
	set(&d.BindTimeout, 30*time.Second)
	set(&d.WriteTimeout, 10*time.Second)
	set(&d.FrameTimeout, 10*time.Second)
	set(&d.UnbindTimeout, 5*time.Second)
	if d.InterfaceVersion == 0 {
		d.InterfaceVersion = 0x34
	}
	if d.Window == 0 {
		d.Window = 10
	}
	if d.MaxHandled == 0 {
		d.MaxHandled = 512
	}
	if d.MaxQueued == 0 {
		d.MaxQueued = 4096
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Window < 1 || d.Window > MaxWindow {
		return d, fmt.Errorf("window: must be 1..%d, is %d", MaxWindow, d.Window)
	}
	return d, nil
}

type state int

const (
	stateBound    state = iota // submits go out
	stateDraining              // no new submits; everything else works
	stateClosed                // the connection is of no more use
)

// Session is one bound connection. Its methods may be called from many goroutines.
type Session struct {
	cfg      Config
	log      *slog.Logger
	peer     BindResult
	conn     *stampedConn
	frames   *frameReader
	clock    *clock
	win      *window
	withheld atomic.Int64 // slots of calls that ended in a silence; see expireCalls
	ended    atomic.Int64 // calls that came out of their burst, or will at once
	taken    atomic.Int64 // of these, those that somebody said to have Taken
	early    []*Inbound   // came before the bind response; read by Run alone

	closed   chan struct{} // closed by fail
	noSubmit chan struct{} // closed on leaving stateBound
	wake     chan struct{} // capacity 1; tells the parked writer that out has octets
	arrived  chan struct{} // capacity 1; tells serveInbox of messages that it can take

	handlers sync.WaitGroup // serveInbox, messages with the handler, and the answer to the peer's unbind; Run waits
	stats    counters

	mu         sync.Mutex
	state      state              // guarded by mu
	err        error              // guarded by mu; why the session closed
	unbinding  bool               // guarded by mu; our unbind is out
	peerUnbind bool               // guarded by mu; the peer's unbind came
	sequence   uint32             // guarded by mu; last one used
	calls      callTable          // guarded by mu
	late       tombstones         // guarded by mu
	crowding   crowding           // guarded by mu
	control    map[uint32]control // guarded by mu; enquire_link and unbind that somebody waits for
	enquiredAt time.Duration      // guarded by mu; 0: no enquire_link of the housekeeper is open
	enquiry    uint32             // guarded by mu; its sequence number
	out        []byte             // guarded by mu; encoded, not yet with the writer
	spare      []byte             // guarded by mu; empty, the next out; nil while the writer has it
	queued     uint64             // guarded by mu; octets ever appended to out
	handed     uint64             // guarded by mu; octets ever handed to a write
	parked     bool               // guarded by mu; the writer waits on wake
	inbox      []*Inbound         // guarded by mu; messages that wait for the handler
	handling   int                // guarded by mu; messages that the handler has
	serving    bool               // guarded by mu; serveInbox runs
	changed    chan struct{}      // guarded by mu; closed when calls or messages get fewer, nil when nobody waits
	linger     *time.Timer        // guarded by mu; closes the connection after a failed write
}

// control is an enquire_link or unbind whose sender waits for the answer.
type control struct {
	response uint32
	answer   chan uint32 // capacity 1; command_status
}

// Peer returns what the SMSC said of itself when it accepted the bind.
func (s *Session) Peer() BindResult { return s.peer }

// Stopped returns a channel that is closed when the session takes no more
// submits: it drains, the peer has sent unbind, or it has ended.
func (s *Session) Stopped() <-chan struct{} { return s.noSubmit }

// Draining reports whether the session takes no more submits but still lives.
func (s *Session) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateDraining
}

// Run serves a bound session until it ends, and joins all it started. Ending
// ctx closes the connection at once; for an orderly end call Unbind. When Run
// returns every call has had its end. The error says why the session ended,
// nil after an unbind of ours.
func (s *Session) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.fail(context.Cause(ctx)) })
	defer stop()

	var loops sync.WaitGroup
	loops.Go(s.writeLoop)
	loops.Go(s.housekeep)
	s.fail(s.readLoop(ctx))
	_ = s.conn.Close()
	loops.Wait()
	s.endCalls()
	cancel()
	s.handlers.Wait()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.linger != nil {
		s.linger.Stop()
	}
	return s.err
}

// Abort ends the session at once with err. Unanswered calls become uncertain.
func (s *Session) Abort(err error) { s.fail(err) }

// fail ends the session: no more submits, no more writes. The first reason
// stands. After a failed write the reader gets a moment to take the answers
// that are already here.
func (s *Session) fail(err error) {
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return
	}
	var w *writeError
	wrote := !errors.As(err, &w)
	switch {
	case s.unbinding && !errors.Is(err, ErrUnbindTimeout):
		err = nil
	case s.peerUnbind:
		err = ErrPeerUnbind
	}
	s.stopSubmitsLocked()
	s.state, s.err = stateClosed, err
	if !wrote {
		s.linger = time.AfterFunc(lingerAfterWriteError, func() { _ = s.conn.Close() })
	}
	close(s.closed)
	s.mu.Unlock()
	if wrote {
		_ = s.conn.Close()
	}
}

func (s *Session) stopSubmitsLocked() {
	if s.state == stateBound {
		s.state = stateDraining
		s.win.shut.Store(true)
		close(s.noSubmit)
	}
}

// endCalls gives every call that is still open its end: uncertain when any of
// it was handed to a write, else unavailable. No loop is running any more.
func (s *Session) endCalls() {
	s.mu.Lock()
	cause := s.err
	if cause == nil {
		cause = ErrNotBound
	}
	handed := s.handed
	var open []*Call
	for c := s.calls.oldest; c != nil; c = s.calls.oldest {
		s.calls.remove(c)
		open = append(open, c)
	}
	s.notifyLocked()
	s.mu.Unlock()
	for _, c := range open {
		if c.position < handed {
			c.Err = &sms.Error{Op: "submit_sm", Code: sms.CodeUncertain, Err: fmt.Errorf("session ended before the response: %w", cause)}
		} else {
			c.Err = unavailable(cause)
		}
		s.deliver(c)
	}
}

func unavailable(cause error) *sms.Error {
	return &sms.Error{Op: "submit_sm", Code: sms.CodeUnavailable, Err: cause}
}

// deliver hands an ended call to whoever waits for it and frees its slot.
// c has left the table, and is the receiver's from here on.
func (s *Session) deliver(c *Call) {
	s.hand(c)
	s.win.give(1)
}

// hand hands an ended call over and keeps its slot.
func (s *Session) hand(c *Call) {
	if c.abandoned {
		return
	}
	s.ended.Add(1)
	if then := c.burst.Then; then != nil {
		then(c)
		return
	}
	c.burst.Done <- c
}

// Taken says that a call has come out of its burst, and is about to be
// dealt with. Messages that came after the call's response are not handled
// before, if that need not wait long.
func (s *Session) Taken() { s.taken.Add(1) }

// nextSequenceLocked returns the next sequence number: 1..0x7FFFFFFF, none
// that is still open (§3.2).
func (s *Session) nextSequenceLocked() uint32 {
	for {
		s.sequence = s.sequence%maxSequence + 1
		if *s.calls.place(s.sequence) != nil {
			continue
		}
		if _, open := s.control[s.sequence]; open {
			continue
		}
		if s.late.calls != nil {
			delete(s.late.calls, s.sequence)
		}
		return s.sequence
	}
}

// notifyLocked wakes those who wait for calls or messages to have their end.
func (s *Session) notifyLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// waitFor waits until cond, which is called with mu held, is true. It returns
// false when ctx or the session ended first.
func (s *Session) waitFor(ctx context.Context, cond func() bool) bool {
	for {
		s.mu.Lock()
		if cond() {
			s.mu.Unlock()
			return true
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		case <-s.closed:
			return false
		}
	}
}
