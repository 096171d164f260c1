package app

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// config checks everything and completes the defaults that depend on
// other values.
func (c *checker) config(cfg *Config) {
	c.nats(&cfg.NATS)
	c.redis(&cfg.Redis)
	c.admin(&cfg.Admin)
	c.privacy(&cfg.Privacy)
	c.worker(&cfg.Worker)
	if len(cfg.Routes) == 0 {
		c.wrong("routes", "must list at least one route")
	}
	for i := range cfg.Routes {
		c.route(fmt.Sprintf("routes[%d]", i), &cfg.Routes[i])
	}
	c.routeNames(cfg.Routes)
	c.fallbacks(cfg.Routes)
	cfg.Notices = notices(cfg)
}

func (c *checker) worker(w *WorkerConfig) {
	if w.ID == "" {
		w.ID = defaultWorkerID()
	}
	if len(w.ID) > 64 || strings.IndexFunc(w.ID, notWorkerID) >= 0 {
		c.wrong("worker.id", "must be 1..64 of A-Z a-z 0-9 . _ -, is %q", w.ID)
	}
	within(c, "worker.drain_timeout", w.DrainTimeout, 100*time.Millisecond, time.Hour)
}

// defaultWorkerID takes the process id too, since several workers
// may share a host.
func defaultWorkerID() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "worker"
	}
	host = strings.Map(func(r rune) rune {
		if notWorkerID(r) {
			return '-'
		}
		return r
	}, host)
	return fmt.Sprintf("%.50s-%d", host, os.Getpid())
}

func notWorkerID(r rune) bool {
	switch {
	case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '.', r == '_', r == '-':
		return false
	}
	return true
}

// routeNames finds names that would share a stream: these are upper-cased.
func (c *checker) routeNames(routes []RouteConfig) {
	first := make(map[string]int)
	for i, r := range routes {
		key := strings.ToUpper(r.Name)
		if j, taken := first[key]; taken && key != "" {
			c.wrong(fmt.Sprintf("routes[%d].name", i), "is %q, and routes[%d] is called %q; names must differ by more than case", r.Name, j, routes[j].Name)
			continue
		}
		first[key] = i
	}
}

func (c *checker) fallbacks(routes []RouteConfig) {
	byName := make(map[string]RouteConfig)
	for _, r := range routes {
		byName[r.Name] = r
	}
	for i, r := range routes {
		path := fmt.Sprintf("routes[%d].fallback", i)
		if r.Fallback == "" {
			if c.given(path + "_after") {
				c.wrong(path+"_after", "has no effect without a fallback")
			}
			continue
		}
		within(c, path+"_after", r.FallbackAfter, time.Second, 24*time.Hour)
		if _, ok := byName[r.Fallback]; !ok {
			c.wrong(path, "names the route %q, which is not configured", r.Fallback)
			continue
		}
		if loop := fallbackLoop(byName, r.Name); loop != nil {
			c.wrong(path, "goes round in circles: %s", strings.Join(loop, " → "))
		}
	}
}

// fallbackLoop returns the way from a route back to itself, or nil.
func fallbackLoop(routes map[string]RouteConfig, from string) []string {
	way := []string{from}
	for next := routes[from].Fallback; next != ""; next = routes[next].Fallback {
		way = append(way, next)
		if next == from {
			return way
		}
		if len(way) > len(routes) {
			return nil
		}
	}
	return nil
}

func validPort(port string, lowest int) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= lowest && n <= math.MaxUint16
}

// notices lists what this version holds in a weaker form than asked for.
func notices(cfg *Config) []string {
	var all []string
	if n := cfg.Admin.notice(); n != "" {
		all = append(all, n)
	}
	for i, r := range cfg.Routes {
		if v := r.TLS.MinVersion; v == "1.0" || v == "1.1" {
			all = append(all, fmt.Sprintf("routes[%d].tls.min_version: TLS below 1.2 can be broken by others on the way", i))
		}
	}
	return all
}
