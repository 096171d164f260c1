// Command chaos breaks what can break while jobs flow, and judges afterwards
// whether the promises held: real processes, two workers, one of which is
// killed with SIGKILL in the middle and replaced, a NATS server that is restarted,
// and a Redis that stops for five seconds.
//
//	go run ./bench/chaos [--jobs 100000] [--seed N] [--duration 20s] [--json]
//	go run ./bench/chaos --random [--seed N] [--duration 60s]
//
// With --random three workers are killed and started again, connections to the
// SMSC are cut or fall silent within a PDU, the NATS server gets SIGKILL, and
// Redis is killed, stalled or, with every third seed, restarted empty: all the
// time, overlapping, by a schedule that the seed decides and that is printed.
//
// The seed decides the mix of jobs, the moments of the faults, which worker is
// killed, whether NATS gets SIGTERM or SIGKILL, and whether Redis is frozen (SIGSTOP)
// or killed and started again. The processes race each other all the same, so
// a seed repeats the scenario and not the run.
//
// Redis keeps an append-only file, so that what it answered survives its kill:
// without one a killed Redis takes the ledger with it, and no worker can know
// what was sent. See rig.LogWrites for what that does and does not promise.
//
// The judge (package judge) reads the simulator's record and the results stream,
// nothing of the workers'. The exit code is 0 when every promise held, 1 when one was broken,
// 2 when it could not be found out.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

type options struct {
	jobs     int
	random   bool
	seed     uint64
	duration time.Duration
	stall    time.Duration
	json     bool
	bin      string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 2
	}
	began := time.Now()
	v, err := torment(ctx, o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\nchaos: seed %d\n", err, o.seed)
		return 2
	}
	if err := show(o, v, time.Since(began)); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 2
	}
	if v.Broken() > 0 {
		return 1
	}
	return 0
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.IntVar(&o.jobs, "jobs", 100_000, "jobs to publish")
	fs.BoolVar(&o.random, "random", false, "faults at random all the time, instead of one of each kind")
	fs.Uint64Var(&o.seed, "seed", 0, "scenario; 0 takes any")
	fs.DurationVar(&o.duration, "duration", 20*time.Second, "time over which the jobs are published")
	fs.DurationVar(&o.stall, "stall", 90*time.Second, "judge when nothing has come for so long; longer than a dead worker's jobs take to come back")
	fs.BoolVar(&o.json, "json", false, "print the verdict as one line of JSON, last")
	fs.StringVar(&o.bin, "bin", "", "directory with shortwire, smscsim and nats-server, instead of building them")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.random && o.duration < 10*time.Second {
		return o, errors.New("--random needs a --duration of at least 10s")
	}
	if o.jobs < 100 || o.duration < time.Second {
		return o, errors.New("--jobs must be at least 100 and --duration at least 1s")
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1
	}
	return o, nil
}

// show writes the table and, if asked to, the line of JSON after it.
func show(o options, v *judge.Verdict, took time.Duration) error {
	if err := v.WriteTable(os.Stdout); err != nil {
		return err
	}
	word := "every promise held"
	if n := v.Broken(); n > 0 {
		word = fmt.Sprintf("%d broken promises", n)
	}
	fmt.Printf("%s; seed %d, %s\n", word, o.seed, took.Round(time.Second))
	if !o.json {
		return nil
	}
	return json.NewEncoder(os.Stdout).Encode(struct {
		*judge.Verdict
		Broken  int     `json:"broken"`
		Seed    uint64  `json:"seed"`
		Seconds float64 `json:"seconds"`
	}{v, v.Broken(), o.seed, took.Seconds()})
}

// torment runs the scenario of the seed.
func torment(ctx context.Context, o options) (_ *judge.Verdict, err error) {
	var bin *rig.Binaries
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
	r, err := rig.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s := &scene{o: o, plan: newPlan(o.seed), bin: bin, rig: r}
	if o.random {
		s.storm = newStorm(o.seed, o.duration)
		progress("seed %d over %s:%s", o.seed, o.duration, s.storm)
	} else {
		progress("seed %d: %s", o.seed, s.plan)
	}
	v, err := s.play(ctx)
	if err != nil || v.Broken() > 0 {
		r.Keep()
		progress("logs and record kept in %s", r.Dir())
	}
	return v, err
}

// progress tells a waiting person what happens.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
