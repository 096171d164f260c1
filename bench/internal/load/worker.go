package load

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Worker is what a run configures of a worker. Everything else has its default.
type Worker struct {
	ID          string
	NATS, Redis string // URLs
	Admin       string // host:port
	Replicas    int    // of each stream; 0 is the default
	MaxBytes    int64  // of one route's jobs; 0 is 512 MiB
	Routes      []Account
}

// Account is a route of a worker. Its system_id is its name.
type Account struct {
	Name            string // empty is Route
	SMSC            string // host:port
	Binds           int
	MaxBinds        int // over the fleet; 0 is unlimited
	Window          int
	Rate            int           // submit_sm per second; 0 is unlimited
	Burst           int           // 0 is the default
	ResponseTimeout time.Duration // 0 is the default
	ParkingTime     time.Duration // 0 is the default
}

// The accounts at the SMSC.
const (
	SystemID    = Route // of the account without a name
	Password    = "secret"
	PasswordEnv = "SHORTWIRE_BENCH_PASSWORD" // names the variable with the password
	Source      = "Bench"
)

// reserved is how many octets of a route's jobs each NATS server keeps room
// for: the default, with several routes and servers on one disk, may be too much.
const reserved = 512 << 20

// YAML is the configuration file.
func (w Worker) YAML() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "nats: {url: %q, jobs_max_bytes: %d", w.NATS, cmp.Or(w.MaxBytes, reserved))
	if w.Replicas > 0 {
		fmt.Fprintf(&b, ", replicas: %d", w.Replicas)
	}
	fmt.Fprintf(&b, "}\nredis: {url: %q}\n", w.Redis)
	fmt.Fprintf(&b, "admin: {listen: %q}\n", w.Admin)
	fmt.Fprintf(&b, "worker: {id: %q}\n", w.ID)
	b.WriteString("routes:\n")
	for _, a := range w.Routes {
		a.append(&b)
	}
	return []byte(b.String())
}

func (a Account) append(b *strings.Builder) {
	name := cmp.Or(a.Name, Route)
	fmt.Fprintf(b, "  - name: %s\n", name)
	set := func(key string, format string, value any) { fmt.Fprintf(b, "    %s: "+format+"\n", key, value) }
	set("endpoints", "[%q]", a.SMSC)
	set("system_id", "%q", name)
	set("password_env", "%s", PasswordEnv)
	set("binds", "%d", a.Binds)
	set("window", "%d", a.Window)
	for key, n := range map[string]int{"max_binds": a.MaxBinds, "rate": a.Rate, "burst": a.Burst} {
		if n > 0 {
			set(key, "%d", n)
		}
	}
	for key, d := range map[string]time.Duration{"response_timeout": a.ResponseTimeout, "parking_time": a.ParkingTime} {
		if d > 0 {
			set(key, "%s", d)
		}
	}
	set("source", "{address: %q}", Source)
}
