package receipts

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// doubtAfterTakeover is how long after a Redis server was first met as master
// jobs that it knows nothing of, though they were delivered before, are in
// doubt. A claim that was lost is one of a job in hand: either its worker lived
// and wrote again with the SMSC's answer, or it died and the job comes back
// first of all to those who met that server, once JetStream has missed the dead one.
const doubtAfterTakeover = 10 * time.Minute

// masters is since when each Redis server that was met has answered for its
// keys. Replication is asynchronous: a replica that takes over may lack the
// last writes, and a server that is started again those that it had not logged.
// Either has a new replication id, which is how it is noticed; the ids stand in
// the epoch's hash, each with when it was first met, since in Redis Cluster every
// shard has its own.
type masters struct {
	store *store
	key   string // the epoch's

	mu    sync.Mutex
	since map[string]time.Time // by replication id; guarded by mu
}

// look notes the servers that answer now.
func (m *masters) look(ctx context.Context) error {
	cluster, ok := m.store.client.(*redis.ClusterClient)
	if !ok {
		_, err := m.of(ctx, m.key)
		return err
	}
	var mu sync.Mutex
	var ids []string
	// One that is away is noted when a job asks for it.
	_ = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		info, err := c.Info(ctx, "replication").Result()
		_, rest, found := strings.Cut(info, "master_replid:")
		if id, _, _ := strings.Cut(rest, "\r"); err == nil && found {
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, id)
		}
		return nil
	})
	_, err := m.note(ctx, ids)
	return err
}

// of is since when the server that has key has answered for it, zero when that
// cannot be known.
func (m *masters) of(ctx context.Context, key string) (time.Time, error) {
	cmd, err := one(ctx, m.store, "look who answers", func() *redis.Cmd { return call(ctx, replicationScript, []string{key}) })
	if err != nil {
		return time.Time{}, err
	}
	id, _ := cmd.Val().(string)
	if id == "" {
		return time.Time{}, nil // not a redis-server
	}
	return m.note(ctx, []string{id})
}

// note returns since when the youngest of them has answered.
func (m *masters) note(ctx context.Context, ids []string) (youngest time.Time, err error) {
	var unknown []any
	m.mu.Lock()
	met := len(m.since) > 0
	for _, id := range ids {
		at, known := m.since[id]
		if !known {
			unknown = append(unknown, id)
		}
		if at.After(youngest) {
			youngest = at
		}
	}
	m.mu.Unlock()
	if len(unknown) == 0 {
		return youngest, nil
	}
	cmd, err := one(ctx, m.store, "note who answers", func() *redis.Cmd { return call(ctx, mastersScript, []string{m.key}, unknown...) })
	if err != nil {
		return time.Time{}, err
	}
	answer, err := cmd.StringSlice()
	if err != nil || len(answer) != len(unknown) {
		return time.Time{}, redis.Nil // not from our script
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since == nil {
		m.since = map[string]time.Time{}
	}
	for i, id := range unknown {
		ms, _ := strconv.ParseInt(answer[i], 10, 64)
		at := time.UnixMilli(ms)
		m.since[id.(string)] = at
		if at.After(youngest) {
			youngest = at
		}
		if met {
			m.store.log.Warn("another redis server is master, or it was started again: what was written right before may be lost; jobs that were in hand and are not known are in doubt",
				"since", at.UTC())
		}
	}
	return youngest, nil
}
