package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// round is one contender's run.
type round struct {
	Number        int     `json:"number"`
	Who           string  `json:"who"` // worker or floor
	JobsPerSecond float64 `json:"jobs_per_s"`
	Seconds       float64 `json:"seconds"`
	CPUPerJob     float64 `json:"cpu_us_per_job"` // of the contender
	NATSPerJob    float64 `json:"nats_cpu_us_per_job"`
	RedisPerJob   float64 `json:"redis_cpu_us_per_job"`
	SMSCPerJob    float64 `json:"smsc_cpu_us_per_job"`
	TotalPerJob   float64 `json:"total_cpu_us_per_job"`   // the four of them
	Commands      float64 `json:"redis_commands_per_job"` // the harness's own few included
	PeakRSS       float64 `json:"rss_mib"`
	Lost          int     `json:"lost"`
	Duplicates    int     `json:"duplicates"`
}

// report is the figures of a measurement: medians over the rounds.
type report struct {
	JobsPerSecond      float64 `json:"jobs_per_s"`
	WorkerCPUPerJob    float64 `json:"worker_cpu_us_per_job"`
	TotalCPUPerJob     float64 `json:"total_cpu_us_per_job"`
	FloorJobsPerSecond float64 `json:"floor_jobs_per_s"`
	FloorCPUPerJob     float64 `json:"floor_cpu_us_per_job"`
	FloorRatio         float64 `json:"floor_ratio"`     // floor_jobs_per_s / jobs_per_s
	FloorCPURatio      float64 `json:"floor_cpu_ratio"` // worker_cpu_us_per_job / floor_cpu_us_per_job
	Lost               int     `json:"lost"`            // sum over all rounds, the floor's too
	Duplicates         int     `json:"duplicates"`      // likewise
	RSS                float64 `json:"rss_mib"`         // the worker's peak, the most of all rounds
	Jobs               int     `json:"jobs"`
	Binds              int     `json:"binds"`
	Window             int     `json:"window"`
	Procs              int     `json:"gomaxprocs"` // of each process; 0 is Go's own choice
	Rounds             []round `json:"rounds"`
	Machine            machine `json:"machine"`
	Date               string  `json:"date"`
	Command            string  `json:"command"`
}

type machine struct {
	Cores int    `json:"cores"`
	CPU   string `json:"cpu"`
	Go    string `json:"go"`
}

// conclude computes the figures from the rounds.
func (r *report) conclude() {
	r.JobsPerSecond = r.median(worker, func(x round) float64 { return x.JobsPerSecond })
	r.WorkerCPUPerJob = r.median(worker, func(x round) float64 { return x.CPUPerJob })
	r.TotalCPUPerJob = r.median(worker, func(x round) float64 { return x.TotalPerJob })
	r.FloorJobsPerSecond = r.median(floorName, func(x round) float64 { return x.JobsPerSecond })
	r.FloorCPUPerJob = r.median(floorName, func(x round) float64 { return x.CPUPerJob })
	r.FloorRatio = ratio(r.FloorJobsPerSecond, r.JobsPerSecond)
	r.FloorCPURatio = ratio(r.WorkerCPUPerJob, r.FloorCPUPerJob)
	for _, x := range r.Rounds {
		r.Lost += x.Lost
		r.Duplicates += x.Duplicates
		if x.Who == worker {
			r.RSS = max(r.RSS, x.PeakRSS)
		}
	}
	r.Machine = machine{Cores: runtime.NumCPU(), CPU: cpuModel(), Go: runtime.Version()}
	r.Date = time.Now().UTC().Format(time.DateOnly)
	r.Command = strings.Join(append([]string{"go run ./bench"}, os.Args[1:]...), " ")
}

// median is the middle of a figure over the rounds of a contender, 0 without any.
func (r *report) median(who string, figure func(round) float64) float64 {
	all := r.figures(who, figure)
	n := len(all)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return all[n/2]
	}
	return (all[n/2-1] + all[n/2]) / 2
}

// figures are the values of a figure over the rounds of a contender, in order.
func (r *report) figures(who string, figure func(round) float64) []float64 {
	var all []float64
	for _, x := range r.Rounds {
		if x.Who == who {
			all = append(all, figure(x))
		}
	}
	slices.Sort(all)
	return all
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// write writes the table and, if asked to, the line of JSON after it.
func (r *report) write(w io.Writer, asJSON bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%d jobs\tjobs/s\tspread\tCPU µs/job\tNATS µs\tRedis µs\tSMSC µs\tRedis cmds\tpeak MiB\tlost\tduplicates\t\n", r.Jobs)
	for _, who := range []string{worker, floorName} {
		rates := r.figures(who, func(x round) float64 { return x.JobsPerSecond })
		if len(rates) == 0 {
			continue
		}
		peaks := r.figures(who, func(x round) float64 { return x.PeakRSS })
		lost, dup := 0, 0
		for _, x := range r.Rounds {
			if x.Who == who {
				lost, dup = lost+x.Lost, dup+x.Duplicates
			}
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f–%.0f\t", who, r.median(who, func(x round) float64 { return x.JobsPerSecond }), rates[0], rates[len(rates)-1])
		for _, figure := range []func(round) float64{
			func(x round) float64 { return x.CPUPerJob },
			func(x round) float64 { return x.NATSPerJob },
			func(x round) float64 { return x.RedisPerJob },
			func(x round) float64 { return x.SMSCPerJob },
			func(x round) float64 { return x.Commands },
		} {
			fmt.Fprintf(t, "%.1f\t", r.median(who, figure))
		}
		fmt.Fprintf(t, "%.0f\t%d\t%d\t\n", peaks[len(peaks)-1], lost, dup)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.FloorRatio > 0 {
		fmt.Fprintf(w, "floor ratio %.2f (time), %.2f (CPU); medians of %d rounds, %d binds × window %d, GOMAXPROCS=%d\n",
			r.FloorRatio, r.FloorCPURatio, len(r.Rounds)/2, r.Binds, r.Window, r.Procs)
	}
	fmt.Fprintf(w, "%s · %s, %d cores, %s · %s\n", r.Command, r.Machine.CPU, r.Machine.Cores, r.Machine.Go, r.Date)
	if !asJSON {
		return nil
	}
	return json.NewEncoder(w).Encode(r)
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
