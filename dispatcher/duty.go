package dispatcher

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// SharedBinds is Binds that other workers may have instead, for hours. The
// functions registered with Notify are called when Standby changes, too.
type SharedBinds interface {
	Binds
	// Standby reports whether there will be no bind until others leave one.
	Standby() bool
}

// duty is whether a dispatcher takes jobs. It does not while its binds stand
// by, nor while it has none and those of its fallback stand by: what it has in
// hand, another worker could send. The zero value is on duty.
type duty struct {
	off atomic.Bool // written with mu held

	mu     sync.Mutex
	began  chan struct{}    // guarded by mu; made when the duty ends, closed when it begins
	passes map[*func()]bool // guarded by mu; what is to end with the duty
}

// errStandby is why a job is handed back that could have waited.
var errStandby = errors.New("other workers have the route's binds")

// wait blocks until the dispatcher is on duty or ctx ends.
func (d *duty) wait(ctx context.Context) {
	for d.off.Load() && ctx.Err() == nil {
		d.mu.Lock()
		began := d.began
		d.mu.Unlock()
		select {
		case <-began:
		case <-ctx.Done():
		}
	}
}

// until has end called when the duty ends, or at once when it has, unless leave
// is called before.
func (d *duty) until(end func()) (leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off.Load() {
		end()
		return func() {}
	}
	if d.passes == nil {
		d.passes = make(map[*func()]bool)
	}
	d.passes[&end] = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.passes, &end)
	}
}

// standsBy reports whether other workers have the binds.
func (d *Dispatcher) standsBy() bool {
	binds, shared := d.deps.Binds.(SharedBinds)
	return shared && binds.Standby()
}

// report goes on duty or off as the binds do: off duty no jobs are fetched, and
// those that wait for their turn go back.
func (d *Dispatcher) report() {
	duty := &d.duty
	if (d.standsBy() || d.detours.Load().elsewhere()) == duty.off.Load() {
		return
	}
	duty.mu.Lock()
	defer duty.mu.Unlock()
	standsBy := d.standsBy()
	off := standsBy || d.detours.Load().elsewhere()
	if off == duty.off.Load() {
		return // another call was first
	}
	if off {
		duty.began = make(chan struct{})
	} else {
		close(duty.began)
	}
	duty.off.Store(off)
	d.turnstile.leave(off)
	if !off {
		d.log.Info("route has binds again")
		return
	}
	for end := range duty.passes {
		(*end)()
	}
	if !standsBy {
		d.log.Info("route stands by: it has no bind, and other workers have those of its fallback")
		return
	}
	d.log.Info("route stands by: it has no lease on a bind")
}

// leave closes the turnstile to jobs of its own route, and sends those that
// wait away, or opens it again.
func (t *turnstile) leave(away bool) {
	t.mu.Lock()
	t.away = away
	t.limit(LimitNone)
	t.mu.Unlock()
	if away {
		t.move(func(of caller, _ int) bool { return of.route != nil && !t.guest(of) })
	}
}
