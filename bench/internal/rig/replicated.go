package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Redis is one redis-server or several that stand in for each other.
type Redis struct {
	URL     string    // as a worker is configured
	Servers []*Server // all that keep data
	// Master is the server that answers for a key now.
	Master func(ctx context.Context, key string) (*Server, error)
}

// How soon a master that does not answer counts as gone. Redis's own defaults
// are 30 s for Sentinel and 15 s for Redis Cluster.
const (
	sentinelDownMS = "1000"
	clusterDownMS  = "2000"
	sentinels      = 3
)

// StartRedisAlone begins one redis-server as StartRedis does.
func (r *Rig) StartRedisAlone(ctx context.Context, program string, keep Durability) (*Redis, error) {
	s, err := r.StartRedis(ctx, program, keep)
	if err != nil {
		return nil, err
	}
	return &Redis{
		URL: s.URL("redis") + "/0", Servers: []*Server{s},
		Master: func(context.Context, string) (*Server, error) { return s, nil },
	}, nil
}

// StartRedisSentinel begins a master, a replica and three Sentinels.
func (r *Rig) StartRedisSentinel(ctx context.Context, program string) (*Redis, error) {
	servers, ports, err := r.redisServers(ctx, program, 2, nil)
	if err != nil {
		return nil, err
	}
	if _, err := redisCommand(ctx, servers[1].Addr, "REPLICAOF 127.0.0.1 "+strconv.Itoa(ports[0])); err != nil {
		return nil, fmt.Errorf("make a replica: %w", err)
	}
	var watch []*Server
	for i := range sentinels {
		s, err := r.sentinel(program, i+1, ports[0])
		if err != nil {
			return nil, err
		}
		if err := s.Restart(ctx); err != nil {
			return nil, err
		}
		watch = append(watch, s)
	}
	for _, s := range watch { // a Sentinel that knows the others can elect, one that knows the replica can promote
		if err := s.Ready(ctx, func(ctx context.Context) error { return watches(ctx, s.Addr) }); err != nil {
			return nil, err
		}
	}
	out := &Redis{Servers: servers, URL: "redis+sentinel://" + watch[0].Addr + "/0?master_name=fleet"}
	for _, s := range watch[1:] {
		out.URL += "&addr=" + s.Addr
	}
	out.Master = func(ctx context.Context, _ string) (*Server, error) {
		for _, s := range servers {
			if info, err := redisCommand(ctx, s.Addr, "INFO replication"); err == nil && strings.Contains(info, "role:master") {
				return s, nil
			}
		}
		return nil, errors.New("redis: nobody is master")
	}
	return out, nil
}

// redisServers begins several, each with a directory of its own, that log writes.
func (r *Rig) redisServers(ctx context.Context, program string, n int, args func(port int) ([]string, error)) (all []*Server, ports []int, err error) {
	for i := range n {
		port, err := FreePort()
		if err != nil {
			return nil, nil, err
		}
		var more []string
		if args != nil {
			if more, err = args(port); err != nil {
				return nil, nil, err
			}
		}
		name := "redis-" + strconv.Itoa(i+1)
		s, err := r.redisServer(program, name, name, port, LogWrites, more...)
		if err != nil {
			return nil, nil, err
		}
		if err := s.Restart(ctx); err != nil {
			return nil, nil, err
		}
		all, ports = append(all, s), append(ports, port)
	}
	return all, ports, nil
}

// sentinel is one that has not begun. It keeps what it learns in its file.
func (r *Rig) sentinel(program string, n, master int) (*Server, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	name := "sentinel-" + strconv.Itoa(n)
	file := filepath.Join(r.dir, name+".conf")
	config := fmt.Sprintf(`port %d
bind %s
dir %s
sentinel monitor fleet 127.0.0.1 %d %d
sentinel down-after-milliseconds fleet %s
sentinel failover-timeout fleet 6000
`, port, r.listen, r.dir, master, sentinels/2+1, sentinelDownMS)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration of %s: %w", name, err)
	}
	s := &Server{Addr: addr(port)}
	s.start = func() (*Proc, error) { return r.Start(name, nil, program, file, "--sentinel") }
	s.ready = func(ctx context.Context) error {
		_, err := redisCommand(ctx, s.Addr, "PING")
		return err
	}
	return s, nil
}

// watches reports whether a Sentinel knows the replica and the other Sentinels.
func watches(ctx context.Context, sentinel string) error {
	info, err := redisCommand(ctx, sentinel, "INFO sentinel")
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("slaves=1,sentinels=%d", sentinels); !strings.Contains(info, want) {
		return fmt.Errorf("it does not know the others yet: %s", strings.TrimSpace(info))
	}
	return nil
}

// StartRedisCluster begins a Redis Cluster of so many masters, each with a replica.
func (r *Rig) StartRedisCluster(ctx context.Context, program string, masters int) (*Redis, error) {
	servers, ports, err := r.redisServers(ctx, program, 2*masters, func(port int) ([]string, error) {
		bus, err := FreePort()
		return []string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", clusterDownMS,
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"}, err
	})
	if err != nil {
		return nil, err
	}
	if err := formCluster(ctx, servers, ports, masters); err != nil {
		return nil, fmt.Errorf("form a cluster: %w", err)
	}
	out := &Redis{Servers: servers, URL: "redis+cluster://" + servers[0].Addr}
	for i, s := range servers[1:] {
		sep := "&"
		if i == 0 {
			sep = "?"
		}
		out.URL += sep + "addr=" + s.Addr
	}
	out.Master = func(ctx context.Context, key string) (*Server, error) { return slotMaster(ctx, servers, key) }
	return out, nil
}

const slots = 16384

// formCluster makes the servers know each other, and each of the later half
// the replica of one of the first.
func formCluster(ctx context.Context, servers []*Server, ports []int, masters int) error {
	ids := make([]string, len(servers))
	for i, s := range servers {
		// As redis-cli does: nodes of one epoch settle it among themselves later,
		// and an election held meanwhile is refused and waits for seconds.
		if _, err := redisCommand(ctx, s.Addr, "CLUSTER SET-CONFIG-EPOCH "+strconv.Itoa(i+1)); err != nil {
			return err
		}
		if i < masters {
			command := fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*slots/masters, (i+1)*slots/masters-1)
			if _, err := redisCommand(ctx, s.Addr, command); err != nil {
				return err
			}
		}
		if i > 0 {
			_, bus, err := clusterSelf(ctx, servers[0].Addr)
			if err != nil {
				return err
			}
			if _, err := redisCommand(ctx, s.Addr, fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d %s", ports[0], bus)); err != nil {
				return err
			}
		}
		var err error
		if ids[i], _, err = clusterSelf(ctx, s.Addr); err != nil {
			return err
		}
	}
	for i, s := range servers[masters:] {
		err := s.Ready(ctx, func(ctx context.Context) error {
			_, err := redisCommand(ctx, s.Addr, "CLUSTER REPLICATE "+ids[i]) // fails until it has heard of that one
			return err
		})
		if err != nil {
			return err
		}
	}
	for i, s := range servers {
		err := s.Ready(ctx, func(ctx context.Context) error {
			info, err := redisCommand(ctx, s.Addr, "CLUSTER INFO")
			nodes, _ := redisCommand(ctx, s.Addr, "CLUSTER NODES")
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || strings.Count(nodes, " slave ")+strings.Count(nodes, ",slave ") < len(servers)-masters) {
				err = errors.New("not every node knows the cluster")
			}
			if err != nil || i < masters {
				return err
			}
			replication, err := redisCommand(ctx, s.Addr, "INFO replication")
			if err == nil && !strings.Contains(replication, "master_link_status:up") {
				err = errors.New("it has not copied its master yet")
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clusterSelf is a node's id and the port of its cluster bus.
func clusterSelf(ctx context.Context, server string) (id, bus string, err error) {
	nodes, err := redisCommand(ctx, server, "CLUSTER NODES")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.Contains(f[2], "myself") {
			continue
		}
		where, _, _ := strings.Cut(f[1], ",")
		_, bus, _ = strings.Cut(where, "@")
		return f[0], bus, nil
	}
	return "", "", errors.New("redis: a node that does not know itself")
}

// slotMaster asks the nodes who answers for a key.
func slotMaster(ctx context.Context, servers []*Server, key string) (*Server, error) {
	for _, s := range servers {
		// The others answer MOVED.
		if _, err := redisCommand(ctx, s.Addr, "EXISTS "+key); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("redis: nobody answers for %s", key)
}
