package load

import (
	"fmt"
	"strings"
	"time"
)

// Worker is what a run configures of a worker. Everything else has its default.
type Worker struct {
	ID              string
	NATS, Redis     string // URLs
	Admin           string // host:port
	SMSC            string // host:port
	Binds           int
	Window          int
	Rate            int           // submit_sm per second; 0 is unlimited
	ResponseTimeout time.Duration // 0 is the default
	ParkingTime     time.Duration // 0 is the default
}

// The account at the SMSC.
const (
	SystemID    = "bench"
	Password    = "secret"
	PasswordEnv = "SHORTWIRE_BENCH_PASSWORD" // names the variable with the password
	Source      = "Bench"
)

// YAML is the configuration file.
func (w Worker) YAML() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "nats: {url: %q}\n", w.NATS)
	fmt.Fprintf(&b, "redis: {url: %q}\n", w.Redis)
	fmt.Fprintf(&b, "admin: {listen: %q}\n", w.Admin)
	fmt.Fprintf(&b, "worker: {id: %q}\n", w.ID)
	fmt.Fprintf(&b, "routes:\n  - name: %s\n", Route)
	set := func(key string, format string, value any) { fmt.Fprintf(&b, "    %s: "+format+"\n", key, value) }
	set("endpoints", "[%q]", w.SMSC)
	set("system_id", "%q", SystemID)
	set("password_env", "%s", PasswordEnv)
	set("binds", "%d", w.Binds)
	set("window", "%d", w.Window)
	if w.Rate > 0 {
		set("rate", "%d", w.Rate)
	}
	if w.ResponseTimeout > 0 {
		set("response_timeout", "%s", w.ResponseTimeout)
	}
	if w.ParkingTime > 0 {
		set("parking_time", "%s", w.ParkingTime)
	}
	set("source", "{address: %q}", Source)
	return []byte(b.String())
}
