package main

import "fmt"

// goal is a figure that the worker must reach, and one that it should.
type goal struct {
	figure    string
	must, aim float64
	measured  float64 // 0: not measured
	more      bool    // more is better
	format    func(float64) string
	unit      string
}

// What the Node.js worker did on the machine that the goals in jobs/s and µs
// were set on. As ratios to it they carry over to other machines.
const (
	nodeJobsPerSecond = 8300
	nodeCPUPerJob     = 139 // µs
)

func (r *report) goals() []goal {
	const mustRate, aimRate, mustCPU, aimCPU = 20_000, 45_000, 30, 15
	hundredth := func(x float64) string { return fmt.Sprintf("%.2f", x) }
	thousandth := func(x float64) string { return fmt.Sprintf("%.3f", x) }
	return []goal{
		{figure: "jobs/s end to end, drain of the backlog, receipts on", must: mustRate, aim: aimRate, measured: r.JobsPerSecond, more: true, format: whole},
		{figure: "worker CPU per job with its receipt", must: mustCPU, aim: aimCPU, measured: r.WorkerCPUPerJob, format: tenth, unit: " µs"},
		{figure: "floor program's rate ÷ worker's, same run", must: 2, aim: 1.3, measured: r.FloorRatio, format: hundredth},
		{figure: "jobs/s ÷ the Node.js worker's, same run", must: mustRate / float64(nodeJobsPerSecond), aim: aimRate / float64(nodeJobsPerSecond), measured: r.NodeRatio, more: true, format: hundredth, unit: "×"},
		{figure: "worker CPU per job ÷ the Node.js worker's, same run", must: mustCPU / float64(nodeCPUPerJob), aim: aimCPU / float64(nodeCPUPerJob), measured: r.NodeCPURatio, format: thousandth, unit: "×"},
		{figure: "publish → submit_sm at half the maximum, p99", must: 5, aim: 2, measured: r.SubmitP99, format: hundredth, unit: " ms"},
		{figure: "worker's memory at 4 binds × window 1000, peak", must: 150, aim: 80, measured: r.RSS, format: whole, unit: " MiB"},
		{figure: "CPU per job, 8 routes ÷ 1, same rate", must: 1.3, aim: 1.1, measured: r.RoutesGrowth, format: hundredth, unit: "×"},
		{figure: "CPU per job, 64 binds ÷ 1, same rate", must: 1.3, aim: 1.1, measured: r.BindsGrowth, format: hundredth, unit: "×"},
	}
}

// verdict says which of the two is reached.
func (g goal) verdict() string {
	reached := func(bound float64) bool { return g.measured <= bound }
	if g.more {
		reached = func(bound float64) bool { return g.measured >= bound }
	}
	switch {
	case g.measured == 0:
		return "not measured"
	case reached(g.aim):
		return "aim"
	case reached(g.must):
		return "must"
	}
	return "missed"
}

// goalTable is the table of goals with what was measured.
func (r *report) goalTable() *table {
	t := &table{title: "Goals", head: []string{"", "must", "aim", "measured", "reached"}}
	for _, g := range r.goals() {
		bound := "≤ "
		if g.more {
			bound = "≥ "
		}
		value := "–"
		if g.measured != 0 {
			value = g.format(g.measured) + g.unit
		}
		t.rows = append(t.rows, []string{g.figure, bound + g.format(g.must) + g.unit, bound + g.format(g.aim) + g.unit, value, g.verdict()})
	}
	return t
}

// driftTable is what the looks at the long run saw, nil without any.
func (r *report) driftTable() *table {
	t := &table{title: "Long run, by the minute", head: []string{
		"s", "worker MiB", "NATS MiB", "Redis MiB", "CPU µs/job", "submit_sm p50 ms", "p99", "p99.9", "receipt stored p99 ms",
	}}
	for _, x := range r.of(longName) {
		for _, d := range x.Drift {
			row := []string{whole(d.Seconds), whole(d.Worker), whole(d.NATS), whole(d.Redis), tenth(d.CPUPerJob), "", "", "", ""}
			if d.Submit != nil {
				row[5], row[6], row[7] = significant(d.Submit.P50), significant(d.Submit.P99), significant(d.Submit.P999)
			}
			if d.Receipt != nil {
				row[8] = significant(d.Receipt.P99)
			}
			t.rows = append(t.rows, row)
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	return t
}
