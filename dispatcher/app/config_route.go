package app

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Bounds that several keys share.
const (
	maxRate  = 1_000_000
	minRate  = 0.001
	minTimer = 100 * time.Millisecond
	maxTTL   = 2160 * time.Hour // 90 days
)

// route checks one route; path is "routes[2]".
func (c *checker) route(path string, r *RouteConfig) {
	if r.Name == "" {
		c.wrong(path+".name", "is required")
	} else if !sms.ValidToken(r.Name) {
		c.wrong(path+".name", "must be 1..32 of A-Z a-z 0-9 _ -, is %q", r.Name)
	}
	c.endpoints(path+".endpoints", r.Endpoints)
	c.tls(path+".tls", &r.TLS)
	c.account(path, r)
	c.limits(path, r)
	c.timers(path, r)
	c.source(path+".source", r.Source)
	c.retry(path+".retry", r)
	c.bind(path, r)
	c.message(path, r)
	c.receipts(path, r)
	c.inbound(path+".inbound", &r.Inbound)
	c.status(path, r)

	oneOf(c, path+".receipt", r.Receipt, sms.ReceiptFinal, sms.ReceiptFailure, sms.ReceiptAll, sms.ReceiptNone)
}

func (c *checker) endpoints(path string, endpoints []string) {
	if len(endpoints) == 0 {
		c.wrong(path, "must list at least one host:port")
	}
	seen := make(map[string]bool)
	for i, e := range endpoints {
		at := fmt.Sprintf("%s[%d]", path, i)
		host, port, err := net.SplitHostPort(e)
		switch {
		case err != nil || host == "" || !validPort(port, 1):
			c.wrong(at, "must be host:port with a port of 1..65535, is %q", e)
		case seen[e]:
			c.wrong(at, "lists %s for the second time; binds are shared out evenly anyway", e)
		}
		seen[e] = true
	}
}

func (c *checker) tls(path string, t *TLSConfig) {
	if !t.Enabled {
		for key, value := range map[string]string{"ca_file": t.CAFile, "cert_file": t.CertFile, "key_file": t.KeyFile, "server_name": t.ServerName} {
			if value != "" {
				c.wrong(path+"."+key, "has no effect while tls.enabled is false")
			}
		}
		if t.MinVersion != "1.2" {
			c.wrong(path+".min_version", "has no effect while tls.enabled is false")
		}
		return
	}
	oneOf(c, path+".min_version", t.MinVersion, slices.Sorted(maps.Keys(tlsVersions))...)
	if (t.CertFile == "") != (t.KeyFile == "") {
		c.wrong(path, "needs cert_file and key_file together, or neither")
	}
	t.Held = c.held(path, map[string]*string{"ca_file": &t.CAFile, "cert_file": &t.CertFile, "key_file": &t.KeyFile})
	if !c.faultsUnder(path) {
		if _, err := t.client(); err != nil {
			c.wrong(path, "%s", strings.TrimPrefix(err.Error(), "tls."))
		}
	}
}

func (c *checker) faultsUnder(path string) bool {
	for _, f := range c.faults {
		if strings.HasPrefix(f.Path, path) {
			return true
		}
	}
	return false
}

func (c *checker) account(path string, r *RouteConfig) {
	if r.SystemID == "" {
		c.wrong(path+".system_id", "is required")
	}
	c.cString(path+".system_id", r.SystemID)
	c.cString(path+".system_type", r.SystemType)
	r.Password = c.password(path, r.PasswordEnv, r.PasswordFile, true)
	oneOf(c, path+".interface_version", r.InterfaceVersion, "3.3", "3.4", "5.0")
	oneOf(c, path+".bind_type", r.BindType, BindTransceiver, BindTransmitterReceiver)
}

// cString checks a C-octet string (SMPP 3.4 §3.1). Lengths are left to the
// SMSC: many take more than the 15 and 12 octets of the specification.
func (c *checker) cString(path, s string) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			c.wrong(path, "must be printable ASCII")
			return
		}
	}
}

func (c *checker) limits(path string, r *RouteConfig) {
	within(c, path+".binds", r.Binds, 1, 256)
	if r.MaxBinds != 0 {
		within(c, path+".max_binds", r.MaxBinds, r.Binds, 100_000)
	}
	within(c, path+".window", r.Window, 1, 10_000)
	c.rate(path+".rate", r.Rate)
	c.rate(path+".bind_rate", r.BindRate)
	c.rateBounds(path, r)
	switch {
	case r.Rate > 0 && !c.given(path+".burst"):
		r.Burst = max(1, int(r.Rate/10))
	case r.Rate > 0:
		within(c, path+".burst", r.Burst, 1, maxRate)
	case r.Burst != 0 && !c.faulty(path+".rate"): // one that cannot be read was meant all the same
		c.wrong(path+".burst", "has no effect without a rate")
	}
	within(c, path+".lanes.high", r.Lanes.High, 1, 1000)
	within(c, path+".lanes.normal", r.Lanes.Normal, 1, 1000)
	within(c, path+".lanes.bulk", r.Lanes.Bulk, 1, 1000)
}

func (c *checker) rate(path string, perSecond float64) {
	if perSecond != 0 && !(perSecond >= minRate && perSecond <= maxRate) {
		c.wrong(path, "must be %v..%d submit_sm per second, or 0 for unlimited, is %v", minRate, maxRate, perSecond)
	}
}

func (c *checker) rateBounds(path string, r *RouteConfig) {
	if r.RateFloor != 0 && !(r.RateFloor >= minRate && r.RateFloor <= maxRate) {
		c.wrong(path+".rate_floor", "must be %v..%d submit_sm per second, or 0 for 1, is %v", minRate, maxRate, r.RateFloor)
	} else if r.Rate > 0 && r.RateFloor > r.Rate {
		c.wrong(path+".rate_floor", "must not exceed rate (%v), is %v", r.Rate, r.RateFloor)
	}
	switch own := r.RateWithoutRedis; {
	case own != 0 && !(own >= minRate && own <= maxRate):
		c.wrong(path+".rate_without_redis", "must be %v..%d submit_sm per second, or 0 for none, is %v", minRate, maxRate, own)
	case c.faulty(path + ".rate"):
	case own > 0 && r.Rate == 0:
		c.wrong(path+".rate_without_redis", "has no effect without a rate")
	case own > r.Rate:
		c.wrong(path+".rate_without_redis", "must not exceed rate (%v), is %v: it holds for each worker", r.Rate, own)
	}
}

func (c *checker) timers(path string, r *RouteConfig) {
	within(c, path+".enquire_link", r.EnquireLink, minTimer, time.Hour)
	within(c, path+".response_timeout", r.ResponseTimeout, minTimer, time.Hour)
	within(c, path+".bind_timeout", r.BindTimeout, minTimer, 5*time.Minute)
	within(c, path+".correlation_ttl", r.CorrelationTTL, time.Minute, maxTTL)
	within(c, path+".ledger_ttl", r.LedgerTTL, time.Minute, maxTTL)
	within(c, path+".parking_time", r.ParkingTime, time.Second, 24*time.Hour)
	if r.ParkingTime > r.CorrelationTTL {
		c.wrong(path+".parking_time", "must not exceed correlation_ttl (%s), is %s: the job would be forgotten first", plain(r.CorrelationTTL), plain(r.ParkingTime))
	}
	if least := r.ResponseTimeout + r.Retry.Max; r.LedgerTTL <= least {
		c.wrong(path+".ledger_ttl", "must exceed response_timeout + retry.max (%s), is %s: a job would be forgotten between two attempts and sent twice", plain(least), plain(r.LedgerTTL))
	}
}

func (c *checker) retry(path string, r *RouteConfig) {
	within(c, path+".max_attempts", r.Retry.MaxAttempts, 1, 1000)
	within(c, path+".initial", r.Retry.Initial, 10*time.Millisecond, time.Hour)
	within(c, path+".max", r.Retry.Max, r.Retry.Initial, 24*time.Hour)
}

func (c *checker) source(path string, s SourceConfig) {
	if s.Address == "" {
		if s.TON != nil || s.NPI != nil {
			c.wrong(path+".address", "is required with ton or npi")
		}
		return
	}
	if reason := senderFault(s.Address); reason != "" {
		c.wrong(path+".address", "%s", reason)
	}
}

// senderFault says what the contract has against a sender; it holds for jobs
// and routes alike.
func senderFault(address string) string {
	text := ""
	err := (&sms.Job{ID: "sender", To: "0", From: address, Text: &text}).Validate()
	var faults sms.Faults
	if errors.As(err, &faults) {
		return faults[0].Reason
	}
	return ""
}
