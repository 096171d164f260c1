// Package dispatcher is the pipeline: it takes the jobs of one route from a
// queue, has them encoded, admitted, claimed, sent and recorded, and makes
// their outcomes durable. What it needs of the world stands in ports.go; the
// life of a job in handle.go.
package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Config is the pipeline of one route. Zero values mean defaults.
type Config struct {
	Route    string
	Message  MessageRules     // how jobs become messages
	Lanes    map[sms.Lane]int // weights, each at least 1. Default 8, 4, 1
	Held     int              // jobs of one lane in hand at once that do not wait for the SMSC, and again those that overtake, 1 or more. Default 256
	Prefetch int              // jobs of one lane fetched beyond these, 1 or more. Default Held, at most 500
	Window   int              // window slots of one bind: the most parts sent in one go. Default 100
	Retry    RetryPolicy
	Probe    ProbePolicy    // while the SMSC refuses the account
	Fallback FallbackPolicy // for when the route cannot send
}

// RetryPolicy is the back-off between attempts.
type RetryPolicy struct {
	MaxAttempts int           // including the first. Default 5
	Initial     time.Duration // before the second attempt, doubled for each further one. Default 2s
	Max         time.Duration // longest pause. Default 5m
}

// Deps are the ports.
type Deps struct {
	Source    Source
	Publisher Publisher
	Retrier   Retrier
	Morgue    Morgue
	Ledger    Ledger
	Binds     Binds
	Limiter   Limiter // a FleetLimiter is told what the SMSC takes and throttles
	Tracer    Tracer  // default: jobs hand on the trace of their producer
	InHand    *InHand // of the process: dispatchers of all routes share one. Default one of its own
	Routes    *Routes // of the process: a fallback is looked for there. Default none but its own
	Logger    *slog.Logger
	Mask      func(number string) string // makes a number fit to be shown. Default sms.MaskNumber
}

// InHand is the jobs that a process has in hand. The ledger knows a job by
// producer and id, whatever its route, and takes a claim of this process for
// one that was left behind when the dispatcher asks for the job again.
type InHand struct {
	mu   sync.Mutex
	jobs map[jobKey]struct{} // guarded by mu
}

// add enters a job, or says that it is there already.
func (h *InHand) add(k jobKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.jobs[k]; there {
		return false
	}
	if h.jobs == nil {
		h.jobs = make(map[jobKey]struct{})
	}
	h.jobs[k] = struct{}{}
	return true
}

func (h *InHand) remove(k jobKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.jobs, k)
}

// Dispatcher runs the pipeline of one route.
type Dispatcher struct {
	route     string
	cfg       atomic.Pointer[Config] // replaced as a whole by Change
	deps      Deps
	log       *slog.Logger
	turnstile *turnstile
	duty      duty
	hands     [laneCount]*hands
	ahead     [laneCount]*hands       // for jobs that overtake: those of the others may all be taken
	detours   atomic.Pointer[detours] // written by watch; nil without a fallback
	jobs      sync.WaitGroup
	flights   flights
	stats     stats
	faults    faults
}

// New returns a dispatcher that does nothing until Run.
func New(cfg Config, deps Deps) (*Dispatcher, error) {
	if cfg.Route == "" {
		return nil, fmt.Errorf("dispatcher: route must be named")
	}
	cfg = cfg.withDefaults()
	if deps.InHand == nil {
		deps.InHand = new(InHand)
	}
	if deps.Mask == nil {
		deps.Mask = sms.MaskNumber
	}
	if deps.Routes == nil {
		deps.Routes = new(Routes)
	}
	d := &Dispatcher{
		route:     cfg.Route,
		deps:      deps,
		log:       deps.Logger.With("route", cfg.Route),
		turnstile: newTurnstile(deps.Binds, deps.Limiter, cfg.Lanes),
	}
	d.turnstile.account.log = d.log
	for i := range d.hands {
		d.hands[i], d.ahead[i] = newHands(cfg.Held), newHands(cfg.Held)
	}
	d.cfg.Store(&cfg)
	d.turnstile.change(&cfg, deps.Limiter.Burst())
	return d, nil
}

// config is what is in force now.
func (d *Dispatcher) config() *Config { return d.cfg.Load() }

func (c Config) withDefaults() Config {
	if c.Lanes == nil {
		c.Lanes = map[sms.Lane]int{sms.LaneHigh: 8, sms.LaneNormal: 4, sms.LaneBulk: 1}
	}
	if c.Held == 0 {
		c.Held = 256
	}
	if c.Prefetch == 0 {
		c.Prefetch = min(c.Held, maxPrefetch)
	}
	if c.Window == 0 {
		c.Window = 100
	}
	if c.Retry.MaxAttempts == 0 {
		c.Retry.MaxAttempts = 5
	}
	if c.Retry.Initial == 0 {
		c.Retry.Initial = 2 * time.Second
	}
	if c.Retry.Max == 0 {
		c.Retry.Max = 5 * time.Minute
	}
	if c.Fallback.After == 0 {
		c.Fallback.After = 30 * time.Second
	}
	if c.Probe.Initial == 0 {
		c.Probe.Initial = 10 * time.Second
	}
	if c.Probe.Max == 0 {
		c.Probe.Max = max(c.Probe.Initial, 5*time.Minute)
	}
	return c
}

// Run dispatches until intake ends, then lets the jobs in flight finish. When
// work ends, what is still in flight is handed back unfinished. It returns
// after the last job was settled or handed back.
func (d *Dispatcher) Run(intake, work context.Context) error {
	d.deps.Binds.Notify(func() { d.report(); d.turnstile.turn() })
	d.report()
	if f := d.turnstile.fleet; f != nil {
		f.Notify(d.turnstile.renewed, d.turnstile.demand)
	}
	defer d.turnstile.stop()
	defer context.AfterFunc(work, d.leaveOpen)()
	d.deps.Routes.add(d)
	defer d.deps.Routes.remove(d)

	g, intake := errgroup.WithContext(intake)
	for _, lane := range sms.Lanes() {
		i := laneIndex(lane)
		g.Go(func() error { return d.consumeLane(intake, work, lane, d.hands[i], d.deps.Source.Consume) })
		g.Go(func() error { return d.consumeLane(intake, work, lane, d.ahead[i], d.overtake) })
	}
	g.Go(func() error { d.watch(intake); return nil })
	err := g.Wait()
	d.deps.Routes.remove(d)
	d.turnstile.close()
	d.jobs.Wait()
	return err
}
