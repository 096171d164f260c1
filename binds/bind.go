package binds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// State is where a bind is in its life, from a closed set.
type State string

// States.
const (
	StateStopped    State = "stopped"    // before and after Run
	StateConnecting State = "connecting" // TCP and TLS
	StateBinding    State = "binding"    // bind request sent
	StateBound      State = "bound"      // takes messages
	StateDraining   State = "draining"   // open messages end, then unbind
	StateBackoff    State = "backoff"    // pause before the next attempt
	StateRefused    State = "refused"    // long pause: the SMSC refuses the account
)

// sessionDrain bounds the wait for open messages when a session has to be given up.
const sessionDrain = 5 * time.Second

// bind is one supervised bind. All but the fields under mu and the atomics
// belong to the goroutine of run.
type bind struct {
	pool    *Pool
	name    string // "acme/1"
	limiter Limiter
	log     *slog.Logger

	session atomic.Pointer[smpp.Session] // nil unless it takes messages
	fatal   chan sessionFault            // capacity 1; written by senders, read by serve

	late     sync.WaitGroup // calls of Deps.Late; added to by sessions, awaited by run
	next     int            // index of the endpoint to try
	failures int            // since the last stable session
	refused  uint32         // status that was last logged as refusing the account

	mu       sync.Mutex
	state    State         // guarded by mu
	since    time.Time     // guarded by mu
	endpoint string        // guarded by mu
	attempts int           // guarded by mu
	sessions int           // guarded by mu
	lastErr  string        // guarded by mu
	current  *smpp.Session // guarded by mu; nil between sessions
	total    smpp.Stats    // guarded by mu; of ended sessions
}

// sessionFault is a status that says a session is in no state to submit.
type sessionFault struct {
	session *smpp.Session
	err     error
}

func newBind(p *Pool, name string, index int) *bind {
	b := &bind{
		pool:  p,
		name:  name,
		log:   p.deps.Logger.With("route", p.cfg.Route, "bind", name),
		fatal: make(chan sessionFault, 1),
		next:  index % len(p.cfg.Endpoints),
		state: StateStopped,
		since: time.Now(),
	}
	if p.deps.Limiter != nil {
		b.limiter = p.deps.Limiter(name)
	}
	return b
}

// run keeps the bind alive until intake ends.
func (b *bind) run(intake, work context.Context) {
	defer b.enter(StateStopped, nil)
	defer b.late.Wait()
	for intake.Err() == nil {
		lived, err := b.attempt(intake, work)
		if intake.Err() != nil {
			return
		}
		state, pause := b.pause(lived, err)
		b.enter(state, err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-intake.Done():
			timer.Stop()
		}
	}
}

// attempt goes once from connecting to the end of the session. lived is how
// long the bind was bound, 0 when it was not.
func (b *bind) attempt(intake, work context.Context) (lived time.Duration, err error) {
	conn, err := b.connect(intake)
	if err != nil {
		return 0, err
	}
	b.enter(StateBinding, nil)
	cfg := b.pool.cfg.session()
	cfg.Logger = b.log
	cfg.OnFree = b.pool.notify
	if deliver := b.pool.deps.Deliver; deliver != nil {
		cfg.Handler = func(ctx context.Context, in *smpp.Inbound) uint32 { return deliver(ctx, b.name, in) }
	}
	cfg.Late = func(ref sms.JobRef, a sms.Accepted) {
		b.late.Go(func() { b.pool.late(work, ref, a) })
	}
	s, err := smpp.Bind(intake, conn, cfg)
	if err != nil {
		b.next = (b.next + 1) % len(b.pool.cfg.Endpoints)
		return 0, bindError(err)
	}
	start := time.Now()
	err = b.serve(intake, work, s)
	if lived = time.Since(start); lived < b.pool.cfg.Backoff.StableAfter {
		b.next = (b.next + 1) % len(b.pool.cfg.Endpoints)
	}
	return max(lived, 1), err
}

// connect tries each endpoint once, beginning with the next.
func (b *bind) connect(ctx context.Context) (net.Conn, error) {
	var faults []error
	for range b.pool.cfg.Endpoints {
		endpoint := b.pool.cfg.Endpoints[b.next]
		b.mu.Lock()
		b.endpoint = endpoint
		b.attempts++
		b.mu.Unlock()
		b.enter(StateConnecting, nil)
		conn, err := b.pool.dial(ctx, endpoint)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		faults = append(faults, err)
		b.next = (b.next + 1) % len(b.pool.cfg.Endpoints)
	}
	return nil, errors.Join(faults...)
}

// dial opens a connection, with its TLS handshake if there is one.
func (p *Pool) dial(ctx context.Context, endpoint string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	dial := p.deps.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", endpoint)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	if p.cfg.TLS == nil {
		return conn, nil
	}
	cfg := p.cfg.TLS.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(endpoint)
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", endpoint, err)
	}
	return secure, nil
}

// serve runs a bound session to its end: its own, that of intake, or a status
// that makes it useless.
func (b *bind) serve(intake, work context.Context, s *smpp.Session) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Run(work) }()
	b.mu.Lock()
	b.current = s
	b.sessions++
	b.mu.Unlock()
	b.enter(StateBound, nil)
	b.session.Store(s)
	b.pool.notify()

	var err error
	stopped := s.Stopped()
	for done := false; !done; {
		select {
		case err = <-ended:
			done = true
		case <-stopped:
			stopped = nil
			b.session.Store(nil)
			if s.Draining() {
				b.enter(StateDraining, nil) // the peer has sent unbind
			}
		case <-intake.Done():
			b.drain(work, s, b.pool.cfg.DrainTimeout, nil)
			err, done = <-ended, true
		case f := <-b.fatal:
			if f.session != s {
				continue // of a session that is gone
			}
			b.drain(work, s, sessionDrain, f.err)
			<-ended
			err, done = f.err, true
		}
	}
	b.session.Store(nil)
	b.mu.Lock()
	b.current = nil
	b.total = addStats(b.total, s.Stats())
	b.mu.Unlock()
	return err
}

// drain unbinds in good order, waiting for open messages for at most limit.
func (b *bind) drain(work context.Context, s *smpp.Session, limit time.Duration, reason error) {
	b.session.Store(nil)
	b.enter(StateDraining, reason)
	ctx, cancel := context.WithTimeout(work, limit)
	defer cancel()
	if err := s.Unbind(ctx); err != nil {
		b.log.Warn("unbind was not answered", "error", err)
	}
}

// sessionRefused hears of a status that says the session cannot submit.
func (b *bind) sessionRefused(s *smpp.Session, err error) {
	select {
	case b.fatal <- sessionFault{s, err}:
	default: // one is enough
	}
}

// late passes on an acceptance that nobody waits for any more.
func (p *Pool) late(ctx context.Context, ref sms.JobRef, a sms.Accepted) {
	if p.deps.Late != nil {
		p.deps.Late(ctx, ref, a)
	}
}

// pause decides how long to wait after an attempt that ended with err.
func (b *bind) pause(lived time.Duration, err error) (State, time.Duration) {
	back := &b.pool.cfg.Backoff
	if lived >= back.StableAfter {
		b.failures = 0
	}
	b.failures++
	limit := back.Max
	if n := b.failures - 1; n < 30 && back.Base<<n < limit {
		limit = back.Base << n
	}
	pause := between(min(back.Base/2, limit), limit)
	var refused *sms.Error
	switch {
	case lived == 0 && errors.As(err, &refused) && refused.Status != 0:
		switch classifyBind(refused.Status) {
		case refusedCredential:
			return StateRefused, between(back.Credentials, back.Credentials+back.Credentials/10)
		case refusedAlready:
			return StateBackoff, max(pause, between(back.AlreadyBound, 2*back.AlreadyBound))
		}
	case errors.Is(err, smpp.ErrPeerUnbind):
		pause = max(pause, between(back.PeerUnbind, back.PeerUnbind+back.PeerUnbind/10))
	}
	return StateBackoff, pause
}

// between returns a random duration from lo to hi.
func between(lo, hi time.Duration) time.Duration {
	return lo + rand.N(max(hi-lo, 0)+1)
}

// enter notes a state and logs the transition, once. A refusal of the account
// is an error the first time only: it repeats until somebody acts.
func (b *bind) enter(state State, err error) {
	b.mu.Lock()
	from := b.state
	b.state, b.since = state, time.Now()
	if err != nil {
		b.lastErr = err.Error()
	}
	endpoint := b.endpoint
	b.mu.Unlock()

	log := b.log.Info
	var refusal *sms.Error
	switch {
	case state == StateConnecting || state == StateBinding:
		log = b.log.Debug
	case state == StateRefused && errors.As(err, &refusal):
		log = b.log.Warn
		if b.refused != refusal.Status {
			b.refused, log = refusal.Status, b.log.Error
		}
	case state == StateBackoff || err != nil:
		log = b.log.Warn
	}
	if state == StateBound {
		b.refused = 0
	}
	attrs := []any{"from", from, "state", state, "endpoint", endpoint}
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	log("bind changed state", attrs...)
}

// status returns a snapshot.
func (b *bind) status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := Status{
		Bind: b.name, State: b.state, Since: b.since, Endpoint: b.endpoint,
		Window: b.pool.cfg.Window, Attempts: b.attempts, Sessions: b.sessions, LastErr: b.lastErr, Stats: b.total,
	}
	if b.current != nil {
		now := b.current.Stats()
		st.SMSC, st.InFlight, st.Stats = b.current.Peer().SystemID, now.InFlight, addStats(b.total, now)
	}
	return st
}

func addStats(a, b smpp.Stats) smpp.Stats {
	a.Submits += b.Submits
	a.Responses += b.Responses
	a.Timeouts += b.Timeouts
	a.Late += b.Late
	a.Nacks += b.Nacks
	a.Unmatched += b.Unmatched
	a.Inbound += b.Inbound
	a.Refused += b.Refused
	a.Writes += b.Writes
	a.BytesOut += b.BytesOut
	a.BytesIn += b.BytesIn
	a.Refusals = a.Refusals.Plus(b.Refusals)
	a.InFlight = b.InFlight
	return a
}

// bindError completes the error of a refused bind with the status's name and code.
func bindError(err error) error {
	var e *sms.Error
	if !errors.As(err, &e) || e.Status == 0 {
		return err
	}
	named := *e
	named.StatusName = Name(e.Status)
	if classifyBind(e.Status) == refusedCredential {
		named.Code = sms.CodeAccount
	}
	return &named
}
