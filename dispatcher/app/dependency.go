package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
)

// DependencyError says that something which a worker needs is out of reach or
// not set up. Programs exit with 3 on it.
type DependencyError struct {
	What string // "NATS", "Redis", "SMSC"
	Err  error  // says where and why
	Hint string // what to do; may be empty
}

// Error implements error.
func (e *DependencyError) Error() string { return e.What + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DependencyError) Unwrap() error { return e.Err }

// cause strips the request and the addresses that net/http and net repeat.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err
}

// ackWait is how long a worker may say nothing about a delivery before it goes
// to another. Workers speak up for each of theirs after a third of it, however
// long a response takes, so it only bounds how long the jobs of a dead worker wait.
const ackWait = 30 * time.Second

// jetstreamConfig is how every program reaches NATS. name stands in the
// server's list of connections.
func jetstreamConfig(cfg *Config, name string, log *slog.Logger) jetstream.Config {
	return jetstream.Config{
		URL:       cfg.NATS.ServerURL(),
		CredsFile: cfg.NATS.CredsFile,
		Name:      name,
		Prefix:    cfg.NATS.SubjectPrefix,
		Consumers: consumerConfig(),
		Logger:    log,
	}
}

// consumerConfig is the same for setup and for every worker.
func consumerConfig() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{AckWait: ackWait}
}

// dial connects a command to NATS; it does not wait for a server to come up.
func dial(ctx context.Context, cfg *Config, name string) (*jetstream.Client, error) {
	client, err := jetstream.Dial(ctx, jetstreamConfig(cfg, name, nil))
	if err != nil {
		return nil, &DependencyError{What: "NATS", Err: err}
	}
	return client, nil
}

// natsFault tells a fault of the dependency from an interrupted command.
func natsFault(ctx context.Context, err error) error {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return &DependencyError{What: "NATS", Err: err}
}

func routeNames(cfg *Config) []string {
	names := make([]string, len(cfg.Routes))
	for i, r := range cfg.Routes {
		names[i] = r.Name
	}
	return names
}
