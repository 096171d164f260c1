package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/spell"
	"github.com/shortwire-sms/shortwire/ratelimit"
)

// How a worker hears of pauses.
const (
	pausesEvery   = time.Second
	pausesTimeout = time.Second
)

// OperatorPause is a route, or one lane of it, that an operator has paused in
// all workers.
type OperatorPause struct {
	Route  string     `json:"-"`
	Lane   sms.Lane   `json:"lane,omitempty"`   // empty: all lanes
	By     string     `json:"by"`               // who paused it
	Reason string     `json:"reason,omitempty"` //
	Since  time.Time  `json:"since"`            //
	Until  *time.Time `json:"until,omitempty"`  // when it ends by itself
}

// pauseBoard is what a worker knows of pauses. While Redis is away it goes by
// what it heard last.
type pauseBoard struct {
	store *ratelimit.Pauses
	log   *slog.Logger

	telling sync.Mutex // held while routes are told; guards what they have noted

	mu    sync.Mutex
	holds []hold // guarded by mu
}

// hold is a pause, and when it ends by this machine's clock; zero: not by itself.
type hold struct {
	ratelimit.Pause
	ends time.Time
}

// look asks Redis what is paused, and goes by what it knows where that takes
// longer than until the next look.
func (b *pauseBoard) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pausesTimeout)
	defer cancel()
	return b.read(ctx)
}

// read asks Redis what is paused, for as long as its client is patient.
func (b *pauseBoard) read(ctx context.Context) error {
	asked := time.Now()
	all, err := b.store.List(ctx)
	if err != nil {
		return err
	}
	holds := make([]hold, len(all))
	for i, p := range all {
		holds[i].Pause = p
		if p.Left > 0 {
			holds[i].ends = asked.Add(p.Left)
		}
	}
	b.mu.Lock()
	b.holds = holds
	b.mu.Unlock()
	return nil
}

// run keeps the routes as operators want them, until ctx ends.
func (b *pauseBoard) run(ctx context.Context, routes func() []*route) error {
	tick := time.NewTicker(pausesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := b.look(ctx); err != nil {
			b.log.Debug("pauses are not known anew", "err", err) // that Redis is away is logged elsewhere
		}
		b.tell(routes())
	}
}

// tell has routes pause and resume.
func (b *pauseBoard) tell(routes []*route) {
	b.telling.Lock()
	defer b.telling.Unlock()
	for _, r := range routes {
		paused := b.of(r.config().Name)
		r.dispatcher.Pause(func(lane sms.Lane) bool { return pausedBy(paused, lane) })
		r.notePauses(paused, b.log)
	}
}

// pausedBy reports whether one of the pauses of a route is of the lane.
func pausedBy(pauses []OperatorPause, lane sms.Lane) bool {
	return slices.ContainsFunc(pauses, func(p OperatorPause) bool { return p.Lane == "" || p.Lane == lane })
}

// of returns the pauses of a route that hold now.
func (b *pauseBoard) of(route string) (all []OperatorPause) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.holds {
		if h.Route == route && (h.ends.IsZero() || now.Before(h.ends)) {
			all = append(all, operatorPause(h.Pause))
		}
	}
	return all
}

// notePauses logs what is paused or resumed since it was called last. Called
// with pauseBoard.telling held.
func (r *route) notePauses(now []OperatorPause, log *slog.Logger) {
	same := func(a OperatorPause) func(OperatorPause) bool {
		return func(b OperatorPause) bool { return a.Lane == b.Lane && a.Since.Equal(b.Since) }
	}
	for _, p := range now {
		if !slices.ContainsFunc(r.pausesNoted, same(p)) {
			attrs := []any{"route", p.Route, "lane", p.lane(), "by", p.By, "reason", p.Reason}
			if p.Until != nil {
				attrs = append(attrs, "until", p.Until.Format(time.RFC3339))
			}
			log.Warn("paused by an operator", attrs...)
		}
	}
	for _, p := range r.pausesNoted {
		if !slices.ContainsFunc(now, same(p)) {
			log.Info("pause ended", "route", p.Route, "lane", p.lane())
		}
	}
	r.pausesNoted = now
}

func (p *OperatorPause) lane() string {
	if p.Lane == "" {
		return "all"
	}
	return string(p.Lane)
}

func operatorPause(p ratelimit.Pause) OperatorPause {
	o := OperatorPause{Route: p.Route, Lane: sms.Lane(p.Lane), By: p.By, Reason: p.Reason, Since: p.Since}
	if !p.Until.IsZero() {
		o.Until = &p.Until
	}
	return o
}

// Pauses is the operator's side: it pauses and resumes routes for all workers.
type Pauses struct {
	cfg   *Config
	store *ratelimit.Pauses
	close func() error
}

// NewPauses connects to the Redis of the configuration. The caller calls Close.
func NewPauses(ctx context.Context, cfg *Config) (*Pauses, error) {
	client, err := dialRedis(fixed(cfg))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		_ = client.Close()
		return nil, &DependencyError{What: "Redis", Err: fmt.Errorf("%s does not answer: %w", cfg.Redis.URL, cause(err)), Hint: "check redis.url, and that the server runs"}
	}
	return &Pauses{cfg: cfg, store: ratelimit.NewPauses(client, ""), close: client.Close}, nil
}

// Close ends the connection.
func (p *Pauses) Close() { _ = p.close() }

// List returns what is paused, by route and lane.
func (p *Pauses) List(ctx context.Context) ([]OperatorPause, error) {
	all, err := p.store.List(ctx)
	return operatorPauses(all), redisFault(ctx, err)
}

// Pause pauses what names, for d, or with d 0 until it is resumed. The error
// is an *UnknownRouteError when there is no such route.
func (p *Pauses) Pause(ctx context.Context, what OperatorPause, d time.Duration) (OperatorPause, error) {
	if err := p.known(what.Route); err != nil {
		return what, err
	}
	set, err := p.store.Set(ctx, ratelimit.Pause{Route: what.Route, Lane: string(what.Lane), By: what.By, Reason: what.Reason}, d)
	return operatorPause(set), redisFault(ctx, err)
}

// Resume ends the pause of a lane, or with lane empty all of the route, and
// returns what was paused. still is what goes on: a pause of the whole route
// holds its lanes, too. A route that is paused need not be configured any more.
func (p *Pauses) Resume(ctx context.Context, route string, lane sms.Lane) (ended, still []OperatorPause, err error) {
	var lanes []string
	for _, l := range sms.Lanes() {
		lanes = append(lanes, string(l))
	}
	done, err := p.store.End(ctx, route, string(lane), lanes...)
	if err != nil {
		return nil, nil, redisFault(ctx, err)
	}
	if len(done) == 0 {
		if err := p.known(route); err != nil {
			return nil, nil, err
		}
	}
	all, err := p.List(ctx)
	still = slices.DeleteFunc(all, func(o OperatorPause) bool { return o.Route != route || o.Lane != "" && o.Lane != lane })
	return operatorPauses(done), still, err
}

func operatorPauses(all []ratelimit.Pause) []OperatorPause {
	list := make([]OperatorPause, len(all))
	for i, p := range all {
		list[i] = operatorPause(p)
	}
	return list
}

// UnknownRouteError is a route that is not configured.
type UnknownRouteError struct {
	Route string
	Known []string
}

// Error implements error.
func (e *UnknownRouteError) Error() string {
	return fmt.Sprintf("route %q is not configured, known are %s%s", e.Route, strings.Join(e.Known, ", "), spell.Hint(e.Route, e.Known))
}

func (p *Pauses) known(route string) error {
	if _, ok := p.cfg.Route(route); ok {
		return nil
	}
	return &UnknownRouteError{Route: route, Known: routeNames(p.cfg)}
}

// redisFault tells a fault of the dependency from an interrupted command.
func redisFault(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &DependencyError{What: "Redis", Err: cause(err)}
}
