package ratelimit

import (
	"math"
	"time"
)

// Limits are what a route's account may send, over the whole fleet.
type Limits struct {
	Rate  float64 // tokens per second; 0 means unlimited until the SMSC throttles
	Burst int     // tokens at once after a pause, 1 or more. Default a tenth of a second's worth, at least 1

	// Floor is what throttling leaves at least, in tokens per second. Default 1,
	// or Rate if that is less.
	Floor float64
	// WithoutRedis is what this worker may take on its own while Redis grants
	// nothing, in tokens per second. Default none.
	WithoutRedis float64
}

// How leases are dealt out.
const (
	period  = 46 * time.Millisecond // between two calls of a worker that is never satisfied
	lead    = 32 * time.Millisecond // and the round trip: how long before a lease ends the next is asked for
	horizon = period + lead         // and the round trip: what is lent ahead of time

	callsPerSecond = 23 // of a worker on average
	callsAtOnce    = 2  // and above that in one moment: never more than 25 in any second
)

// terms are the limits as leases are made from them.
//
// Every token has a place on one timeline, on which neighbours are 1/rate
// apart; a token may be spent from its place on, until capacity/rate later.
// Of the tokens that reach the SMSC in a window of length T the first has its
// place at most (capacity-1)/rate + x before the window, and the last at its
// end, where x is how much longer than others a token may be under way: by how
// much workers err about Redis's clock, claims and writes. So there are at most
//
//	rate × (T + x) + capacity
//
// and for these to be within Rate × T + Burst, for every T of at least a second,
//
//	rate = (1-δ) × Rate,  capacity - 1 + rate × x ≤ Burst - 1 + δ × Rate.
//
// The right side is the slack. δ is 0.015, and for bursts of less than 5 ms' worth
// up to 0.02. Of the slack 70 % are kept for x, but no more than 80 ms, about what
// is lent ahead: then the limit holds though Redis stops in the middle and
// everything that waits for a claim goes out at once. Rate 500 and burst 50: δ 0.015, capacity
// 18, x 80 ms. Rate 500 and burst 1: δ 0.02, capacity 4, x 14 ms; a token that is not
// spent within 6 ms is lost. Rate 10 and burst 1: capacity 1.06, and the same 6 ms.
type terms struct {
	rate     float64 // tokens per second; 0 means unlimited
	capacity float64 // tokens, at least 1
	spare    float64 // tokens: rate × x
}

const (
	leastMargin = 0.015
	mostMargin  = 0.02
	enoughSlack = 0.020 // seconds
	keptOfSlack = 0.7
	mostKept    = 0.080 // seconds
)

func (l Limits) terms() terms {
	if l.Rate <= 0 || math.IsInf(l.Rate, 1) {
		return terms{}
	}
	beyond := float64(l.Burst - 1)
	margin := min(max(enoughSlack-beyond/l.Rate, leastMargin), mostMargin)
	slack := beyond + margin*l.Rate
	kept := min(keptOfSlack*slack, mostKept*l.Rate)
	return terms{rate: (1 - margin) * l.Rate, capacity: 1 + slack - kept, spare: kept}
}

// kept is x, at most 80 ms; as much where nothing but throttling limits.
func (t terms) kept() time.Duration {
	if t.rate == 0 {
		return time.Duration(mostKept * float64(time.Second))
	}
	return time.Duration(t.spare / t.rate * float64(time.Second))
}

// written is how much of x a message may take until it is written; what is left
// is for its way to the SMSC.
func (t terms) written() time.Duration { return t.kept() * 3 / 4 }

// grace is how long the oldest token that is granted is still good for, beside
// the round trip.
func (t terms) grace() time.Duration {
	if t.rate == 0 {
		return mostGrace
	}
	return min(time.Duration((t.capacity-1)/2/t.rate*float64(time.Second)), mostGrace)
}

const mostGrace = 20 * time.Millisecond

// AtOnce is what a Fleet with these limits can give at once, Fleet.Burst; 0 means
// that there is no bound.
func (l Limits) AtOnce() int { return int(l.withDefaults().terms().capacity) }

func (l Limits) withDefaults() Limits {
	if l.Rate <= 0 || math.IsInf(l.Rate, 1) {
		l.Rate, l.Burst = 0, 0
	} else if l.Burst <= 0 {
		l.Burst = max(1, int(l.Rate/10))
	}
	if l.Floor <= 0 {
		l.Floor = 1
	}
	if l.Rate > 0 {
		l.Floor = min(l.Floor, l.Rate)
	}
	return l
}
