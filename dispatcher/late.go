package dispatcher

import (
	"context"
	"slices"
	"time"
)

const (
	// turnLasts is how long after its tokens were taken a job may be written,
	// where the limiter does not say. While a part of Redis is away jobs gather
	// behind the claim with tokens of long ago, and would be written all at once
	// when it is back.
	turnLasts = 100 * time.Millisecond
	// renewalLasts bounds the wait for other tokens with a claim in hand.
	renewalLasts = time.Second
)

// punctual makes sure that the tokens which a job was let through with were
// taken a moment ago, and takes others when they were not: those are lost. It
// reports whether the job may be written now.
func (a *attempt) punctual(work context.Context) bool {
	t := a.out.turnstile
	if !t.overdue(a.granted) {
		return true
	}
	ctx, cancel := context.WithTimeout(work, renewalLasts)
	defer cancel()
	for t.overdue(a.granted) {
		var ok bool
		if a.granted, ok = t.renew(ctx, min(a.turn, len(a.todo))); !ok {
			return false
		}
	}
	return true
}

// overdue reports whether tokens that were taken at since are too old to be
// spent. The zero time is never.
func (t *turnstile) overdue(since time.Time) bool {
	if since.IsZero() {
		return false
	}
	lasts := turnLasts
	if t.fleet != nil {
		lasts = t.fleet.Lasts()
	}
	return time.Since(since) > lasts
}

// stamp is the time, or zero on an unlimited route.
func (t *turnstile) stamp() time.Time {
	if t.limiter.Burst() == 0 {
		return time.Time{}
	}
	return time.Now()
}

// renew waits for n tokens alone, before all that have not had their turn, and
// returns when they were taken. It is not ok when ctx ended first.
func (t *turnstile) renew(ctx context.Context, n int) (since time.Time, ok bool) {
	w := &waiter{n: n, ready: make(chan Reservation, 1)}
	t.mu.Lock()
	t.late = append(t.late, w)
	t.mu.Unlock()
	t.turn()
	select {
	case <-w.ready:
		return w.since, true
	case <-ctx.Done():
	}
	t.mu.Lock()
	t.late = slices.DeleteFunc(t.late, func(x *waiter) bool { return x == w })
	t.mu.Unlock()
	t.turn()
	return time.Time{}, false
}

// serveLate gives tokens to those who need them once more, and reports whether
// it is the turn of the others. Called with mu held.
func (t *turnstile) serveLate() bool {
	for len(t.late) > 0 {
		w := t.late[0]
		if wait := t.take(w.n, true); wait > 0 {
			t.limit(t.short())
			t.remind(wait)
			return false
		}
		t.late = slices.Delete(t.late, 0, 1)
		w.since = t.stamp()
		w.ready <- nil
	}
	return true
}
