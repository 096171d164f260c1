package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/shortwire-sms/shortwire/bench/peers"
)

// phase is one kind of measurement.
type phase struct {
	name     string
	settings func(*bench) []setting
	run      runFunc
	once     bool // one round is enough, and long
	share    bool // needs to know the maximum first
}

// runFunc measures one round.
type runFunc func(context.Context, *stage) (*round, error)

// Names of the phases.
const (
	drainName   = "drain"
	openName    = "open"
	burstName   = "burst"
	longName    = "long"
	stormName   = "storm"
	routesName  = "routes"
	bindsName   = "binds"
	windowsName = "windows"
	partsName   = "parts"
	payloadName = "payload"
	latencyName = "latency"
	growthName  = "growth"
	workersName = "workers"
)

// phases in the order in which they run.
func phases() []phase {
	return []phase{
		{name: drainName, settings: drainSettings, run: drain},
		{name: openName, settings: openSettings, run: paced, share: true},
		{name: burstName, settings: burstSettings, run: paced},
		{name: longName, settings: longSettings, run: long, once: true, share: true},
		{name: stormName, settings: stormSettings, run: storm},
		{name: routesName, settings: routesSettings, run: drainOrPaced, share: true},
		{name: bindsName, settings: bindsSettings, run: drainOrPaced, share: true},
		{name: windowsName, settings: windowsSettings, run: drain},
		{name: partsName, settings: partsSettings, run: drain},
		{name: payloadName, settings: payloadSettings, run: drain},
		{name: latencyName, settings: latencySettings, run: drain},
		{name: growthName, settings: growthSettings, run: drain},
		{name: workersName, settings: workersSettings, run: paced, share: true},
	}
}

func phaseNames() []string {
	var out []string
	for _, p := range phases() {
		out = append(out, p.name)
	}
	return out
}

func drainOrPaced(ctx context.Context, s *stage) (*round, error) {
	if s.set.rate > 0 {
		return paced(ctx, s)
	}
	return drain(ctx, s)
}

// usual is the setting that everything else differs from in one thing.
func (b *bench) usual(label string, jobs int) setting {
	return setting{label: label, who: worker, jobs: jobs, routes: 1, workers: 1, binds: b.o.binds, window: b.o.window, parts: 1}
}

// evenly makes a setting one of an even rate for so long.
func (s setting) evenly(rate float64, d time.Duration) setting {
	s.rate, s.jobs, s.times = rate, max(1, int(rate*d.Seconds())), true
	return s
}

// contenders makes a setting for each of those that are measured.
func (b *bench) contenders(s setting, all ...peers.Peer) []setting {
	names := []string{worker, floorName}
	if b.o.only != "" {
		names = []string{b.o.only}
	}
	for _, p := range all {
		names = append(names, p.Name)
	}
	var out []setting
	for _, name := range names {
		one := s
		one.label, one.who, one.against = name, name, floorName
		out = append(out, one)
	}
	return out
}

func drainSettings(b *bench) []setting { return b.contenders(b.usual("", b.o.jobs), b.peers...) }

func stormSettings(b *bench) []setting { return b.contenders(b.usual("", b.o.storm)) }

// shares of the maximum that the phase open publishes at, in percent; half is the one of the goal.
const half = 50

func openSettings(b *bench) []setting {
	shares := []int{10, half, 90}
	if b.o.quick {
		shares = []int{half}
	}
	var out []setting
	for _, share := range shares {
		out = append(out, b.usual(shareLabel(share), 0).evenly(b.max*float64(share)/100, b.o.open))
	}
	if b.o.only == "" && !b.o.quick { // how much of the delay is not the worker's
		floor := b.usual("floor, "+shareLabel(half), 0).evenly(b.max*half/100, b.o.open)
		floor.who = floorName
		out = append(out, floor)
	}
	return out
}

func shareLabel(percent int) string { return fmt.Sprintf("%d %% of the maximum", percent) }

// loneEach is how often a lone job comes.
const loneEach = 250 * time.Millisecond

func burstSettings(b *bench) []setting {
	burst := b.usual(fmt.Sprintf("%d jobs at once", b.o.burst), b.o.burst)
	burst.times = true
	lone := b.usual("lone jobs", 0).evenly(1/loneEach.Seconds(), time.Duration(b.o.lone)*loneEach)
	return []setting{burst, lone}
}

func longSettings(b *bench) []setting {
	return []setting{b.usual(b.o.long.String()+" at half the maximum", 0).evenly(b.max*half/100, b.o.long)}
}

const (
	// routesBinds are the binds of all routes together.
	routesBinds = 8
	// allWindows is the sum of the windows of all binds.
	allWindows = 4000
)

func routesSettings(b *bench) []setting {
	return b.backlogAndEven([]int{1, 2, 4, 8}, "routes", func(s *setting, n int) {
		s.routes, s.binds, s.window = n, routesBinds, allWindows/routesBinds
	})
}

func bindsSettings(b *bench) []setting {
	return b.backlogAndEven([]int{1, 4, 16, 64}, "binds", func(s *setting, n int) {
		s.binds, s.window = n, allWindows/n
	})
}

// sweepLabel names a value of a sweep, with the load that it is measured under.
func sweepLabel(n int, of string, even bool) string {
	if even {
		return fmt.Sprintf("%s: %d, half the maximum", of, n)
	}
	return fmt.Sprintf("%s: %d, backlog", of, n)
}

// backlogAndEven are settings of a backlog and of half the maximum for each
// value, all against the first.
func (b *bench) backlogAndEven(values []int, of string, set func(*setting, int)) []setting {
	if b.o.quick {
		values = values[len(values)-1:]
	}
	var out []setting
	for _, even := range []bool{false, true} {
		if even && b.o.quick {
			continue
		}
		for _, n := range values {
			s := b.usual(sweepLabel(n, of, even), b.o.sweep)
			if even {
				s = s.evenly(b.max*half/100, b.o.paced)
			}
			s.against = sweepLabel(values[0], of, even)
			set(&s, n)
			out = append(out, s)
		}
	}
	return out
}

// sweep are settings of a backlog, one for each value, all against base.
func sweep[T any](b *bench, values []T, base int, label func(T) string, set func(*setting, T)) []setting {
	against := label(values[base])
	if b.o.quick { // one is enough, and not the usual one
		other := len(values) - 1
		if other == base {
			other = 0
		}
		values = values[other : other+1]
	}
	var out []setting
	for _, v := range values {
		s := b.usual(label(v), b.o.sweep)
		s.against = against
		set(&s, v)
		out = append(out, s)
	}
	return out
}

func windowsSettings(b *bench) []setting {
	return sweep(b, []int{10, 100, 1000}, 2, func(n int) string { return fmt.Sprintf("window %d", n) },
		func(s *setting, n int) { s.window = n })
}

func partsSettings(b *bench) []setting {
	return sweep(b, []int{1, 3}, 0, func(n int) string { return fmt.Sprintf("parts: %d", n) },
		func(s *setting, n int) { s.parts = n })
}

func payloadSettings(b *bench) []setting {
	return sweep(b, []bool{false, true}, 0, func(ucs2 bool) string {
		if ucs2 {
			return "64 characters of UCS-2"
		}
		return "64 characters of GSM 7-bit"
	}, func(s *setting, ucs2 bool) { s.ucs2 = ucs2 })
}

func latencySettings(b *bench) []setting {
	values := []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond}
	return sweep(b, values, 0, func(d time.Duration) string { return "SMSC answers after " + d.String() },
		func(s *setting, d time.Duration) { s.latency = d })
}

func growthSettings(b *bench) []setting {
	label := func(n int) string { return "backlog of " + thousands(n) }
	var out []setting
	all := b.o.backlogs()
	for _, n := range all {
		s := b.usual(label(n), n)
		s.against = label(all[0])
		out = append(out, s)
	}
	empty := b.usual("Redis empty", b.o.sweep)
	kept := b.usual("Redis with message ids from before", b.o.sweep)
	empty.against, kept.against, kept.keys = empty.label, empty.label, b.o.keys
	return append(out, empty, kept)
}

// workersBinds are those of all workers together.
const workersBinds = 8

func workersSettings(b *bench) []setting {
	values := []int{1, 2, 4, 8}
	if b.o.quick {
		values = []int{2}
	}
	label := func(n int) string { return fmt.Sprintf("workers: %d", n) }
	var out []setting
	for _, n := range values {
		s := b.usual(label(n), 0).evenly(b.max*half/100, b.o.paced)
		s.against, s.workers, s.binds, s.window = label(values[0]), n, workersBinds, allWindows/workersBinds
		out = append(out, s)
	}
	return out
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

// roundsOf is how often a phase measures each of its settings.
func (b *bench) roundsOf(p phase) int {
	if p.once {
		return 1
	}
	return cmp.Or(b.o.rounds, 1)
}
