package rig

import (
	"context"
	"errors"
	"testing"

	"github.com/shortwire-sms/shortwire/receipts"
)

// survives kills the master and expects a client of the product to write again.
func survives(t *testing.T, start func(r *Rig, program string) (*Redis, error)) {
	t.Helper()
	program, err := findRedis()
	if err != nil {
		t.Skipf("needs redis-server: %v", err)
	}
	rd, err := start(openRig(t), program)
	if err != nil {
		t.Fatal(err)
	}
	client, err := receipts.Connect(rd.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const key = "fleet"
	if err := client.Set(t.Context(), key, "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	first, err := rd.Master(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	// Three elections' time: on a busy machine the first may miss its majority,
	// and Redis Cluster waits four node timeouts before the next.
	ctx, cancel := context.WithTimeout(t.Context(), 3*readyTimeout)
	defer cancel()
	err = Await(ctx, "another master", func(ctx context.Context) error {
		if err := client.Set(ctx, key, "2", 0).Err(); err != nil {
			return err
		}
		second, err := rd.Master(ctx, key)
		if err == nil && second == first {
			err = errors.New("still the first")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRedisWithSentinelSurvivesItsMaster(t *testing.T) {
	t.Parallel()
	survives(t, func(r *Rig, program string) (*Redis, error) { return r.StartRedisSentinel(t.Context(), program) })
}

func TestRedisClusterSurvivesAMaster(t *testing.T) {
	t.Parallel()
	survives(t, func(r *Rig, program string) (*Redis, error) { return r.StartRedisCluster(t.Context(), program, 3) })
}
