package ratelimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// SlotsConfig describes the bind slots of one route in one worker.
type SlotsConfig struct {
	Route  string
	Worker string        // its id; several of one id do no harm
	Quota  int           // binds over the whole fleet, 1 or more
	Prefix string        // of the Redis keys. Default sw
	Lease  time.Duration // how long a worker that is not heard of keeps its slots. Default 6s
	Renew  time.Duration // between renewals. Default a quarter of Lease
}

// Slots are a worker's leases on the binds that a route's account may have.
//
// Each worker says every Renew what it holds and wants, and hears what it may
// hold. Redis keeps that for Lease from then on; the worker counts from before
// it asked, with its monotonic clock, and has a twelfth of Lease less. So what
// workers may hold never exceeds the quota in sum, whatever becomes of a worker
// or of an answer:
//
//   - Redis never takes less for held than the worker said; a worker that is to
//     give a slot back has it until it says that it has not.
//   - What a worker holds grows by the answer to its last call only, and Redis
//     ignores a call that comes after a later one.
//   - A Redis that is empty, restarted or promoted may have forgotten leases. It
//     grants nothing new for one Lease, and takes everybody's word for what
//     they hold. It does so sooner, at once when all workers that it knows of have
//     given theirs, if all that they were told last is there.
//   - Such a Redis may not know of a worker that came right before. So one that
//     comes to others gets nothing for a third of Lease: as much may be lost.
//
// Shares are even: a slot moves only from a worker that has at least two more
// than another who wants one. Wishes that are not firm, for binds that failed
// lately, get what the firm ones leave.
//
// A worker that stands still for longer than its lease (SIGSTOP, a paused
// machine) closes its binds only when it goes on.
type Slots struct {
	cfg    SlotsConfig
	redis  redis.Scripter
	key    string
	member string // of the hash: the worker, and which life of it
	quota  atomic.Int64

	mu       sync.Mutex
	call     int64 // number of the last call; guarded by mu
	answered int64 // number of the last one that was answered; guarded by mu
}

// slotsKept is how long the state of a route is kept without workers: who finds
// none waits for one lease before it has a bind.
const slotsKept = 7 * 24 * time.Hour

// slotsTimeout bounds one call where the client allows it.
const slotsTimeout = time.Second

// NewSlots returns slots of which none is held. Each Slots is a holder of its own.
func NewSlots(cfg SlotsConfig, client redis.UniversalClient) *Slots {
	cfg.Prefix = cmp.Or(cfg.Prefix, "sw")
	cfg.Lease = cmp.Or(cfg.Lease, 6*time.Second)
	cfg.Renew = cmp.Or(cfg.Renew, cfg.Lease/4)
	s := &Slots{cfg: cfg, redis: client, key: cfg.Prefix + ":b:{" + cfg.Route + "}", member: cfg.Worker + "/" + rand.Text()[:8]}
	if c, ok := client.(*redis.Client); ok {
		s.redis = c.WithTimeout(slotsTimeout)
	}
	s.SetQuota(cfg.Quota)
	return s
}

// SetQuota changes the quota from the next renewal on.
func (s *Slots) SetQuota(n int) { s.quota.Store(int64(max(n, 1))) }

// SlotUse is what a worker says of its slots.
type SlotUse struct {
	Held    int           // units that may have a connection until the answer is there
	Bound   int           // of these, those that are bound
	Firm    int           // of Wanted, those without a fault of late
	Wanted  int           // units that would be bound if there were slots for all
	Refused int           // units that the SMSC has refused with ESME_RALYBND since the last call
	Hold    time.Duration // how long the fleet is to try fewer after that, doubled while it goes on
}

// SlotGrant is what a worker may hold.
type SlotGrant struct {
	Slots   int           // more than it holds: to use; less: to give back
	Until   time.Time     // when nothing may be held any more, unless it is renewed
	Again   time.Duration // when to renew
	Limit   int           // over the fleet: the quota, or what the SMSC has taught
	Granted int           // over the fleet
	Workers int           // that hold or want slots
	Frozen  time.Duration // until something new is granted at the latest: Redis may have lost leases; else 0
}

// errOvertaken is a call that a later one has overtaken.
var errOvertaken = errors.New("a later call was there first")

// Renew says what is held and wanted and returns what may be held. After an
// error nothing is known of the call: what was granted before goes on until its
// end. Calls must not overlap, but one that is given up may still run.
func (s *Slots) Renew(ctx context.Context, use SlotUse) (SlotGrant, error) {
	s.mu.Lock()
	s.call++
	call, answered := s.call, s.answered
	s.mu.Unlock()
	asked := time.Now()
	answer, err := slotsScript.Run(ctx, s.redis, []string{s.key},
		s.member, call, use.Held, use.Bound, use.Firm, use.Wanted, use.Refused, use.Hold.Milliseconds(),
		s.quota.Load(), s.cfg.Lease.Milliseconds(), slotsKept.Milliseconds(), answered).Int64Slice()
	if err != nil {
		return SlotGrant{}, fmt.Errorf("renew bind slots: %w", err)
	}
	if len(answer) != 6 {
		return SlotGrant{}, fmt.Errorf("renew bind slots: %w", errOvertaken)
	}
	s.mu.Lock()
	s.answered = max(s.answered, call)
	s.mu.Unlock()
	again := s.cfg.Renew
	if soon := time.Duration(answer[5]) * time.Millisecond; soon > 0 {
		again = min(again, soon)
	}
	return SlotGrant{
		Slots: int(answer[0]), Until: asked.Add(s.cfg.Lease - s.cfg.Lease/12), Again: again,
		Limit: int(answer[1]), Granted: int(answer[2]), Workers: int(answer[3]),
		Frozen: time.Duration(answer[4]) * time.Millisecond,
	}, nil
}
