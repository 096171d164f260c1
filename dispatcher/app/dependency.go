package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
	"github.com/shortwire-sms/shortwire/receipts"
)

// DependencyError says that something which a worker needs is out of reach or
// not set up. Programs exit with 3 on it.
type DependencyError struct {
	What string // "NATS", "Redis", "SMSC", "admin server"
	Err  error  // says where and why
	Hint string // what to do; may be empty
}

// Error implements error.
func (e *DependencyError) Error() string { return e.What + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DependencyError) Unwrap() error { return e.Err }

// probeRedis makes sure that Redis answers and can be worked with. url is what
// stands in the error.
func probeRedis(ctx context.Context, client redis.UniversalClient, url string) error {
	if err := client.Ping(ctx).Err(); err != nil {
		return &DependencyError{What: "Redis", Err: fmt.Errorf("%s does not answer: %w", url, cause(err)), Hint: redisHint(err)}
	}
	err := receipts.Probe(ctx, client, "")
	var unusable *receipts.UnusableError
	switch {
	case errors.As(err, &unusable):
		return &DependencyError{What: "Redis", Err: fmt.Errorf("%s %w", url, err), Hint: unusable.Hint}
	case err != nil:
		return &DependencyError{What: "Redis", Err: fmt.Errorf("%s: %w", url, cause(err))}
	}
	return nil
}

// redisHint says what to do about a Redis that does not let us in.
func redisHint(err error) string {
	switch {
	case redis.HasErrorPrefix(err, "NOAUTH"), redis.HasErrorPrefix(err, "WRONGPASS"):
		return "check the user in redis.url, and redis.password_env or password_file"
	case redis.HasErrorPrefix(err, "NOPERM"):
		return "allow the user PING and what else it needs"
	}
	return "check redis.url, and that the server runs"
}

// listenFault says what to do about an address that the admin server cannot have.
func listenFault(err error) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program has this address, perhaps another worker: end it, or set another admin.listen"
	case errors.Is(err, syscall.EACCES):
		hint = "ports below 1024 take a privilege: set another admin.listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine does not have the address: set another admin.listen"
	default:
		return err
	}
	return &DependencyError{What: "admin server", Err: err, Hint: hint}
}

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
// server's list of connections; current is the configuration at the moment, for
// what is asked at each connection.
func jetstreamConfig(current func() *Config, name string, log *slog.Logger) jetstream.Config {
	n := &current().NATS
	c := jetstream.Config{
		URL:         n.URL,
		CredsFile:   n.CredsFile,
		NKeySeed:    string(n.Seed),
		InboxPrefix: n.InboxPrefix,
		Name:        name,
		Prefix:      n.SubjectPrefix,
		Consumers:   consumerConfig(),
		Logger:      log,
	}
	if n.User != "" {
		c.User = func() (user, password string) { return n.User, string(current().NATS.Password) }
	}
	if n.TLS.given() {
		c.TLS = &jetstream.TLS{ServerName: n.TLS.ServerName, Roots: n.TLS.roots}
		if n.TLS.CertFile != "" {
			c.TLS.Certificate = n.TLS.certificate
		}
	}
	return c
}

// dialRedis makes the client of every program; current is the configuration at
// the moment, for what is asked at each connection. It does no I/O but to read
// the files of redis.tls.
func dialRedis(current func() *Config) (redis.UniversalClient, error) {
	r := &current().Redis
	access := receipts.Access{SentinelPassword: string(r.SentinelPassword)}
	if r.Password != "" {
		access.User = func() (user, password string) { return r.User, string(current().Redis.Password) }
	}
	if r.TLS.given() {
		access.TLS = r.TLS.client
	}
	return receipts.ConnectAs(r.URL, access)
}

// fixed is a configuration that does not change.
func fixed(cfg *Config) func() *Config { return func() *Config { return cfg } }

// consumerConfig is the same for setup and for every worker.
func consumerConfig() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{AckWait: ackWait}
}

// dial connects a command to NATS; it does not wait for a server to come up.
func dial(ctx context.Context, cfg *Config, name string) (*jetstream.Client, error) {
	client, err := jetstream.Dial(ctx, jetstreamConfig(fixed(cfg), name, nil))
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
