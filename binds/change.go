package binds

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"

	"github.com/shortwire-sms/shortwire/binds/smpp"
)

// Why a unit leaves a good session after a change of configuration.
var (
	errChanged = errors.New("binds again: the configuration has changed")
	errRetired = errors.New("ends: the configuration has fewer binds, or others")
)

// Change puts another configuration of the same route in force. An error means
// that nothing has changed.
//
//   - The window, classes of status and pauses hold at once, also for sessions
//     that are bound.
//   - Binds that are added begin, those that are too many end after their open
//     messages.
//   - When anything changes that a session is made with, units bind again one
//     after another: the next one leaves its session when the one before it is
//     bound. So a route goes on sending, and settings that the SMSC refuses cost
//     it one bind. Units that are not bound try with the new settings at once.
//
// The TLS settings are the same if the pointers are.
func (p *Pool) Change(cfg Config) error {
	cfg.Route = p.config().Route
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return err
	}
	p.cfg.Store(&cfg)
	for _, b := range p.members().senders {
		b.widen()
	}
	p.again()
	return nil
}

// again has reconcile look at the configuration.
func (p *Pool) again() {
	select {
	case p.changed <- struct{}{}:
	default: // it will
	}
}

// like reports whether sessions made with c are as o would have them.
func (c *Config) like(o *Config) bool {
	if c == o {
		return true
	}
	made := func(c *Config) Config {
		d := *c
		// What holds without a new session, and what is compared by itself.
		d.Binds, d.Window, d.Status, d.Ordered, d.ReturnAfter, d.DrainTimeout, d.Backoff, d.TLS = 0, 0, Overrides{}, false, 0, 0, Backoff{}, nil
		return d
	}
	return c.TLS == o.TLS && reflect.DeepEqual(made(c), made(o))
}

// widen gives the session the window of the configuration.
func (b *bind) widen() {
	b.mu.Lock()
	s := b.current
	b.mu.Unlock()
	if s != nil && b.kind != smpp.Receiver {
		s.Resize(b.pool.config().Window)
	}
}

// renew takes the configuration for the next attempt.
func (b *bind) renew() {
	cfg := b.pool.config()
	if cfg == b.cfg {
		return
	}
	old := b.cfg
	b.cfg = cfg
	if !slices.Equal(old.Endpoints, cfg.Endpoints) || old.Ordered != cfg.Ordered {
		b.route = newEndpoints(cfg, b.index)
	}
	b.route.away, b.route.stable = cfg.ReturnAfter, cfg.Backoff.StableAfter
	if !old.like(cfg) {
		b.failures, b.silent, b.alarm = 0, 0, ""
	}
}

// start has the unit's binds live until intake ends or the unit is retired. They
// wait for those of the same index that end: both would be more than configured.
func (p *Pool) start(wg *sync.WaitGroup, intake, work context.Context, u *unit) {
	intake, end := context.WithCancelCause(intake)
	p.mu.Lock()
	u.end = end
	before := p.endingLocked(u.index)
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, b := range u.binds {
		both.Go(func() {
			if before != nil {
				select {
				case <-before.over: // bounded by its drain
				case <-intake.Done():
				}
			}
			b.run(intake, work)
		})
	}
	wg.Go(func() {
		both.Wait()
		end(nil)
		p.change(func() {
			if u.retired {
				p.enlistLocked(slices.DeleteFunc(slices.Clone(p.members().units), func(have *unit) bool { return have == u }))
			}
		})
		close(u.over)
	})
}

// endingLocked returns the oldest unit with an index that is retired, nil when there is none.
func (p *Pool) endingLocked(index int) *unit {
	for _, u := range p.members().units {
		if u.index == index && u.retired {
			return u
		}
	}
	return nil
}

// retire ends a unit in good order; it is forgotten when that is done.
func (p *Pool) retire(u *unit) {
	p.change(func() {
		u.retired = true
		if u.slot {
			p.leaveLocked(u, errRetired)
		}
		u.end(errRetired)
	})
}

// reconcile makes the units those of the configuration, whenever that changes,
// until intake ends.
func (p *Pool) reconcile(intake context.Context, start func(*unit)) {
	for {
		select {
		case <-intake.Done():
			return
		case <-p.changed:
		}
		p.conform(intake, start)
	}
}

// conform does the work of reconcile until all is as it should be, or the
// configuration changes again.
func (p *Pool) conform(intake context.Context, start func(*unit)) {
	cfg := p.config()
	var stale []*unit
	for i := range max(cfg.Binds, maxBinds) {
		u := p.unit(i)
		switch {
		case u == nil && i < cfg.Binds:
			start(p.add(i))
		case u == nil:
		case i >= cfg.Binds:
			p.retire(u)
		default:
			stale = append(stale, u)
		}
	}
	p.tell()
	for i, u := range stale {
		if intake.Err() != nil || len(p.changed) > 0 {
			return
		}
		if u.pair != cfg.Pair || u.kind != cfg.BindType {
			p.retire(u)
			<-u.over // bounded by its drain, or by work
			u = p.add(u.index)
			start(u)
		} else if !p.rebind(u, cfg) {
			continue
		}
		if left := len(stale) - i - 1; left > 0 && !p.await(intake, u, cfg) {
			return
		}
	}
}

// unit returns the unit with an index, nil when there is none or it ends.
func (p *Pool) unit(index int) *unit {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.members().units {
		if u.index == index && !u.retired {
			return u
		}
	}
	return nil
}

// rebind has the unit leave sessions that are not made with cfg, and reports
// whether there was one. What is not bound tries at once.
func (p *Pool) rebind(u *unit, cfg *Config) (left bool) {
	for _, b := range u.binds {
		b.mu.Lock()
		bound, old := b.current != nil, b.under
		b.mu.Unlock()
		if bound && old.like(cfg) {
			continue
		}
		left = left || bound
		p.mu.Lock()
		leave := b.leave
		p.mu.Unlock()
		if leave != nil {
			leave(errChanged)
		}
		if !bound {
			select {
			case b.retry <- struct{}{}:
			default: // it has been told
			}
		}
	}
	return left
}

// await waits until the unit is bound with cfg, or has no part in it now. One
// that lost its slot because it could not bind has: what the SMSC refuses here
// it would refuse the next unit, too. It returns false when intake ended or the
// configuration changed first.
func (p *Pool) await(intake context.Context, u *unit, cfg *Config) bool {
	for !p.arrived(u, cfg) {
		select {
		case <-intake.Done():
			return false
		case <-p.entered:
		case <-p.changed:
			p.again()
			return false
		}
	}
	return true
}

func (p *Pool) arrived(u *unit, cfg *Config) bool {
	if p.heldFor(u) > 0 {
		return true
	}
	p.mu.Lock()
	waits := p.deps.Slots != nil && !u.slot && !slices.ContainsFunc(u.binds, func(b *bind) bool { return !b.doubt.IsZero() })
	p.mu.Unlock()
	return waits || !slices.ContainsFunc(u.binds, func(b *bind) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.current == nil || b.state != StateBound || !b.under.like(cfg)
	})
}
