package ratelimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// FleetConfig describes the limit of one route in one worker.
type FleetConfig struct {
	Route  string
	Prefix string // of the Redis keys. Default sw
	Limits Limits
}

// Fleet is the limit of a route over all workers: a token bucket in Redis, from
// which workers lease a few hundredths of a second's worth at a time. Over any window of a
// second and more, of length d, all of them give out no more than rate × d + burst tokens,
// whatever becomes of a worker or of Redis; see terms. What is leased and not
// spent in time is lost. A worker that has nothing to send leases nothing.
//
// While the SMSC throttles the rate is lower, for all workers: see adaptLua.
//
// Take never blocks: a goroutine of Run talks to Redis. It is safe for
// concurrent use.
type Fleet struct {
	redis  redis.Scripter
	keys   []string
	member string // which worker, and which life of it
	burst  atomic.Int64
	lasts  atomic.Int64  // of Lasts, ns
	poke   chan struct{} // capacity 1; written by takes, read by Run

	epoch    time.Time
	since    atomic.Int64 // of the last cut, ns after epoch
	accepted atomic.Int64 // since the last look

	mu      sync.Mutex
	tenant  *tenant            // guarded by mu
	holding hold               // what the last Take waited for; guarded by mu
	calls   int64              // guarded by mu
	fault   error              // of the last call; guarded by mu
	turn    func()             // guarded by mu
	waiting func() (int, bool) // guarded by mu
}

// hold is what keeps a token back.
type hold uint8

const (
	holdNothing hold = iota
	holdRate
	holdThrottled
	holdRedis
)

// NewFleet returns a limit that gives out nothing before Run, unless it is unlimited.
func NewFleet(cfg FleetConfig, client redis.Scripter) *Fleet {
	var b [6]byte
	rand.Read(b[:]) // never fails
	key := cmp.Or(cfg.Prefix, "sw") + ":t:{" + cfg.Route + "}"
	f := &Fleet{
		redis: client, keys: []string{key, key + ":workers"}, member: fmt.Sprintf("%x", b),
		poke: make(chan struct{}, 1), epoch: time.Now(), tenant: newTenant(cfg.Limits),
	}
	f.tenant.report.begun = f.epoch
	f.bound()
	return f
}

// Set changes the limits for this worker, from its next lease on.
func (f *Fleet) Set(l Limits) {
	f.mu.Lock()
	f.tenant.set(l)
	f.bound()
	f.mu.Unlock()
	f.wake()
}

// bound notes what the terms say to who does not lock. Called with mu held.
func (f *Fleet) bound() {
	f.burst.Store(int64(f.tenant.terms.capacity))
}

// Notify registers turn, which is called without locks held when Take may succeed sooner than it
// said, and waiting, which says how many tokens there is work for, and whether
// there is room for that at the SMSC. Neither may block. To be called before Run.
func (f *Fleet) Notify(turn func(), waiting func() (tokens int, room bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn, f.waiting = turn, waiting
}

// Take takes n tokens and returns 0, or takes none and says how long it may be
// until there are n, at most a second. n is at most Burst.
func (f *Fleet) Take(n int) (wait time.Duration) { return f.take(n, false) }

// TakeUrgent does so for a message that goes before others: Take leaves it as
// many tokens as it took of late, so that it need not wait for the worker's next.
func (f *Fleet) TakeUrgent(n int) (wait time.Duration) { return f.take(n, true) }

func (f *Fleet) take(n int, urgent bool) (wait time.Duration) {
	f.mu.Lock()
	t := f.tenant
	wasHungry := t.hungry
	now := time.Now()
	if wait = t.take(now, n, urgent); wait > 0 {
		f.holding = t.hold(now)
	} else {
		f.holding = holdNothing
		f.lasts.Store(int64(t.lasts))
	}
	wake := wait > 0 && !wasHungry
	f.mu.Unlock()
	if wake {
		f.wake()
	}
	return wait
}

// Burst returns how many tokens Take can give at once; 0 means that there is no bound.
// It is a little less than what was configured, see terms.
func (f *Fleet) Burst() int { return int(f.burst.Load()) }

// Lasts is how long after the last Take its tokens may be written: spent later
// they are on top of what others spend then.
func (f *Fleet) Lasts() time.Duration { return time.Duration(f.lasts.Load()) }

// Accepted hears that the SMSC took a message that was written at sent.
func (f *Fleet) Accepted(sent time.Time) {
	if int64(sent.Sub(f.epoch)) > f.since.Load() {
		f.accepted.Add(1)
	}
}

// Throttled hears that a message written at sent was refused because messages
// come too fast.
func (f *Fleet) Throttled(sent time.Time) {
	f.mu.Lock()
	f.gather()
	f.tenant.throttled(sent)
	f.mu.Unlock()
	f.wake()
}

// Congestion hears of a congestion_state, 0..100, that the SMSC gave (SMPP 5.0
// §4.8.4.18). Below the optimum, 80, the rate recovers, at the optimum it
// stays, from 90 on it is cut.
func (f *Fleet) Congestion(state uint8) {
	if state < optimumLoad {
		return
	}
	f.mu.Lock()
	r := &f.tenant.report
	r.congestion = max(r.congestion, int(state))
	f.mu.Unlock()
	if state >= nearlyTooMuch {
		f.wake()
	}
}

// Bounds of congestion_state (SMPP 5.0 §4.8.4.18): 0 idle, 1..29 low load,
// 30..49 medium, 50..79 high, 80..89 the optimum, 90..99 near congestion, 100
// congested.
const (
	optimumLoad   = 80
	nearlyTooMuch = 90
)

// Throttling reports whether it was throttling that the last Take had to wait for.
func (f *Fleet) Throttling() bool { return f.held() == holdThrottled }

// CutOff reports whether it was for want of Redis that the last Take had to wait.
func (f *Fleet) CutOff() bool { return f.held() == holdRedis }

func (f *Fleet) held() hold {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.holding
}

// hold says what a take that found nothing waits for.
func (t *tenant) hold(now time.Time) hold {
	switch {
	case t.absent(now):
		return holdRedis
	case t.known.effective > 0 || t.terms.rate == 0:
		return holdThrottled
	}
	return holdRate
}

func (f *Fleet) wake() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// gather moves what was counted without the lock. Called with mu held.
func (f *Fleet) gather() { f.tenant.report.accepted += int(f.accepted.Swap(0)) }

// Run keeps the worker in tokens until ctx ends. It returns nil.
func (f *Fleet) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.poke:
		case <-timer.C:
		}
		timer.Reset(f.tend(ctx))
	}
}

// rolling is how often an unlimited route's count begins anew.
const rolling = time.Second

// tend makes the call that is due, if any, and says when to look again.
func (f *Fleet) tend(ctx context.Context) time.Duration {
	f.mu.Lock()
	t := f.tenant
	now := time.Now()
	at, ok := t.due(now)
	switch {
	case !ok || at.After(now):
		wait := rolling
		if ok {
			wait = at.Sub(now)
		}
		if f.gather(); !t.limited && now.Sub(t.report.begun) >= rolling {
			t.report.roll(now)
		}
		f.mu.Unlock()
		return min(wait, rolling)
	}
	waiting := f.waiting
	f.mu.Unlock()

	n, room := 0, true
	if waiting != nil {
		n, room = waiting() // takes the lock that Take is called under
	}
	f.mu.Lock()
	f.gather()
	r, ok := t.ask(time.Now(), n, room)
	if !ok {
		f.mu.Unlock()
		return 0
	}
	limits, terms := t.limits, t.terms
	f.calls++
	f.mu.Unlock()

	a, err := f.call(ctx, limits, terms, r)

	f.mu.Lock()
	got := time.Now()
	f.fault = err
	var changed bool
	if err != nil {
		t.failed(got, r)
	} else {
		changed = t.answered(got, r, a)
		f.since.Store(int64(t.since.Sub(f.epoch)))
	}
	turn := f.turn
	f.mu.Unlock()
	if changed && turn != nil {
		turn()
	}
	return 0
}

// kept is how long Redis remembers a route that nobody asks for.
const kept = 24 * time.Hour

var errAnswer = errors.New("lease tokens: not an answer of the script")

func (f *Fleet) call(ctx context.Context, l Limits, t terms, r request, clock ...any) (answer, error) {
	still := r.still.Microseconds()
	if r.still < 0 {
		still = -1
	}
	args := append([]any{
		f.member, l.Rate, t.rate, t.capacity, l.Floor, r.least, r.need, r.extra, r.horizon.Microseconds(), period.Microseconds(), still,
		r.report.accepted, r.over.Microseconds(), r.report.throttled, r.report.congestion, r.cut, r.grace.Microseconds(), int(kept.Seconds()), r.redis.Microseconds(),
	}, clock...)
	v, err := fleetScript.Run(ctx, f.redis, f.keys, args...).StringSlice()
	if err != nil {
		return answer{}, fmt.Errorf("lease tokens: %w", err)
	}
	if len(v) != 11 {
		return answer{}, errAnswer
	}
	var failed error
	number := func(i int) float64 {
		n, err := strconv.ParseFloat(v[i], 64)
		failed = errors.Join(failed, err)
		return n
	}
	micros := func(i int) time.Duration { return time.Duration(number(i)) * time.Microsecond }
	a := answer{
		at: micros(0), granted: int(number(1)), start: micros(2), rate: number(3), capacity: number(4), wait: micros(5),
		effective: number(6), limited: number(7) == 1, reason: v[8], cut: v[9], workers: int(number(10)),
	}
	if failed != nil {
		return answer{}, fmt.Errorf("%w: %w", errAnswer, failed)
	}
	return a, nil
}

// FleetStatus is the state of a limit in this worker.
type FleetStatus struct {
	Configured float64 // tokens per second; 0 means unlimited
	Effective  float64 // over the fleet, now; 0 means unlimited
	Reason     string  // why it is what it is: configured, unlimited, throttled, congestion or redis_away
	Workers    int     // that asked for leases lately
	Calls      int64   // of the script, since the beginning, as all that follow
	Granted    int64   // tokens leased
	Spent      int64   // of these
	Lost       int64   // of these, not spent in time
	Fault      error   // of the last call
}

// Status returns the present state.
func (f *Fleet) Status() FleetStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tenant
	s := FleetStatus{
		Configured: t.limits.Rate, Effective: t.limits.Rate, Reason: "configured", Workers: t.known.workers,
		Calls: f.calls, Granted: t.purse.granted, Spent: t.purse.spent, Lost: t.purse.lost, Fault: f.fault,
	}
	switch {
	case t.limited && t.absent(time.Now()):
		s.Reason, s.Effective = "redis_away", t.limits.WithoutRedis
	case t.known.effective > 0:
		s.Reason, s.Effective = t.known.reason, t.known.effective
	case t.limits.Rate == 0:
		s.Reason = "unlimited"
	}
	return s
}
