package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/receipts"
)

// costJobs is enough for start and end not to count.
const costJobs = 40_000

// costMode drains a backlog with one worker on each way to keep NATS and Redis,
// and tells what a message of one part with its receipt costs each of them:
// the figures that deploy/scaling begins with.
func costMode(ctx context.Context, bin *rig.Binaries) (bool, error) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "kept by\tmessages/s\tµs of CPU: worker\tNATS\tRedis\toctets in NATS: job\tresults\tin Redis: ledger\tmessage id\tall\t\n")
	for _, set := range []setting{{redis: alone, nats: 1}, {redis: sentinel, nats: 3}, {redis: cluster, nats: 3}} {
		set.accounts = []load.Account{{Name: "alpha", Binds: 4, Window: 1000}}
		held, err := with(ctx, bin, set, func(s *stage) (bool, error) { return true, s.cost(ctx, t) })
		if !held || err != nil {
			return false, fmt.Errorf("NATS ×%d, Redis %s: %w", set.nats, set.redis, err)
		}
	}
	fmt.Printf("\n== %d messages of one part and their receipts, one worker, all on this machine\n", costJobs)
	return true, t.Flush()
}

func (s *stage) cost(ctx context.Context, t *tabwriter.Writer) error {
	client, err := receipts.Connect(s.redis.URL)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := s.backlog(ctx, "alpha", "normal", "c", costJobs); err != nil {
		return err
	}
	stream, err := s.js.Stream(ctx, load.JobsOf("alpha"))
	if err != nil {
		return fmt.Errorf("find the jobs: %w", err)
	}
	job := stream.CachedInfo().State.Bytes / costJobs
	before, err := s.spent(ctx, client)
	if err != nil {
		return err
	}
	if err := s.startWorkers(ctx, 1, 4); err != nil {
		return err
	}
	from := time.Now()
	if settled, err := s.trial.Settle(ctx, killStall, s.alive); err != nil || !settled {
		return fmt.Errorf("not everything came: %w", err)
	}
	after, err := s.spent(ctx, client)
	if err != nil {
		return err
	}
	counts, err := load.Count(ctx, s.js)
	if err != nil {
		return err
	}
	results, err := s.js.Stream(ctx, load.Results)
	if err != nil {
		return fmt.Errorf("find the results: %w", err)
	}
	ledger, err := sample(ctx, client, "sw:j:*")
	if err != nil {
		return err
	}
	id, err := sample(ctx, client, "sw:c:*")
	if err != nil {
		return err
	}
	fmt.Fprintf(t, "NATS ×%d, Redis %s\t%.0f\t%.0f\t%.0f\t%.0f\t%d\t%d\t%d\t%d\t%d\t\n", s.set.nats, s.set.redis,
		costJobs/counts.Last.Sub(from).Seconds(), each(after.worker-before.worker), each(after.nats-before.nats), each(after.redis-before.redis),
		job, results.CachedInfo().State.Bytes/costJobs, ledger, id, (after.memory-before.memory)/costJobs)
	return nil
}

// each is the share of one message, in microseconds.
func each(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / costJobs }

// spent is what the processes have used; the servers that stand by count too.
type spent struct {
	worker, nats, redis time.Duration
	memory              int64 // of the Redis masters, data only
}

func (s *stage) spent(ctx context.Context, client redis.UniversalClient) (sp spent, err error) {
	sum := func(into *time.Duration, p *rig.Proc) {
		u, uerr := p.Usage()
		if err == nil {
			err = uerr
		}
		*into += u.CPU
	}
	for _, w := range s.workers {
		sum(&sp.worker, w)
	}
	for _, n := range s.nats.Servers {
		sum(&sp.nats, n.Proc)
	}
	for _, r := range s.redis.Servers {
		sum(&sp.redis, r.Proc)
	}
	if err != nil {
		return sp, err
	}
	var mu sync.Mutex
	err = masters(ctx, client, func(ctx context.Context, c *redis.Client) error {
		info, err := c.Info(ctx, "memory").Result()
		if err != nil {
			return fmt.Errorf("ask Redis for its memory: %w", err)
		}
		_, rest, _ := strings.Cut(info, "used_memory:")
		digits, _, _ := strings.Cut(rest, "\r")
		used, err := strconv.ParseInt(digits, 10, 64)
		mu.Lock()
		defer mu.Unlock()
		sp.memory += used
		return err
	})
	return sp, err
}

// masters calls f for every server that answers for keys.
func masters(ctx context.Context, client redis.UniversalClient, f func(context.Context, *redis.Client) error) error {
	switch c := client.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, f)
	case *redis.Client:
		return f(ctx, c)
	}
	return fmt.Errorf("a Redis client of type %T", client)
}

// sampled is how many keys of each server are measured.
const sampled = 200

// sample is what a key of that pattern takes on average, in octets, its share
// of the table of all keys not counted.
func sample(ctx context.Context, client redis.UniversalClient, pattern string) (int64, error) {
	var mu sync.Mutex
	var keys, octets int64
	err := masters(ctx, client, func(ctx context.Context, c *redis.Client) error {
		it := c.Scan(ctx, 0, pattern, 1000).Iterator()
		for n := 0; n < sampled && it.Next(ctx); n++ {
			used, err := c.MemoryUsage(ctx, it.Val()).Result()
			if err != nil {
				return fmt.Errorf("ask Redis for the memory of a key: %w", err)
			}
			mu.Lock()
			keys, octets = keys+1, octets+used
			mu.Unlock()
		}
		return it.Err()
	})
	return octets / max(1, keys), err
}
