package dispatcher

import "github.com/shortwire-sms/shortwire/dispatcher/sms"

// Change puts another configuration of the same route in force. Jobs in hand
// keep the messages that were made of them; all else holds from now on, also for
// those that wait.
//
// What the limiter and the binds grant at once belongs to it: limits changes
// those, and burst is what the limiter will have, 0 for unlimited. A job that
// waited for more parts than will ever be granted would stand for good, so it
// waits for fewer before they change.
func (d *Dispatcher) Change(cfg Config, burst int, limits func()) {
	cfg.Route = d.route
	cfg = cfg.withDefaults()
	d.turnstile.narrow(cfg.Window, burst)
	limits()
	d.cfg.Store(&cfg)
	d.turnstile.change(&cfg, d.deps.Limiter.Burst())
	for i := range d.hands {
		d.hands[i].resize(cfg.Held)
		d.ahead[i].resize(cfg.Held)
	}
	d.turnstile.turn()
}

// Pause closes the lanes for which closed says so, and opens the others. What
// waits in a closed lane goes on waiting; what is at the SMSC goes on.
func (d *Dispatcher) Pause(closed func(sms.Lane) bool) {
	var now [laneCount]bool
	for i, lane := range sms.Lanes() {
		now[i] = closed(lane)
	}
	t := d.turnstile
	t.mu.Lock()
	news := t.closed != now
	t.closed = now
	t.mu.Unlock()
	if news {
		t.turn()
	}
}

// narrow bounds what may go at once, until change.
func (t *turnstile) narrow(limits ...int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range limits {
		if n > 0 {
			t.most = min(t.most, n)
		}
	}
}

// change takes the turnstile's part of a configuration. burst is what the
// limiter grants at once, 0 for any number. The caller calls turn.
func (t *turnstile) change(cfg *Config, burst int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.most = cfg.Window
	if burst > 0 {
		t.most = min(t.most, burst)
	}
	t.account.policy = cfg.Probe
	if w := laneWeights(cfg.Lanes); w != t.weights {
		t.weights, t.credits = w, w
	}
	t.stalled = nil // what the limiter said of the future holds no more
}

func laneWeights(by map[sms.Lane]int) (weights [laneCount]int) {
	for i, lane := range sms.Lanes() {
		weights[i] = max(by[lane], 1)
	}
	return weights
}

// idle is what limits the route while no lane that is open has jobs: nothing,
// or that others are closed. Called with mu held.
func (t *turnstile) idle() Limit {
	all := true
	for i := range t.closed {
		if t.closed[i] && t.queues[i].head() != nil {
			return LimitPaused
		}
		all = all && t.closed[i]
	}
	if all {
		return LimitPaused
	}
	return LimitNone
}
