package main

import (
	"fmt"
	"slices"
)

// view says how a phase is shown.
type view struct {
	title, about string
	columns      []column
}

// viewOf is how a phase is shown.
func viewOf(name string) view {
	rate := spread("jobs/s", whole, rateOf)
	relative := []column{compared("rate", rateOf), compared("CPU", cpuOf)}
	peak := []column{memory()}
	allocated := []column{middle("allocations", tenth, func(x *round) float64 { return x.Objects }), middle("octets", whole, func(x *round) float64 { return x.Octets })}
	sweep := slices.Concat([]column{rate}, cost("job"), relative, peak, faults())
	even := slices.Concat([]column{rate}, cost("job"), relative, submitted()[:2], peak, faults())
	latencies := slices.Concat(submitted(), stored())
	switch name {
	case drainName:
		bridge := middle("bridge µs", tenth, func(x *round) float64 { return x.ApartPerJob })
		return view{"Drain of a backlog", aboutDrain, slices.Concat([]column{rate}, cost("job"), []column{bridge, commands()}, allocated, relative, peak, faults())}
	case openName:
		return view{"Open loop", aboutOpen, slices.Concat(
			[]column{middle("offered jobs/s", whole, func(x *round) float64 { return x.Offered }), rate}, latencies, []column{
				middle("publisher late p99 ms", significant, func(x *round) float64 { return x.PublisherLate }),
				middle("waiting at the end", whole, func(x *round) float64 { return float64(x.Waiting) }),
			}, cost("job"), []column{middle("publisher µs", tenth, func(x *round) float64 { return x.OwnPerJob })}, faults())}
	case burstName:
		seconds := func(x float64) string { return fmt.Sprintf("%.2f", x) }
		return view{"Burst and lone jobs", aboutBurst, slices.Concat(
			[]column{spread("seconds to the last receipt", seconds, func(x *round) float64 { return x.Seconds })}, latencies, faults())}
	case longName:
		return view{"Long run", aboutLong, slices.Concat([]column{rate}, cost("job"), latencies, peak, faults())}
	case stormName:
		return view{"Storm of receipts", aboutStorm, slices.Concat(
			[]column{spread("receipts/s", whole, rateOf)}, cost("receipt"), []column{commands()}, allocated, relative, peak, faults())}
	case routesName:
		return view{"Routes", aboutRoutes, even}
	case bindsName:
		return view{"Binds", aboutBinds, even}
	case workersName:
		return view{"Workers", aboutWorkers, even}
	case windowsName:
		return view{"Windows", aboutWindows, sweep}
	case partsName:
		return view{"Parts", aboutParts, slices.Concat(
			[]column{rate, middle("submit_sm/s", whole, func(x *round) float64 { return x.JobsPerSecond * float64(x.Parts) })}, cost("job"), relative, faults())}
	case payloadName:
		return view{"Payload", aboutPayload, sweep}
	case latencyName:
		return view{"Latency of the SMSC", aboutLatency, sweep}
	case growthName:
		return view{"Growth", aboutGrowth, slices.Concat([]column{rate}, cost("job"), relative, []column{
			middle("ids from before", whole, func(x *round) float64 { return float64(x.Keys) }),
			middle("Redis MiB", whole, func(x *round) float64 { return x.RedisRSS }), memory(),
		}, faults())}
	}
	return view{title: name, columns: sweep}
}
