package binds

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Backoff says how long a bind pauses after each kind of failure. Pauses are
// jittered upwards, so that workers that failed together do not return together.
//
//	what ended the attempt or session            state    pause
//	wrong credentials and the like               refused  Credentials
//	SilentCloses connections in a row that       refused  Credentials
//	were closed before any PDU came
//	ESME_RALYBND                                 backoff  AlreadyBound, and fewer binds are tried
//	the SMSC's unbind                            backoff  PeerUnbind
//	busy, any other status, lost, closed,        backoff  Base, doubled with each failure up to Max;
//	unreachable                                           from Base again after a session of StableAfter
type Backoff struct {
	Base         time.Duration // first pause, doubled with each failure, jittered. Default 1s
	Max          time.Duration // longest. Default 2m
	StableAfter  time.Duration // a bind that lived as long starts over from Base. Default 30s
	Credentials  time.Duration // after wrong credentials and the like. Default 5m
	AlreadyBound time.Duration // after ESME_RALYBND, up to twice as long. Default 30s
	PeerUnbind   time.Duration // after the SMSC's own unbind. Default 30s
	// SilentCloses is how many connections in a row the SMSC may close without
	// a PDU before that is taken for a refusal, as of an address that is not on
	// its allow-list. Default 5.
	SilentCloses int
}

// pause decides how long to wait after an attempt that ended with err.
func (b *bind) pause(lived time.Duration, err error) (State, time.Duration) {
	if errors.Is(err, errHeld) {
		return StateBackoff, b.pool.heldFor(b.unit)
	}
	back := &b.pool.config().Backoff
	b.failures++
	if lived == 0 && errors.Is(err, smpp.ErrClosedUnanswered) {
		b.silent++
	} else {
		b.silent = 0
	}
	limit := back.Max
	if n := b.failures - 1; n < 30 && back.Base<<n < limit {
		limit = back.Base << n
	}
	pause := between(min(back.Base/2, limit), limit)
	var refused *sms.Error
	switch {
	case b.silent >= back.SilentCloses:
		return StateRefused, upTo(back.Credentials)
	case lived == 0 && errors.As(err, &refused) && refused.Status != 0:
		switch b.pool.config().Status.classifyBind(refused.Status) {
		case refusedCredential:
			return StateRefused, upTo(back.Credentials)
		case refusedAlready:
			return StateBackoff, max(b.pool.fewer(b), between(back.AlreadyBound, 2*back.AlreadyBound))
		}
	case errors.Is(err, smpp.ErrPeerUnbind):
		pause = max(pause, upTo(back.PeerUnbind))
	}
	return StateBackoff, pause
}

// upTo returns d or up to a tenth more.
func upTo(d time.Duration) time.Duration { return between(d, d+d/10) }

// between returns a random duration from lo to hi.
func between(lo, hi time.Duration) time.Duration {
	return lo + rand.N(max(hi-lo, 0)+1)
}
