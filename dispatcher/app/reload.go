package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// How often the configuration's files are looked at.
const (
	lookEvery  = 2 * time.Second
	lookAgain  = 500 * time.Millisecond // at what has changed: it must be the same twice, or somebody still writes
	retryEvery = 10 * time.Second       // a configuration that something else stands in the way of
)

// ConfigStatus is which configuration is in force.
type ConfigStatus struct {
	Generation   int        `json:"generation"`              // 1 at the start, and one more with each change that took effect
	Loaded       time.Time  `json:"loaded"`                  // when it took effect
	Digest       string     `json:"digest,omitempty"`        // of the file in force; the same in all workers that have the same
	Changes      []string   `json:"changes,omitempty"`       // what the last change was
	TakesRestart []string   `json:"takes_restart,omitempty"` // keys whose values in the file are not in force
	Refused      *time.Time `json:"refused,omitempty"`       // when the file as it is now was refused; what was in force stays
	Errors       []string   `json:"errors,omitempty"`        // why: all that is wrong with it
}

// inForce is the configuration that holds, and what became of the last reading.
type inForce struct {
	mu     sync.Mutex
	cfg    *Config      // guarded by mu
	status ConfigStatus // guarded by mu
}

func (f *inForce) config() *Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cfg
}

func (f *inForce) read() ConfigStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Reload reads the configuration again now, without waiting for the file to
// change or for whoever writes it to be done. It does not block.
func (a *App) Reload() {
	select {
	case a.reload <- struct{}{}:
	default: // it will
	}
}

// watch reads the configuration again when its files change, or when Reload
// says so, until ctx ends.
func (a *App) watch(ctx context.Context, s *shift) error {
	if a.deps.ConfigFile == "" {
		return nil
	}
	var l lookout
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		read := false
		select {
		case <-ctx.Done():
			return nil
		case <-a.reload:
			read = true
		case <-timer.C:
			read = l.look()
		}
		again := l.again()
		if read {
			var later bool
			if l.seen, later = a.readAgain(ctx, s); later {
				l.seen = nil
				again = retryEvery
			}
		}
		timer.Reset(again)
	}
}

// lookout tells when files have changed. The zero value has seen none, which
// is a change.
type lookout struct {
	seen      reading // what the configuration was read from last
	unsettled reading // what the last look found, nil unless that was new
}

// look reports whether the files are others than those seen, and the same as
// at the look before: whoever writes them is done.
func (l *lookout) look() (changed bool) {
	now := l.seen.again()
	before := l.unsettled
	l.unsettled = nil
	switch {
	case l.seen == nil, before != nil && maps.Equal(now, before) && !maps.Equal(now, l.seen):
		return true
	case !maps.Equal(now, l.seen):
		l.unsettled = now
	}
	return false
}

// again is when to look next.
func (l *lookout) again() time.Duration {
	if l.unsettled != nil {
		return lookAgain
	}
	return lookEvery
}

// readAgain loads the configuration and puts it in force, or refuses it whole.
// later says that it is worth another try as it stands.
func (a *App) readAgain(ctx context.Context, s *shift) (read reading, later bool) {
	next, read, err := load(a.deps.ConfigFile, a.deps.Getenv)
	if err == nil {
		later, err = a.apply(ctx, s, next, read[a.deps.ConfigFile])
	}
	if err != nil && ctx.Err() == nil {
		a.refuse(err)
	}
	return read, later
}

// refuse notes that the configuration as it is now cannot be put in force. What
// was refused for the same reasons before is not logged again.
func (a *App) refuse(err error) {
	lines := []string{err.Error()}
	if faults, ok := errors.AsType[Faults](err); ok {
		lines = lines[:0]
		for _, f := range faults {
			lines = append(lines, f.String())
		}
	}
	f := &a.force
	f.mu.Lock()
	same := strings.Join(f.status.Errors, "\n") == strings.Join(lines, "\n")
	if !same {
		now := time.Now()
		f.status.Refused, f.status.Errors = &now, lines
	}
	generation := f.status.Generation
	f.mu.Unlock()
	if same {
		return
	}
	for _, line := range lines {
		a.log.Error("configuration refused", "fault", line)
	}
	a.log.Error("configuration refused, the one before it stays in force", "faults", len(lines), "generation", generation)
}

// prepared is what a change of configuration needs and may fail to get.
type prepared struct {
	added   map[string]*route
	secured map[string]*tls.Config // TLS of the routes that change
}

// apply puts a configuration in force that Load accepted. What takes a restart
// stays as it is. An error means that nothing has changed.
func (a *App) apply(ctx context.Context, s *shift, next *Config, digest string) (later bool, err error) {
	p := a.up.Load()
	old := a.force.config()
	d := diff(old, next)
	merged := *next
	merged.NATS, merged.Redis, merged.Admin, merged.Worker, merged.Privacy = old.NATS, old.Redis, old.Admin, old.Worker, old.Privacy
	merged.adopt(next)

	if len(d.added) > 0 {
		within, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		if err := p.nats.Verify(within, d.added); err != nil {
			return true, fmt.Errorf("routes that are added: %w", err)
		}
	}
	ready, err := a.prepare(&merged, &d, p)
	if err != nil {
		return false, err
	}
	access, err := merged.Admin.access()
	if err != nil {
		return false, err
	}
	ending := p.routes.ending()
	leaving := append(slices.Clone(d.removed), d.anew()...)
	for _, name := range leaving {
		ending = append(ending, p.routes.find(name))
	}
	if err := p.desk.SetRoutes(deskRoutes(&merged, ending)); err != nil {
		return false, err
	}
	// Those that change first: one that is removed may have been another's fallback.
	for name := range ready.secured {
		cfg, _ := merged.Route(name)
		p.routes.find(name).change(cfg, ready.secured[name], merged.Worker.DrainTimeout)
	}
	list := make([]*route, 0, len(merged.Routes))
	var begin []func()
	for i := range merged.Routes {
		name := merged.Routes[i].Name
		if r, ok := ready.added[name]; ok {
			before := lastOf(ending, name)
			begin = append(begin, func() { s.start(r, before) })
			list = append(list, r)
			continue
		}
		list = append(list, p.routes.find(name))
	}
	for _, name := range leaving {
		r := p.routes.find(name)
		a.log.Info("route drains", "route", name, "removed", slices.Contains(d.removed, name), "timeout", s.timeout)
		r.end(s, func() { p.routes.forget(); a.log.Info("route ended", "route", name) })
	}
	p.routes.set(append(list, ending...))
	p.pauses.tell(p.routes.all())
	for _, start := range begin {
		start()
	}
	a.admin.SetAccess(access)
	a.took(&merged, &d, digest)
	return false, nil
}

// prepare makes what may fail before anything is changed.
func (a *App) prepare(next *Config, d *difference, p *parts) (prepared, error) {
	ready := prepared{added: make(map[string]*route), secured: make(map[string]*tls.Config)}
	for _, name := range append(slices.Clone(d.added), d.anew()...) {
		cfg, _ := next.Route(name)
		r, err := newRoute(cfg, next.Worker.DrainTimeout, p, a.log)
		if err != nil {
			return ready, err
		}
		ready.added[name] = r
	}
	for name := range d.routes {
		if ready.added[name] != nil {
			continue
		}
		cfg, _ := next.Route(name)
		r := p.routes.find(name)
		ready.secured[name] = r.secure
		if cfg.TLS == r.config().TLS {
			continue // the same settings: sessions under them go on
		}
		secure, err := cfg.TLS.client()
		if err != nil {
			return ready, fmt.Errorf("route %s: %w", name, err)
		}
		ready.secured[name] = secure
	}
	return ready, nil
}

// took notes what holds now, and says so.
func (a *App) took(cfg *Config, d *difference, digest string) {
	changes, restart := d.list(), d.restart()
	f := &a.force
	f.mu.Lock()
	wasRefused := f.status.Refused != nil
	news := strings.Join(f.status.TakesRestart, "\n") != strings.Join(restart, "\n")
	f.cfg = cfg
	f.status.Digest, f.status.TakesRestart, f.status.Refused, f.status.Errors = digest, restart, nil, nil
	if len(changes) > 0 {
		f.status.Generation++
		f.status.Loaded, f.status.Changes = time.Now(), changes
	}
	generation := f.status.Generation
	f.mu.Unlock()

	if len(restart) > 0 && news {
		a.log.Warn("configuration: takes a restart", "keys", strings.Join(restart, ", "))
	}
	switch {
	case len(changes) > 0:
		a.log.Info("configuration changed", "generation", generation, slog.Any("changes", changes))
	case wasRefused:
		a.log.Info("configuration is again as it was", "generation", generation)
	}
}
