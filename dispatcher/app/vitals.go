package app

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher"
)

// How long nothing may move before only a restart can help.
const (
	beatPatience = 30 * time.Second // of the lookout, which looks at every route each second
	jobPatience  = time.Minute      // of a route's jobs, on top of its response_timeout
)

// vitals are whether the worker gets on with its work. The lookout writes them,
// /healthz reads them and waits for nothing that could itself be stuck.
type vitals struct {
	beatPatience, jobPatience time.Duration

	beat  atomic.Int64           // when the lookout was last through, Unix nanoseconds; 0 before the first time
	stuck atomic.Pointer[string] // which routes are, nil when none is; replaced as a whole
	moves map[string]*moves      // by route; of the lookout
}

// moves are what a route has done.
type moves struct {
	done  uint64    // that was counted last: deliveries, PDUs, outcomes
	hand  int       // jobs in hand then
	since time.Time // when that changed last, or the route had none to do
}

func newVitals() vitals {
	return vitals{beatPatience: beatPatience, jobPatience: jobPatience, moves: make(map[string]*moves)}
}

// pulse is what a look finds of a route.
type pulse struct {
	route   string
	done    uint64        // grows with all that is done for a job
	hand    int           // jobs in hand
	waits   bool          // for something outside: a limit, an operator, a server
	timeout time.Duration // of the SMSC's answers, which may all be awaited
}

// waitsOutside is what may keep a route's jobs in hand for as long as it likes.
var waitsOutside = []dispatcher.Limit{
	dispatcher.LimitRate, dispatcher.LimitThrottled, dispatcher.LimitNoBind, dispatcher.LimitStandby, dispatcher.LimitAccount,
	dispatcher.LimitRedis, dispatcher.LimitNATS, dispatcher.LimitPaused,
}

// look notes what every route has done.
func (v *vitals) look(now time.Time, all []pulse) {
	var stuck []string
	for _, p := range all {
		m := v.moves[p.route]
		if m == nil {
			m = new(moves)
			v.moves[p.route] = m
		}
		if p.hand == 0 || p.waits || m.since.IsZero() || p.done != m.done || p.hand != m.hand {
			m.done, m.hand, m.since = p.done, p.hand, now
		}
		if still := now.Sub(m.since); still > p.timeout+v.jobPatience {
			stuck = append(stuck, fmt.Sprintf("route %s has had %d jobs in hand for %v, and nothing was done for any of them", p.route, p.hand, still.Round(time.Second)))
		}
	}
	if len(stuck) == 0 {
		v.stuck.Store(nil)
	} else {
		v.stuck.Store(&stuck[0])
	}
	v.beat.Store(now.UnixNano())
}

// fault is why only a restart can help, nil when the worker gets on.
func (v *vitals) fault(now time.Time) error {
	if beat := v.beat.Load(); beat > 0 {
		if still := now.Sub(time.Unix(0, beat)); still > v.beatPatience {
			return fmt.Errorf("the worker has not looked at its routes for %v: something holds them", still.Round(time.Second))
		}
	}
	if why := v.stuck.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

// alive says why only a restart can help, nil when the worker gets on with its
// work or has none.
func (a *App) alive() error { return a.vitals.fault(time.Now()) }

// pulses look at the routes that run.
func (p *parts) pulses() []pulse {
	var all []pulse
	for _, r := range p.routes.all() {
		cfg, d := r.config(), r.dispatcher.Snapshot()
		one := pulse{route: cfg.Name, timeout: cfg.ResponseTimeout, waits: slices.Contains(waitsOutside, d.Limit)}
		for _, n := range d.InHand {
			one.hand += n
		}
		one.done = uint64(d.Received + d.Retries + d.DeadLetters)
		for _, n := range d.Outcomes {
			one.done += uint64(n)
		}
		for _, b := range r.pool.Snapshot() {
			one.done += uint64(b.Stats.Submits + b.Stats.Responses)
		}
		all = append(all, one)
	}
	return all
}

// ready says why no jobs can be taken, nil when they can.
func (a *App) ready() error {
	p := a.up.Load()
	switch {
	case a.draining.Load():
		return errors.New("draining")
	case p == nil:
		return errors.New("starting")
	case !p.nats.Connected():
		return errors.New("nats is away")
	case p.nats.Trouble() != "":
		return fmt.Errorf("nats takes no results: %s", p.nats.Trouble())
	case !p.desk.Healthy():
		return errors.New("redis is away")
	}
	why := errors.New("no route has a bind")
	for _, r := range p.routes.all() {
		if r.bound() > 0 {
			return nil
		}
		if !r.pool.Standby() {
			continue
		}
		// A standby takes over as soon as another gives a slot up, if it can lease one.
		switch s := r.slotStatus(); {
		case s.Error != "":
			why = fmt.Errorf("no route has a bind, and route %s cannot lease one: %s", r.config().Name, s.Error)
		case s.Frozen > 0:
			why = fmt.Errorf("no route has a bind, and none is leased on route %s yet: Redis may have lost who has which", r.config().Name)
		case s.Workers == 0:
			why = errors.New("no route has a bind, and none was leased yet")
		default:
			return nil
		}
	}
	return why
}
