package binds

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
)

// Pool is the binds of one route.
type Pool struct {
	cfg  atomic.Pointer[Config] // replaced as a whole by Change
	deps Deps
	crew atomic.Pointer[crew] // replaced as a whole, with mu held

	changed chan struct{} // capacity 1; written by Change, read by reconcile
	entered chan struct{} // capacity 1; written by binds that enter a state, read by await

	listeners    atomic.Pointer[[]func()]
	reservations sync.Pool            // of *Reservation, with nothing of their last job
	moving       atomic.Pointer[bind] // on its way to its preferred endpoint; nil when none is

	mu      sync.Mutex // guards what units say it does; taken before a bind's
	tenancy tenancy    // under Deps.Slots
}

// New returns a pool whose binds begin to live with Run.
func New(cfg Config, deps Deps) (*Pool, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pool{
		deps: deps, tenancy: tenancy{news: make(chan struct{}, 1)},
		changed: make(chan struct{}, 1), entered: make(chan struct{}, 1),
	}
	p.cfg.Store(&cfg)
	p.listeners.Store(new([]func()))
	p.crew.Store(new(crew))
	for i := range cfg.Binds {
		p.add(i)
	}
	return p, nil
}

// config is what is in force now.
func (p *Pool) config() *Config { return p.cfg.Load() }

// crew is the binds of a pool.
type crew struct {
	units   []*unit
	binds   []*bind // of all units
	senders []*bind // those that submit
}

func (p *Pool) members() *crew { return p.crew.Load() }

// add makes the unit with this index: a bind, or a pair's two.
func (p *Pool) add(index int) *unit {
	cfg := p.config()
	u := &unit{index: index, pair: cfg.Pair, kind: cfg.BindType, over: make(chan struct{})}
	member := func(kind smpp.BindType, half string) {
		u.binds = append(u.binds, newBind(p, u, fmt.Sprintf("%s/%d%s", cfg.Route, index+1, half), index, kind))
	}
	if cfg.Pair {
		member(smpp.Transmitter, "/tx")
		member(smpp.Receiver, "/rx")
	} else {
		member(cfg.BindType, "")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enlistLocked(append(slices.Clone(p.members().units), u))
	return u
}

// enlistLocked has the pool consist of these units. Called with mu held.
func (p *Pool) enlistLocked(units []*unit) {
	slices.SortStableFunc(units, func(a, b *unit) int { return cmp.Compare(a.index, b.index) })
	c := &crew{units: units}
	for _, u := range units {
		for _, b := range u.binds {
			c.binds = append(c.binds, b)
			if b.kind != smpp.Receiver {
				c.senders = append(c.senders, b)
			}
		}
	}
	p.crew.Store(c)
}

// Run keeps the binds alive until intake ends, then drains: no new
// reservations, open messages and handlers get at most DrainTimeout, each bind
// unbinds and its slot goes to other workers. Ending work closes all connections at once. Run joins everything it
// started, and returns nil.
func (p *Pool) Run(intake, work context.Context) error {
	// Whoever ends work means intake as well.
	intake, cancel := context.WithCancel(intake)
	defer cancel()
	defer context.AfterFunc(work, cancel)()
	var wg sync.WaitGroup
	start := func(u *unit) { p.start(&wg, intake, work, u) }
	for _, u := range p.members().units {
		start(u)
	}
	wg.Go(func() { p.reconcile(intake, start) })
	if p.deps.Slots != nil {
		ended, end := context.WithCancel(context.WithoutCancel(work))
		var keeper sync.WaitGroup
		keeper.Go(func() { p.keepSlots(intake, ended) })
		defer keeper.Wait()
		defer end()
	}
	wg.Wait()
	return nil
}

// Shortage says why TryReserve gave nothing.
type Shortage struct {
	Reason Short
	Wait   time.Duration // for ShortRate: when it passes by itself. Else 0: Notify tells
}

// Short is what a reservation lacks.
type Short uint8

// Shortages.
const (
	ShortNone   Short = iota
	ShortBind         // no bind is bound
	ShortWindow       // no bind has that many free slots
	ShortRate         // the binds with free slots are at their rate
)

// String returns the shortage's name, safe as a metric label.
func (s Short) String() string {
	switch s {
	case ShortBind:
		return "no_bind"
	case ShortWindow:
		return "window"
	case ShortRate:
		return "rate"
	}
	return "none"
}

// TryReserve takes n window slots on the bound bind with most of them free,
// without waiting. A message of more parts than the window has slots gets all
// slots of a bind, and sends its last parts as its first are answered.
func (p *Pool) TryReserve(n int) (*Reservation, Shortage) {
	n = max(n, 1)
	slots := min(n, p.config().Window)
	best, free := p.freest()
	if best == nil {
		return nil, Shortage{Reason: ShortBind}
	}
	short := Shortage{Reason: ShortWindow}
	if free >= slots {
		r, s := best.reserve(n, slots)
		if r != nil {
			return r, Shortage{}
		}
		short = s
	}
	// The race was lost, or the bind is at its rate. Asking each bind also
	// marks its window as missed, so that it tells when slots come free.
	for _, b := range p.members().senders {
		r, s := b.reserve(n, slots)
		if r != nil {
			return r, Shortage{}
		}
		if s.Reason == ShortRate && (short.Reason != ShortRate || s.Wait < short.Wait) {
			short = s
		}
	}
	return nil, short
}

// freest returns the bind with most free slots, nil when none is bound.
func (p *Pool) freest() (best *bind, free int) {
	free = -1
	for _, b := range p.members().senders {
		if s := b.session.Load(); s != nil {
			if n := s.Free(); n > free {
				best, free = b, n
			}
		}
	}
	return best, free
}

// Notify registers a function that is called when TryReserve, having failed
// for want of a bind or of slots, may succeed. It is called without locks
// held, once for any number of failures, and must not block: whoever is told
// tries until TryReserve fails again.
func (p *Pool) Notify(f func()) {
	for {
		old := p.listeners.Load()
		next := append((*old)[:len(*old):len(*old)], f)
		if p.listeners.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (p *Pool) notify() {
	for _, f := range *p.listeners.Load() {
		f()
	}
}

// Bound returns how many binds take messages now.
func (p *Pool) Bound() (n int) {
	for _, b := range p.members().senders {
		if b.session.Load() != nil {
			n++
		}
	}
	return n
}

// Status is the state of one bind, or of one session of a pair.
type Status struct {
	Bind     string // "acme/1"; "acme/1/tx" and "acme/1/rx" in a pair
	Type     smpp.BindType
	State    State
	Since    time.Time        // when State was entered
	Entered  map[State]uint64 // how often each state was entered
	Endpoint string           // host:port, of the present or last connection
	SMSC     string           // system_id of the peer, when bound
	// InterfaceVersion is the SMSC's sc_interface_version, 0x34, when bound; 0
	// when it did not say.
	InterfaceVersion uint8
	Held             bool // not tried for a while: the SMSC allows fewer binds
	Window           int  // 0 in a receiver; less than configured while the SMSC was found to grant less
	InFlight         int  // slots taken
	Congestion       int  // last congestion_state of the SMSC (5.0), -1 when it gave none
	Attempts         int  // connections tried
	Sessions         int  // times bound
	LastErr          string
	Hint             string     // what to do about LastErr, empty when that is not known
	Stats            smpp.Stats // over all sessions
}

// Snapshot returns the state of each bind.
func (p *Pool) Snapshot() []Status {
	out := make([]Status, 0, len(p.members().binds))
	for _, b := range p.members().binds {
		out = append(out, b.status())
	}
	return out
}
