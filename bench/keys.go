package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxKeysMemory is how much memory of Redis the correlations from before may take, in octets.
	maxKeysMemory = 4 << 30
	keysAtOnce    = 10_000
)

// keysScript writes correlations as the worker writes them, with their time to
// live, under message ids that the simulator does not give out: ARGV[1] to ARGV[2]-1.
const keysScript = `for i = ARGV[1], ARGV[2] - 1 do
  local id = string.format('%016d', i)
  redis.call('SET', 'sw:c:{bench:' .. id .. '}', '1 5:bench 9:a-0000000 5:bench 16:' .. id .. ' 1 1', 'EX', 691200)
end`

// fillKeys puts correlations of earlier messages into Redis, as many as the
// setting asks for or the memory allows.
func (s *stage) fillKeys(ctx context.Context) error {
	if s.set.keys == 0 {
		return nil
	}
	client := redis.NewClient(&redis.Options{Addr: s.redis.Addr, ReadTimeout: 30 * time.Second})
	defer client.Close()
	for n := 0; n < s.set.keys; n += keysAtOnce {
		until := min(n+keysAtOnce, s.set.keys)
		if err := client.Eval(ctx, keysScript, nil, n, until).Err(); err != nil && err != redis.Nil {
			return fmt.Errorf("fill Redis with keys: %w", err)
		}
		s.keys = until
		used, err := usedMemory(ctx, client)
		if err != nil {
			return err
		}
		if used > maxKeysMemory {
			break
		}
	}
	progress("  Redis holds %d message ids from before", s.keys)
	return nil
}

// usedMemory is what Redis has allocated, in octets.
func usedMemory(ctx context.Context, client *redis.Client) (int64, error) {
	info, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, fmt.Errorf("ask Redis for its memory: %w", err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	digits, _, _ := strings.Cut(rest, "\r")
	return strconv.ParseInt(digits, 10, 64)
}
