package receipts

import (
	"context"
	"sync"
	"time"
)

// terms give deliveries their deadline. A timer for each costs more than
// reading its receipt, so those that come within a fiftieth of the timeout
// share one; it is at most that much too early, and never late.
type terms struct {
	mu sync.Mutex
	of map[context.Context]*term // guarded by mu; the newest of each of Deliver's ctx
}

type term struct {
	ctx    context.Context
	cancel context.CancelFunc
	until  time.Time // up to which deliveries may join
}

// join returns ctx with a deadline at most timeout after now.
func (t *terms) join(ctx context.Context, now time.Time, timeout time.Duration) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.of[ctx]; last != nil && now.Before(last.until) {
		return last.ctx
	}
	for of, old := range t.of {
		if old.ctx.Err() != nil {
			old.cancel()
			delete(t.of, of)
		}
	}
	if t.of == nil {
		t.of = make(map[context.Context]*term)
	}
	next := &term{until: now.Add(timeout / 50)}
	next.ctx, next.cancel = context.WithDeadline(ctx, now.Add(timeout))
	t.of[ctx] = next
	return next.ctx
}
