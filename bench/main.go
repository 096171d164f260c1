// Command bench measures the worker end to end on one machine, every part a
// process of its own: NATS server, redis-server, SMSC simulator, one worker. A
// backlog is published while the worker is stopped; the clock runs from the
// first submit_sm until the last receipt stands in SMS_RESULTS.
//
//	go run ./bench [--jobs 200000] [--rounds 3] [--json] [--quick]
//
// Rounds of the worker alternate with rounds of a floor program that does the
// same I/O with no dispatcher (package floor): the ratio of the two is what to trust,
// since both share the machine and its mood. Each round begins with empty
// servers. Redis keeps nothing on disk, and NATS syncs as by default.
//
// After each round the whole results stream is read: every job must have
// exactly one outcome and every part its receipt. The exit code is 0 when nothing
// was lost or duplicated, 1 when something was, 2 when it could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/floor"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// Contenders.
const (
	worker    = "worker"
	floorName = "floor"
)

// processes share the machine: NATS server, Redis, simulator, contender. A Go
// program that may run on more processors than it gets wakes threads for
// nothing: with two for each on two cores, all of it costs a fifth more.
const processes = 4

type options struct {
	jobs, rounds  int
	binds, window int
	procs         int
	only          string
	json          bool
	bin           string
	stall         time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	if len(args) > 0 && args[0] == floorName {
		return runFloor(ctx, args[1:])
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	report, err := measure(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	if err := report.write(os.Stdout, o.json); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	if report.Lost+report.Duplicates > 0 {
		return 1
	}
	return 0
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&o.jobs, "jobs", 200_000, "jobs in the backlog")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of each contender")
	fs.IntVar(&o.binds, "binds", 4, "binds")
	fs.IntVar(&o.window, "window", 1000, "outstanding submit_sm per bind")
	fs.IntVar(&o.procs, "procs", max(1, runtime.NumCPU()/processes), "GOMAXPROCS of each process; 0 leaves it to Go")
	fs.StringVar(&o.only, "only", "", "measure one contender only: worker or floor")
	fs.BoolVar(&o.json, "json", false, "print the figures as one line of JSON, last")
	fs.StringVar(&o.bin, "bin", "", "directory with shortwire, smscsim and nats-server, instead of building them")
	fs.DurationVar(&o.stall, "stall", 20*time.Second, "give a round up when nothing has come for so long; what is missing counts as lost")
	quick := fs.Bool("quick", false, "20,000 jobs and one round, to see that everything works")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.jobs, o.rounds = 20_000, 1
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.procs < 0:
		return o, fmt.Errorf("--procs must not be negative, is %d", o.procs)
	case o.jobs < 1 || o.rounds < 1 || o.binds < 1 || o.window < 1 || o.window > 10_000:
		return o, errors.New("--jobs, --rounds and --binds must be at least 1, --window 1..10000")
	case o.only != "" && o.only != worker && o.only != floorName:
		return o, fmt.Errorf("--only must be worker or floor, is %q", o.only)
	}
	return o, nil
}

// runFloor is the hidden subcommand that measure starts as a process of its own.
func runFloor(ctx context.Context, args []string) int {
	var cfg floor.Config
	fs := flag.NewFlagSet("bench floor", flag.ContinueOnError)
	fs.StringVar(&cfg.NATS, "nats", "", "URL")
	fs.StringVar(&cfg.Redis, "redis", "", "host:port")
	fs.StringVar(&cfg.SMSC, "smsc", "", "host:port")
	fs.IntVar(&cfg.Binds, "binds", 4, "binds")
	fs.IntVar(&cfg.Window, "window", 1000, "outstanding submit_sm per bind")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if err := floor.Run(ctx, cfg); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		return 1
	}
	return 0
}

// measure runs the rounds, the contenders in turn and each first every other time.
func measure(ctx context.Context, o options) (*report, error) {
	var bin *rig.Binaries
	var err error
	if o.bin != "" {
		bin, err = rig.Prebuilt(o.bin)
	} else {
		progress("building shortwire, smscsim and nats-server")
		bin, err = rig.Build(ctx)
	}
	if err != nil {
		return nil, err
	}
	defer bin.Remove()
	if o.procs > 0 { // for the children; this process runs already, and builds with all
		if err := os.Setenv("GOMAXPROCS", strconv.Itoa(o.procs)); err != nil {
			return nil, err
		}
	}
	rep := &report{Jobs: o.jobs, Procs: o.procs, Binds: o.binds, Window: o.window}
	for n := range o.rounds {
		order := []string{worker, floorName}
		if n%2 == 1 {
			order = []string{floorName, worker}
		}
		for _, who := range order {
			if o.only != "" && who != o.only {
				continue
			}
			r, err := drain(ctx, bin, o, who, n+1)
			if err != nil {
				return nil, fmt.Errorf("round %d of %s: %w", n+1, who, err)
			}
			rep.Rounds = append(rep.Rounds, *r)
			progress("round %d %-6s  %7.0f jobs/s, %5.1f µs CPU per job, %d lost, %d duplicates",
				r.Number, who, r.JobsPerSecond, r.CPUPerJob, r.Lost, r.Duplicates)
		}
	}
	rep.conclude()
	return rep, nil
}

// progress tells a waiting person what happens.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
