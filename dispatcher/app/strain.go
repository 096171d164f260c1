package app

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/latency"
)

// What is looked at once a second, beside the work and not within it.
const (
	strainEvery = time.Second
	lookBack    = 5 // seconds that spreads are of
	cpuBack     = 3 // and the use of processors
)

// From these shares of processors on they are what limits.
const (
	busyProcess = 0.9  // of GOMAXPROCS, by this process
	busyMachine = 0.97 // of the machine, by all
	ownShare    = 0.25 // of GOMAXPROCS by this process, for the machine to count
)

// CPUStatus is how busy the processors were over the last three seconds.
type CPUStatus struct {
	Used    float64  `json:"used"`              // processors that the process kept busy
	Of      int      `json:"of"`                // it may use, GOMAXPROCS
	Machine *float64 `json:"machine,omitempty"` // share of the machine's, by all processes, 0..1; absent where unknown
}

// spent reports whether more processors would make the process faster.
func (c *CPUStatus) spent() bool {
	of := float64(c.Of)
	return c.Used >= busyProcess*of || c.Used >= ownShare*of && c.Machine != nil && *c.Machine >= busyMachine
}

// SpreadStatus is how durations were spread over the last five seconds.
type SpreadStatus struct {
	Count uint64  `json:"count"`
	P50MS float64 `json:"p50_ms"`
	P99MS float64 `json:"p99_ms"`
}

// lately makes a SpreadStatus of counts that only grow.
type lately struct {
	ring [lookBack + 1]latency.Counts
	n    int
}

func (l *lately) look(read func(*latency.Counts)) SpreadStatus {
	now := &l.ring[l.n%len(l.ring)]
	read(now)
	before := &l.ring[max(l.n-lookBack, 0)%len(l.ring)]
	l.n++
	c := now.Since(before)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return SpreadStatus{Count: c.Total(), P50MS: ms(c.Quantile(0.5)), P99MS: ms(c.Quantile(0.99))}
}

// outlook is what the last look found.
type outlook struct {
	mu     sync.Mutex
	cpu    *CPUStatus        // guarded by mu; nil before there are two looks, and where it is unknown
	strain dispatcher.Strain // of that look alone; guarded by mu
}

func (o *outlook) processors() *CPUStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cpu
}

// lookout has every route know what limits it away from its turnstile, and
// notes how its durations are spread, until ctx ends.
func (a *App) lookout(ctx context.Context, p *parts) error {
	tick := time.NewTicker(strainEvery)
	defer tick.Stop()
	var cpu processors
	cpu.look(time.Now())
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			a.look(p, cpu.look(now))
			a.vitals.look(now, p.pulses())
		}
	}
}

// look is one look.
func (a *App) look(p *parts, cpu *CPUStatus) {
	var held, waiting int
	full := false
	for _, r := range p.routes.all() {
		h, w, f := r.dispatcher.Hands()
		held, waiting, full = held+h, waiting+w, full || f && w == 0
		r.note(p)
	}
	now := strain(p, cpu, held, held-waiting, full)
	p.outlook.mu.Lock()
	s := now
	if slow := !now.Away && now.Limit != dispatcher.LimitCPU; slow && now != p.outlook.strain {
		s = dispatcher.Strain{} // a moment: a batch may just have been on its way
	}
	p.outlook.cpu, p.outlook.strain = cpu, now
	p.outlook.mu.Unlock()
	for _, r := range p.routes.all() {
		own := s
		if h, _, _ := r.dispatcher.Hands(); h == 0 && !s.Away {
			own = dispatcher.Strain{} // nothing of this route waits
		}
		r.dispatcher.Strain(own)
	}
}

// fewBusy is how many jobs may be with Redis or NATS without that being much.
const fewBusy = 16

// strain says what all jobs that are in hand wait for, or could not come
// without: busy of them are past the turnstile, with their window slots. full
// is whether a lane takes no more until others have been to Redis and NATS.
func strain(p *parts, cpu *CPUStatus, held, busy int, full bool) dispatcher.Strain {
	switch {
	case !p.desk.Healthy():
		return dispatcher.Strain{Limit: dispatcher.LimitRedis, Away: true}
	case p.nats.Trouble() != "":
		return dispatcher.Strain{Limit: dispatcher.LimitNATS, Away: true}
	case held > 0 && cpu != nil && cpu.spent():
		return dispatcher.Strain{Limit: dispatcher.LimitCPU}
	case busy >= fewBusy && 2*p.desk.Waiting() >= busy:
		return dispatcher.Strain{Limit: dispatcher.LimitRedis}
	case full && 2*p.nats.Publishing() >= busy:
		return dispatcher.Strain{Limit: dispatcher.LimitNATS}
	}
	return dispatcher.Strain{}
}

// note keeps how the route's durations are spread.
func (r *route) note(p *parts) {
	submit := r.submits.look(r.dispatcher.Latency)
	name := r.config().Name
	receipt := r.receipts.look(func(c *latency.Counts) { p.desk.Delays(name, c) })
	r.spreads.Store(&spreads{submit, receipt})
}

// spreads are those of a route.
type spreads struct{ submit, receipt SpreadStatus }

// processors measures how busy the processors are.
type processors struct {
	ring [cpuBack + 1]usage
	n    int
}

// usage is what was used up to a moment.
type usage struct {
	at         time.Time
	process    time.Duration
	busy, idle uint64 // of the machine, in ticks; both 0 where unknown
}

// look returns nil while there is nothing to compare with.
func (c *processors) look(at time.Time) *CPUStatus {
	now := usage{at: at}
	var known bool
	if now.process, known = processTime(); !known {
		return nil
	}
	now.busy, now.idle = machineTicks()
	c.ring[c.n%len(c.ring)] = now
	before := c.ring[max(c.n-cpuBack, 0)%len(c.ring)]
	c.n++
	if !before.at.Before(at) {
		return nil
	}
	s := &CPUStatus{Used: (now.process - before.process).Seconds() / at.Sub(before.at).Seconds(), Of: runtime.GOMAXPROCS(0)}
	if all := now.busy - before.busy + now.idle - before.idle; all > 0 && now.busy >= before.busy && now.idle >= before.idle {
		s.Machine = new(float64(now.busy-before.busy) / float64(all))
	}
	return s
}
