package ratelimit

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// purse is the tokens that a worker was lent and has not spent.
type purse struct {
	leases []lease // in the order of their time

	granted, spent, lost int64 // tokens, since the beginning

	early time.Duration // how long before they would have been lost the last take took the oldest of its tokens
}

// lease is a run of neighbouring tokens on the route's timeline. The bucket is
// empty where the run begins and fills as the tokens' time comes; it is
// never asked about a time after the last of them, for what comes then is
// another worker's.
type lease struct {
	bucket     *rate.Limiter
	capacity   float64 // tokens; the bucket's is the next integer below
	size, left int
	begin, end time.Time // the first token is due 1/rate after begin, the last at end
}

// add puts n tokens into the purse, the last of perSecond × (end-begin).
func (p *purse) add(begin time.Time, n int, perSecond, capacity float64) {
	p.granted += int64(n)
	l := lease{
		bucket:   rate.NewLimiter(rate.Limit(perSecond), max(1, int(capacity))),
		capacity: max(1, capacity),
		size:     n,
		left:     n,
		begin:    begin,
		end:      begin.Add(time.Duration(math.Ceil(float64(n) / perSecond * float64(time.Second)))),
	}
	l.bucket.AllowN(begin, l.bucket.Burst())
	p.leases = append(p.leases, l)
}

// refuse counts n tokens as lost.
func (p *purse) refuse(n int) {
	p.granted += int64(n)
	p.lost += int64(n)
}

// now is how many tokens may be spent now.
func (l *lease) now(now time.Time) int {
	at, late := now, 0.0
	if now.After(l.end) {
		at, late = l.end, now.Sub(l.end).Seconds()*float64(l.bucket.Limit())
	} else if !now.After(l.begin) {
		return 0
	}
	n := math.Floor(min(l.bucket.TokensAt(at), l.capacity-late) + rounding)
	return max(0, min(int(n), l.left))
}

// early is how long the oldest token that may be spent now could still have waited.
func (l *lease) early(now time.Time) time.Duration {
	if now.After(l.end) {
		return 0 // that or little more
	}
	saved := max(0, l.bucket.TokensAt(now))
	return time.Duration(max(0, l.capacity-saved) / float64(l.bucket.Limit()) * float64(time.Second))
}

// rounding is how much of a token nanoseconds may lose.
const rounding = 1e-4

// reserve is how many tokens of the i-th lease are kept for urgent messages of
// keep that may come, and until when. The next lease has its own: what is left
// of this one is free then, as it is shortly before it would be lost.
func (p *purse) reserve(i, keep int) (n int, until time.Time) {
	l := &p.leases[i]
	if n = min(keep, l.size/2, int(l.capacity/3)); n <= 0 {
		return 0, l.begin
	}
	lasts := (l.capacity-float64(n))/float64(l.bucket.Limit()) - spendIn.Seconds()
	until = l.end.Add(time.Duration(max(0, lasts) * float64(time.Second)))
	if i+1 < len(p.leases) && p.leases[i+1].begin.Before(until) {
		until = p.leases[i+1].begin
	}
	return n, until
}

// spendIn is how long before they are lost reserved tokens are free for others.
const spendIn = 4 * time.Millisecond

// free is how many tokens of the i-th lease a message may spend now that leaves keep.
func (p *purse) free(i int, now time.Time, keep int) int {
	l := &p.leases[i]
	n := l.now(now)
	if n == 0 || keep == 0 {
		return n
	}
	if kept, until := p.reserve(i, keep); now.Before(until) {
		n = max(0, min(n, l.left-kept))
	}
	return n
}

// take spends n tokens, from one lease or several, or none. It leaves keep of
// them for urgent messages.
func (p *purse) take(now time.Time, n, keep int) bool {
	p.sweep(now)
	have := 0
	for i := range p.leases {
		if have += p.free(i, now, keep); have >= n {
			break
		}
	}
	if have < n {
		return false
	}
	p.spent += int64(n)
	p.early = math.MaxInt64
	for i := range p.leases {
		l := &p.leases[i]
		k := min(p.free(i, now, keep), n)
		if k == 0 {
			continue
		}
		p.early = min(p.early, l.early(now))
		at := now
		if now.After(l.end) {
			at = l.end
		}
		l.bucket.ReserveN(at, k) // AllowN would not forgive the rounding
		l.left -= k
		if n -= k; n == 0 {
			break
		}
	}
	return true
}

// wait is how long until n tokens may be spent that leave keep, if the leases
// have as many.
func (p *purse) wait(now time.Time, n, keep int) (wait time.Duration, ok bool) {
	missing := float64(n)
	for i := range p.leases {
		l := &p.leases[i]
		here := l.now(now)
		if now.After(l.end) {
			missing -= float64(here)
			if kept, until := p.reserve(i, keep); kept > 0 && now.Before(until) && here > 0 && missing <= rounding {
				return max(until.Sub(now), 1), true
			}
			continue
		}
		had := max(0, l.bucket.TokensAt(now))
		from := now
		if now.Before(l.begin) {
			had, from = 0, l.begin
		}
		// Of a capacity and more before, the first are lost.
		come := float64(min(l.left, l.bucket.Burst()))
		if missing > come+rounding {
			missing -= come
			continue
		}
		due := from.Add(time.Duration(math.Ceil(max(0, missing-had) / float64(l.bucket.Limit()) * float64(time.Second))))
		if kept, until := p.reserve(i, keep); missing > float64(l.left-kept)+rounding {
			due = later(due, until)
		}
		return max(due.Sub(now), 1), true
	}
	return 0, false
}

// sweep forgets leases that are over.
func (p *purse) sweep(now time.Time) {
	for len(p.leases) > 0 {
		l := &p.leases[0]
		if l.left > 0 {
			if !now.After(l.end) || l.now(now) > 0 {
				return
			}
			p.lost += int64(l.left)
		}
		n := copy(p.leases, p.leases[1:])
		p.leases[n] = lease{}
		p.leases = p.leases[:n]
	}
}

// left counts what is not spent yet and, now or later, may be.
func (p *purse) left(now time.Time) (n int) {
	for i := range p.leases {
		l := &p.leases[i]
		if now.After(l.end) {
			n += l.now(now)
		} else {
			n += l.left
		}
	}
	return n
}

// end is when the last token is due, zero when there is none.
func (p *purse) end() time.Time {
	if len(p.leases) == 0 {
		return time.Time{}
	}
	return p.leases[len(p.leases)-1].end
}

// empty forgets all leases.
func (p *purse) empty() {
	for i := range p.leases {
		p.lost += int64(p.leases[i].left)
	}
	p.leases = p.leases[:0]
}

// redisClock maps Redis's clock to this worker's monotonic one. Each call bounds how
// far they are apart, by when it was made and when it was answered; the bounds
// of all calls together are narrower than the round trip of any.
type redisClock struct {
	epoch  time.Time     // of this worker's clock
	lo, hi time.Duration // Redis's Unix time is since(epoch) plus something between them
	seen   time.Duration // when they were last narrowed, since epoch
}

// drift is how much faster than the other a clock may go.
const drift = 0.0005

// observe takes in a call's answer, and returns when it was given.
func (c *redisClock) observe(sent, got time.Time, redis time.Duration) time.Time {
	if c.epoch.IsZero() {
		c.epoch = sent
		c.lo, c.hi = math.MinInt64/2, math.MaxInt64/2
	}
	at := got.Sub(c.epoch)
	lo, hi := redis-at, redis-sent.Sub(c.epoch)
	wider := time.Duration(float64(at-c.seen) * drift)
	c.seen = at
	if c.lo, c.hi = max(c.lo-wider, lo), min(c.hi+wider, hi); c.lo > c.hi {
		c.lo, c.hi = lo, hi // somebody set Redis's clock, or another server answers
	}
	return c.epoch.Add(redis - c.lo - (c.hi-c.lo)/2)
}

// read is Redis's Unix time at a moment, 0 before the first answer.
func (c *redisClock) read(at time.Time) time.Duration {
	if c.epoch.IsZero() {
		return 0
	}
	return at.Sub(c.epoch) + c.lo + (c.hi-c.lo)/2
}
