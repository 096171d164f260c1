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
	if !overdue(a.until) {
		return true
	}
	ctx, cancel := context.WithTimeout(work, renewalLasts)
	defer cancel()
	for overdue(a.until) {
		var ok bool
		if a.until, ok = t.renew(ctx, min(a.turn, len(a.todo))); !ok {
			return false
		}
	}
	return true
}

// overdue reports whether tokens are too old to be spent after until. The zero
// time is never.
func overdue(until time.Time) bool { return !until.IsZero() && time.Now().After(until) }

// deadline is until when the tokens may be spent that were just taken, zero on
// an unlimited route. Called with mu held.
func (t *turnstile) deadline() time.Time {
	switch {
	case t.limiter.Burst() == 0:
		return time.Time{}
	case t.fleet != nil:
		return time.Now().Add(t.fleet.Lasts())
	}
	return time.Now().Add(turnLasts)
}

// renew waits for n tokens alone, before all that have not had their turn, and
// returns until when they may be spent. It is not ok when ctx ended first.
func (t *turnstile) renew(ctx context.Context, n int) (until time.Time, ok bool) {
	w := &waiter{n: n, ready: make(chan Reservation, 1)}
	t.mu.Lock()
	t.late = append(t.late, w)
	t.mu.Unlock()
	t.turn()
	select {
	case <-w.ready:
		return w.until, true
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
		w.until = t.deadline()
		w.ready <- nil
	}
	return true
}
