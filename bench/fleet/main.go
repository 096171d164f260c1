// Command fleet runs several workers as one fleet on servers that stand in for
// each other, kills what leads, and judges by what the SMSC saw.
//
//	go run ./bench/fleet [--variant sentinel|cluster|all] [--seed N] [--duration 100s] [--keep]
//	go run ./bench/fleet --rate | --adaptive | --lanes | --cost | --partition
//
// Without a mode: three NATS servers with streams on all of them, Redis with a
// replica and three Sentinels or a Redis Cluster of three masters and three
// replicas, four workers and three routes, each a process on loopback. While
// jobs flow, SIGKILL meets the NATS server that leads a job stream, the Redis
// master that answers for it, and a worker, and one connection to the SMSC is
// cut; what was killed comes back ten seconds later. The seed decides the jobs
// and the order. Judged are the promises (package judge), the rate of each route over every window of a
// second and more, its binds at once, and how long each route did
// less than half of what it did before, after each fault: ten seconds at most.
//
// The other modes:
//
//	--rate       1, 2, 4 and 8 workers, producers uneven: how much of the limit is used, and what that asks of Redis
//	--adaptive   an SMSC that enforces 200/s unannounced, rate 1000 and none configured, 1 and 4 workers
//	--lanes      publish to submit_sm of high jobs, on an idle route and over a backlog of bulk jobs
//	--cost       what a message costs the worker, NATS and Redis, by how those are kept
//	--partition  network namespaces cut one worker from Redis, from NATS, from the SMSC, and heal (needs root)
//
// The exit code is 0 when everything held, 1 when something did not, 2 when it
// could not be found out, 3 when this machine cannot run the mode.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

type options struct {
	variant  string
	seed     uint64
	duration time.Duration
	jobs     int
	procs    int
	bin      string
	keep     bool

	rate, adaptive, lanes, partition, cost bool
}

// Exit codes.
const (
	exitHeld    = 0
	exitBroken  = 1
	exitUnknown = 2
	exitUnable  = 3
)

// errUnable says that this machine cannot run a mode.
var errUnable = errors.New("cannot run here")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return exitHeld
	}
	var held bool
	if err == nil {
		held, err = o.run(ctx)
	}
	switch {
	case errors.Is(err, errUnable):
		fmt.Fprintln(os.Stderr, "fleet:", err)
		return exitUnable
	case err != nil:
		fmt.Fprintf(os.Stderr, "fleet: %v\nfleet: seed %d\n", err, o.seed)
		return exitUnknown
	case !held:
		return exitBroken
	}
	return exitHeld
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("fleet", flag.ContinueOnError)
	fs.StringVar(&o.variant, "variant", "all", "how Redis is kept: sentinel, cluster or all")
	fs.Uint64Var(&o.seed, "seed", 0, "of jobs and faults; 0 takes any")
	fs.DurationVar(&o.duration, "duration", 100*time.Second, "how long jobs flow, at least 90s with faults")
	fs.IntVar(&o.jobs, "jobs", 1_000_000, "with --lanes: bulk jobs in the backlog")
	fs.IntVar(&o.procs, "procs", 1, "GOMAXPROCS of each process; 0 leaves it to Go")
	fs.StringVar(&o.bin, "bin", "", "directory with shortwire, smscsim and nats-server, instead of building them")
	fs.BoolVar(&o.keep, "keep", false, "keep logs and record of the kill mode though all held")
	fs.BoolVar(&o.rate, "rate", false, "see how much of the limit is used")
	fs.BoolVar(&o.adaptive, "adaptive", false, "see how an unannounced limit is found")
	fs.BoolVar(&o.lanes, "lanes", false, "see what high jobs wait for")
	fs.BoolVar(&o.cost, "cost", false, "see what a message costs")
	fs.BoolVar(&o.partition, "partition", false, "cut one worker off")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	modes := 0
	for _, on := range []bool{o.rate, o.adaptive, o.lanes, o.cost, o.partition} {
		if on {
			modes++
		}
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case modes > 1:
		return o, errors.New("--rate, --adaptive, --lanes, --cost and --partition are one at a time")
	case o.variant != sentinel && o.variant != cluster && o.variant != "all":
		return o, fmt.Errorf("--variant must be sentinel, cluster or all, is %q", o.variant)
	case modes == 0 && o.duration < 90*time.Second:
		return o, fmt.Errorf("--duration must be at least 90s, is %s", o.duration)
	case o.jobs < 1000 || o.procs < 0:
		return o, errors.New("--jobs must be at least 1000, --procs not negative")
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1
	}
	return o, nil
}

// run runs what was asked for, and reports whether everything held.
func (o options) run(ctx context.Context) (held bool, err error) {
	if o.partition && !inNamespace() {
		return o.enterNamespace(ctx)
	}
	bin, err := o.programs(ctx)
	if err != nil {
		return false, err
	}
	defer bin.Remove()
	if o.procs > 0 { // for the children; this process runs already, and builds with all
		if err := os.Setenv("GOMAXPROCS", strconv.Itoa(o.procs)); err != nil {
			return false, err
		}
	}
	switch {
	case o.rate:
		return rateMode(ctx, bin)
	case o.adaptive:
		return adaptiveMode(ctx, bin)
	case o.lanes:
		return lanesMode(ctx, o, bin)
	case o.cost:
		return costMode(ctx, bin)
	case o.partition:
		return partitionMode(ctx, o, bin)
	}
	held = true
	for _, variant := range []string{sentinel, cluster} {
		if o.variant != "all" && o.variant != variant {
			continue
		}
		ok, err := killMode(ctx, o, bin, variant)
		if err != nil {
			return false, fmt.Errorf("variant %s: %w", variant, err)
		}
		held = held && ok
	}
	return held, nil
}

func (o options) programs(ctx context.Context) (*rig.Binaries, error) {
	if o.bin != "" {
		return rig.Prebuilt(o.bin)
	}
	progress("building shortwire, smscsim and nats-server")
	return rig.Build(ctx)
}

// progress tells a waiting person what happens.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
