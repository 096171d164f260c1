// Isolation measures what broken routes cost their neighbour: one worker drains
// a route's backlog alone, and beside a route whose SMSC is not there, one whose
// SMSC answers after ten seconds and one whose SMSC throttles everything, each
// with a backlog of its own. Rounds of both kinds alternate, on fresh servers;
// what counts is the median of the ratios of two neighbouring rounds, and the
// arrivals at the simulator.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/internal/trial"
)

// Routes.
const (
	good      = "good"
	dead      = "dead"
	slow      = "slow"
	throttled = "throttled"
)

// atLeast is the share of its throughput that the good route keeps.
const atLeast = 0.95

type options struct {
	jobs   int // of the good route
	broken int // of each other
	rate   int // of the good route, submit_sm per second; 0 is unlimited
	rounds int
	binds  int
	window int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	held, err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "isolation:", err)
		os.Exit(2)
	case !held:
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (held bool, err error) {
	var o options
	f := flag.NewFlagSet("isolation", flag.ContinueOnError)
	f.IntVar(&o.jobs, "jobs", 40_000, "jobs of the good route")
	f.IntVar(&o.broken, "broken", 20_000, "jobs of each broken route")
	f.IntVar(&o.rate, "rate", 0, "submit_sm per second of the good route; 0 is unlimited")
	f.IntVar(&o.rounds, "rounds", 3, "rounds of each kind")
	f.IntVar(&o.binds, "binds", 2, "binds of each route")
	f.IntVar(&o.window, "window", 100, "window of each bind")
	if err := f.Parse(args); err != nil {
		return false, err
	}
	bin, err := rig.Build(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, bin.Remove()) }()

	var alone, beside []float64
	for n := range o.rounds {
		for _, neighbours := range []bool{false, true} {
			perSecond, err := o.round(ctx, bin, neighbours)
			if err != nil {
				return false, err
			}
			kind := &alone
			if neighbours {
				kind = &beside
			}
			*kind = append(*kind, perSecond)
			fmt.Fprintf(os.Stderr, "round %d, broken neighbours %-5t  %8.0f jobs/s\n", n+1, neighbours, perSecond)
		}
	}
	ratios := make([]float64, len(alone)) // of neighbours: the machine may be another one a minute later
	for i := range alone {
		ratios[i] = beside[i] / alone[i]
	}
	ratio := median(ratios)
	fmt.Printf("go run ./bench/isolation -jobs %d -broken %d -rate %d -rounds %d -binds %d -window %d   (%s, %d processors, %s)\n",
		o.jobs, o.broken, o.rate, o.rounds, o.binds, o.window, runtime.GOARCH, runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
	fmt.Printf("alone %.0f jobs/s, beside a dead, a slow and a throttled route %.0f jobs/s: %.1f %% of it in the same round (wanted: %.0f %%)\n",
		median(alone), median(beside), 100*ratio, 100*atLeast)
	return ratio >= atLeast, nil
}

func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// round drains the good route's backlog on fresh servers.
func (o options) round(ctx context.Context, bin *rig.Binaries, neighbours bool) (perSecond float64, err error) {
	r, err := rig.Open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	nats, err := r.StartNATS(ctx, bin.NATS)
	if err != nil {
		return 0, err
	}
	redis, err := r.StartRedis(ctx, bin.Redis, rig.InMemory)
	if err != nil {
		return 0, err
	}
	smsc, err := r.StartSMSC(ctx, bin.SMSCSim, "--receipts", "DELIVRD=100", "--receipt-delay", "0s")
	if err != nil {
		return 0, err
	}
	accounts := []load.Account{{Name: good, SMSC: smsc.Addr, Binds: o.binds, Window: o.window, Rate: o.rate}}
	if neighbours {
		others, err := o.broke(ctx, r, bin)
		if err != nil {
			return 0, err
		}
		accounts = append(accounts, others...)
	}
	admin, err := rig.FreePort()
	if err != nil {
		return 0, err
	}
	config, err := load.Worker{
		ID: "w1", NATS: nats.URL("nats"), Redis: redis.URL("redis") + "/0", Admin: "127.0.0.1:" + strconv.Itoa(admin), Routes: accounts,
	}.Write(r.Dir())
	if err != nil {
		return 0, err
	}
	if err := load.Setup(ctx, bin.Shortwire, config); err != nil {
		return 0, err
	}
	nc, js, err := load.Connect(nats.URL("nats"))
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	for _, a := range accounts[1:] {
		if err := publish(ctx, js, a.Name, o.broken); err != nil {
			return 0, err
		}
	}
	w, err := r.Start("worker", load.Env(), bin.Shortwire, "run", "--config", config)
	if err != nil {
		return 0, err
	}
	// The neighbours are in their trouble before the good route has work.
	if err := inTrouble(ctx, w, "127.0.0.1:"+strconv.Itoa(admin), len(accounts)); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, w.Tail(20))
	}
	if err := publish(ctx, js, good, o.jobs); err != nil {
		return 0, err
	}
	perSecond, err = watch(ctx, smsc, o.jobs)
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, w.Tail(20))
	}
	log, err := w.Contents()
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "the worker logged %d lines\n", bytes.Count(log, []byte("\n")))
	return perSecond, nil
}

func publish(ctx context.Context, js jetstream.JetStream, route string, n int) error {
	return load.Publish(ctx, js, trial.Plain(route, "normal", route, n), 0, func(int) {})
}

// broke starts the simulators of the broken routes.
func (o options) broke(ctx context.Context, r *rig.Rig, bin *rig.Binaries) ([]load.Account, error) {
	port, err := rig.FreePort()
	if err != nil {
		return nil, err
	}
	late, err := r.StartSMSC(ctx, bin.SMSCSim, "--latency", "10s")
	if err != nil {
		return nil, err
	}
	refusing, err := r.StartSMSC(ctx, bin.SMSCSim, "--rate", "0.001")
	if err != nil {
		return nil, err
	}
	all := []load.Account{
		{Name: dead, SMSC: "127.0.0.1:" + strconv.Itoa(port)},
		{Name: slow, SMSC: late.Addr},
		{Name: throttled, SMSC: refusing.Addr},
	}
	for i := range all {
		all[i].Binds, all[i].Window = o.binds, o.window
	}
	return all, nil
}
