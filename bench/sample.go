package main

import (
	"context"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// sample is what the processes had used at a moment.
type sample struct {
	at                            time.Time
	who, apart, nats, redis, smsc rig.Usage
	own                           time.Duration // CPU of this process
	cmds                          int64         // executed by Redis
	heap                          heap
	machine                       ticks
}

func (s *stage) sample(ctx context.Context) (sample, error) {
	out := sample{at: time.Now(), machine: machineTicks()}
	for _, of := range []struct {
		into  *rig.Usage
		procs []*rig.Proc
	}{
		{&out.who, s.who},
		{&out.apart, s.apart},
		{&out.nats, []*rig.Proc{s.nats.Proc}},
		{&out.redis, []*rig.Proc{s.redis.Proc}},
		{&out.smsc, []*rig.Proc{s.smsc.Proc}},
	} {
		for _, p := range of.procs {
			u, err := p.Usage()
			if err != nil {
				return out, err
			}
			of.into.CPU += u.CPU
			of.into.RSS += u.RSS
			of.into.PeakRSS += u.PeakRSS
		}
	}
	var err error
	if out.own, err = rig.OwnCPU(); err != nil {
		return out, err
	}
	if out.cmds, err = s.redis.CommandsProcessed(ctx); err != nil {
		return out, err
	}
	out.heap, err = s.heap(ctx)
	return out, err
}

// cost enters what was used between two moments, for n jobs.
func (r *round) cost(from, to sample, n int) {
	each := func(a, b rig.Usage) float64 { return micros(b.CPU-a.CPU) / float64(n) }
	r.CPUPerJob = each(from.who, to.who)
	r.ApartPerJob = each(from.apart, to.apart)
	r.NATSPerJob = each(from.nats, to.nats)
	r.RedisPerJob = each(from.redis, to.redis)
	r.SMSCPerJob = each(from.smsc, to.smsc)
	r.OwnPerJob = micros(to.own-from.own) / float64(n)
	r.TotalPerJob = r.CPUPerJob + r.ApartPerJob + r.NATSPerJob + r.RedisPerJob + r.SMSCPerJob
	r.Commands = float64(to.cmds-from.cmds) / float64(n)
	r.Objects = (to.heap.objects - from.heap.objects) / float64(n)
	r.Octets = (to.heap.octets - from.heap.octets) / float64(n)
	r.Stolen = to.machine.since(from.machine)
	r.PeakRSS = mib(to.who.PeakRSS)
	r.RedisRSS = mib(to.redis.RSS)
}

// pollEvery is how often the results are counted; what is measured does not
// depend on it, since the server says when it stored the last.
const pollEvery = 100 * time.Millisecond

// finish waits until so many outcomes and receipts are there, or nothing has
// come for the stall time: what is missing then is found by audit.
func (s *stage) finish(ctx context.Context, outcomes, receipts int) (load.Counts, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	told, moved := time.Now(), time.Now()
	var before load.Counts
	for {
		c, err := load.CountIn(ctx, s.results)
		if err != nil {
			return c, err
		}
		if c.Outcomes >= int64(outcomes) && c.Receipts >= int64(receipts) {
			return c, nil
		}
		if c != before {
			before, moved = c, time.Now()
		}
		if time.Since(moved) > s.o.stall {
			progress("nothing has come for %s, with %d outcomes and %d receipts\n%s", s.o.stall, c.Outcomes, c.Receipts, s.who[0].Tail(10))
			return c, nil
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			progress("  %d outcomes, %d receipts", c.Outcomes, c.Receipts)
		}
		if err := s.alive(); err != nil {
			return c, err
		}
		select {
		case <-ctx.Done():
			return c, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func mib(octets int64) float64 { return float64(octets) / (1 << 20) }
