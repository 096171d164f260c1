package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sampleReport() *report {
	r := &report{Jobs: 1000, Binds: 4, Window: 1000, Rounds: []round{
		{Number: 1, Who: worker, JobsPerSecond: 20_000, CPUPerJob: 30, TotalPerJob: 80, PeakRSS: 60},
		{Number: 1, Who: floorName, JobsPerSecond: 30_000, CPUPerJob: 15, PeakRSS: 500},
		{Number: 2, Who: floorName, JobsPerSecond: 36_000, CPUPerJob: 17},
		{Number: 2, Who: worker, JobsPerSecond: 10_000, CPUPerJob: 50, TotalPerJob: 90, PeakRSS: 70, Lost: 2},
		{Number: 3, Who: worker, JobsPerSecond: 22_000, CPUPerJob: 28, TotalPerJob: 70, PeakRSS: 65, Duplicates: 1},
	}}
	r.conclude()
	return r
}

func TestReportTakesMediansOfRoundsAndSumsOfFaults(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	got := map[string]float64{
		"jobs/s": r.JobsPerSecond, "worker CPU": r.WorkerCPUPerJob, "total CPU": r.TotalCPUPerJob, "floor jobs/s": r.FloorJobsPerSecond,
		"floor CPU": r.FloorCPUPerJob, "ratio": r.FloorRatio, "lost": float64(r.Lost), "duplicates": float64(r.Duplicates), "rss": r.RSS,
	}
	want := map[string]float64{
		"jobs/s": 20_000, "worker CPU": 30, "total CPU": 80, "floor jobs/s": 33_000,
		"floor CPU": 16, "ratio": 1.65, "lost": 2, "duplicates": 1, "rss": 70,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("figures (-want +got):\n%s", d)
	}
}

func TestReportEndsWithOneLineOfJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := sampleReport().write(&b, true); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"jobs_per_s", "worker_cpu_us_per_job", "total_cpu_us_per_job", "floor_jobs_per_s", "floor_cpu_us_per_job",
		"floor_ratio", "lost", "duplicates", "rss_mib", "rounds", "machine", "date",
	} {
		if _, ok := got[key]; !ok {
			t.Errorf("no %q in %s", key, lines[len(lines)-1])
		}
	}
}

func TestReportOfOneContenderHasNoRatio(t *testing.T) {
	t.Parallel()
	r := &report{Rounds: []round{{Who: worker, JobsPerSecond: 5}}}
	r.conclude()
	if r.FloorRatio != 0 || r.JobsPerSecond != 5 {
		t.Errorf("ratio %v at %v jobs/s, want 0 at 5", r.FloorRatio, r.JobsPerSecond)
	}
}

func TestFlagsOutOfRangeAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--jobs", "0"}, {"--window", "10001"}, {"--only", "nobody"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	o, err := parse([]string{"--quick"})
	if err != nil || o.jobs != 20_000 || o.rounds != 1 {
		t.Errorf("--quick gives %+v, %v", o, err)
	}
}
