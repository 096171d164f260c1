package main

// plot is a drawing of a phase.
type plot struct {
	phase, file, title string
	svg                []byte
}

// plots draws everything that was measured.
func (r *report) plots() []plot {
	var out []plot
	bars := func(phase, file string, p *barPlot) {
		if len(p.bars) > 0 {
			out = append(out, plot{phase, file, p.title, p.svg()})
		}
	}
	bars(drainName, "drain.svg", r.ratePlot(drainName, "Drain of a backlog: jobs with their receipts", "jobs/s"))
	bars(drainName, "cpu.svg", r.cpuPlot())
	bars(openName, "open.svg", r.openPlot())
	for _, p := range r.driftPlots() {
		out = append(out, plot{longName, "long-" + p.file + ".svg", p.title, p.svg()})
	}
	bars(stormName, "storm.svg", r.ratePlot(stormName, "Storm of receipts", "receipts/s"))
	bars(routesName, "routes.svg", r.sweepPlot(routesName, "Routes: CPU of the worker for each job"))
	bars(bindsName, "binds.svg", r.sweepPlot(bindsName, "Binds: CPU of the worker for each job"))
	return out
}

// ratePlot is the rate of each setting of a phase, with its spread.
func (r *report) ratePlot(phase, title, unit string) *barPlot {
	p := &barPlot{title: title, unit: unit}
	for _, label := range settingsOf(r.of(phase)) {
		all := r.figures(phase, label, rateOf)
		m := median(all)
		b := bar{label: label, segments: []float64{m}, low: all[0], high: all[len(all)-1], text: whole(m)}
		if label != worker {
			b.color = 1
		}
		p.bars = append(p.bars, b)
	}
	return p
}

// cpuPlot is the CPU of each process for a job, by contender.
func (r *report) cpuPlot() *barPlot {
	p := &barPlot{title: "Drain of a backlog: CPU for each job, by process", unit: "µs of CPU per job", names: []string{"contender", "NATS", "Redis", "SMSC simulator", "bridge"}}
	figures := []func(*round) float64{
		cpuOf,
		func(x *round) float64 { return x.NATSPerJob },
		func(x *round) float64 { return x.RedisPerJob },
		func(x *round) float64 { return x.SMSCPerJob },
		func(x *round) float64 { return x.ApartPerJob },
	}
	bridged := false
	for _, label := range settingsOf(r.Rounds) {
		b := bar{label: label}
		for _, f := range figures {
			b.segments = append(b.segments, median(r.figures(drainName, label, f)))
		}
		total := 0.0
		for _, v := range b.segments {
			total += v
		}
		b.text = tenth(b.segments[0]) + " of " + tenth(total)
		bridged = bridged || b.segments[len(b.segments)-1] > 0
		p.bars = append(p.bars, b)
	}
	if !bridged {
		p.names = p.names[:len(p.names)-1]
	}
	return p
}

// openPlot is the latency percentiles of each rate.
func (r *report) openPlot() *barPlot {
	p := &barPlot{title: "Open loop: publish → submit_sm, and receipt → result stored", unit: "ms, logarithmic", log: true}
	for _, label := range settingsOf(r.of(openName)) {
		for _, f := range []struct {
			name  string
			color int
			of    func(*round) *latency
			share func(*latency) float64
		}{
			{"p50", 0, submitOf, func(l *latency) float64 { return l.P50 }},
			{"p99", 1, submitOf, func(l *latency) float64 { return l.P99 }},
			{"p99.9", 2, submitOf, func(l *latency) float64 { return l.P999 }},
			{"receipt p99", 3, receiptOf, func(l *latency) float64 { return l.P99 }},
		} {
			all := r.figures(openName, label, func(x *round) float64 {
				if l := f.of(x); l != nil {
					return f.share(l)
				}
				return 0
			})
			if m := median(all); m > 0 {
				p.bars = append(p.bars, bar{
					label: label + ", " + f.name, color: f.color, segments: []float64{m},
					low: max(all[0], 1e-3), high: all[len(all)-1], text: significant(m),
				})
			}
		}
	}
	return p
}

// sweepPlot is the CPU of each setting of a phase, with its spread.
func (r *report) sweepPlot(phase, title string) *barPlot {
	p := &barPlot{title: title, unit: "µs of CPU per job"}
	for _, label := range settingsOf(r.of(phase)) {
		all := r.figures(phase, label, cpuOf)
		b := bar{label: label, segments: []float64{median(all)}, low: all[0], high: all[len(all)-1], text: tenth(median(all))}
		if x := roundsOf(r.of(phase), label)[0]; x.Offered > 0 {
			b.color = 1
		}
		p.bars = append(p.bars, b)
	}
	return p
}

// driftPlots are memory and latency of the long run over time, none with
// fewer than two looks.
func (r *report) driftPlots() []*linePlot {
	const seconds = "seconds since the first job"
	memory := &linePlot{file: "memory", title: "Long run: worker's memory, MiB", xUnit: seconds, lines: []series{{name: "resident"}}}
	latency := &linePlot{file: "latency", title: "Long run: publish → submit_sm, ms", xUnit: seconds, lines: []series{{name: "p50"}, {name: "p99"}}}
	for _, x := range r.of(longName) {
		for _, d := range x.Drift {
			if d.Submit == nil {
				continue
			}
			memory.add(d.Seconds, d.Worker)
			latency.add(d.Seconds, d.Submit.P50, d.Submit.P99)
		}
	}
	if len(memory.x) < 2 {
		return nil
	}
	return []*linePlot{memory, latency}
}
