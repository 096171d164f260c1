package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// An SMSC's own limit, and how well and how soon it must be found.
const (
	smscLimit     = 200
	foundWithin   = 30 * time.Second
	watchedFor    = 30 * time.Second
	mostThrottled = 0.02
	leastAccepted = 0.90
)

// adaptiveMode works off a backlog against an SMSC that enforces a limit which
// nobody configured.
func adaptiveMode(ctx context.Context, bin *rig.Binaries) (bool, error) {
	var out verdicts
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "workers\tconfigured rate\tfirst %s: throttled\taccepted per second\tthen: throttled\taccepted per second\n", foundWithin)
	for _, n := range []int{1, 4} {
		for _, rate := range []int{1000, 0} {
			set := setting{
				redis: alone, nats: 1, latency: 20 * time.Millisecond,
				accounts: []load.Account{{Name: "alpha", Binds: 1, Window: 50, Rate: rate, ParkingTime: 10 * time.Second}},
				smsc:     []string{"--rate", fmt.Sprint(smscLimit), "--burst", "20"},
			}
			_, err := with(ctx, bin, set, func(s *stage) (bool, error) { return s.adaptive(ctx, n, rate, &out, t) })
			if err != nil {
				return false, fmt.Errorf("%d workers, rate %d: %w", n, rate, err)
			}
		}
	}
	fmt.Printf("\n== an SMSC that takes %d/s and nobody said so\n", smscLimit)
	if err := t.Flush(); err != nil {
		return false, err
	}
	return out.conclude(), nil
}

func (s *stage) adaptive(ctx context.Context, n, rate int, out *verdicts, t *tabwriter.Writer) (bool, error) {
	if err := s.backlog(ctx, "alpha", "normal", "a", int(smscLimit*(foundWithin+watchedFor).Seconds()*1.2)); err != nil {
		return false, err
	}
	if err := s.startWorkers(ctx, n, n); err != nil {
		return false, err
	}
	from := time.Now()
	found := from.Add(foundWithin)
	end := found.Add(watchedFor)
	if err := until(ctx, end); err != nil {
		return false, err
	}
	if err := s.endAll(ctx); err != nil {
		return false, err
	}
	a, err := s.trial.Arrivals()
	if err != nil {
		return false, err
	}
	ok := len(out.broken)
	count := func(from, to time.Time) (throttled, accepted float64) {
		all, refused := judge.Between(a.Of("alpha"), from, to), judge.Between(a.RefusedOf("alpha"), from, to)
		return float64(refused) / float64(max(1, all)), float64(all-refused) / to.Sub(from).Seconds()
	}
	t0, a0 := count(from, found)
	t1, a1 := count(found, end)
	fmt.Fprintf(t, "%d\t%d\t%.1f %%\t%.1f\t%s\t%s\n", n, rate, 100*t0, a0,
		out.say(t1 < mostThrottled, "%.2f %%", 100*t1), out.say(a1 >= leastAccepted*smscLimit, "%.1f", a1))
	progress("%d workers, rate %d: %.2f %% throttled, %.1f/s accepted", n, rate, 100*t1, a1)
	return len(out.broken) == ok, nil
}
