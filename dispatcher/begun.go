package dispatcher

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// begun reports whether something of the job is at an SMSC, or may be. Its rest
// goes the same way: parts of two routes do not join, and a second SMSC would
// make a duplicate of what is only in doubt.
func (a *attempt) begun() bool { return a.ref.Doubt || len(a.parts) > 0 }

// errNoWay says that the job cannot go by the way that it must go, nor should
// it keep a hand from those that have another.
var errNoWay = errors.New("the route that must carry it cannot send")

// waitsFor reports whether a job that was begun waits in hand for the one way
// that it may go: not for another's for as long as that is paused, or has no
// bind and is no fallback any more, nor while others can send.
func (d *Dispatcher) waitsFor(r *detours, out *Dispatcher, lane sms.Lane) bool {
	switch {
	case out == d:
	case !out.turnstile.open(lane):
		return false
	case r == nil || !r.has(out):
		return out.deps.Binds.Bound() > 0
	}
	return r.able(out)
}

// tries reports whether a job that was begun may be the one that finds out
// whether the account of its way is still refused: there may be no others.
func (r *detours) tries(out *Dispatcher, lane sms.Lane) bool {
	return r != nil && slices.ContainsFunc(r.ways, func(w *way) bool { return w.Dispatcher == out && w.tries(lane) })
}

// carrier is the route that has something of a job; via is empty for its own.
// One that does not run here, nil, may be about to begin anew. At the last
// attempt it counts as not configured any more, and the job's own takes its
// place, unless it has parts of the job; see stranded.
func (d *Dispatcher) carrier(a *attempt, via string) *Dispatcher {
	if via == "" || via == d.route {
		return d
	}
	out := d.deps.Routes.find(via)
	if out == nil && a.ref.Attempt >= d.config().Retry.MaxAttempts {
		return d
	}
	return out
}

// resumeAt begins a job, before its messages are made, where its headers say
// that it was begun. They may be the producer's, who may not choose any route;
// where else it may have been begun the ledger knows.
func (d *Dispatcher) resumeAt(a *attempt, via string) {
	if !d.leadsTo(via) {
		return
	}
	switch out := d.carrier(a, via); out {
	case d:
	case nil:
		a.ref.Via = via
	default:
		a.out, a.ref.Via = out, via
	}
}

// leadsTo reports whether the route is among this one's fallbacks.
func (d *Dispatcher) leadsTo(route string) bool {
	seen := make(map[*Dispatcher]bool)
	for next := d; next != nil && !seen[next]; next = d.deps.Routes.find(next.config().Fallback.Route) {
		seen[next] = true
		if route != "" && next.config().Fallback.Route == route {
			return true
		}
	}
	return false
}

// follow has the attempt go on where the ledger says that the job was begun,
// and reports whether that is another way than the one it has a turn for.
func (d *Dispatcher) follow(a *attempt, via string) (elsewhere bool) {
	out, had := d.carrier(a, via), a.out
	if out == nil || d.take(a, out) != nil {
		a.ref.Via = via
		return true
	}
	return out != had
}

// putOff looks at a job again later that waits for the one route that may send
// it. In hand it would keep others from going by another.
func (d *Dispatcher) putOff(work context.Context, a *attempt) {
	at := time.Now().Add(min(max(d.config().Retry.Max, lookAgain), maxPutOff))
	if e := a.job.ExpiresAt; !e.IsZero() && e.Before(at) {
		at = e
	}
	d.schedule(work, a, Retry{At: at, Attempt: a.ref.Attempt, InHand: a.ref.Stored != 0})
}

// maxPutOff is how long putOff puts off at most.
const maxPutOff = 30 * time.Second
