// Command bench measures the worker end to end on one machine, every part a
// process of its own: NATS server, redis-server, SMSC simulator, workers.
//
//	go run ./bench                                  drain of a backlog, beside the floor
//	go run ./bench --phases open,burst              these phases (see --help)
//	go run ./bench --all --peers --write bench/RESULTS.md
//	go run ./bench --phases long --write bench/RESULTS.md --add
//	                                                a further piece of a long measurement
//	go run ./bench --quick                          every phase at its smallest: does it run, is anything lost
//	go run ./bench --render bench/results/results.json --write bench/RESULTS.md
//
// In the phase drain a backlog is published while the worker is stopped; the
// clock runs from the first submit_sm until the last receipt stands in
// SMS_RESULTS. Rounds of the worker alternate with rounds of a floor program that
// does the same I/O with no dispatcher (package floor), and with --peers of what
// people use today (package peers): the ratio is what to trust, since all share
// the machine and its mood. The other phases vary one thing each and alternate
// it with a baseline in the same way. Each round begins with empty servers.
// Redis keeps nothing on disk, and NATS syncs as by default.
//
// After each round the whole results stream is read: every job must have
// exactly one outcome and every part its receipt. The exit code is 0 when nothing
// was lost or duplicated by the worker or the floor, 1 when something was, 2
// when something could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/floor"
)

// Contenders; peers have names of their own.
const (
	worker    = "worker"
	floorName = "floor"
)

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
	rep, err := obtain(ctx, o)
	if err == nil {
		err = rep.write(os.Stdout, o.json)
	}
	if err == nil && o.write != "" {
		err = rep.publish(o.write)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	over := rep.overspent()
	for _, line := range over {
		fmt.Fprintln(os.Stderr, "bench:", line)
	}
	switch {
	case rep.Lost+rep.Duplicates > 0, len(over) > 0:
		return 1
	case len(rep.Failures) > 0:
		return 2
	}
	return 0
}

// obtain measures, or reads what was measured before.
func obtain(ctx context.Context, o options) (*report, error) {
	if o.render != "" {
		return readReport(o.render)
	}
	return measure(ctx, o)
}

// runFloor is the hidden subcommand that a round starts as a process of its own.
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

// progress tells a waiting person what happens.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
