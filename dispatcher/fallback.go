package dispatcher

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// FallbackPolicy says by which route jobs go that their own cannot send.
type FallbackPolicy struct {
	Route string        // whose rules, rates and lanes hold for them then. Default none
	After time.Duration // without a bind; a route whose account is refused cannot send at once. Default 30s
}

// Diversion is why, since when and by which route jobs go.
type Diversion struct {
	Via    string
	Reason Limit // LimitNoBind or LimitAccount
	Since  time.Time
}

// Routes is the dispatchers that run in a process, by route. The zero value
// has none.
type Routes struct {
	mu      sync.Mutex
	running map[string]*Dispatcher // guarded by mu
}

func (r *Routes) add(d *Dispatcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		r.running = make(map[string]*Dispatcher)
	}
	r.running[d.route] = d
}

// Announce says that Run follows: what the route has begun of others' jobs waits for it.
func (d *Dispatcher) Announce() { d.deps.Routes.add(d) }

func (r *Routes) remove(d *Dispatcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[d.route] == d {
		delete(r.running, d.route)
	}
}

func (r *Routes) find(route string) *Dispatcher {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running[route]
}

// detours is the ways out that a route's jobs have: its own, its fallback's,
// that one's fallback's and so on. nil for a route without a fallback.
type detours struct {
	ways   []*way
	reason Limit // why its own is not able, and since when
	since  time.Time
}

// way is a way out, as the last look found it.
type way struct {
	*Dispatcher
	able bool
	try  atomic.Bool // one job may find out whether the account is still refused
}

// elsewhere reports whether the route has no bind and no other way here, but
// other workers have the binds of one.
func (r *detours) elsewhere() bool {
	if r.straight() || r.reason != LimitNoBind || slices.ContainsFunc(r.ways, func(w *way) bool { return w.able }) {
		return false
	}
	return slices.ContainsFunc(r.ways[1:], func(w *way) bool { return w.standsBy() })
}

// straight reports whether jobs go by their own route.
func (r *detours) straight() bool { return r == nil || r.ways[0].able }

// first returns the first way that can send. That is the job's own when none
// can, and while an operator has paused the lane, which then waits.
func (r *detours) first(lane sms.Lane) *way {
	own := r.ways[0]
	if !own.turnstile.open(lane) {
		return own
	}
	for _, w := range r.ways {
		if w.able && w.turnstile.open(lane) {
			return w
		}
	}
	return own
}

// pick returns where the next job goes: as first says, but that it may be the
// one to try a refused account.
func (r *detours) pick(lane sms.Lane) *way {
	first := r.first(lane)
	if own := r.ways[0]; first == own && !own.turnstile.open(lane) {
		return own
	}
	for _, w := range r.ways {
		switch {
		case w == first && w.able:
			return w
		case w.tries(lane):
			return w
		}
	}
	return first
}

// tries reports whether a job may be the one to find out, and then no other may.
func (w *way) tries(lane sms.Lane) bool {
	return w.try.Load() && w.turnstile.open(lane) && w.try.CompareAndSwap(true, false)
}

// able reports whether a way can send, or no other can. One that is not among
// the ways may be able.
func (r *detours) able(out *Dispatcher) bool {
	if r == nil {
		return true
	}
	others := false
	for _, w := range r.ways {
		if w.able && w.Dispatcher == out {
			return true
		}
		others = others || w.able
	}
	return !others || !r.has(out)
}

func (r *detours) has(out *Dispatcher) bool {
	return slices.ContainsFunc(r.ways, func(w *way) bool { return w.Dispatcher == out })
}

// choose decides by which way the job goes out.
func (d *Dispatcher) choose(a *attempt) error {
	if d.duty.off.Load() {
		return errStandby
	}
	r := d.detours.Load()
	switch {
	case a.out == d && a.ref.Via == "" && r.straight():
		return nil
	case a.begun():
		out := d.carrier(a, a.ref.Via)
		if out == nil {
			a.ref.Attempt++
			return errNoWay
		}
		if err := d.take(a, out); err != nil {
			return err
		}
		if lane := a.del.Origin().Lane; !d.waitsFor(r, out, lane) && !r.tries(out, lane) {
			return errNoWay
		}
		return nil
	case r.straight():
		return d.take(a, d)
	}
	return d.take(a, r.pick(a.del.Origin().Lane).Dispatcher)
}

// take has the job go out by a way: its messages are made anew when that is
// another.
func (d *Dispatcher) take(a *attempt, out *Dispatcher) error {
	if out != a.out {
		msgs, err := out.config().Message.Encode(a.ref.Producer, a.job)
		if err != nil { // that route cannot say it
			return errNoWay
		}
		a.out, a.todo, a.total = out, msgs, len(msgs)
		for _, p := range a.parts {
			a.strike(p.Number)
		}
	}
	a.ref.Via = ""
	if out != d {
		a.ref.Via = out.route
	}
	return nil
}

// watch looks until ctx ends whether the route can send, and moves the jobs
// that wait accordingly.
func (d *Dispatcher) watch(ctx context.Context) {
	bindless := make(map[*Dispatcher]spell)
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p := d.config().Fallback
		tick.Reset(min(max(p.After/10, 100*time.Millisecond), time.Second))
		if p.Route == "" && d.detours.Load() == nil {
			continue
		}
		r := d.look(bindless, p)
		d.redirect(d.divert(r), r)
		d.report()
	}
}

// spell is a time without a bind, up to when it was last seen on duty: workers
// that stand by for each other try in turns.
type spell struct{ since, seen time.Time }

// look finds out which ways there are and which can send. bindless is those
// that have no bind.
func (d *Dispatcher) look(bindless map[*Dispatcher]spell, p FallbackPolicy) (r *detours) {
	r = new(detours)
	seen := make(map[*Dispatcher]bool)
	for next := d; next != nil && !seen[next]; next = d.deps.Routes.find(next.config().Fallback.Route) {
		seen[next] = true
		w := &way{Dispatcher: next, able: true}
		now := time.Now()
		reason, since := LimitNoBind, now
		before, without := bindless[next]
		if next.standsBy() {
			// Its own jobs are others' now. Who stands in for another must have a bind.
			w.able = next == d
			if now.Sub(before.seen) > p.After {
				delete(bindless, next)
			}
		} else if next.deps.Binds.Bound() > 0 {
			delete(bindless, next)
		} else {
			if without {
				since = before.since
			}
			w.able, bindless[next] = now.Sub(since) < p.After, spell{since, now}
		}
		if paused, due := next.turnstile.refused(); !paused.IsZero() && w.able {
			w.able, reason, since = false, LimitAccount, paused
			w.try.Store(due)
		}
		if next == d && !w.able {
			r.reason, r.since = reason, since
		}
		r.ways = append(r.ways, w)
	}
	for gone := range bindless {
		if !seen[gone] {
			delete(bindless, gone)
		}
	}
	return r
}

// divert puts what look found in force, says so when it is something new, and
// returns what was before.
func (d *Dispatcher) divert(r *detours) (old *detours) {
	old = d.detours.Swap(r)
	before, now := old.diversion(), r.diversion()
	switch {
	case now != nil && (before == nil || before.Via != now.Via):
		d.log.Warn("route cannot send, its jobs go by another", "via", now.Via, "limit", now.Reason, "since", now.Since)
	case now == nil && before != nil && r.straight():
		d.log.Info("route sends again", "diverted_for", time.Since(before.Since).Round(time.Millisecond))
	case now == nil && before != nil:
		d.log.Warn("route cannot send, nor can another in its place", "limit", r.reason, "since", r.since)
	}
	return old
}

// diversion is nil while jobs go by their own route, or wait for it.
func (r *detours) diversion() *Diversion {
	if r.straight() {
		return nil
	}
	for _, w := range r.ways {
		if w.able {
			return &Diversion{Via: w.route, Reason: r.reason, Since: r.since}
		}
	}
	return nil
}

// redirect sends this route's jobs that wait where they should not, any more,
// to choose again.
func (d *Dispatcher) redirect(old, r *detours) {
	if old != nil {
		for _, w := range old.ways {
			if !r.has(w.Dispatcher) {
				w.turnstile.move(func(of caller, _ int) bool { return of.route == d })
			}
		}
	}
	var first [laneCount]*way
	for i, lane := range sms.Lanes() {
		first[i] = r.first(lane)
	}
	trying := false
	for _, w := range r.ways {
		trying = trying || w.try.Load()
	}
	for _, w := range r.ways {
		var stays [laneCount]bool // what was begun
		for i, lane := range sms.Lanes() {
			stays[i] = d.waitsFor(r, w.Dispatcher, lane)
		}
		w.turnstile.move(func(of caller, lane int) bool {
			switch {
			case of.route != d:
				return false
			case of.begun:
				return !stays[lane]
			}
			return w != first[lane] || trying && !w.able
		})
	}
}
