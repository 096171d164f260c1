package ratelimit

import (
	"math"
	"sync"
	"time"
)

// What a Brake goes by.
const (
	leastFirst    = 10               // answers within two seconds before it acts: some messages have a fault of their own
	leastAgain    = 2                // the same while it brakes
	shareRefused  = 10               // and more than one in so many of what was sent
	patience      = time.Second      // from the end of a pause until it may act again
	firstPause    = time.Second      // nothing is sent after it acted, doubled while nothing gets through
	longestPause  = 30 * time.Second //
	regain        = 10 * time.Second // until it allows again what it cut: 5 % of that a second
	growth        = 1.05             // a second, from there on
	slowest       = 1.0              // per second; below that pauses do the rest
	brakeSlack    = time.Second / 10 // worth of tokens that may go at once
	releaseFactor = 2.0              // of the rate at which it first acted: there it lets go
)

// Brake slows a limit down while an SMSC answers that messages come too fast,
// and lets go when it has stopped: half the rate after a pause, then
// additively back, then 5 % more a second. It is safe for concurrent use and
// never blocks.
type Brake struct {
	limit Taker

	mu      sync.Mutex
	holding bool // the last Take waited for the brake; guarded by mu

	// Messages sent and refused in this second and the one before; guarded by mu.
	second        time.Time
	sent, refused [2]int

	// While it brakes; guarded by mu.
	acted     time.Time     // when it last did; zero while it does not brake
	pause     time.Duration // from acted
	cut       float64       // per second before it acted
	top       float64       // per second before it acted first
	next      time.Time     // the next message may go
	sentAll   int           // since acted
	refusedIn int           // of these
}

// Taker is a limit that a Brake works on.
type Taker interface {
	// Take takes n tokens, or none and says how long until it may succeed.
	Take(n int) (wait time.Duration)
	Burst() int // the largest n; 0 means unlimited
}

// NewBrake returns a brake on limit that does not brake yet.
func NewBrake(limit Taker) *Brake { return &Brake{limit: limit} }

// Burst returns that of the limit.
func (b *Brake) Burst() int { return b.limit.Burst() }

// Take takes n tokens of the limit and returns 0, or takes none and says how
// long it will be until it may succeed.
func (b *Brake) Take(n int) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	wait = b.wait(now)
	b.holding = wait > 0
	if b.holding {
		return wait
	}
	if wait = b.limit.Take(n); wait > 0 {
		return wait
	}
	b.roll(now)
	b.sent[0] += n
	if !b.acted.IsZero() {
		b.sentAll += n
		if floor := now.Add(-brakeSlack); b.next.Before(floor) {
			b.next = floor
		}
		b.next = b.next.Add(time.Duration(float64(n) / b.allowed(now) * float64(time.Second)))
	}
	return 0
}

// Braking reports whether the last Take had to wait for the brake, not for the limit.
func (b *Brake) Braking() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.holding
}

// Throttled hears that a message was answered with "too fast" now. What was
// sent before the brake last acted, and all that is answered in the pause, has
// had its consequence already.
func (b *Brake) Throttled(sent time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if !b.acted.IsZero() && (!sent.After(b.acted) || now.Before(b.acted.Add(b.pause))) {
		return
	}
	b.roll(now)
	b.refused[0]++
	b.refusedIn++
	least := leastFirst
	if !b.acted.IsZero() {
		if least = leastAgain; now.Before(b.acted.Add(b.pause + patience)) {
			return
		}
	}
	if n := b.refused[0] + b.refused[1]; n >= least && n*shareRefused > b.sent[0]+b.sent[1] {
		b.act(now)
	}
}

// act pauses and halves the rate. Called with mu held.
func (b *Brake) act(now time.Time) {
	var rate float64
	switch {
	case b.acted.IsZero():
		rate = max(float64(max(b.sent[0], b.sent[1])), slowest)
		b.top, b.pause = rate, firstPause
	case b.refusedIn*10 >= b.sentAll*9: // nothing gets through
		rate, b.pause = b.allowed(now), min(2*b.pause, longestPause)
	default:
		rate, b.pause = b.allowed(now), firstPause
	}
	b.cut, b.acted, b.next = rate, now, now.Add(b.pause)
	b.sentAll, b.refusedIn = 0, 0
	b.sent, b.refused = [2]int{}, [2]int{}
}

// wait says how long until the brake lets a message go. Called with mu held.
func (b *Brake) wait(now time.Time) time.Duration {
	if b.acted.IsZero() {
		return 0
	}
	if b.allowed(now) >= releaseFactor*b.top {
		b.acted = time.Time{}
		return 0
	}
	return max(b.next.Sub(now), 0)
}

// allowed is the rate per second now. Called with mu held.
func (b *Brake) allowed(now time.Time) float64 {
	since := now.Sub(b.acted.Add(b.pause))
	switch {
	case since <= 0:
		return max(b.cut/2, slowest)
	case since < regain:
		return max(b.cut/2*(1+since.Seconds()/regain.Seconds()), slowest)
	}
	return max(b.cut*math.Pow(growth, (since-regain).Seconds()), slowest)
}

// roll begins a new second where one has passed. Called with mu held.
func (b *Brake) roll(now time.Time) {
	switch gone := now.Sub(b.second); {
	case gone < time.Second:
	case gone < 2*time.Second:
		b.second = b.second.Add(time.Second)
		b.sent, b.refused = [2]int{0, b.sent[0]}, [2]int{0, b.refused[0]}
	default:
		b.second = now
		b.sent, b.refused = [2]int{}, [2]int{}
	}
}
