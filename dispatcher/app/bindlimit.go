package app

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/ratelimit"
)

// bindLimits are the limits of a route's binds, one each.
type bindLimits struct {
	mu        sync.Mutex
	perSecond float64      // guarded by mu
	all       []*bindLimit // guarded by mu
}

// add makes the limit of one bind.
func (b *bindLimits) add(route *ratelimit.Fleet) *bindLimit {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &bindLimit{route: route}
	l.set(b.perSecond)
	b.all = append(b.all, l)
	return l
}

// set changes all limits, and what those are that are added; 0 is unlimited.
func (b *bindLimits) set(perSecond float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.perSecond = perSecond
	for _, l := range b.all {
		l.set(perSecond)
	}
}

// bindLimit is the limit of one bind, which changes while the bind lives. An
// SMSC that speaks 5.0 may ask any bind to slow down, and means the route.
type bindLimit struct {
	bucket atomic.Pointer[ratelimit.Bucket] // nil: unlimited
	route  *ratelimit.Fleet
}

// Take implements binds.Limiter.
func (l *bindLimit) Take(n int) time.Duration {
	if b := l.bucket.Load(); b != nil {
		return b.Take(n)
	}
	return 0
}

// Return implements binds.Limiter.
func (l *bindLimit) Return(n int) {
	if b := l.bucket.Load(); b != nil {
		b.Return(n)
	}
}

// Congestion implements binds.CongestionLimiter.
func (l *bindLimit) Congestion(state uint8) { l.route.Congestion(state) }

// set changes the limit. What was saved under another stays; who was unlimited
// begins with nothing saved.
func (l *bindLimit) set(perSecond float64) {
	b := l.bucket.Load()
	switch {
	case perSecond <= 0:
		l.bucket.Store(nil)
	case b == nil:
		b = ratelimit.NewBucket(0, 0)
		b.SetRate(perSecond, 0)
		l.bucket.Store(b)
	default:
		b.SetRate(perSecond, 0)
	}
}
