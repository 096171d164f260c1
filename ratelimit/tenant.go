package ratelimit

import (
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
)

// tenant is one worker's side of the leases of a route: what it holds, what it
// asks for and when. It reads no clock and calls nobody; its times are of one
// monotonic clock.
type tenant struct {
	limits Limits
	terms  terms
	purse  purse
	clock  redisClock
	budget *rate.Limiter // of calls

	limited bool          // nothing may be taken without a lease
	alarmed bool          // it has become so since the last call
	hungry  bool          // a take found too little since the last call
	least   int           // what it was after
	taken   int           // tokens since the last call
	urgent  int           // of these, for urgent messages
	lasts   time.Duration // from the last take until its tokens must be written
	lost    int64
	usual   float64       // tokens between two calls, of late at most
	pressed float64       // of these, for urgent messages
	reach   float64       // the most that is of use to it in one call
	probe   time.Time     // from then on reach grows
	between time.Duration // from the last time that it sank to probe
	asked   time.Time     // when the last call began
	before  time.Time     // the one before
	sooner  time.Time     // not before this: Redis said so
	denied  bool          // the last call got nothing

	away    bool      // the last call failed
	pending time.Time // since when a call has no answer
	again   time.Time // after a failure
	backoff time.Duration
	alone   bool      // something was taken without a lease since Redis was away
	static  time.Time // when the next token is due that needs no lease

	report report
	known  answer    // the last
	since  time.Time // what was sent before has nothing to do with the present rate
}

// report is what a worker tells the others about the SMSC.
type report struct {
	accepted, throttled int
	congestion          int // highest congestion_state, -1 for none
	begun               time.Time

	earlier      int // accepted before begun
	earlierBegun time.Time
}

// request is one call.
type request struct {
	least, need, extra int
	still              time.Duration // below 0: none
	horizon, grace     time.Duration
	report             report
	over               time.Duration
	cut                string
	sent               time.Time
	redis              time.Duration // Redis's Unix time then, 0 when unknown
}

// answer is what fleetScript said.
type answer struct {
	at        time.Duration // Unix time
	granted   int
	start     time.Duration
	rate      float64
	capacity  float64
	wait      time.Duration
	effective float64
	limited   bool
	reason    string
	cut       string
	workers   int
}

const (
	silence      = 250 * time.Millisecond // of Redis, until it counts as away
	leastBackoff = 100 * time.Millisecond
	mostBackoff  = 400 * time.Millisecond
	// standstill is longer than a worker needs to notice that Redis is back.
	settling   = 2 * horizon // after a cut: what was lent before it is spent
	standstill = mostBackoff + silence
	reporting  = 200 * time.Millisecond // between reports that no lease is asked with
	sustained  = 4 * period             // between calls: so much use is expected to go on
	unknown    = time.Second            // wait when nobody knows; a new lease tells
	backlog    = 64                     // tokens: who waits for as many has more behind them than he can show
	cautious   = 500                    // tokens: above, reach is no matter
	fading     = 0.9                    // of usual, with each call
	// From what was too much for the windows to trying more, doubled each time.
	leastBetween = 200 * time.Millisecond
	mostBetween  = 5 * time.Second
	alarming     = 10 // throttled messages, and a tenth of all, stop an unlimited route
)

func newTenant(l Limits) *tenant {
	t := &tenant{budget: rate.NewLimiter(callsPerSecond, callsAtOnce), report: report{congestion: -1}, known: answer{cut: "0"}}
	t.set(l)
	return t
}

// set changes the limits from the next call on.
func (t *tenant) set(l Limits) {
	t.limits = l.withDefaults()
	t.terms = t.limits.terms()
	t.limited = t.limited || t.terms.rate > 0
	t.reach = math.Inf(1)
	t.sooner = time.Time{} // that was said of another rate
}

// take spends n tokens and returns 0, or none and says how long it may be. What
// is not urgent leaves as many as urgent messages took of late: a worker's
// tokens come in runs, and who finds none waits for its next.
func (t *tenant) take(now time.Time, n int, urgent bool) time.Duration {
	keep := 0
	if urgent {
		t.urgent += n
	} else if t.pressed >= 0.5 || t.urgent > 0 {
		keep = 1 + int(math.Ceil(t.pressed))
	}
	if t.lasts = t.terms.written(); !t.limited {
		t.taken += n
		return 0
	}
	if t.purse.take(now, n, keep) {
		t.taken += n
		t.lasts += t.purse.early
		return 0
	}
	if urgent {
		t.urgent -= n
	}
	t.hungry, t.least = true, n
	if t.absent(now) && t.purse.left(now) == 0 && t.limits.WithoutRedis > 0 {
		return t.takeAlone(now, n)
	}
	if wait, ok := t.purse.wait(now, n, keep); ok {
		return wait
	}
	return unknown
}

// takeAlone takes what needs no lease. It begins empty and saves nothing.
func (t *tenant) takeAlone(now time.Time, n int) time.Duration {
	each := time.Duration(float64(time.Second) / t.limits.WithoutRedis)
	if !t.alone {
		t.alone, t.static = true, now.Add(each)
	}
	if wait := t.static.Sub(now); wait > 0 {
		return wait
	}
	t.static = now.Add(time.Duration(n) * each)
	t.taken += n
	return 0
}

// absent reports whether Redis does not answer.
func (t *tenant) absent(now time.Time) bool {
	return t.away || !t.pending.IsZero() && now.Sub(t.pending) > silence
}

// due says when the next call is, if any is.
func (t *tenant) due(now time.Time) (at time.Time, ok bool) {
	end := t.purse.end().Add(-lead - t.trip())
	switch {
	case t.limited && t.hungry:
		at, ok = later(end, t.sooner), true
	case t.limited && t.taken > 0 && t.asked.Sub(t.before) < sustained:
		at, ok = later(end, t.asked.Add(period)), true
	}
	if t.report.throttled > 0 || t.report.congestion >= nearlyTooMuch {
		if told := t.asked.Add(reporting); !ok || told.Before(at) {
			at, ok = told, true
		}
	}
	if !ok {
		return at, false
	}
	if t.away {
		at = later(at, t.again)
	}
	at = later(at, now)
	if short := 1 - t.budget.TokensAt(at); short > 0 {
		at = at.Add(time.Duration(math.Ceil(short / callsPerSecond * float64(time.Second))))
	}
	return at, true
}

// trip is what a round trip to Redis adds to the time that a lease has to be
// asked for in advance: more than that is a disturbance.
func (t *tenant) trip() time.Duration {
	return min(t.clock.hi-t.clock.lo, period)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// ask makes the request that is due now. waiting is how many tokens jobs wait
// for, room whether the SMSC would take more of them if there were. It is not
// ok when there is nothing to ask for after all.
func (t *tenant) ask(now time.Time, waiting int, room bool) (r request, ok bool) {
	t.purse.sweep(now)
	left := t.purse.left(now)
	missing := max(waiting, t.least) - left
	if t.limited && t.hungry && missing <= 0 && t.report.throttled == 0 && t.report.congestion < nearlyTooMuch {
		t.hungry = false
		return r, false
	}
	t.budget.AllowN(now, 1)
	passed := now.Sub(t.asked)

	lost := t.purse.lost - t.lost
	t.lost = t.purse.lost
	t.usual = max(float64(t.taken), fading*t.usual)
	t.pressed = max(float64(t.urgent), fading*t.pressed)
	switch {
	case !room && lost > int64(t.taken/10): // it has tokens enough and windows too small
		if t.between = min(2*t.between, mostBetween); now.Sub(t.probe) > 4*t.between {
			t.between = leastBetween // the SMSC stood still for a moment: no habit of it
		}
		t.reach, t.probe = max(t.usual, 1), now.Add(t.between)
	case t.reach >= cautious:
		t.reach = math.Inf(1)
	case now.After(t.probe):
		t.reach = 1.15*t.reach + 0.1
	}
	r = request{least: max(t.least, 1), still: -1, horizon: horizon + t.trip(), grace: t.trip() + t.terms.grace(), cut: t.known.cut, sent: now, redis: t.clock.read(now)}
	if t.limited {
		switch {
		case t.hungry && missing > 0:
			r.need = missing
			if r.need >= backlog {
				r.need = max(r.need, 2*t.taken) // there is more behind
			}
			r.need = max(int(min(float64(r.need), t.reach)), r.least)
		case passed < sustained:
			r.extra = int(math.Ceil(1.25*float64(t.taken)*period.Seconds()/max(passed, period).Seconds())) - left
			r.extra = max(r.extra, 0)
		}
	}
	if t.away || t.alone {
		r.still = 0
		if t.alone {
			r.still = standstill
		}
	}
	r.report, r.over = t.report.lately(now)
	t.report = report{congestion: -1, begun: now}
	t.before, t.asked, t.pending = t.asked, now, now
	t.hungry, t.alarmed, t.taken, t.urgent = false, false, 0, 0
	return r, true
}

// answered takes in what Redis said to the request, and reports whether a take
// may succeed now that would not have.
func (t *tenant) answered(got time.Time, r request, a answer) (changed bool) {
	wasFree := !t.limited
	t.away, t.pending, t.backoff = false, time.Time{}, 0
	at := t.clock.observe(r.sent, got, a.at)
	if a.cut != t.known.cut {
		t.since = got.Add(settling)
		t.report = report{congestion: -1, begun: t.since}
	}
	t.known = a
	if !a.limited && t.alarmed { // Redis does not know that yet
		return false
	}
	t.limited = a.limited
	if !t.limited {
		t.alone = false
		t.purse.empty()
		return !wasFree
	}
	t.sooner = time.Time{}
	// Who took something without a lease since it asked takes none on top of it:
	// the next call asks for the standstill that this one did not.
	if t.alone = t.alone && r.still <= 0; t.alone {
		t.purse.refuse(a.granted)
		t.hungry, t.least = true, r.least
		return false
	}
	if a.granted > 0 {
		t.denied = false
		t.purse.add(at.Add(a.start), a.granted, a.rate, a.capacity)
		return true
	}
	if r.need > 0 || wasFree {
		t.hungry, t.least = true, r.least
		t.sooner = got.Add(a.wait + rand.N(time.Millisecond))
		if !t.denied && a.workers > 1 && a.rate > 0 {
			// Behind those who wait for longer.
			t.sooner = t.sooner.Add(time.Duration(float64(time.Second) / 8 / a.rate))
		}
		t.denied = true
	}
	return false
}

// failed takes in that the request was not answered.
func (t *tenant) failed(now time.Time, r request) {
	t.away, t.pending = true, time.Time{}
	t.backoff = min(max(2*t.backoff, leastBackoff), mostBackoff)
	t.again = now.Add(t.backoff)
	if r.need > 0 {
		t.hungry, t.least = true, r.least
	}
	t.report.accepted += r.report.accepted
	t.report.throttled += r.report.throttled
	t.report.congestion = max(t.report.congestion, r.report.congestion)
	t.report.begun = r.sent.Add(-r.over)
}

// throttled hears that a message was throttled that was written at sent. What
// was written before the last cut, or with what was lent before it, has had its
// consequence. It reports whether
// the worker has to ask for leases from now on.
func (t *tenant) throttled(sent time.Time) (alarmed bool) {
	if !sent.After(t.since) {
		return false
	}
	r := &t.report
	r.throttled++
	if t.limited || r.throttled < alarming || 10*r.throttled <= r.accepted {
		return false
	}
	t.limited, t.alarmed, t.hungry, t.least = true, true, true, 1 // until the fleet has decided
	return true
}

// roll keeps what is counted without calls to the last second or two.
func (r *report) roll(now time.Time) {
	r.earlier, r.earlierBegun = r.accepted, r.begun
	r.accepted, r.begun = 0, now
}

// lately is the report and what time it is of, a second at most.
func (r *report) lately(now time.Time) (report, time.Duration) {
	l := *r
	over := now.Sub(r.begun)
	if r.earlier > 0 {
		l.accepted += r.earlier
		over = now.Sub(r.earlierBegun)
	}
	if over > time.Second {
		l.accepted = int(float64(l.accepted) * float64(time.Second) / float64(over))
		over = time.Second
	}
	return l, over
}
