package binds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Config describes the binds of one route. Zero values mean the defaults.
type Config struct {
	Route     string
	Endpoints []string    // host:port; binds spread over them and move on when one fails
	TLS       *tls.Config // nil: plain TCP. ServerName defaults to the endpoint's host

	SystemID         string
	Password         string
	SystemType       string
	InterfaceVersion uint8         // 0x33, 0x34 or 0x50; 0x33 sends no TLVs. Default 0x34
	BindType         smpp.BindType // of every bind. Default transceiver
	// Pair makes each bind two sessions, a transmitter and a receiver, instead
	// of one of BindType. They are supervised apart: while one is down the other
	// does its work.
	Pair         bool
	AddrTON      uint8
	AddrNPI      uint8
	AddressRange string

	Binds  int // a pair counts as one. Default 1
	Window int // unanswered submit_sm for each bind, 1..10000. Default 10

	// Ordered has every bind prefer the first endpoint, with the others in
	// reserve. Else bind i prefers endpoint i modulo their number.
	Ordered bool
	// ReturnAfter is how long a bind stays away from its preferred endpoint
	// before it looks whether it can go back; see endpoints. Default 5m;
	// negative: never, until it fails where it is.
	ReturnAfter time.Duration

	Status Overrides // classes of command_status that are this SMSC's own. Default none

	EnquireLink     time.Duration // silence before enquire_link. Default 30s
	ResponseTimeout time.Duration // submit_sm to its response. Default 60s
	BindTimeout     time.Duration // bind request to its response. Default 30s
	DialTimeout     time.Duration // TCP connect and TLS handshake. Default 10s
	WriteTimeout    time.Duration // one write. Default 10s
	UnbindTimeout   time.Duration // unbind to its response. Default 5s
	DrainTimeout    time.Duration // open messages at the end of Run. Default 20s
	KeepAlive       time.Duration // silence before TCP keep-alive probes, a third of it between them. Default 30s; negative: none
	UserTimeout     time.Duration // sent octets without TCP acknowledgement (Linux). Default 2 × EnquireLink; negative: the system's
	Backoff         Backoff
}

// Deps is what a pool needs from outside. All are optional.
type Deps struct {
	Logger *slog.Logger // default none
	// Deliver takes deliver_sm and data_sm that came in on the named bind, and
	// has each answered: it is smpp.Config.Handler. Nil: the SMSC is told to keep
	// its messages.
	Deliver func(ctx context.Context, bind string, burst []*smpp.Inbound)
	// Late hears of a message that was accepted after its reply had been given
	// as uncertain. It runs in a goroutine of its own.
	Late func(ctx context.Context, ref sms.JobRef, a sms.Accepted)
	// Limiter returns the rate limiter of a bind, or nil. Called once for each.
	Limiter func(bind string) Limiter
	// Dial replaces the TCP dialer. KeepAlive and UserTimeout are then its own affair.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Tracer lets somebody watch the PDUs of all binds.
	Tracer *smpp.Tracer
	// Slots shares the binds that the account may have among workers. Nil: the
	// pool has all of Config.Binds.
	Slots Slots
}

// Limiter limits one bind's submit_sm.
type Limiter interface {
	// Take takes n tokens, or none and says how long until it may succeed.
	Take(n int) (wait time.Duration)
	// Return gives back n tokens that were taken a moment ago and not used.
	Return(n int)
}

// CongestionLimiter is a Limiter that listens to the congestion_state of an
// SMSC (SMPP 5.0 §4.8.4.18): 0 is idle, 80..89 the load it wants, 100 congested.
// Congestion is called on the session's reader and must not block.
type CongestionLimiter interface {
	Limiter
	Congestion(state uint8)
}

func (c *Config) withDefaults() Config {
	d := *c
	set := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	set(&d.EnquireLink, 30*time.Second)
	set(&d.ResponseTimeout, time.Minute)
	set(&d.BindTimeout, 30*time.Second)
	set(&d.DialTimeout, 10*time.Second)
	set(&d.WriteTimeout, 10*time.Second)
	set(&d.UnbindTimeout, 5*time.Second)
	set(&d.DrainTimeout, 20*time.Second)
	set(&d.ReturnAfter, 5*time.Minute)
	set(&d.KeepAlive, 30*time.Second)
	set(&d.UserTimeout, 2*d.EnquireLink)
	set(&d.Backoff.Base, time.Second)
	set(&d.Backoff.Max, 2*time.Minute)
	set(&d.Backoff.StableAfter, 30*time.Second)
	set(&d.Backoff.Credentials, 5*time.Minute)
	set(&d.Backoff.AlreadyBound, 30*time.Second)
	set(&d.Backoff.PeerUnbind, 30*time.Second)
	if d.Backoff.SilentCloses == 0 {
		d.Backoff.SilentCloses = 5
	}
	if d.Binds == 0 {
		d.Binds = 1
	}
	if d.Window == 0 {
		d.Window = 10
	}
	return d
}

// validate reports everything that is wrong with a Config whose defaults are set.
func (c *Config) validate() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.Endpoints) == 0 {
		bad("endpoints: at least one host:port is needed")
	}
	for i, e := range c.Endpoints {
		if _, _, err := net.SplitHostPort(e); err != nil {
			bad("endpoints[%d]: must be host:port: %w", i, err)
		}
	}
	if c.SystemID == "" {
		bad("system_id: must not be empty")
	}
	if c.Binds < 1 || c.Binds > maxBinds {
		bad("binds: must be 1..%d, is %d", maxBinds, c.Binds)
	}
	if c.Window < 1 || c.Window > smpp.MaxWindow {
		bad("window: must be 1..%d, is %d", smpp.MaxWindow, c.Window)
	}
	if c.Backoff.SilentCloses < 0 {
		bad("backoff.silent_closes: must not be negative, is %d", c.Backoff.SilentCloses)
	}
	for name, d := range map[string]time.Duration{
		"response_timeout": c.ResponseTimeout, "bind_timeout": c.BindTimeout, "dial_timeout": c.DialTimeout,
		"write_timeout": c.WriteTimeout, "unbind_timeout": c.UnbindTimeout, "drain_timeout": c.DrainTimeout,
		"backoff.base": c.Backoff.Base, "backoff.max": c.Backoff.Max, "backoff.stable_after": c.Backoff.StableAfter,
		"backoff.credentials": c.Backoff.Credentials, "backoff.already_bound": c.Backoff.AlreadyBound,
		"backoff.peer_unbind": c.Backoff.PeerUnbind,
	} {
		if d < 0 {
			bad("%s: must not be negative, is %s", name, d)
		}
	}
	return errors.Join(faults...)
}

// maxBinds bounds the binds of one route in one worker.
const maxBinds = 256

// session returns the part of the configuration of a session of this type. A
// receiver submits nothing, so that it needs no memory for a window.
func (c *Config) session(kind smpp.BindType) smpp.Config {
	window := c.Window
	if kind == smpp.Receiver {
		window = 1
	}
	return smpp.Config{
		BindType: kind, SystemID: c.SystemID, Password: c.Password, SystemType: c.SystemType,
		InterfaceVersion: c.InterfaceVersion, AddrTON: c.AddrTON, AddrNPI: c.AddrNPI, AddressRange: c.AddressRange,
		Window: window, EnquireLink: c.EnquireLink, ResponseTimeout: c.ResponseTimeout,
		BindTimeout: c.BindTimeout, WriteTimeout: c.WriteTimeout, UnbindTimeout: c.UnbindTimeout,
	}
}
