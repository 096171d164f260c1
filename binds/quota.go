package binds

import (
	"context"
	"errors"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
)

// errHeld is why a bind does not try to bind although it is configured.
var errHeld = errors.New("held back: the SMSC says that the account has all the binds it may have")

// maxHolds bounds how often the time that a unit is held back doubles.
const maxHolds = 5

// unit is what Config.Binds counts: a bind, or the two sessions of a pair.
type unit struct {
	index   int
	pair    bool          // or one bind,
	kind    smpp.BindType // of this type
	over    chan struct{} // closed when its binds have ended
	binds   []*bind
	end     context.CancelCauseFunc // of its binds' intake; written by Pool.start
	retired bool                    // guarded by Pool.mu; it ends and is not in the configuration any more
	until   time.Time               // guarded by Pool.mu; held back before
	holds   int                     // guarded by Pool.mu; times in a row, without a stable session between

	// Under Deps.Slots, which replaces until and holds; guarded by Pool.mu.
	slot    bool  // its binds may have connections
	leaving bool  // the slot goes back as soon as these are closed
	busy    int   // binds between connecting and the end of their session
	why     error // it has lost its slot; nil before
}

// fewer holds one unit back after ESME_RALYBND to b, and returns for how long
// b is itself held back, 0 when it is not. Under Deps.Slots the fleet is told
// instead. The first time is as long as any
// pause after ESME_RALYBND, since the reason may be an old session of ours that
// the SMSC has not missed yet; it doubles as long as the reason stays. The
// unit with fewest sessions gives way, b's own rather than another, and one is
// always left: it finds out when there is room again. A pair gives way as a
// whole, for a transmitter without its receiver would use up what the next
// receiver needs.
func (p *Pool) fewer(b *bind) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deps.Slots != nil {
		p.tenancy.refused++
		p.tell()
		return 0
	}
	now := time.Now()
	if wait := b.unit.until.Sub(now); wait > 0 {
		return wait
	}
	least, fewest, free := b.unit, b.unit.bound(), 0
	for _, u := range p.members().units {
		if u.until.After(now) || u.retired {
			continue
		}
		free++
		if n := u.bound(); n < fewest {
			least, fewest = u, n
		}
	}
	if free <= 1 {
		return 0
	}
	back := p.config().Backoff.AlreadyBound
	hold := between(back, 2*back) << least.holds
	least.holds = min(least.holds+1, maxHolds)
	least.until = now.Add(hold)
	for _, member := range least.binds {
		member.hold()
	}
	p.deps.Logger.Warn("fewer binds are tried for a while", "route", p.config().Route, "binds", free-1, "configured", len(p.members().units),
		"for", hold.Round(time.Second), "error", errHeld)
	if least == b.unit {
		return hold
	}
	return 0
}

// fulfilled hears of a stable session in the unit.
func (p *Pool) fulfilled(u *unit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u.holds = 0
}

// heldFor returns how long the unit is still held back, 0 when it is not.
func (p *Pool) heldFor(u *unit) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(u.until))
}

// Wanted returns how many of Config.Binds are tried now: fewer than configured
// for a while after the SMSC has answered ESME_RALYBND, and while other workers
// have what the account may have.
func (p *Pool) Wanted() (n int) {
	if p.deps.Slots != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, u := range p.members().units {
			if u.slot && !u.leaving {
				n++
			}
		}
		return n
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.members().units {
		if !u.retired && !u.until.After(time.Now()) {
			n++
		}
	}
	return n
}

// bound counts the unit's sessions.
func (u *unit) bound() (n int) {
	for _, b := range u.binds {
		b.mu.Lock()
		if b.state == StateBound {
			n++
		}
		b.mu.Unlock()
	}
	return n
}

// hold has a bound session give way. One that is not bound looks for itself
// before it connects.
func (b *bind) hold() {
	select {
	case b.held <- struct{}{}:
	default: // it has been told
	}
}
