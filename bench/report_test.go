package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sampleReport has something of every kind.
func sampleReport() *report {
	r := &report{
		Jobs: 1000, Binds: 4, Window: 1000, Procs: 1, Max: 20_000, Steal: 0.1, Repeated: 2, Date: "2026-01-02", Command: "go run ./bench --all",
		Machine: machine{Cores: 2, CPU: "Example CPU", Go: "go1.26"}, Missing: []string{"kannel: install <it>"},
		Failures: []string{"windows, round 1 of window 10: something | else"},
	}
	for _, x := range []round{
		{Number: 1, Who: worker, JobsPerSecond: 20_000, CPUPerJob: 30, NATSPerJob: 40, RedisPerJob: 5, SMSCPerJob: 6, TotalPerJob: 80, PeakRSS: 60, Stolen: 0.125},
		{Number: 1, Who: floorName, JobsPerSecond: 30_000, CPUPerJob: 15, NATSPerJob: 38, RedisPerJob: 5, SMSCPerJob: 6, PeakRSS: 500},
		{Number: 2, Who: floorName, JobsPerSecond: 36_000, CPUPerJob: 17, NATSPerJob: 37, RedisPerJob: 4, SMSCPerJob: 5},
		{Number: 2, Who: worker, JobsPerSecond: 10_000, CPUPerJob: 50, NATSPerJob: 41, RedisPerJob: 5, SMSCPerJob: 6, TotalPerJob: 90, PeakRSS: 70, Stolen: 0.05, Lost: 2},
		{Number: 3, Who: worker, JobsPerSecond: 22_000, CPUPerJob: 28, NATSPerJob: 39, RedisPerJob: 5, SMSCPerJob: 6, TotalPerJob: 70, PeakRSS: 65, Duplicates: 1},
		{Number: 1, Who: "node", JobsPerSecond: 8000, CPUPerJob: 139, ApartPerJob: 3, PeakRSS: 90, Lost: 7},
	} {
		x.Setting, x.Against, x.Parts, x.Jobs = x.Who, floorName, 1, 1000
		r.add(drainName, x)
	}
	for i, share := range []int{10, 50, 90} {
		f := float64(i + 1)
		r.add(openName, round{Setting: shareLabel(share), Who: worker, Offered: 2000 * f, JobsPerSecond: 2000 * f, CPUPerJob: 40,
			Submit: &latency{100, 0.5 * f, 2 * f, 9 * f, 12}, Receipt: &latency{100, 0.4, 3 * f, 4, 5}, PublisherLate: 0.9})
	}
	r.add(longName, round{Setting: "2m at half the maximum", Who: worker, JobsPerSecond: 10_000, CPUPerJob: 41, Submit: &latency{9, 1, 2, 3, 4}, Drift: []drift{
		{Seconds: 60, Worker: 60, NATS: 100, Redis: 200, CPUPerJob: 41, Submit: &latency{9, 1, 2, 3, 4}, Receipt: &latency{9, 1, 2, 3, 4}},
		{Seconds: 120, Worker: 61, NATS: 150, Redis: 300, CPUPerJob: 42, Submit: &latency{9, 1.5, 2.5, 3, 4}},
	}})
	for _, n := range []int{1, 8} {
		r.add(routesName, round{Setting: sweepLabel(n, routesName, true), Against: sweepLabel(1, routesName, true), Who: worker,
			Offered: 10, JobsPerSecond: 10, CPUPerJob: 40 + float64(n-1)*6/7})
	}
	r.conclude()
	return r
}

func TestReportTakesMediansOfRoundsAndSumsOfFaults(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	got := map[string]float64{
		"jobs/s": r.JobsPerSecond, "worker CPU": r.WorkerCPUPerJob, "total CPU": r.TotalCPUPerJob, "floor jobs/s": r.FloorJobsPerSecond,
		"floor CPU": r.FloorCPUPerJob, "ratio": r.FloorRatio, "lost": float64(r.Lost), "duplicates": float64(r.Duplicates), "rss": r.RSS,
		"submit p99": r.SubmitP99, "routes": r.RoutesGrowth, "binds": r.BindsGrowth, "to Node.js": r.NodeRatio, "to its CPU": r.NodeCPURatio,
	}
	want := map[string]float64{
		"jobs/s": 20_000, "worker CPU": 30, "total CPU": 80, "floor jobs/s": 33_000,
		"floor CPU": 16, "ratio": 1.65, "lost": 2, "duplicates": 1, "rss": 70, // what peers lose is theirs
		"submit p99": 4, "routes": 1.15, "binds": 0, "to Node.js": 2.5, "to its CPU": 30. / 139,
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
		"floor_ratio", "lost", "duplicates", "rss_mib", "rounds", "phases", "machine", "date",
	} {
		if _, ok := got[key]; !ok {
			t.Errorf("no %q in %s", key, lines[len(lines)-1])
		}
	}
}

func TestReportOfOneContenderHasNoRatio(t *testing.T) {
	t.Parallel()
	r := &report{}
	r.add(drainName, round{Setting: worker, Who: worker, JobsPerSecond: 5})
	r.conclude()
	if r.FloorRatio != 0 || r.JobsPerSecond != 5 {
		t.Errorf("ratio %v at %v jobs/s, want 0 at 5", r.FloorRatio, r.JobsPerSecond)
	}
}

func TestGoalsSayWhichBoundIsReached(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		goal goal
		want string
	}{
		{goal{must: 20, aim: 45, measured: 45, more: true}, "aim"},
		{goal{must: 20, aim: 45, measured: 44.9, more: true}, "must"},
		{goal{must: 20, aim: 45, measured: 19.9, more: true}, "missed"},
		{goal{must: 30, aim: 15, measured: 15}, "aim"},
		{goal{must: 30, aim: 15, measured: 15.1}, "must"},
		{goal{must: 30, aim: 15, measured: 30.1}, "missed"},
		{goal{must: 30, aim: 15}, "not measured"},
	} {
		if got := c.goal.verdict(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.goal, got, c.want)
		}
	}
}

func TestWrittenResultsAreGoldenAndRenderedAnewTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := filepath.Join(dir, "a", "RESULTS.md")
	if err := os.MkdirAll(filepath.Dir(first), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := sampleReport().publish(first); err != nil {
		t.Fatal(err)
	}
	again, err := readReport(resultsFile(first))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := again.write(&text, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "results.txt", text.Bytes())
	md, err := again.markdown()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "RESULTS.md", md)
	written, err := os.ReadFile(first)
	if err != nil || !bytes.Equal(written, md) {
		t.Errorf("rendered from what was saved it differs, %v:\n%s", err, cmp.Diff(string(written), string(md)))
	}
	for _, p := range again.plots() {
		golden(t, p.file, p.svg)
		svg, err := os.ReadFile(filepath.Join(resultsDir(first), p.file))
		if err != nil || !bytes.Equal(svg, p.svg) {
			t.Errorf("%s differs once rendered from what was saved, %v", p.file, err)
		}
		if !strings.Contains(string(md), "](results/"+p.file+")") {
			t.Errorf("%s is not embedded", p.file)
		}
		wellFormed(t, p.file, svg)
	}
}

func TestRoundsAreAddedToResultsOfTheSameKindOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "RESULTS.md")
	same := options{binds: 4, window: 1000, procs: 1, write: path, add: true}
	if _, err := openReport(same); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is nothing to add to: %v", err)
	}
	first := sampleReport()
	first.Machine = newReport(same).Machine
	if err := first.save(path); err != nil {
		t.Fatal(err)
	}
	r, err := openReport(same)
	if err != nil {
		t.Fatal(err)
	}
	if got := []int{len(r.Rounds), r.numbered(drainName), r.numbered(burstName), strings.Count(r.Command, "\n"), int(r.Max)}; !cmp.Equal(got, []int{6, 3, 0, 1, 20_000}) {
		t.Errorf("rounds of drain, the last number there and of burst, further commands, maximum: %v", got)
	}
	r.miss("kannel: install <it>")
	if len(r.Missing) != 1 {
		t.Errorf("missing twice: %q", r.Missing)
	}
	same.max = 500
	if r, err = openReport(same); err != nil || r.Max != 500 {
		t.Errorf("--max is not taken: %v, %v", r, err)
	}
	same.window = 10
	if _, err := openReport(same); err == nil || !strings.Contains(err.Error(), "--window was 1000") {
		t.Errorf("rounds of another window: %v", err)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", path, d)
	}
}

func wellFormed(t *testing.T, name string, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

func TestARoundThatAllocatesMoreThanItsBudgetIsNamed(t *testing.T) {
	t.Parallel()
	within := budgets[stormName]
	r := &report{Rounds: []round{{Number: 1}}, Phases: []measured{{Name: stormName, Rounds: []round{
		{Number: 1, Objects: within.objects, Octets: within.octets},
		{Number: 2, Objects: within.objects + 1, Octets: within.octets},
		{Number: 3, Objects: within.objects, Octets: within.octets + 1},
	}}}}
	got := r.overspent()
	if len(got) != 2 || !strings.HasPrefix(got[0], "storm, round 2:") || !strings.HasPrefix(got[1], "storm, round 3:") {
		t.Errorf("overspent: %q", got)
	}
}
