package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
)

// probeTimeout bounds each step of a check but the binds, which have
// their route's bind_timeout.
const probeTimeout = 5 * time.Second

// Check reports what a configuration that Load accepted amounts to and, with
// connect, whether everything it refers to answers: one line for each to w.
// The error is a *DependencyError when something does not.
func Check(ctx context.Context, cfg *Config, connect bool, w io.Writer) error {
	c := &connectCheck{w: w}
	c.say("configuration: ok, %s", count(len(cfg.Routes), "route"))
	for i := range cfg.Routes {
		c.say("route %s: %s", cfg.Routes[i].Name, cfg.Routes[i].describe())
	}
	for _, n := range cfg.Notices {
		c.say("notice: %s", n)
	}
	describeTelemetry(os.Getenv, c.say)
	if connect {
		c.report("nats "+cfg.NATS.URL, func() (string, error) { return checkNATS(ctx, cfg) })
		c.report("redis "+cfg.Redis.URL, func() (string, error) { return checkRedis(ctx, cfg) })
		for i := range cfg.Routes {
			for _, endpoint := range cfg.Routes[i].Endpoints {
				name := "route " + cfg.Routes[i].Name + " at " + endpoint
				c.report(name, func() (string, error) { return probe(ctx, &cfg.Routes[i], endpoint) })
			}
		}
	}
	switch {
	case c.unwritten != nil:
		return fmt.Errorf("write: %w", c.unwritten)
	case c.failed > 0:
		return &DependencyError{What: "check", Err: fmt.Errorf("%d of %d could not be used", c.failed, c.tried), Hint: "what to do stands behind each FAILED above"}
	}
	return nil
}

// describe says in one line how the route binds.
func (c *RouteConfig) describe() string {
	what := count(c.Binds, "bind")
	if c.BindType == BindTransmitterReceiver {
		what = count(c.Binds, "pair") + " of transmitter and receiver"
	}
	s := fmt.Sprintf("%s as %s, SMPP %s, window %d, %s", what, c.SystemID, c.InterfaceVersion, c.Window, count(len(c.Endpoints), "endpoint"))
	if len(c.Endpoints) > 1 {
		s += " (" + c.Failover + ")"
	}
	if c.TLS.Enabled {
		s += ", TLS " + c.TLS.MinVersion + " or later"
		if c.TLS.CertFile != "" {
			s += " with a client certificate"
		}
	}
	return s
}

// connectCheck prints and counts.
type connectCheck struct {
	w             io.Writer
	tried, failed int
	unwritten     error
}

func (c *connectCheck) say(format string, args ...any) {
	if _, err := fmt.Fprintf(c.w, format+"\n", args...); err != nil {
		c.unwritten = err
	}
}

func (c *connectCheck) report(name string, try func() (string, error)) {
	c.tried++
	found, err := try()
	if err != nil {
		c.failed++
		c.say("%s: FAILED: %v", name, err)
		return
	}
	c.say("%s: ok, %s", name, found)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func checkNATS(ctx context.Context, cfg *Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client, err := dial(ctx, cfg, "shortwire check")
	if err != nil {
		return "", errors.Unwrap(err)
	}
	defer client.Close()
	if err := client.Verify(ctx, routeNames(cfg)); err != nil {
		return "", err
	}
	return "streams and consumers are there", nil
}

func checkRedis(ctx context.Context, cfg *Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client, err := dialRedis(fixed(cfg))
	if err != nil {
		return "", err
	}
	defer client.Close()
	var fault *DependencyError
	if err := probeRedis(ctx, client, cfg.Redis.URL); errors.As(err, &fault) {
		return "", fmt.Errorf("%w (%s)", fault.Err, fault.Hint)
	}
	began := time.Now()
	if err := client.Ping(ctx).Err(); err != nil {
		return "", cause(err)
	}
	found := fmt.Sprintf("answers in %v", round(time.Since(began)))
	info, err := client.Info(ctx, "memory", "persistence").Result()
	if err != nil {
		return found + "; how it keeps data cannot be seen: " + err.Error(), nil
	}
	return strings.Join(append([]string{found}, redisRisks(info)...), "; WARNING: "), nil
}

// redisRisks says from Redis's INFO how it may lose what it is given.
func redisRisks(info string) []string {
	fields := make(map[string]string)
	for line := range strings.Lines(info) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[k] = v
		}
	}
	var risks []string
	if fields["aof_enabled"] == "0" {
		risks = append(risks, "appendonly is off: a restart loses the ledger and the message ids; set appendonly yes")
	}
	if policy := fields["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		risks = append(risks, "maxmemory-policy is "+policy+": a full Redis forgets jobs silently; set noeviction")
	}
	return risks
}

// probe binds once to one endpoint, unbinds, and says what the SMSC said.
func probe(ctx context.Context, r *RouteConfig, endpoint string) (string, error) {
	secure, err := r.TLS.client()
	if err != nil {
		return "", err
	}
	account := r.pool(secure, 0)
	account.Endpoints = []string{endpoint}
	res, err := binds.Probe(ctx, account)
	if err != nil {
		return "", fmt.Errorf("%w (%s)", err, strings.TrimSuffix(res.Hint, "."))
	}
	how := ""
	if account.Pair {
		how = ", as transmitter and as receiver,"
	}
	found := fmt.Sprintf("bound as %s%s in %v, enquire_link answered in %v", r.SystemID, how, round(res.Connect+res.Bind), round(res.EnquireLink))
	if res.SystemID != "" {
		found += fmt.Sprintf(", the SMSC calls itself %q", res.SystemID)
	}
	if v := versionText(res.InterfaceVersion); v != "" {
		found += ", interface version " + v
	}
	return found, nil
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
