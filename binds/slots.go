package binds

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// Slots are leases on the binds that the account may have over all workers.
type Slots interface {
	// Renew says what the pool holds and wants, and returns what it may hold.
	// Calls do not overlap, but one that was given up may still run.
	Renew(ctx context.Context, use SlotUse) (SlotGrant, error)
}

// SlotUse is what a pool says of its slots. A pair takes one.
type SlotUse struct {
	Held    int           // units that may have a connection until the answer is there
	Bound   int           // of these, those with all their sessions
	Firm    int           // of Wanted, those without a fault of late
	Wanted  int           // units that would be bound if there were slots for all
	Refused int           // units that got ESME_RALYBND since the last call
	Hold    time.Duration // how long fewer are to be tried after that
}

// SlotGrant is what a pool may hold.
type SlotGrant struct {
	Slots   int           // more than it holds: to use; less: to give back
	Until   time.Time     // when no unit may have a connection any more, unless it is renewed
	Again   time.Duration // when to renew
	Limit   int           // over the fleet: the quota, or what the SMSC has taught
	Granted int           // over the fleet
	Workers int           // that hold or want slots
	Frozen  time.Duration // until something new is granted at the latest, else 0
}

// SlotStatus is a pool's part of the account's binds.
type SlotStatus struct {
	SlotGrant        // the last answer
	Held      int    // units that have a slot now
	Wanted    int    //
	Err       string // why the last renewal failed; empty when it did not
}

// Why a unit leaves a good session under Deps.Slots.
var (
	errGivesWay = errors.New("gave its bind to another worker: max_binds is shared out evenly")
	errLapsed   = errors.New("gave up the bind: Redis did not renew its lease, and another worker may get it")
)

// A lease that is not renewed is given up this much before its end: open
// messages have most of it, unbinding the rest.
const (
	lapseLead  = 1500 * time.Millisecond
	lapseDrain = time.Second
)

// tenancy is what a pool knows of its slots.
type tenancy struct {
	refused int           // guarded by Pool.mu; since the last answer
	last    SlotGrant     // guarded by Pool.mu
	err     error         // guarded by Pool.mu
	ending  bool          // guarded by Pool.mu; intake is over
	news    chan struct{} // capacity 1; something that Redis should hear of soon
	some    atomic.Bool   // there is a slot, or none is wanted any more; written with mu held
}

// permit waits until the bind's unit has a slot, and returns what an attempt
// of its is to end with in place of intake and work. The attempt's end is told
// with done. Without Deps.Slots there is no waiting.
func (b *bind) permit(intake, work context.Context) (stay, live context.Context, done func(), ok bool) {
	p := b.pool
	for {
		p.mu.Lock()
		if p.deps.Slots == nil || b.unit.slot && !b.unit.leaving {
			stay, leave := context.WithCancelCause(intake)
			live, cut := context.WithCancel(work)
			b.unit.busy++
			b.leave, b.cut = leave, cut
			p.mu.Unlock()
			return stay, live, func() { leave(nil); cut(); p.left(b) }, true
		}
		why := b.unit.why
		p.mu.Unlock()
		b.moved()
		b.enter(StateStandby, why)
		select {
		case <-b.permitted:
		case <-intake.Done():
			return nil, nil, nil, false
		}
	}
}

// left hears that an attempt of the bind's has ended, with its connection closed.
func (p *Pool) left(b *bind) {
	p.change(func() {
		b.leave, b.cut = nil, nil
		b.unit.busy--
		p.vacateLocked(b.unit)
	})
}

// change does something to slots, with mu held, and tells listeners when the
// pool stands by or no longer does.
func (p *Pool) change(do func()) {
	p.mu.Lock()
	before := p.heldLocked()
	do()
	after := p.heldLocked()
	p.tenancy.some.Store(after > 0 || p.tenancy.ending)
	p.mu.Unlock()
	if (before == 0) != (after == 0) {
		p.notify()
	}
}

// vacateLocked gives the unit's slot back once it is no longer used.
func (p *Pool) vacateLocked(u *unit) {
	if u.slot && u.busy == 0 && (u.leaving || p.tenancy.ending) {
		u.slot, u.leaving = false, false
		p.tell()
	}
}

// tell has Redis hear of the pool's slots soon.
func (p *Pool) tell() {
	select {
	case p.tenancy.news <- struct{}{}:
	default: // it will
	}
}

// doubted notes an attempt that failed and the pause after it: until then, and
// longer with each failure, other workers' binds come first.
func (b *bind) doubted(pause time.Duration) {
	doubt := pause + b.pool.config().Backoff.StableAfter<<min(max(b.failures-1, 0), maxHolds)
	b.pool.mu.Lock()
	defer b.pool.mu.Unlock()
	b.doubt = time.Now().Add(doubt)
}

// trusted notes that the bind is bound.
func (b *bind) trusted() {
	b.pool.mu.Lock()
	defer b.pool.mu.Unlock()
	b.doubt = time.Time{}
}

// slotUse is what there is to say to Redis now.
func (p *Pool) slotUse() SlotUse {
	p.mu.Lock()
	defer p.mu.Unlock()
	use := SlotUse{Refused: p.tenancy.refused}
	if use.Refused > 0 {
		use.Hold = between(p.config().Backoff.AlreadyBound, 2*p.config().Backoff.AlreadyBound)
	}
	for _, u := range p.members().units {
		if u.slot {
			use.Held++
			if u.whole() {
				use.Bound++
			}
		}
		if p.tenancy.ending || u.retired {
			continue
		}
		use.Wanted++
		if u.firmLocked() {
			use.Firm++
		}
	}
	return use
}

// firmLocked reports whether the unit may be expected to bind.
func (u *unit) firmLocked() bool {
	return !slices.ContainsFunc(u.binds, func(b *bind) bool { return time.Now().Before(b.doubt) })
}

// whole reports whether all the unit's sessions are bound.
func (u *unit) whole() bool { return u.bound() == len(u.binds) }

// settle does what an answer says.
func (p *Pool) settle(a slotAnswer) {
	var before SlotGrant
	var recovered bool
	p.change(func() {
		before, recovered = p.tenancy.last, p.tenancy.err != nil
		p.tenancy.last, p.tenancy.err = a.grant, nil
		p.tenancy.refused -= a.use.Refused
		if !p.tenancy.ending {
			p.shareLocked(a.grant.Slots)
		}
	})
	log := p.deps.Logger.With("route", p.config().Route)
	if recovered {
		log.Info("bind slots are renewed again")
	}
	switch frozen := a.grant.Frozen > 0; {
	case frozen && before.Frozen == 0:
		log.Warn("redis may have lost who has binds: it leases no more until all workers have said or their leases are over", "within", a.grant.Frozen)
	case !frozen && before.Frozen > 0:
		log.Info("binds are leased again")
	}
	if before.Limit > a.grant.Limit {
		log.Warn("fewer binds are tried for a while over the fleet", "binds", a.grant.Limit, "before", before.Limit)
	}
}

// shareLocked has units leave or come so that n have a slot. A leaving unit
// keeps its slot until its sessions have ended.
func (p *Pool) shareLocked(n int) {
	var staying []*unit
	for _, u := range p.members().units {
		if u.slot && !u.leaving {
			staying = append(staying, u)
		}
	}
	if excess := len(staying) - n; excess > 0 {
		slices.SortStableFunc(staying, func(a, b *unit) int {
			return cmp.Or(cmp.Compare(a.bound(), b.bound()), cmp.Compare(a.load(), b.load()))
		})
		for _, u := range staying[:excess] {
			p.leaveLocked(u, errGivesWay)
		}
	}
	for _, firm := range []bool{true, false} {
		for _, u := range p.members().units {
			if p.heldLocked() < n && !u.slot && !u.retired && u.firmLocked() == firm {
				p.admitLocked(u)
			}
		}
	}
}

// heldLocked counts the units that have a slot.
func (p *Pool) heldLocked() (n int) {
	for _, u := range p.members().units {
		if u.slot {
			n++
		}
	}
	return n
}

// load counts the unit's messages without an answer.
func (u *unit) load() (n int) {
	for _, b := range u.binds {
		if s := b.session.Load(); s != nil {
			n += s.Window() - s.Free()
		}
	}
	return n
}

func (p *Pool) admitLocked(u *unit) {
	u.slot, u.why = true, nil
	for _, b := range u.binds {
		select {
		case b.permitted <- struct{}{}:
		default: // it has been told
		}
	}
}

// leaveLocked has the unit's sessions end in good order.
func (p *Pool) leaveLocked(u *unit, why error) {
	u.leaving, u.why = true, why
	for _, b := range u.binds {
		if b.leave != nil {
			b.leave(why)
		}
	}
	p.vacateLocked(u)
}

// unanswered hears that a renewal failed.
func (p *Pool) unanswered(err error) {
	p.mu.Lock()
	first := p.tenancy.err == nil
	p.tenancy.err = err
	p.mu.Unlock()
	if first {
		p.deps.Logger.Warn("bind slots not renewed", "route", p.config().Route, "error", err)
	}
}

// lapse has everything leave: the lease ends soon.
func (p *Pool) lapse() {
	p.change(func() {
		for _, u := range p.members().units {
			if u.slot {
				p.leaveLocked(u, errLapsed)
			}
		}
	})
}

// cutSlots closes what is still open at the end of the lease.
func (p *Pool) cutSlots() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.members().binds {
		if b.cut != nil {
			b.cut()
		}
	}
}

// endTenancy hears that intake is over: slots go back as binds end.
func (p *Pool) endTenancy() {
	p.change(func() {
		p.tenancy.ending = true
		for _, u := range p.members().units {
			p.vacateLocked(u)
		}
	})
}

// farewell is how long a session that ends for the cause of its intake's end
// waits for open messages, and the reason to log, nil for a drain.
func (b *bind) farewell(cause error) (limit time.Duration, reason error) {
	switch {
	case errors.Is(cause, errGivesWay), errors.Is(cause, errChanged), errors.Is(cause, errRetired):
		return b.pool.config().ResponseTimeout + sessionDrain, cause
	case errors.Is(cause, errLapsed):
		return lapseDrain, errLapsed
	}
	return b.pool.config().DrainTimeout, nil
}

// Standby reports whether the pool has no bind because other workers have all
// that the account may have, or because Redis does not say. Listeners of Notify
// are told when that changes.
func (p *Pool) Standby() bool {
	return p.deps.Slots != nil && !p.tenancy.some.Load()
}

// Slots returns the pool's part of the account's binds, nil without Deps.Slots.
func (p *Pool) Slots() *SlotStatus {
	if p.deps.Slots == nil {
		return nil
	}
	use := p.slotUse()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &SlotStatus{SlotGrant: p.tenancy.last, Held: use.Held, Wanted: use.Wanted}
	if p.tenancy.err != nil {
		s.Err = p.tenancy.err.Error()
	}
	return s
}
