// Package app is the composition root: it reads the configuration, makes every
// part, connects them and runs them in order. The worker, the tests and the
// demo all run it; nothing else knows every package.
package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/internal/admin"
	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
	"github.com/shortwire-sms/shortwire/dispatcher/internal/telemetry"
	"github.com/shortwire-sms/shortwire/ratelimit"
	"github.com/shortwire-sms/shortwire/receipts"
)

// Deps are what a worker is given.
type Deps struct {
	Logger  *slog.Logger // default slog.Default
	Version string       // shown in status

	// ConfigFile is where the configuration was loaded from, with Getenv, default
	// os.Getenv: what changes there is put in force while the worker runs. Empty:
	// the configuration never changes.
	ConfigFile string
	Getenv     func(string) string
}

// App is one worker.
type App struct {
	cfg      *Config // that it was started with; what it says of routes may not hold any more
	force    inForce
	reload   chan struct{} // capacity 1; written by Reload, read by watch
	deps     Deps
	log      *slog.Logger
	metrics  *admin.Metrics
	admin    *admin.Server
	began    time.Time
	vitals   vitals
	draining atomic.Bool
	up       atomic.Pointer[parts] // set once connected
}

// parts are what runs once NATS and Redis are there.
type parts struct {
	nats   *jetstream.Client
	redis  redis.UniversalClient
	worker string // id
	desk   *receipts.Desk

	telemetry *telemetry.Telemetry // nil: nothing is exported

	inHand dispatcher.InHand
	taking dispatcher.Routes // jobs
	pauses *pauseBoard
	mask   func(number string) string

	outlook  outlook
	backlogs backlogBoard
	fleet    fleetBoard

	routes routes
}

// Of drain_timeout, or of a shorter one the same shares, this much is kept for
// what follows the last job: unbinding, then confirming acks and giving up the
// lease, which are bounded by a second and by two.
const (
	forUnbind = time.Second
	forEnd    = 3 * time.Second
)

// drainBudget is when jobs and when binds have to be done.
func drainBudget(timeout time.Duration) (jobs, binds time.Duration) {
	end := min(forEnd, timeout/3)
	return timeout - end - min(forUnbind, timeout/6), timeout - end
}

// New makes a worker; it does no I/O.
func New(cfg *Config, deps Deps) (*App, error) {
	if deps.Logger == nil {
		deps.Logger = slog.Default()
	}
	if deps.Getenv == nil {
		deps.Getenv = os.Getenv
	}
	a := &App{cfg: cfg, deps: deps, log: deps.Logger, began: time.Now(), vitals: newVitals(), reload: make(chan struct{}, 1)}
	a.force.cfg, a.force.status = cfg, ConfigStatus{Generation: 1, Loaded: a.began}
	var err error
	if a.metrics, err = admin.NewMetrics(&messages{a.began, a.traffic}); err != nil {
		return nil, err
	}
	if err := instrument(a.metrics.Meter(), a.Status, a.ready); err != nil {
		return nil, err
	}
	access, err := cfg.Admin.access()
	if err != nil {
		return nil, err
	}
	a.admin = admin.New(admin.Config{Listen: cfg.Admin.Listen, Access: access}, admin.Deps{
		Status:   func(ctx context.Context) any { return a.fullStatus(ctx) },
		Fleet:    func(ctx context.Context) any { return a.Fleet(ctx) },
		Pause:    a.pause,
		Resume:   a.resume,
		Ready:    a.ready,
		Alive:    a.alive,
		Gatherer: a.metrics.Gatherer(),
		Trace:    a.trace,
		EndTrace: a.endTrace,
		Logger:   a.log,
	})
	return a, nil
}

// AdminURL is where the admin server listens; it waits until it does or ctx ends.
func (a *App) AdminURL(ctx context.Context) string {
	addr := a.admin.Addr(ctx)
	if addr == nil {
		return ""
	}
	if a.cfg.Admin.TLS.CertFile != "" {
		return "https://" + addr.String()
	}
	return "http://" + addr.String()
}

// Run works until ctx ends, then drains: intake stops, what is in flight is
// finished or handed back within drain_timeout, binds are unbound. It returns
// nil after a drain, a *DependencyError when it could not begin.
//
// The order of the end is the reverse of the beginning: dispatchers, binds,
// NATS, the worker's lease, the admin server.
func (a *App) Run(ctx context.Context) (err error) {
	for _, n := range a.cfg.Notices {
		a.log.Warn("configuration", "notice", n)
	}
	// Everything but intake outlives ctx.
	alive := context.WithoutCancel(ctx)

	adminCtx, endAdmin := context.WithCancel(alive)
	var adminGroup errgroup.Group
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	adminGroup.Go(func() error {
		err := listenFault(a.admin.Run(adminCtx))
		if err != nil {
			fail(err) // without status and health nobody can operate it
		}
		return err
	})
	defer func() {
		endAdmin()
		err = errors.Join(err, adminGroup.Wait())
	}()

	p, err := a.connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to end before it began, or by the admin server, whose error says why
		}
		return err
	}
	defer p.close()
	a.up.Store(p)
	a.log.Info("worker started", "worker", a.cfg.Worker.ID, "version", a.deps.Version, "routes", len(p.routes.all()))
	return a.work(ctx, alive, p)
}

// connect reaches NATS and Redis and makes the parts that need them.
func (a *App) connect(ctx context.Context) (_ *parts, err error) {
	p := &parts{
		worker: a.cfg.Worker.ID, telemetry: a.startTelemetry(ctx),
		mask: func(number string) string { return a.force.config().masker().Mask(number) },
	}
	_, tracer := p.tracers()
	defer func() {
		if err != nil {
			endTelemetry(ctx, p.telemetry)
			p.close()
		}
	}()
	if p.nats, err = jetstream.Dial(ctx, jetstreamConfig(a.force.config, "shortwire "+a.cfg.Worker.ID, a.log)); err != nil {
		return nil, &DependencyError{What: "NATS", Err: err}
	}
	if err := p.nats.Verify(ctx, routeNames(a.cfg)); err != nil {
		return nil, &DependencyError{What: "NATS", Err: err}
	}
	if p.redis, err = dialRedis(a.force.config); err != nil {
		return nil, err
	}
	if err := probeRedis(ctx, p.redis, a.cfg.Redis.URL); err != nil {
		return nil, err
	}
	if p.desk, err = receipts.New(
		receipts.Config{WorkerID: a.cfg.Worker.ID, Routes: deskRoutes(a.cfg, nil)},
		receipts.Deps{Redis: p.redis, Publisher: p.nats, Tracer: tracer, Log: a.log},
	); err != nil {
		return nil, err
	}
	list := make([]*route, len(a.cfg.Routes))
	for i := range list {
		if list[i], err = newRoute(&a.cfg.Routes[i], a.cfg.Worker.DrainTimeout, p, a.log); err != nil {
			return nil, err
		}
	}
	p.routes.set(list)
	// Before the first job: what was paused stays so when a worker starts.
	p.pauses = &pauseBoard{store: ratelimit.NewPauses(p.redis, ""), log: a.log}
	if err := p.pauses.read(ctx); err != nil {
		return nil, &DependencyError{What: "Redis", Err: err}
	}
	p.pauses.tell(list)
	return p, nil
}

// work runs desk, binds and dispatchers, and ends them in reverse.
func (a *App) work(ctx, alive context.Context, p *parts) error {
	intake, stopIntake := context.WithCancelCause(ctx)
	bound, unbind := context.WithCancel(alive)
	leased, release := context.WithCancel(alive)
	defer release()
	defer unbind()

	// The budget of the drain begins with the first signal.
	stopWatch := context.AfterFunc(intake, func() {
		a.draining.Store(true)
		a.log.Info("draining", "timeout", a.cfg.Worker.DrainTimeout)
	})
	defer stopWatch()

	s := &shift{intake: intake, bound: bound, alive: alive, leased: leased, timeout: a.cfg.Worker.DrainTimeout, fail: stopIntake}
	s.supervise(&s.rest, "receipts", func() error { return p.desk.Run(leased) })
	s.supervise(&s.rest, "pauses", func() error { return p.pauses.run(leased, p.routes.all) })
	s.supervise(&s.rest, "lookout", func() error { return a.lookout(leased, p) })
	s.supervise(&s.rest, "telemetry", func() error { <-leased.Done(); endTelemetry(alive, p.telemetry); return nil })
	s.supervise(&s.rest, "status", func() error { return p.nats.AnswerStatus(leased, a.shortStatus) })
	for _, r := range p.routes.all() {
		r.dispatcher.Announce() // before the first takes jobs
	}
	for _, r := range p.routes.all() {
		s.start(r, nil)
	}
	s.supervise(&s.dispatchers, "configuration", func() error { return a.watch(intake, s) })

	err := s.dispatchers.Wait()
	stopIntake(nil)
	unbind()
	err = errors.Join(err, s.pools.Wait())
	last, cancel := context.WithTimeout(alive, time.Second)
	defer cancel()
	if drainErr := p.nats.Drain(last); drainErr != nil {
		a.log.Warn("not everything was confirmed", "err", drainErr)
	}
	release()
	err = errors.Join(err, s.rest.Wait())
	a.log.Info("worker ended", "worker", a.cfg.Worker.ID, "up", time.Since(a.began).Round(time.Millisecond))
	return err
}

// afterFunc calls f, in a goroutine of its own, when ctx has been over for d.
func afterFunc(ctx context.Context, d time.Duration, f func()) (stop func()) {
	ended, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			f()
		case <-ended.Done():
		}
	})
	return func() { unwatch(); cancel() }
}

func (p *parts) close() {
	if p.nats != nil {
		p.nats.Close()
	}
	if p.redis != nil {
		_ = p.redis.Close()
	}
}
