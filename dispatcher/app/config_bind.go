package app

import (
	"crypto/tls"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
)

// Which endpoint a bind prefers.
const (
	FailoverSpread  = "spread"
	FailoverOrdered = "ordered"
)

// TCPConfig is how the death of a connection shows below SMPP.
type TCPConfig struct {
	KeepAlive   time.Duration `yaml:"keep_alive"`   // silence before probes, a third of it between them, 1s..1h; 0 means none. Default 30s
	UserTimeout time.Duration `yaml:"user_timeout"` // how long sent octets may go without TCP acknowledgement (Linux), 1s..1h; 0 means the system's. Default twice EnquireLink, at least 1s
}

// BackoffConfig is how long a bind pauses after what. All are jittered upwards.
type BackoffConfig struct {
	Base         time.Duration `yaml:"base"`          // busy, lost or unreachable: first pause, then doubled, 10ms..1h. Default 1s
	Max          time.Duration `yaml:"max"`           // longest of these, Base..24h. Default 2m
	StableAfter  time.Duration `yaml:"stable_after"`  // a session that lived as long starts over from Base, 1s..1h. Default 30s
	Credentials  time.Duration `yaml:"credentials"`   // account or address refused, 1m..24h. Default 5m
	AlreadyBound time.Duration `yaml:"already_bound"` // ESME_RALYBND, up to twice as long, 1s..1h. Default 30s
	PeerUnbind   time.Duration `yaml:"peer_unbind"`   // unbind of the SMSC, 0s..1h. Default 30s
}

func (c *TCPConfig) setDefaults() { *c = TCPConfig{KeepAlive: 30 * time.Second} }

func (c *BackoffConfig) setDefaults() {
	*c = BackoffConfig{
		Base: time.Second, Max: 2 * time.Minute, StableAfter: 30 * time.Second,
		Credentials: 5 * time.Minute, AlreadyBound: 30 * time.Second, PeerUnbind: 30 * time.Second,
	}
}

// tlsVersions are the values of tls.min_version.
var tlsVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// maxAddressRange is the longest address_range (SMPP 3.4 §5.2.7), in octets.
const maxAddressRange = 40

// bind checks how the binds of a route live; the timers are checked.
func (c *checker) bind(path string, r *RouteConfig) {
	c.cString(path+".address_range", r.AddressRange)
	if n := len(r.AddressRange); n > maxAddressRange {
		c.wrong(path+".address_range", "must be at most %d characters, is %d", maxAddressRange, n)
	}
	oneOf(c, path+".failover", r.Failover, FailoverSpread, FailoverOrdered)
	if r.ReturnAfter != 0 {
		within(c, path+".return_after", r.ReturnAfter, time.Second, 24*time.Hour)
	}
	if r.TCP.KeepAlive != 0 {
		within(c, path+".tcp.keep_alive", r.TCP.KeepAlive, time.Second, time.Hour)
	}
	if !c.given(path + ".tcp.user_timeout") {
		r.TCP.UserTimeout = max(2*r.EnquireLink, time.Second)
	} else if r.TCP.UserTimeout != 0 {
		within(c, path+".tcp.user_timeout", r.TCP.UserTimeout, time.Second, time.Hour)
	}
	b := &r.Backoff
	within(c, path+".backoff.base", b.Base, 10*time.Millisecond, time.Hour)
	within(c, path+".backoff.max", b.Max, b.Base, 24*time.Hour)
	within(c, path+".backoff.stable_after", b.StableAfter, time.Second, time.Hour)
	within(c, path+".backoff.credentials", b.Credentials, time.Minute, 24*time.Hour)
	within(c, path+".backoff.already_bound", b.AlreadyBound, time.Second, time.Hour)
	within(c, path+".backoff.peer_unbind", b.PeerUnbind, 0, time.Hour)
}

// orNever is a duration as package binds takes it, where 0 means the default
// and less means never.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// backoff is that of the binds.
func (c *BackoffConfig) backoff() binds.Backoff {
	return binds.Backoff{
		Base: c.Base, Max: c.Max, StableAfter: c.StableAfter,
		Credentials: c.Credentials, AlreadyBound: c.AlreadyBound, PeerUnbind: max(c.PeerUnbind, 1),
	}
}
