package rig

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATSCluster is several NATS servers that hold streams together.
type NATSCluster struct {
	Servers []*Server // n1, n2, …
}

// StartNATSCluster begins so many servers, and waits until JetStream answers on
// each, which it does once they have a leader.
func (r *Rig) StartNATSCluster(ctx context.Context, program string, servers int) (*NATSCluster, error) {
	ports := make([]int, 2*servers)
	var routes []string
	for i := range ports {
		var err error
		if ports[i], err = FreePort(); err != nil {
			return nil, err
		}
		if i%2 == 1 {
			routes = append(routes, "nats://"+addr(ports[i]))
		}
	}
	c := &NATSCluster{}
	for i := range servers {
		name := "n" + strconv.Itoa(i+1)
		s, err := r.natsServer(program, "nats-server-"+name, "nats-"+name, ports[2*i], "-n", name, "-cluster_name", "fleet",
			"-cluster", "nats://"+addr(ports[2*i+1]), "-routes", strings.Join(routes, ","))
		if err != nil {
			return nil, err
		}
		if s.Proc, err = s.start(); err != nil {
			return nil, err
		}
		c.Servers = append(c.Servers, s)
	}
	for _, s := range c.Servers {
		if err := s.Ready(ctx, s.ready); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// URL names every server, comma-separated.
func (c *NATSCluster) URL() string {
	var all []string
	for _, s := range c.Servers {
		all = append(all, s.URL("nats"))
	}
	return strings.Join(all, ",")
}

// Leader is the server that leads a stream now.
func (c *NATSCluster) Leader(ctx context.Context, stream string) (*Server, error) {
	nc, err := nats.Connect(c.URL())
	if err != nil {
		return nil, fmt.Errorf("find the leader of %s: %w", stream, err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("find the leader of %s: %w", stream, err)
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("find the leader of %s: %w", stream, err)
	}
	cluster := s.CachedInfo().Cluster
	if cluster == nil {
		return nil, errors.New("the servers are no cluster")
	}
	i, err := strconv.Atoi(strings.TrimPrefix(cluster.Leader, "n"))
	if err != nil || i < 1 || i > len(c.Servers) {
		return nil, fmt.Errorf("stream %s is led by %q", stream, cluster.Leader)
	}
	return c.Servers[i-1], nil
}
