package receipts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrWorkerID says that another process runs under this worker's id. The newer
// one keeps it; the older must stop, because others take its claims for dead.
var ErrWorkerID = errors.New("receipts: the worker id is in use by a newer process")

// lease tells other workers that this one lives. Its value is the incarnation,
// so that claims of a process that died are not kept alive by its successor
// under the same id.
type lease struct {
	store       *store
	key         func(worker string) string
	worker      string
	incarnation string
	name        string // how claims name their worker: worker/incarnation
	ttl         time.Duration
	epoch       time.Time    // base of until, for its monotonic clock
	until       atomic.Int64 // nanoseconds after epoch up to which Redis surely has the lease
	taken       atomic.Bool  // it was ours once
}

func newLease(s *store, k keys, cfg Config) *lease {
	incarnation := newIncarnation()
	return &lease{
		store: s, key: k.worker, worker: cfg.WorkerID, incarnation: incarnation, name: cfg.WorkerID + "/" + incarnation,
		ttl: cfg.LeaseTTL, epoch: time.Now(),
	}
}

// newIncarnation tells one start of a worker from the next.
func newIncarnation() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// held reports whether Redis surely has the lease, and will for at least a
// third of its time, so that nobody can take over our claims meanwhile.
func (l *lease) held() bool {
	return time.Duration(l.until.Load())-time.Since(l.epoch) > l.ttl/3
}

// ensure returns once the lease is held.
func (l *lease) ensure(ctx context.Context) error {
	if l.held() {
		return nil
	}
	return l.renew(ctx)
}

// renew takes the lease, or prolongs it. The first time it is taken even from
// another process: that one was here before and is gone, or has to go.
func (l *lease) renew(ctx context.Context) error {
	takeOver := "1"
	if l.taken.Load() {
		takeOver = "0"
	}
	var asked time.Duration
	cmd, err := one(ctx, l.store, "renew worker lease", func() *redis.Cmd {
		asked = time.Since(l.epoch)
		return call(ctx, leaseScript, []string{l.key(l.worker)}, l.incarnation, l.ttl.Milliseconds(), takeOver)
	})
	if err != nil {
		return err
	}
	if ours, _ := cmd.Int(); ours != 1 {
		l.until.Store(0)
		return ErrWorkerID
	}
	l.taken.Store(true)
	l.until.Store(int64(asked + l.ttl))
	return nil
}

// end gives the lease up, so that what this worker left is taken over at once.
func (l *lease) end(ctx context.Context) error {
	_, err := one(ctx, l.store, "end worker lease", func() *redis.Cmd {
		return call(ctx, endLeaseScript, []string{l.key(l.worker)}, l.incarnation)
	})
	l.until.Store(0)
	return err
}

// dead reports whether the worker that a claim names is gone for good. A lease
// that is missing right after Redis was away proves nothing: its owner could
// not renew it either.
func (l *lease) dead(ctx context.Context, name string) (bool, error) {
	worker, incarnation, _ := strings.Cut(name, "/")
	cmd, err := one(ctx, l.store, "look up worker lease", func() *redis.StringCmd {
		return getCmd(ctx, l.key(worker))
	})
	if err != nil {
		return false, err
	}
	switch cmd.Val() {
	case incarnation:
		return false, nil
	case "":
		return l.store.settledFor(l.ttl / 2), nil
	default:
		return true, nil
	}
}

// getCmd is GET.
func getCmd(ctx context.Context, key string) *redis.StringCmd {
	return redis.NewStringCmd(ctx, "get", key)
}
