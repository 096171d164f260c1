package dispatcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// ProbePolicy says when a route that is paused because the SMSC refuses the
// account tries a job again.
type ProbePolicy struct {
	Initial time.Duration // from the refusal to the first try, doubled with each. Default 10s
	Max     time.Duration // longest. Default 5m
}

// Pause is why and since when a route is paused.
type Pause struct {
	Status     uint32 // command_status that refused the account
	StatusName string
	Since      time.Time
	Next       time.Time // when the next job is tried
}

// accountPause keeps a route's jobs in front of the turnstile while the SMSC
// refuses the account, but for one at a time that tries whether it still does.
// Its fields are guarded by turnstile.mu.
type accountPause struct {
	policy ProbePolicy
	log    *slog.Logger

	on       bool
	cause    *sms.Error
	since    time.Time
	next     time.Time     // when a job may try; meaningless while one does
	interval time.Duration // before the next
	probing  bool          // a job tries now
	lifted   time.Time     // end of the last pause
}

// due says how long until a job may try, 0 for now. While one tries it is the
// longest wait: the end of the try turns the turnstile.
func (p *accountPause) due() time.Duration {
	if p.probing {
		return maxPause
	}
	return max(time.Until(p.next), 0)
}

// barred hears that a message written at sent was refused for the account's
// sake, and pauses the route unless it is.
func (t *turnstile) barred(e *sms.Error, sent time.Time) {
	t.mu.Lock()
	p := &t.account
	if p.on || sent.Before(p.lifted) { // written before a later one got through
		t.mu.Unlock()
		return
	}
	p.on, p.cause, p.since, p.interval = true, e, time.Now(), p.policy.Initial
	p.next = p.since.Add(p.interval)
	t.limit(LimitAccount)
	t.remind(p.interval)
	again := p.interval
	t.mu.Unlock()
	p.log.Error("route paused: the SMSC refuses the account", "status", e.Status, "status_name", e.StatusName, "again_in", again)
}

// probed hears how a try ended: with another refusal, with an answer that says
// the account works, or with neither.
func (t *turnstile) probed(refusal *sms.Error, works bool) {
	t.mu.Lock()
	p := &t.account
	p.probing = false
	held := time.Since(p.since)
	switch {
	case refusal != nil:
		p.cause, p.interval = refusal, min(2*p.interval, p.policy.Max)
		p.next = time.Now().Add(p.interval)
	case works:
		p.on, p.lifted = false, time.Now()
	default:
		p.next = time.Now().Add(p.interval)
	}
	again := p.interval
	t.mu.Unlock()
	switch {
	case refusal != nil:
		p.log.Warn("the SMSC still refuses the account", "status", refusal.Status, "status_name", refusal.StatusName, "again_in", again)
	case works:
		p.log.Info("route resumed: the SMSC takes messages of the account again", "paused_for", held)
	}
	t.turn()
}

// unprobed hears that a job which might have tried gave its turn back.
func (t *turnstile) unprobed() {
	t.mu.Lock()
	t.account.probing = false
	t.mu.Unlock()
	t.turn()
}

// paused returns the present pause, nil when there is none.
func (t *turnstile) paused() *Pause {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.account
	if !p.on {
		return nil
	}
	return &Pause{Status: p.cause.Status, StatusName: p.cause.StatusName, Since: p.since, Next: p.next}
}

// refused says since when the SMSC refuses the account, zero when it does not,
// and whether a job may try now.
func (t *turnstile) refused() (since time.Time, try bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.account.on {
		return time.Time{}, false
	}
	return t.account.since, t.account.due() == 0
}

// probe is the reservation of a job that tries whether the SMSC takes messages
// of the account again.
type probe struct {
	Reservation
	turnstile *turnstile
	judge     func(error) error // may be nil; what a refusal of this job means
	refusal   *sms.Error        // of the account
	works     bool              // some message was accepted, or refused for its own sake
}

// Next implements Reservation and looks at the replies.
func (p *probe) Next(ctx context.Context) (sms.Reply, bool) {
	reply, ok := p.Reservation.Next(ctx)
	if !ok {
		p.turnstile.probed(p.refusal, p.works)
		return reply, false
	}
	if p.judge != nil {
		reply.Err = p.judge(reply.Err)
	}
	switch e := asError(reply.Err); {
	case reply.Err == nil, e.Code == sms.CodeRejected:
		p.works = true
	case e.Code == sms.CodeAccount:
		p.refusal = e
	}
	return reply, true
}

// Release implements Reservation.
func (p *probe) Release() {
	p.Reservation.Release()
	p.turnstile.unprobed()
}
