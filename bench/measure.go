package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/peers"
)

// bench is one measurement under way.
type bench struct {
	o     options
	bin   *rig.Binaries
	peers []peers.Peer // that are installed
	max   float64      // jobs/s that shares are taken of
	rep   *report
}

// measure runs the phases. What could not be measured is noted in the report
// and the rest goes on.
func measure(ctx context.Context, o options) (*report, error) {
	rep, err := openReport(o)
	if err != nil {
		return nil, err
	}
	b := &bench{o: o, max: rep.Max, rep: rep}
	if o.peers {
		b.findPeers(ctx)
	}
	if o.bin != "" {
		b.bin, err = rig.Prebuilt(o.bin)
	} else {
		progress("building shortwire, smscsim and nats-server")
		b.bin, err = rig.Build(ctx)
	}
	if err != nil {
		return nil, err
	}
	defer b.bin.Remove()
	if o.procs > 0 { // for the children; this process runs already, and builds with all
		if err := os.Setenv("GOMAXPROCS", strconv.Itoa(o.procs)); err != nil {
			return nil, err
		}
	}
	for _, p := range phases() {
		if !slices.Contains(o.phases, p.name) || ctx.Err() != nil {
			continue
		}
		if err := b.phase(ctx, p); err != nil {
			b.rep.fail(err)
			progress("%v", err)
		}
		if o.write != "" {
			if err := b.rep.save(o.write); err != nil {
				return nil, err
			}
		}
	}
	b.rep.conclude()
	if len(b.rep.Rounds)+len(b.rep.Phases) == 0 {
		return nil, errors.New("nothing could be measured")
	}
	return b.rep, nil
}

// findPeers says of those that are not there what they need.
func (b *bench) findPeers(ctx context.Context) {
	for _, p := range peers.All {
		if err := p.Needs(ctx); err != nil {
			progress("without %s: %v", p.Name, err)
			b.rep.miss(fmt.Sprintf("%s: %v", p.Name, err))
			continue
		}
		b.peers = append(b.peers, p)
	}
}

// phase measures all settings of a phase in turns, each of them first in its turn.
func (b *bench) phase(ctx context.Context, p phase) error {
	if p.share && b.max == 0 {
		if err := b.probe(ctx); err != nil {
			return fmt.Errorf("%s: find the maximum: %w", p.name, err)
		}
	}
	settings := p.settings(b)
	rounds, before := b.roundsOf(p), b.rep.numbered(p.name)
	for n := range rounds {
		first := n % len(settings)
		for _, set := range slices.Concat(settings[first:], settings[:first]) {
			progress("%s %d/%d  %s: %d jobs", p.name, n+1, rounds, set.label, set.jobs)
			measure := b.calm
			if p.once {
				measure = b.with
			}
			r, err := measure(ctx, set, p.run)
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", p.name, context.Cause(ctx))
			}
			if err != nil {
				err = fmt.Errorf("%s, round %d of %s: %w", p.name, n+1, set.label, err)
				progress("%v", err)
				b.rep.fail(err)
				continue
			}
			r.Number = before + n + 1
			b.rep.add(p.name, *r)
			progress("%s %d/%d  %s: %s", p.name, n+1, rounds, set.label, r)
		}
	}
	return nil
}

// floodFor is how long the maximum is looked for.
const floodFor = 15 * time.Second

// probe finds the maximum: what comes through while more is published than can
// come through, as much as a drain does that has the machine to itself.
func (b *bench) probe(ctx context.Context) error {
	flood := median(b.rep.figures(drainName, worker, func(x *round) float64 { return x.JobsPerSecond }))
	if flood == 0 {
		progress("finding the rate of a drain")
		r, err := b.calm(ctx, b.usual(worker, min(b.o.jobs, b.o.sweep)), drain)
		if err != nil {
			return err
		}
		b.rep.fault(r)
		flood = r.JobsPerSecond
	}
	most := flood
	if !b.o.quick {
		progress("finding the maximum: %.0f jobs/s for %s", flood, floodFor)
		r, err := b.calm(ctx, b.usual(worker, 0).evenly(flood, floodFor), paced)
		if err != nil {
			return err
		}
		b.rep.fault(r)
		most = float64(r.Jobs-r.Waiting) / floodFor.Seconds()
	}
	b.max, b.rep.Max, b.rep.Flood = most, most, flood
	progress("the maximum is %.0f jobs/s", b.max)
	return nil
}
