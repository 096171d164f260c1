package binds

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// sessionDrain bounds the wait for open messages when a session has to be
// given up. One that is given up of our own accord waits for all of them: each
// that is left behind would be in doubt.
const sessionDrain = 5 * time.Second

// bind is one supervised bind. All but the fields under mu and the atomics
// belong to the goroutine of run.
type bind struct {
	pool    *Pool
	unit    *unit
	index   int
	name    string // "acme/1"
	kind    smpp.BindType
	limiter Limiter
	log     *slog.Logger

	session atomic.Pointer[smpp.Session] // nil unless it takes messages; always nil in a receiver
	fatal   chan sessionFault            // capacity 1; written by senders, read by serve
	held    chan struct{}                // capacity 1; written by Pool.fewer, read by serve
	retry   chan struct{}                // capacity 1; written by Pool.rebind, read by rest

	leave context.CancelCauseFunc // guarded by Pool.mu; ends the attempt under way in good order
	cut   context.CancelFunc      // guarded by Pool.mu; ends it at once

	// Under Deps.Slots.
	permitted chan struct{} // capacity 1; written by Pool.admitLocked, read by permit
	doubt     time.Time     // guarded by Pool.mu; until then an attempt may fail as the last did

	late     sync.WaitGroup // calls of Deps.Late, and looks at the preferred endpoint; awaited by run
	route    endpoints
	cfg      *Config // of the present or last attempt
	failures int     // since the last stable session
	silent   int     // connections in a row that were closed before a PDU
	alarm    string  // refusal that was last logged as an error

	mu       sync.Mutex
	state    State            // guarded by mu
	since    time.Time        // guarded by mu
	entered  map[State]uint64 // guarded by mu
	endpoint string           // guarded by mu
	attempts int              // guarded by mu
	sessions int              // guarded by mu
	lastErr  string           // guarded by mu
	hint     string           // guarded by mu; what to do about lastErr
	current  *smpp.Session    // guarded by mu; nil between sessions
	under    *Config          // guarded by mu; that current was made with
	total    smpp.Stats       // guarded by mu; of ended sessions

	congestion atomic.Int32 // last congestion_state, -1 before the first
}

// sessionFault is a status that says a session is in no state to submit.
type sessionFault struct {
	session *smpp.Session
	err     error
}

func newBind(p *Pool, u *unit, name string, index int, kind smpp.BindType) *bind {
	b := &bind{
		pool:      p,
		unit:      u,
		index:     index,
		name:      name,
		kind:      kind,
		log:       p.deps.Logger.With("route", p.config().Route, "bind", name),
		fatal:     make(chan sessionFault, 1),
		held:      make(chan struct{}, 1),
		retry:     make(chan struct{}, 1),
		cfg:       p.config(),
		permitted: make(chan struct{}, 1),
		route:     newEndpoints(p.config(), index),
		state:     StateStopped,
		since:     time.Now(),
		entered:   make(map[State]uint64),
	}
	b.congestion.Store(-1)
	if p.deps.Limiter != nil && kind != smpp.Receiver {
		b.limiter = p.deps.Limiter(name)
	}
	return b
}

// run keeps the bind alive until intake ends.
func (b *bind) run(intake, work context.Context) {
	defer b.enter(StateStopped, nil)
	defer b.late.Wait()
	defer b.moved()
	for intake.Err() == nil {
		if held := b.pool.heldFor(b.unit); held > 0 {
			b.rest(intake, StateBackoff, held, errHeld)
			continue
		}
		stay, live, done, ok := b.permit(intake, work)
		if !ok {
			return
		}
		b.renew()
		lived, err := b.attempt(stay, live, work)
		yielded := stay.Err() != nil
		done()
		if intake.Err() != nil {
			return
		}
		if lived >= b.pool.config().Backoff.StableAfter {
			b.failures = 0
			b.pool.fulfilled(b.unit)
		}
		if errors.Is(err, errReturning) {
			b.route.goHome()
			continue
		}
		b.moved()
		if yielded {
			continue
		}
		state, pause := b.pause(lived, err)
		b.doubted(pause)
		b.rest(intake, state, pause, err)
	}
}

// rest waits in a state of rest.
func (b *bind) rest(intake context.Context, state State, pause time.Duration, err error) {
	b.enter(state, err)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.retry:
	case <-intake.Done():
	}
}

// attempt goes once from connecting to the end of the session. lived is how
// long the bind was bound, 0 when it was not. Late answers are recorded until
// late ends.
func (b *bind) attempt(intake, work, late context.Context) (lived time.Duration, err error) {
	conn, err := b.connect(intake)
	if err != nil {
		return 0, err
	}
	b.enter(StateBinding, nil)
	s, err := smpp.Bind(intake, conn, b.config(late))
	if err != nil {
		if intake.Err() == nil {
			b.route.ended(0)
		}
		return 0, bindError(err)
	}
	start := time.Now()
	err = b.serve(intake, work, s)
	lived = max(time.Since(start), 1)
	if intake.Err() == nil { // else it is not the endpoint's fault
		b.route.ended(lived)
	}
	return lived, err
}

// config is that of the bind's sessions.
func (b *bind) config(late context.Context) smpp.Config {
	cfg := b.cfg.session(b.kind)
	cfg.Logger = b.log
	cfg.Tracer, cfg.Name = b.pool.deps.Tracer, b.name
	cfg.OnFree = b.pool.notify
	if deliver := b.pool.deps.Deliver; deliver != nil {
		// Also in a transmitter: some SMSCs send receipts where the message came from.
		cfg.Handler = func(ctx context.Context, burst []*smpp.Inbound) { deliver(ctx, b.name, burst) }
	}
	cfg.Late = func(ref sms.JobRef, a sms.Accepted) {
		b.late.Go(func() { b.pool.late(late, ref, a) })
	}
	cfg.Congestion = func(state uint8) {
		b.congestion.Store(int32(state))
		if l, ok := b.limiter.(CongestionLimiter); ok {
			l.Congestion(state)
		}
	}
	return cfg
}

// connect tries each endpoint once, beginning with the one whose turn it is.
func (b *bind) connect(ctx context.Context) (net.Conn, error) {
	var faults []error
	for range b.route.list {
		endpoint := b.route.current()
		b.mu.Lock()
		b.endpoint = endpoint
		b.attempts++
		b.mu.Unlock()
		b.enter(StateConnecting, nil)
		conn, err := b.pool.dial(ctx, b.cfg, endpoint)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		faults = append(faults, err)
		b.route.failed()
	}
	return nil, errors.Join(faults...)
}

// serve runs a bound session to its end: its own, that of intake, or a status
// that makes it useless.
func (b *bind) serve(intake, work context.Context, s *smpp.Session) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Run(work) }()
	b.mu.Lock()
	b.current, b.under = s, b.cfg
	b.sessions++
	b.mu.Unlock()
	b.widen() // if that was changed meanwhile
	b.enter(StateBound, nil)
	b.trusted()
	b.moved()
	if b.kind != smpp.Receiver {
		select {
		case <-b.fatal: // of the last session; it would keep this one's out
		default:
		}
		b.session.Store(s)
		b.pool.notify()
	}

	var err error
	var reachable <-chan bool
	returns := time.NewTimer(b.route.patience())
	defer returns.Stop()
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
			limit, reason := b.farewell(context.Cause(intake))
			b.drain(work, s, limit, reason)
			err, done = <-ended, true
		case f := <-b.fatal:
			if f.session != s {
				continue // of a session that is gone
			}
			b.drain(work, s, sessionDrain, f.err)
			<-ended
			err, done = f.err, true
		case <-b.held:
			if b.pool.heldFor(b.unit) == 0 {
				continue // that was long ago
			}
			b.drain(work, s, b.pool.config().ResponseTimeout+sessionDrain, errHeld)
			<-ended
			err, done = errHeld, true
		case <-returns.C:
			reachable = b.lookHome(intake)
		case ok := <-reachable:
			if reachable = nil; !ok {
				returns.Reset(b.route.patience())
				continue
			}
			b.drain(work, s, b.pool.config().ResponseTimeout+sessionDrain, errReturning)
			<-ended
			err, done = errReturning, true
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
	// At once, so that what was refused goes elsewhere. Only the first refusal
	// counts, and none of a session that is ending anyway.
	if !b.session.CompareAndSwap(s, nil) {
		return
	}
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

// enter notes a state and logs the transition, once. A refusal of the account
// is an error the first time only: it repeats until somebody acts.
func (b *bind) enter(state State, err error) {
	b.mu.Lock()
	from := b.state
	if from == state && state != StateConnecting {
		b.mu.Unlock()
		return
	}
	b.state, b.since = state, time.Now()
	b.entered[state]++
	if err != nil {
		b.lastErr, b.hint = err.Error(), hint(err)
	}
	attrs := []any{"from", from, "state", state, "endpoint", b.endpoint}
	if err != nil {
		attrs = append(attrs, "error", err)
		if b.hint != "" {
			attrs = append(attrs, "hint", b.hint)
		}
	}
	b.mu.Unlock()

	select {
	case b.pool.entered <- struct{}{}:
	default: // somebody will look
	}
	log := b.log.Info
	switch {
	case state == StateConnecting || state == StateBinding:
		log = b.log.Debug
	case state == StateRefused:
		log = b.log.Warn
		if why := refusalOf(err); b.alarm != why {
			b.alarm, log = why, b.log.Error
		}
	case state == StateBound:
		b.alarm = ""
	case errors.Is(err, errReturning), errors.Is(err, errGivesWay), errors.Is(err, errChanged), errors.Is(err, errRetired):
	case state == StateBackoff || err != nil:
		log = b.log.Warn
	}
	log("bind changed state", attrs...)
}

// refusalOf names the reason of a refusal without what differs between attempts.
func refusalOf(err error) string {
	var e *sms.Error
	if errors.As(err, &e) && e.Status != 0 {
		return Name(e.Status)
	}
	return "closed"
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
