package receipts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
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
// It uses the ordered stream of go-redis's AsyncAutoPipeline: commands of one
// goroutine run in the order in which they were submitted, also those of one
// step, and unlike the blocking kind the wait for them can be left when ctx
// ends. A batch that fails on the network is sent again as a whole, so every
// step here may run twice and must not mind.
type store struct {
	client   redis.UniversalClient
	pipeline func() (*redis.AutoPipeliner, error) // made at the first use, because that starts goroutines
	log      *slog.Logger

	away  atomic.Bool
	since atomic.Int64 // Unix nanoseconds of the last change of away, 0 before the first
}

func newStore(client redis.UniversalClient, log *slog.Logger) *store {
	return &store{
		client: client,
		log:    log,
		pipeline: sync.OnceValues(func() (*redis.AutoPipeliner, error) {
			return client.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{MaxBatchSize: 300})
		}),
	}
}

// one runs a single command until Redis has answered it or ctx ends. build
// makes it anew for every attempt, since that of a failed one may still be in flight.
func one[C redis.Cmder](ctx context.Context, s *store, name string, build func() C) (C, error) {
	var last C
	err := s.retry(ctx, name, func(p *redis.AutoPipeliner) error {
		last = build()
		return settle(ctx, p.Submit(ctx, last))
	})
	return last, err
}

// many runs several commands, in order, until Redis has answered all of them or
// ctx ends. build makes them anew for every attempt, since those of a failed
// one may still be in flight.
func (s *store) many(ctx context.Context, name string, build func() []redis.Cmder) ([]redis.Cmder, error) {
	var cmds []redis.Cmder
	err := s.retry(ctx, name, func(p *redis.AutoPipeliner) error {
		cmds = build()
		waits := make([]redis.AutoFuture, len(cmds))
		for i, cmd := range cmds {
			waits[i] = p.Submit(ctx, cmd)
		}
		for _, w := range waits {
			if err := settle(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
	return cmds, err
}

// settle waits for a command; that a key is absent is an answer.
func settle(ctx context.Context, f redis.AutoFuture) error {
	if err := f.WaitContext(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
}

// retry calls try until it succeeds or ctx ends.
func (s *store) retry(ctx context.Context, name string, try func(*redis.AutoPipeliner) error) error {
	p, err := s.pipeline()
	if err != nil {
		return fmt.Errorf("redis pipeline: %w", err)
	}
	backoff := minBackoff
	for {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", name, context.Cause(ctx))
		}
		err := try(p)
		if err == nil {
			s.answered()
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", name, context.Cause(ctx))
		}
		if strings.HasPrefix(err.Error(), "NOSCRIPT") {
			err = s.loadScripts(ctx)
			if err == nil {
				continue
			}
		}
		if errors.Is(err, redis.ErrClosed) {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.failed(name, err)
		if err := pause(ctx, backoff/2+rand.N(backoff/2)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		backoff = min(2*backoff, maxBackoff)
	}
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
	if s.away.CompareAndSwap(false, true) {
		s.since.Store(time.Now().UnixNano())
		s.log.Warn("redis is away, waiting for it", "step", name, "err", err)
	}
}

func (s *store) answered() {
	if s.away.Load() && s.away.CompareAndSwap(true, false) {
		now := time.Now().UnixNano()
		s.log.Info("redis is back", "away", time.Duration(now-s.since.Swap(now)).Round(time.Millisecond))
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
