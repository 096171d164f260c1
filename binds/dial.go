package binds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// keepAliveProbes is how many TCP keep-alive probes go unanswered before the
// kernel gives a connection up.
const keepAliveProbes = 3

// dialer makes TCP connections whose death the kernel notices by itself:
// probes into silence, and a bound on how long octets may stay unacknowledged.
// enquire_link finds the same and more; this covers writes that the peer's
// host never acknowledges.
func (c *Config) dialer() *net.Dialer {
	d := &net.Dialer{
		KeepAlive: -1,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: c.KeepAlive > 0, Idle: c.KeepAlive, Interval: max(c.KeepAlive/keepAliveProbes, time.Second), Count: keepAliveProbes,
		},
	}
	if c.UserTimeout > 0 {
		d.Control = controlUserTimeout(c.UserTimeout)
	}
	return d
}

// dial opens a connection, with its TLS handshake if there is one.
func (p *Pool) dial(ctx context.Context, c *Config, endpoint string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
	defer cancel()
	dial := p.deps.Dial
	if dial == nil {
		dial = c.dialer().DialContext
	}
	conn, err := dial(ctx, "tcp", endpoint)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	if c.TLS == nil {
		return conn, nil
	}
	cfg := c.TLS.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(endpoint)
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &tlsError{endpoint: endpoint, name: cfg.ServerName, err: err}
	}
	return secure, nil
}

// tlsError is a handshake that failed.
type tlsError struct {
	endpoint string
	name     string // that the certificate had to carry
	err      error
}

func (e *tlsError) Error() string { return fmt.Sprintf("TLS with %s: %v", e.endpoint, e.err) }
func (e *tlsError) Unwrap() error { return e.err }

// remoteAlert reports whether the peer ended TLS with an alert. With TLS 1.3
// one about our certificate comes only with the first read.
func remoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
