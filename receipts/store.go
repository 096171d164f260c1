package receipts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Back-off between attempts while Redis is away.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = time.Second
)

// store sends commands to Redis, coalesced with those of other goroutines into
// shared pipelines, and waits while Redis is away.
//
// Commands of one goroutine run in the order in which they were asked for, also
// those of one step. A pipeline that fails on the network is sent again as a
// whole, so every step here may run twice and must not mind.
type store struct {
	client  redis.UniversalClient
	cluster bool // or what may be one
	group   group
	log     *slog.Logger

	away  atomic.Bool
	since atomic.Int64 // Unix nanoseconds of the last change of away, 0 before the first
	told  atomic.Int64 // Unix nanoseconds of the last line in the log that it is away
}

// quiet is how long after a line that Redis is away further ones are at debug
// level: while one master of a cluster is away the others answer, many times a second.
const quiet = 5 * time.Second

func newStore(client redis.UniversalClient, log *slog.Logger) *store {
	_, single := client.(*redis.Client) // with Sentinel too
	return &store{client: client, cluster: !single, group: group{pipe: client.Pipeline()}, log: log}
}

// one runs a single command until Redis has answered it or ctx ends. build
// makes it for every attempt, anew or without its error. Only when ctx ends may
// it still be in flight.
func one[C redis.Cmder](ctx context.Context, s *store, name string, build func() C) (C, error) {
	backoff := minBackoff
	for {
		cmd := build()
		err := s.group.run(ctx, cmd)
		if err == nil {
			s.answered()
			return cmd, nil
		}
		if backoff, err = s.recover(ctx, name, err, backoff); err != nil {
			return cmd, err
		}
	}
}

// many runs several commands, in order, until Redis has answered all of them or
// ctx ends; build is as for one.
func (s *store) many(ctx context.Context, name string, build func() []redis.Cmder) ([]redis.Cmder, error) {
	backoff := minBackoff
	for {
		cmds := build()
		err := s.group.run(ctx, cmds...)
		if err == nil {
			s.answered()
			return cmds, nil
		}
		if backoff, err = s.recover(ctx, name, err, backoff); err != nil {
			return cmds, err
		}
	}
}

// recover returns when a failed step may be tried again, with the next
// back-off, or the error that ends it.
func (s *store) recover(ctx context.Context, name string, err error, backoff time.Duration) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
	if strings.HasPrefix(err.Error(), "NOSCRIPT") {
		if err = s.loadScripts(ctx); err == nil {
			return backoff, nil
		}
	}
	if errors.Is(err, redis.ErrClosed) {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	s.failed(name, err)
	if err := pause(ctx, backoff/2+rand.N(backoff/2)); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return min(2*backoff, maxBackoff), nil
}

// pause sleeps for d, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *store) failed(name string, err error) {
	if !s.away.CompareAndSwap(false, true) {
		return
	}
	now := time.Now().UnixNano()
	s.since.Store(now)
	level := slog.LevelDebug
	if now-s.told.Load() > int64(quiet) {
		s.told.Store(now)
		level = slog.LevelWarn
	}
	s.log.Log(context.Background(), level, "redis is away, waiting for it", "step", name, "err", err)
}

func (s *store) answered() {
	if s.away.Load() && s.away.CompareAndSwap(true, false) {
		now := time.Now().UnixNano()
		began := s.since.Swap(now)
		level := slog.LevelDebug
		if began == s.told.Load() {
			level = slog.LevelInfo
		}
		s.log.Log(context.Background(), level, "redis is back", "away", time.Duration(now-began).Round(time.Millisecond))
	}
}

func (s *store) healthy() bool { return !s.away.Load() }

// settledFor reports whether Redis has been there for d since it was last away.
func (s *store) settledFor(d time.Duration) bool {
	if s.away.Load() {
		return false
	}
	since := s.since.Load()
	return since == 0 || time.Since(time.Unix(0, since)) >= d
}
