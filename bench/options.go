package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// processes share the machine: NATS server, Redis, simulator, contender. A Go
// program that may run on more processors than it gets wakes threads for
// nothing: with two for each on two cores, all of it costs a fifth more.
const processes = 4

type options struct {
	phases        []string
	jobs, rounds  int
	binds, window int
	procs         int
	only          string
	peers         bool
	json          bool
	write, render string
	add           bool
	bin           string
	stall         time.Duration
	max           float64       // jobs/s that shares are taken of; 0: find it
	steal         float64       // share of the processors, 0..1
	long          time.Duration // of the phase long
	growthMax     int           // jobs in the largest backlog
	size
}

// size is what --quick shrinks.
type size struct {
	quick   bool
	sweep   int           // jobs in a backlog of the sweeps
	open    time.Duration // of one round of the phase open
	paced   time.Duration // of one round of a sweep at an even rate
	burst   int           // jobs at once
	lone    int           // lone jobs
	storm   int           // receipts
	keys    int           // correlations kept from before
	backlog []int         // of the phase growth, up to --growth-max
}

var (
	full = size{
		sweep: 50_000, open: 20 * time.Second, paced: 8 * time.Second, burst: 10_000, lone: 20, storm: 100_000,
		keys: 10_000_000, backlog: []int{10_000, 100_000, 1_000_000, 5_000_000},
	}
	small = size{
		quick: true, sweep: 2000, open: time.Second, paced: time.Second, burst: 1000, lone: 3, storm: 2000,
		keys: 50_000, backlog: []int{500, 2000},
	}
)

func parse(args []string) (options, error) {
	o := options{size: full}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	names := fs.String("phases", "", "what to measure, comma-separated, of "+strings.Join(phaseNames(), ",")+" (default drain)")
	all := fs.Bool("all", false, "every phase")
	quick := fs.Bool("quick", false, "every phase (or those of --phases) at its smallest and once, to see that it runs and nothing is lost")
	fs.IntVar(&o.jobs, "jobs", 200_000, "jobs in the backlog of drain")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of each contender and setting")
	fs.IntVar(&o.binds, "binds", 4, "binds")
	fs.IntVar(&o.window, "window", 1000, "outstanding submit_sm per bind")
	fs.IntVar(&o.procs, "procs", max(1, runtime.NumCPU()/processes), "GOMAXPROCS of each process; 0 leaves it to Go")
	fs.StringVar(&o.only, "only", "", "measure one contender only: worker or floor")
	fs.BoolVar(&o.peers, "peers", false, "measure what else people use in drain, as far as it is installed")
	fs.Float64Var(&o.max, "max", 0, "jobs/s that the shares of other phases are taken of; 0 finds it: what comes through when more is published")
	fs.Float64Var(&o.steal, "steal", 0.1, "measure a round again, twice at most, in which the machine's host gave more than this share of the processors to others")
	fs.DurationVar(&o.long, "long", 10*time.Minute, "how long the phase long takes")
	fs.IntVar(&o.growthMax, "growth-max", 1_000_000, "jobs in the largest backlog of the phase growth, up to 5,000,000")
	fs.BoolVar(&o.json, "json", false, "print the figures as one line of JSON, last")
	fs.StringVar(&o.write, "write", "", "write the results to this file, with plots and JSON in results/ beside it")
	fs.BoolVar(&o.add, "add", false, "keep the rounds that an earlier --write left in results/, and add to them: a long measurement in pieces")
	fs.StringVar(&o.render, "render", "", "measure nothing: take the results from this file, written by --write before")
	fs.StringVar(&o.bin, "bin", "", "directory with shortwire, smscsim and nats-server, instead of building them")
	fs.DurationVar(&o.stall, "stall", 20*time.Second, "give a round up when nothing has come for so long; what is missing counts as lost")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if *quick {
		o.size, o.rounds = small, 1
		if !given["jobs"] {
			o.jobs = 3000
		}
		if !given["long"] {
			o.long = 2 * time.Second
		}
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case *all && *names != "":
		return o, errors.New("--all and --phases exclude each other")
	case *names != "":
		o.phases = strings.Split(*names, ",")
	case *all, *quick && o.only != floorName:
		o.phases = phaseNames()
	default:
		o.phases = []string{drainName}
	}
	return o, errors.Join(o.check(), o.checkContenders())
}

// check holds numbers and names against their ranges.
func (o *options) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for i, name := range o.phases {
		bad(!slices.Contains(phaseNames(), name), "--phases: there is no %q, only %s", name, strings.Join(phaseNames(), ","))
		bad(slices.Index(o.phases, name) < i, "--phases: %q twice", name)
	}
	bad(o.jobs < 1, "--jobs must be at least 1, is %d", o.jobs)
	bad(o.rounds < 1, "--rounds must be at least 1, is %d", o.rounds)
	bad(o.binds < 1, "--binds must be at least 1, is %d", o.binds)
	bad(o.window < 1 || o.window > 10_000, "--window must be 1..10000, is %d", o.window)
	bad(o.procs < 0, "--procs must not be negative, is %d", o.procs)
	bad(o.max < 0, "--max must not be negative, is %g", o.max)
	bad(o.steal < 0 || o.steal > 1, "--steal must be 0..1, is %g", o.steal)
	bad(o.long < time.Second, "--long must be at least 1s, is %s", o.long)
	bad(o.growthMax < 1 || o.growthMax > 5_000_000, "--growth-max must be 1..5000000, is %d", o.growthMax)
	bad(o.stall < time.Second, "--stall must be at least 1s, is %s", o.stall)
	bad(o.add && o.write == "", "--add needs --write: it adds to what is in results/ beside that file")
	if o.render != "" {
		_, err := os.Stat(o.render)
		bad(err != nil, "--render: %w", err)
	}
	return errors.Join(errs...)
}

func (o *options) checkContenders() error {
	switch {
	case o.only != "" && o.only != worker && o.only != floorName:
		return fmt.Errorf("--only must be worker or floor, is %q", o.only)
	case o.only != "" && o.peers:
		return errors.New("--only and --peers exclude each other")
	case o.peers && !slices.Contains(o.phases, drainName):
		return errors.New("--peers needs the phase drain")
	case o.only == floorName:
		for _, name := range o.phases {
			if name != drainName && name != stormName {
				return fmt.Errorf("--only floor: the phase %s measures the worker", name)
			}
		}
	}
	return nil
}

// backlogs are those of the phase growth.
func (o *options) backlogs() []int {
	var out []int
	for _, n := range o.backlog {
		if n < o.growthMax {
			out = append(out, n)
		}
	}
	if o.quick {
		return out
	}
	return append(out, o.growthMax)
}
