package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"
)

// How an Adaptive reacts: multiplicatively down, additively up.
const (
	// slowDown is what remains of the rate after the SMSC says that it is congested.
	slowDown = 0.5
	// speedUp is the share of the full rate that comes back each second.
	speedUp = 0.05
	// reaction is how long a change is given to show before the next one of its
	// kind: the responses that are already on their way say the same.
	reaction = time.Second
	// floor is the least share of the full rate, and leastRate the least rate in
	// tokens per second: with none at all nobody would hear that it is over.
	floor     = 0.01
	leastRate = 1.0
	// largestTake is the largest n that Take must be able to grant while slowed:
	// the parts of the longest message.
	largestTake = 255
)

// Bounds of congestion_state (SMPP 5.0 §4.8.4.18): 0 idle, 1..29 low load,
// 30..49 medium, 50..79 high, 80..89 the optimum, 90..99 near congestion, 100
// congested.
const (
	optimumLoad   = 80
	nearlyTooMuch = 90
)

// Adaptive is a token bucket that slows down when the SMSC asks for it: halved
// at each Slow, at most once a second, and faster again by a twentieth of its
// full rate each second. It never exceeds the rate it was made with. When that
// is unlimited, its full rate is what was taken in the last second before it was
// slowed, and beyond that it is unlimited again. It is safe for concurrent use
// and never blocks.
type Adaptive struct {
	bucket    *Bucket
	perSecond float64 // ≤ 0: unlimited
	burst     int
	slowed    atomic.Bool
	taken     atomic.Int64 // since second; only counted while not slowed

	mu     sync.Mutex
	second time.Time // guarded by mu; when taken began to count
	lately float64   // guarded by mu; tokens per second before that
	full   float64   // guarded by mu; rate to come back to, while slowed
	rate   float64   // guarded by mu; the present one, while slowed
	cut    time.Time // guarded by mu; last Slow that counted
	grown  time.Time // guarded by mu; until then the rate has been raised
}

// NewAdaptive makes one, with perSecond and burst as in NewBucket.
func NewAdaptive(perSecond float64, burst int) *Adaptive {
	return &Adaptive{bucket: NewBucket(perSecond, burst), perSecond: perSecond, burst: burst, second: time.Now()}
}

// Take takes n tokens, or none and says how long to wait, as Bucket.Take does.
func (a *Adaptive) Take(n int) (wait time.Duration) {
	if a.slowed.Load() {
		a.grow()
	}
	wait = a.bucket.Take(n)
	if wait == 0 && a.perSecond <= 0 && a.taken.Add(int64(n)) >= meterTokens {
		a.measure()
	}
	return wait
}

// meterTokens is how many tokens are taken between two looks at the clock.
const meterTokens = 64

// Congestion takes in a congestion_state, 0..100, of the SMSC: below the
// optimum the rate recovers, at the optimum it stays, above it is cut.
func (a *Adaptive) Congestion(state uint8) {
	switch {
	case state >= nearlyTooMuch:
		a.Slow()
	case state >= optimumLoad && a.slowed.Load():
		a.hold()
	}
}

// Slow halves the rate, unless it was halved within the last second.
func (a *Adaptive) Slow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if !a.cut.IsZero() && now.Sub(a.cut) < reaction {
		return
	}
	if !a.slowed.Load() {
		if a.full = a.perSecond; a.full <= 0 {
			a.full = max(a.measuredLocked(now), leastRate)
		}
		a.rate = a.full
		a.slowed.Store(true)
	}
	a.rate = max(a.rate*slowDown, a.full*floor, min(leastRate, a.full))
	a.cut, a.grown = now, now.Add(reaction)
	a.applyLocked()
}

// Rate returns the tokens per second that are given out now; 0 means unlimited.
func (a *Adaptive) Rate() float64 {
	if a.slowed.Load() {
		a.grow()
	}
	return a.bucket.Rate()
}

// Burst returns how many tokens the bucket can hold; 0 means that it is unlimited.
func (a *Adaptive) Burst() int { return a.bucket.Burst() }

// hold keeps the rate where it is for as long as a reaction takes.
func (a *Adaptive) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if until := time.Now().Add(reaction); until.After(a.grown) {
		a.grown = until
	}
}

// grow gives back what the time since the last change is worth.
func (a *Adaptive) grow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	// In steps, so that the bucket is not set anew with each Take.
	const step = reaction / 10
	passed := now.Sub(a.grown)
	if passed < step || !a.slowed.Load() {
		return
	}
	a.grown = now
	a.rate += a.full * speedUp * passed.Seconds()
	a.applyLocked()
}

// applyLocked sets the bucket to the rate, and ends the slowness at the full one.
func (a *Adaptive) applyLocked() {
	if a.rate < a.full {
		burst := a.burst
		if a.perSecond <= 0 {
			burst = max(largestTake, int(a.rate/10))
		}
		if burst <= 0 {
			burst = a.fullBurst()
		}
		a.bucket.SetRate(a.rate, burst)
		return
	}
	a.slowed.Store(false)
	a.taken.Store(0)
	a.second, a.lately = time.Now(), a.full
	a.bucket.SetRate(a.perSecond, a.burst)
}

// fullBurst is the burst of the full rate, so that what could be taken at once
// before can be taken at once when slowed.
func (a *Adaptive) fullBurst() int {
	_, burst := settings(a.perSecond, 0)
	return burst
}

// measure notes the rate of what was taken, once a second.
func (a *Adaptive) measure() {
	if !a.mu.TryLock() {
		return // somebody does
	}
	defer a.mu.Unlock()
	now := time.Now()
	if passed := now.Sub(a.second); passed >= time.Second {
		a.lately = float64(a.taken.Swap(0)) / passed.Seconds()
		a.second = now
	}
}

// measuredLocked returns the rate of late: of this second, or of the one
// before when that says more.
func (a *Adaptive) measuredLocked(now time.Time) float64 {
	passed := now.Sub(a.second).Seconds()
	if passed >= 1 || a.lately == 0 {
		return float64(a.taken.Load()) / max(passed, 0.1)
	}
	return max(a.lately, float64(a.taken.Load()))
}
