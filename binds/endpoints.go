package binds

import (
	"context"
	"errors"
	"math"
	"time"
)

// errReturning is why a bind gives up a good session: it goes back to its
// preferred endpoint.
var errReturning = errors.New("returning to the preferred endpoint")

// maxReturns bounds how often the wait for a return doubles.
const maxReturns = 3

// endpoints says where a bind connects next. It belongs to the goroutine of run.
//
//   - Each bind prefers one endpoint (Config.Ordered says which) and begins there.
//   - When it cannot connect or bind, or a session does not live for
//     Backoff.StableAfter, the next in the list is tried, round and round.
//   - After a session that was stable the same endpoint comes first.
//   - A bind that has been bound elsewhere for Config.ReturnAfter connects to
//     its preferred endpoint without binding. When that works it drains, unbinds
//     and binds there; when not, it stays and looks again as much later.
//   - Each refused bind and unstable session at the preferred endpoint doubles
//     that time, up to eightfold; a stable session there sets it back. One bind
//     of a pool moves at a time.
type endpoints struct {
	list     []string
	home     int // index of the preferred one
	at       int // index of the present or next one
	away     time.Duration
	stable   time.Duration
	failures int // at home, since the last stable session there
}

func newEndpoints(c *Config, index int) endpoints {
	e := endpoints{list: c.Endpoints, away: c.ReturnAfter, stable: c.Backoff.StableAfter}
	if !c.Ordered {
		e.home = index % len(e.list)
	}
	e.at = e.home
	return e
}

// current returns the endpoint to connect to.
func (e *endpoints) current() string { return e.list[e.at] }

// failed moves on after an endpoint that could not be used.
func (e *endpoints) failed() { e.at = (e.at + 1) % len(e.list) }

// ended hears how long a session at the present endpoint lived, 0 for none.
func (e *endpoints) ended(lived time.Duration) {
	stable := lived >= e.stable
	switch {
	case e.at == e.home && stable:
		e.failures = 0
	case e.at == e.home:
		e.failures = min(e.failures+1, maxReturns)
	}
	if !stable {
		e.failed()
	}
}

// goHome has the next attempt begin at the preferred endpoint.
func (e *endpoints) goHome() { e.at = e.home }

// patience returns how long to stay before a return is tried.
func (e *endpoints) patience() time.Duration {
	if e.at == e.home || e.away < 0 {
		return math.MaxInt64
	}
	return upTo(e.away << e.failures)
}

// lookHome finds out whether the preferred endpoint can be reached, in a
// goroutine of its own that run awaits. When it can, this bind is the pool's
// one that moves, until moved.
func (b *bind) lookHome(ctx context.Context) <-chan bool {
	answer := make(chan bool, 1)
	if !b.pool.moving.CompareAndSwap(nil, b) {
		answer <- false
		return answer
	}
	home, cfg := b.route.list[b.route.home], b.cfg
	b.late.Go(func() {
		conn, err := b.pool.dial(ctx, cfg, home)
		if err == nil {
			_ = conn.Close()
		} else {
			b.moved()
		}
		answer <- err == nil
	})
	return answer
}

// moved lets another bind of the pool return to its preferred endpoint.
func (b *bind) moved() { b.pool.moving.CompareAndSwap(b, nil) }
