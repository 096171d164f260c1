package app

import (
	"context"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// How often and how long the server is asked what waits there, while somebody
// wants to know.
const (
	backlogEvery   = 2 * time.Second
	backlogTimeout = time.Second
	backlogOld     = 10 * time.Second // not shown any more
)

// backlogBoard is what waits at the server, as of when somebody asked.
type backlogBoard struct {
	mu     sync.Mutex
	asking bool                                      // guarded by mu
	asked  time.Time                                 // guarded by mu
	at     time.Time                                 // of by; guarded by mu
	by     map[string]map[sms.Lane]jetstream.Backlog // by route; guarded by mu; replaced as a whole
}

// look asks the server, unless that was done a moment ago or is being done.
func (b *backlogBoard) look(ctx context.Context, nats *jetstream.Client, routes []*route) {
	now := time.Now()
	b.mu.Lock()
	if b.asking || now.Sub(b.asked) < backlogEvery || !nats.Connected() {
		b.mu.Unlock()
		return
	}
	b.asking, b.asked = true, now
	b.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	by := make(map[string]map[sms.Lane]jetstream.Backlog, len(routes))
	for _, r := range routes {
		name := r.config().Name
		if lanes, err := nats.Backlog(ctx, name); err == nil { // else it is shown as not known
			by[name] = lanes
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking, b.at, b.by = false, now, by
}

// of returns what waits for a route, nil when that is not known.
func (b *backlogBoard) of(route string) map[sms.Lane]jetstream.Backlog {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.at) > backlogOld {
		return nil
	}
	return b.by[route]
}
