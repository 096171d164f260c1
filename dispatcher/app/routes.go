package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/receipts"
)

// routes are the routes of a worker. Each is a unit with a life of its own: it
// begins, changes and ends while the others go on. One goroutine at a time
// changes them: first connect, then the one that reads the configuration again.
type routes struct {
	list atomic.Pointer[[]*route] // in the order of the configuration, then those that end; replaced as a whole
	mu   sync.Mutex               // held by who replaces it
}

func (r *routes) all() []*route {
	if list := r.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (r *routes) find(name string) *route {
	for _, have := range r.all() {
		if !have.ending.Load() && have.config().Name == name {
			return have
		}
	}
	return nil
}

// life is how long the parts of a route live. The contexts end in this order.
type life struct {
	intake    context.Context // new jobs
	working   context.Context // jobs in hand
	bound     context.Context // binds, which then unbind
	connected context.Context // connections
	end       func()          // of intake
	unbind    func()
}

// shift is what the routes of a worker work under.
type shift struct {
	intake  context.Context // ends with the first signal
	bound   context.Context // ends when no route has jobs in hand any more
	alive   context.Context // ends never
	leased  context.Context // ends after all else
	timeout time.Duration   // drain_timeout

	dispatchers, pools, rest errgroup.Group // rest lives while leased does
	fail                     func(error)    // ends intake
}

// supervise runs a part; one that fails ends the worker in good order.
func (s *shift) supervise(g *errgroup.Group, what string, run func() error) {
	g.Go(func() error {
		err := run()
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
			s.fail(err)
		}
		return err
	})
}

// start has a route work until the shift ends or the route is ended. before is
// a route of the same name that ends, or nil: two at once would be more binds
// than are configured.
func (s *shift) start(r, before *route) {
	var l life
	var abort context.CancelCauseFunc
	var cut context.CancelFunc
	l.intake, l.end = context.WithCancel(s.intake)
	l.working, abort = context.WithCancelCause(s.alive)
	l.bound, l.unbind = context.WithCancel(s.bound)
	l.connected, cut = context.WithCancel(s.alive)
	r.life = l
	r.dispatcher.Announce()

	// The budget of a drain begins with its end of intake.
	forJobs, forBinds := drainBudget(s.timeout)
	stopAbort := afterFunc(l.intake, forJobs, func() { abort(errors.New("drain_timeout is used up")) })
	stopCut := afterFunc(l.intake, forBinds, cut)

	began, unbound := make(chan struct{}), make(chan struct{})
	name := r.config().Name
	leased, release := context.WithCancel(s.leased)
	s.supervise(&s.rest, "limit of "+name, func() error { return r.limit.Run(leased) })
	s.supervise(&s.dispatchers, "route "+name, func() error {
		if before != nil {
			select {
			case <-before.gone: // bounded by its drain
			case <-s.intake.Done(): // its binds go with all others, which wait for us
			}
		}
		if s.intake.Err() != nil {
			l.unbind() // too late to begin
		}
		close(began)
		err := r.dispatcher.Run(l.intake, l.working)
		if s.intake.Err() == nil {
			l.unbind() // this route alone ends
			<-unbound
		}
		return err
	})
	s.supervise(&s.pools, "binds of "+name, func() error {
		<-began
		err := r.pool.Run(l.bound, l.connected)
		close(unbound)
		stopAbort()
		stopCut()
		abort(nil)
		cut()
		l.end()
		l.unbind()
		if s.intake.Err() == nil {
			release() // else it lives as long as the worker
		}
		close(r.gone)
		return err
	})
}

// end drains one route while the others go on, and calls gone when it is over.
func (r *route) end(s *shift, gone func()) {
	r.ending.Store(true)
	r.life.end()
	s.rest.Go(func() error {
		<-r.gone
		gone()
		return nil
	})
}

// change puts another configuration of the route in force. It cannot fail:
// what may was prepared.
func (r *route) change(next *RouteConfig, secure *tls.Config, drain time.Duration) {
	r.dispatcher.Change(next.pipeline(), next.rateLimits().AtOnce(), func() {
		r.limit.Set(next.rateLimits())
		r.bindLimits.set(next.BindRate)
	})
	r.slots.change(next.MaxBinds)
	if err := r.pool.Change(next.pool(secure, drain)); err != nil {
		r.log.Error("binds keep the configuration they have", "route", next.Name, "err", err) // its check is weaker than ours
	}
	r.secure = secure
	r.cfg.Store(next)
}

// deskRoutes are the receipts' part of all routes, those that end included.
func deskRoutes(cfg *Config, ending []*route) map[string]receipts.Route {
	all := make(map[string]receipts.Route, len(cfg.Routes))
	for _, r := range ending {
		c := r.config()
		all[c.Name] = c.desk()
	}
	for i := range cfg.Routes {
		all[cfg.Routes[i].Name] = cfg.Routes[i].desk()
	}
	return all
}

// ending lists the routes that drain.
func (r *routes) ending() (list []*route) {
	for _, have := range r.all() {
		if have.ending.Load() {
			list = append(list, have)
		}
	}
	return list
}

// set replaces the list, but for what has ended meanwhile.
func (r *routes) set(list []*route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list = slices.DeleteFunc(list, (*route).over)
	r.list.Store(&list)
}

// forget drops what has ended.
func (r *routes) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(*r.list.Load()), (*route).over)
	r.list.Store(&list)
}

// over reports whether the route has come to its end.
func (r *route) over() bool {
	select {
	case <-r.gone:
		return true
	default: // also before it begins
		return false
	}
}

// lastOf returns the last of the routes with this name, nil when there is none.
func lastOf(list []*route, name string) (last *route) {
	for _, r := range list {
		if r.config().Name == name {
			last = r
		}
	}
	return last
}
