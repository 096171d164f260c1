package dispatcher

import "github.com/shortwire-sms/shortwire/dispatcher/latency"

// Strain is what limits a route away from the turnstile: the jobs that it lets
// through, or that could come, wait for something that all routes share. The
// zero value is nothing.
type Strain struct {
	Limit Limit // LimitRedis, LimitNATS or LimitCPU
	Away  bool  // nothing at all gets through it
}

// over returns what limits a route of which the turnstile says l. Where jobs
// wait for their rate, or for the SMSC to take anything, more of the other
// would not help; but nothing is submitted without Redis. A full window counts
// for less than what keeps its slots: a job has them before it asks Redis.
func (s Strain) over(l Limit) Limit {
	switch {
	case s.Limit == "":
	case l == LimitNone,
		l == LimitWindow && (s.Away || s.Limit == LimitCPU || s.Limit == LimitRedis),
		(l == LimitRate || l == LimitThrottled) && s.Away && s.Limit == LimitRedis:
		return s.Limit
	}
	return l
}

// Strain says what limits the route away from the turnstile, from now on.
func (d *Dispatcher) Strain(s Strain) {
	t := d.turnstile
	t.mu.Lock()
	defer t.mu.Unlock()
	t.strain = s
	t.meter.set(s.over(t.seen))
}

// Hands says how many jobs the route has in hand, how many of them stand
// before the turnstile, and whether a lane takes no more until others are
// through with Redis and NATS.
func (d *Dispatcher) Hands() (held, waiting int, full bool) {
	for i := range d.hands {
		for _, h := range [...]*hands{d.hands[i], d.ahead[i]} {
			held += int(h.all.Load())
			full = full || h.busy.Load() >= h.limit.Load()
		}
	}
	d.turnstile.mu.Lock()
	defer d.turnstile.mu.Unlock()
	for i := range d.turnstile.queues {
		waiting += d.turnstile.queues[i].n
	}
	return held, waiting, full
}

// Latency reads how long the SMSC took to accept messages, from submit_sm to
// its response, since the process began.
func (d *Dispatcher) Latency(c *latency.Counts) { d.stats.latency.Read(c) }
