package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/bench/peers"
)

// round is one contender's run in one setting.
type round struct {
	Number        int      `json:"number"`
	Setting       string   `json:"setting"`
	Against       string   `json:"against,omitempty"` // the setting that it is compared with
	Who           string   `json:"who"`               // worker, floor or a peer
	Jobs          int      `json:"jobs"`
	Parts         int      `json:"parts"`                  // of each job
	Offered       float64  `json:"offered_jobs_per_s"`     // 0: all at once
	JobsPerSecond float64  `json:"jobs_per_s"`             // in the phase storm: receipts
	Seconds       float64  `json:"seconds"`                // until the last receipt was stored
	CPUPerJob     float64  `json:"cpu_us_per_job"`         // of the contender
	ApartPerJob   float64  `json:"bridge_cpu_us_per_job"`  // of what only joins a peer to NATS
	NATSPerJob    float64  `json:"nats_cpu_us_per_job"`    //
	RedisPerJob   float64  `json:"redis_cpu_us_per_job"`   //
	SMSCPerJob    float64  `json:"smsc_cpu_us_per_job"`    //
	TotalPerJob   float64  `json:"total_cpu_us_per_job"`   // all of them
	OwnPerJob     float64  `json:"bench_cpu_us_per_job"`   // of the benchmark itself, which publishes in an open loop
	Commands      float64  `json:"redis_commands_per_job"` // the harness's own few included
	Objects       float64  `json:"allocs_per_job"`         // of workers; 0 of others
	Octets        float64  `json:"alloc_bytes_per_job"`    // likewise
	PeakRSS       float64  `json:"rss_mib"`                // of the contender, all its processes
	RedisRSS      float64  `json:"redis_rss_mib"`          // at the end
	Submit        *latency `json:"submit,omitempty"`       // publish → submit_sm read
	Receipt       *latency `json:"receipt,omitempty"`      // deliver_sm sent → result stored
	PublisherLate float64  `json:"publisher_late_p99_ms"`  // how far behind its own plan the publisher was
	Waiting       int      `json:"waiting,omitempty"`      // jobs not done when the last was published
	Keys          int      `json:"keys,omitempty"`         // message ids in Redis from before
	Drift         []drift  `json:"drift,omitempty"`        //
	Stolen        float64  `json:"stolen"`                 // share of the processors that the machine's host gave to others meanwhile, 0..1
	Lost          int      `json:"lost"`
	Duplicates    int      `json:"duplicates"`

	times       *times    // nil once entered
	first, last time.Time // when the first and the last result were stored
}

// drift is a look at a long round.
type drift struct {
	Seconds   float64  `json:"seconds"` // since the first job
	Worker    float64  `json:"worker_rss_mib"`
	NATS      float64  `json:"nats_rss_mib"`
	Redis     float64  `json:"redis_rss_mib"`
	CPUPerJob float64  `json:"cpu_us_per_job"`
	Submit    *latency `json:"submit,omitempty"` // of what was published since the look before
	Receipt   *latency `json:"receipt,omitempty"`
}

// String is the line of progress.
func (r *round) String() string {
	s := fmt.Sprintf("%.0f jobs/s, %.1f µs of CPU per job", r.JobsPerSecond, r.CPUPerJob)
	if r.Submit != nil {
		s += fmt.Sprintf(", to submit_sm p50 %s ms, p99 %s", significant(r.Submit.P50), significant(r.Submit.P99))
	}
	return s + fmt.Sprintf(", %.0f %% stolen, %d lost, %d duplicates", 100*r.Stolen, r.Lost, r.Duplicates)
}

// report is the figures of a measurement: medians over the rounds.
type report struct {
	JobsPerSecond      float64    `json:"jobs_per_s"`
	WorkerCPUPerJob    float64    `json:"worker_cpu_us_per_job"`
	TotalCPUPerJob     float64    `json:"total_cpu_us_per_job"`
	FloorJobsPerSecond float64    `json:"floor_jobs_per_s"`
	FloorCPUPerJob     float64    `json:"floor_cpu_us_per_job"`
	FloorRatio         float64    `json:"floor_ratio"`        // floor_jobs_per_s / jobs_per_s
	FloorCPURatio      float64    `json:"floor_cpu_ratio"`    // worker_cpu_us_per_job / floor_cpu_us_per_job
	Lost               int        `json:"lost"`               // sum over all rounds of worker and floor
	Duplicates         int        `json:"duplicates"`         // likewise
	RSS                float64    `json:"rss_mib"`            // the worker's peak in drain, the most of all rounds
	Max                float64    `json:"max_jobs_per_s"`     // that shares were taken of
	Flood              float64    `json:"flood_jobs_per_s"`   // published evenly when Max was found; 0: it was given
	NodeRatio          float64    `json:"node_ratio"`         // jobs_per_s / that of the Node.js worker; 0 not measured
	NodeCPURatio       float64    `json:"node_cpu_ratio"`     // worker_cpu_us_per_job / that of the Node.js worker; 0 not measured
	SubmitP99          float64    `json:"submit_p99_ms"`      // publish → submit_sm at half the maximum; 0 not measured
	RoutesGrowth       float64    `json:"routes_cost_growth"` // worker's CPU, 8 routes / 1, same rate; 0 not measured
	BindsGrowth        float64    `json:"binds_cost_growth"`  // worker's CPU, 64 binds / 1, same rate; 0 not measured
	Jobs               int        `json:"jobs"`
	Binds              int        `json:"binds"`
	Window             int        `json:"window"`
	Procs              int        `json:"gomaxprocs"` // of each process; 0 is Go's own choice
	Quick              bool       `json:"quick,omitempty"`
	Rounds             []round    `json:"rounds"` // of drain
	Phases             []measured `json:"phases,omitempty"`
	Steal              float64    `json:"steal"`              // share of stolen processors above which a round was measured again
	Repeated           int        `json:"repeated,omitempty"` // rounds that were
	Missing            []string   `json:"missing,omitempty"`  // peers, and what they need
	Failures           []string   `json:"failures,omitempty"` // rounds that could not be measured
	Machine            machine    `json:"machine"`
	Date               string     `json:"date"`
	Command            string     `json:"command"`
}

// measured is a phase other than drain.
type measured struct {
	Name   string  `json:"name"`
	Rounds []round `json:"rounds"`
}

type machine struct {
	Cores int    `json:"cores"`
	CPU   string `json:"cpu"`
	Go    string `json:"go"`
}

func newReport(o options) *report {
	return &report{
		Jobs: o.jobs, Procs: o.procs, Binds: o.binds, Window: o.window, Quick: o.quick, Max: o.max, Steal: o.steal,
		Machine: machine{Cores: runtime.NumCPU(), CPU: cpuModel(), Go: runtime.Version()},
		Date:    time.Now().UTC().Format(time.DateOnly),
		Command: strings.Join(append([]string{"go run ./bench"}, os.Args[1:]...), " "),
	}
}

// openReport is a new report, or with --add the one that is there to go on with.
func openReport(o options) (*report, error) {
	r := newReport(o)
	if !o.add {
		return r, nil
	}
	old, err := readReport(resultsFile(o.write))
	if err != nil {
		return nil, fmt.Errorf("--add: %w", err)
	}
	for _, same := range []struct {
		what      string
		was, will any
	}{
		{"machine", old.Machine, r.Machine}, {"--binds", old.Binds, r.Binds}, {"--window", old.Window, r.Window},
		{"--procs", old.Procs, r.Procs}, {"--quick", old.Quick, r.Quick},
	} {
		if same.was != same.will {
			return nil, fmt.Errorf("--add: %s was %v in %s, and is %v now: rounds cannot be compared", same.what, same.was, resultsFile(o.write), same.will)
		}
	}
	if o.max > 0 {
		old.Max, old.Flood = o.max, 0
	}
	old.Date, old.Steal = r.Date, r.Steal
	old.Command += "\n" + r.Command
	return old, nil
}

// numbered is how many rounds a phase has of its settings.
func (r *report) numbered(phase string) int {
	n := 0
	for _, x := range r.of(phase) {
		n = max(n, x.Number)
	}
	return n
}

// miss notes what a peer needs, once.
func (r *report) miss(line string) {
	if !slices.Contains(r.Missing, line) {
		r.Missing = append(r.Missing, line)
	}
}

// add enters a round.
func (r *report) add(phase string, x round) {
	x.times = nil // they may be hundreds of megabytes
	r.fault(&x)
	if phase == drainName {
		r.Rounds = append(r.Rounds, x)
		return
	}
	i := slices.IndexFunc(r.Phases, func(m measured) bool { return m.Name == phase })
	if i < 0 {
		i = len(r.Phases)
		r.Phases = append(r.Phases, measured{Name: phase})
	}
	r.Phases[i].Rounds = append(r.Phases[i].Rounds, x)
}

// fault enters what was lost or duplicated; what peers lose is theirs.
func (r *report) fault(x *round) {
	if x.Who == worker || x.Who == floorName {
		r.Lost += x.Lost
		r.Duplicates += x.Duplicates
	}
}

// fail notes what could not be measured, by its first line.
func (r *report) fail(err error) {
	line, _, _ := strings.Cut(err.Error(), "\n")
	r.Failures = append(r.Failures, line)
}

// of are the rounds of a phase.
func (r *report) of(phase string) []round {
	if phase == drainName {
		return r.Rounds
	}
	for _, m := range r.Phases {
		if m.Name == phase {
			return m.Rounds
		}
	}
	return nil
}

// conclude computes the figures from the rounds.
func (r *report) conclude() {
	drained := func(who string, figure func(*round) float64) float64 {
		return median(r.figures(drainName, who, figure))
	}
	r.JobsPerSecond = drained(worker, func(x *round) float64 { return x.JobsPerSecond })
	r.WorkerCPUPerJob = drained(worker, func(x *round) float64 { return x.CPUPerJob })
	r.TotalCPUPerJob = drained(worker, func(x *round) float64 { return x.TotalPerJob })
	r.FloorJobsPerSecond = drained(floorName, func(x *round) float64 { return x.JobsPerSecond })
	r.FloorCPUPerJob = drained(floorName, func(x *round) float64 { return x.CPUPerJob })
	r.FloorRatio = ratio(r.FloorJobsPerSecond, r.JobsPerSecond)
	r.FloorCPURatio = ratio(r.WorkerCPUPerJob, r.FloorCPUPerJob)
	r.NodeRatio = ratio(r.JobsPerSecond, drained(peers.Node, func(x *round) float64 { return x.JobsPerSecond }))
	r.NodeCPURatio = ratio(r.WorkerCPUPerJob, drained(peers.Node, func(x *round) float64 { return x.CPUPerJob }))
	for _, rss := range r.figures(drainName, worker, func(x *round) float64 { return x.PeakRSS }) {
		r.RSS = max(r.RSS, rss)
	}
	r.SubmitP99 = median(r.figures(openName, shareLabel(half), func(x *round) float64 {
		if x.Submit == nil {
			return 0
		}
		return x.Submit.P99
	}))
	r.RoutesGrowth = r.growth(routesName, 1, 8)
	r.BindsGrowth = r.growth(bindsName, 1, 64)
}

// growth is how much more CPU a job takes with a larger value, at the same rate.
func (r *report) growth(phase string, from, to int) float64 {
	cpu := func(n int) float64 {
		return median(r.figures(phase, sweepLabel(n, phase, true), func(x *round) float64 { return x.CPUPerJob }))
	}
	return ratio(cpu(to), cpu(from))
}

// figures are the values of a figure over the rounds of a setting, in order.
func (r *report) figures(phase, setting string, figure func(*round) float64) []float64 {
	var all []float64
	for _, x := range r.of(phase) {
		if x.Setting == setting {
			all = append(all, figure(&x))
		}
	}
	slices.Sort(all)
	return all
}

// median is the middle of values in order, 0 of none.
func median(all []float64) float64 {
	n := len(all)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return all[n/2]
	}
	return (all[n/2-1] + all[n/2]) / 2
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// readReport reads what save wrote.
func readReport(path string) (*report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	r.conclude()
	return &r, nil
}

// resultsDir is where the plots and the JSON of a written report are.
func resultsDir(path string) string { return filepath.Join(filepath.Dir(path), "results") }

// resultsFile is the JSON among them.
func resultsFile(path string) string { return filepath.Join(resultsDir(path), "results.json") }

// save writes the JSON beside the file that publish writes.
func (r *report) save(path string) error {
	r.conclude()
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.MkdirAll(resultsDir(path), 0o755); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.WriteFile(resultsFile(path), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// cpuModel is the processor's name, as far as /proc tells.
func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}
