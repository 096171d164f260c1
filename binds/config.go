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
	InterfaceVersion uint8         // default 0x34
	BindType         smpp.BindType // default transceiver
	AddrTON          uint8
	AddrNPI          uint8
	AddressRange     string

	Binds  int // default 1
	Window int // unanswered submit_sm for each bind, 1..10000. Default 10

	Status Overrides // classes of command_status that are this SMSC's own. Default none

	EnquireLink     time.Duration // silence before enquire_link. Default 30s
	ResponseTimeout time.Duration // submit_sm to its response. Default 60s
	BindTimeout     time.Duration // bind request to its response. Default 30s
	DialTimeout     time.Duration // TCP connect and TLS handshake. Default 10s
	WriteTimeout    time.Duration // one write. Default 10s
	UnbindTimeout   time.Duration // unbind to its response. Default 5s
	DrainTimeout    time.Duration // open messages at the end of Run. Default 20s
	Backoff         Backoff
}

// Backoff says how long a bind pauses after each kind of failure.
type Backoff struct {
	Base         time.Duration // first pause, doubled with each failure, jittered. Default 1s
	Max          time.Duration // longest. Default 2m
	StableAfter  time.Duration // a bind that lived as long starts over from Base. Default 30s
	Credentials  time.Duration // after wrong credentials and the like. Default 5m
	AlreadyBound time.Duration // after ESME_RALYBND, up to twice as long. Default 30s
	PeerUnbind   time.Duration // after the SMSC's own unbind. Default 30s
}

// Deps is what a pool needs from outside. All are optional.
type Deps struct {
	Logger *slog.Logger // default none
	// Deliver takes a deliver_sm or data_sm that came in on the named bind and
	// returns the command_status to answer. It runs in a goroutine of its own;
	// ctx ends with the session. Nil: the SMSC is told to keep its messages.
	Deliver func(ctx context.Context, bind string, in *smpp.Inbound) (status uint32)
	// Late hears of a message that was accepted after its reply had been given
	// as uncertain. It runs in a goroutine of its own.
	Late func(ctx context.Context, ref sms.JobRef, a sms.Accepted)
	// Limiter returns the rate limiter of a bind, or nil. Called once for each.
	Limiter func(bind string) Limiter
	// Dial replaces the TCP dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Limiter limits one bind's submit_sm.
type Limiter interface {
	// Take takes n tokens, or none and says how long until it may succeed.
	Take(n int) (wait time.Duration)
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
	set(&d.Backoff.Base, time.Second)
	set(&d.Backoff.Max, 2*time.Minute)
	set(&d.Backoff.StableAfter, 30*time.Second)
	set(&d.Backoff.Credentials, 5*time.Minute)
	set(&d.Backoff.AlreadyBound, 30*time.Second)
	set(&d.Backoff.PeerUnbind, 30*time.Second)
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

// session returns the session's part of the configuration.
func (c *Config) session() smpp.Config {
	return smpp.Config{
		BindType: c.BindType, SystemID: c.SystemID, Password: c.Password, SystemType: c.SystemType,
		InterfaceVersion: c.InterfaceVersion, AddrTON: c.AddrTON, AddrNPI: c.AddrNPI, AddressRange: c.AddressRange,
		Window: c.Window, EnquireLink: c.EnquireLink, ResponseTimeout: c.ResponseTimeout,
		BindTimeout: c.BindTimeout, WriteTimeout: c.WriteTimeout, UnbindTimeout: c.UnbindTimeout,
	}
}
