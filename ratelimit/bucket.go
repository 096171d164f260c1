package ratelimit

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Never is the wait that Take answers when no waiting will help: more tokens
// were asked for than the bucket can hold.
const Never = time.Duration(math.MaxInt64)

// Bucket is a token bucket: over any window of length d it gives out at most
// rate × d + burst tokens. It starts full. It is safe for concurrent use and
// never blocks.
type Bucket struct {
	// mu makes reading the clock and spending one step. Without it a goroutine
	// that is held up between the two moves the limiter's clock back, and the
	// time since is refilled twice.
	mu      sync.Mutex
	limiter *rate.Limiter // guarded by mu
}

// NewBucket makes a bucket of perSecond tokens per second that holds burst of
// them. perSecond ≤ 0 means unlimited, then burst is ignored. burst ≤ 0 means a
// tenth of a second's worth, at least 1.
func NewBucket(perSecond float64, burst int) *Bucket {
	limit, size := settings(perSecond, burst)
	return &Bucket{limiter: rate.NewLimiter(limit, size)}
}

// Take takes n tokens and returns 0, or takes none and says how long it will
// be until there are n if nobody else takes any. n must be at most Burst: the
// bucket never holds more, so a larger n is answered Never.
func (b *Bucket) Take(n int) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.limiter.AllowN(now, n) {
		return 0
	}
	if n > b.limiter.Burst() {
		return Never
	}
	missing := float64(n) - b.limiter.TokensAt(now)
	nanos := math.Ceil(missing / float64(b.limiter.Limit()) * float64(time.Second))
	if nanos >= math.MaxInt64 {
		return Never - 1
	}
	return max(1, time.Duration(nanos))
}

// Return gives back n tokens that were taken a moment ago and not used.
func (b *Bucket) Return(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limiter.AllowN(time.Now(), -n) // beyond the burst they are dropped
}

// Burst returns how many tokens the bucket can hold; 0 means that it is unlimited.
func (b *Bucket) Burst() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limiter.Limit() == rate.Inf {
		return 0
	}
	return b.limiter.Burst()
}

// Rate returns the tokens per second; 0 means unlimited.
func (b *Bucket) Rate() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit := b.limiter.Limit()
	if limit == rate.Inf {
		return 0
	}
	return float64(limit)
}

// SetRate changes rate and burst, read as in NewBucket, from now on. Tokens
// already in the bucket stay, up to the new burst; a bucket that was unlimited
// starts empty.
func (b *Bucket) SetRate(perSecond float64, burst int) {
	limit, size := settings(perSecond, burst)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.limiter.SetBurstAt(now, size)
	b.limiter.SetLimitAt(now, limit)
}

func settings(perSecond float64, burst int) (rate.Limit, int) {
	if perSecond <= 0 || math.IsInf(perSecond, 1) {
		return rate.Inf, 0
	}
	if burst <= 0 {
		burst = max(1, int(perSecond/10))
	}
	return rate.Limit(perSecond), burst
}
