package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/internal/trial"
)

const (
	rateLimit   = 400
	rateBurst   = 20
	rateFor     = 20 * time.Second
	rateSettles = 3 * time.Second // from the first submit_sm until it is counted
	// leastUsed is the share of the limit that a backlog must use.
	leastUsed = 0.97
	// mostCalls is how many scripts a worker may run for a route and second.
	mostCalls = 25
)

// rateMode lets fleets of several sizes work off a backlog under one limit.
// With uneven workers every second one has a window of one message, which cannot
// use its equal share: what it leaves is for the others.
func rateMode(ctx context.Context, bin *rig.Binaries) (bool, error) {
	var out verdicts
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "workers\t\tburst\tsubmit_sm per second\tof the limit\tworst window, against rate × T + burst\tscripts per worker and second\n")
	for _, c := range []struct {
		workers int
		uneven  bool
		burst   int
	}{
		{1, false, rateBurst}, {2, false, rateBurst}, {2, true, rateBurst}, {4, false, rateBurst}, {4, true, rateBurst},
		{8, false, rateBurst}, {8, true, rateBurst}, {4, false, 1},
	} {
		n := c.workers
		set := setting{
			redis: alone, nats: 1, latency: 20 * time.Millisecond,
			accounts: []load.Account{{Name: "alpha", Binds: 1, Window: 50, Rate: rateLimit, Burst: c.burst, ParkingTime: 10 * time.Second}},
			configure: func(id string, w *load.Worker) []string {
				if i, _ := strconv.Atoi(strings.TrimPrefix(id, "worker-")); c.uneven && i%2 == 0 {
					w.Routes[0].Window = 1
				}
				return nil
			},
		}
		_, err := with(ctx, bin, set, func(s *stage) (bool, error) { return s.rateOf(ctx, n, c.uneven, c.burst, &out, t) })
		if err != nil {
			return false, fmt.Errorf("%d workers: %w", n, err)
		}
	}
	fmt.Printf("\n== rate %d/s over the fleet, working off a backlog\n", rateLimit)
	if err := t.Flush(); err != nil {
		return false, err
	}
	return out.conclude(), nil
}

func (s *stage) rateOf(ctx context.Context, n int, uneven bool, burst int, out *verdicts, t *tabwriter.Writer) (bool, error) {
	if err := s.backlog(ctx, "alpha", "normal", "r", int(rateLimit*(rateFor+2*rateSettles).Seconds())); err != nil {
		return false, err
	}
	if err := s.startWorkers(ctx, n, n); err != nil {
		return false, err
	}
	if err := until(ctx, time.Now().Add(rateSettles)); err != nil {
		return false, err
	}
	from := time.Now()
	before, err := s.redis.Servers[0].Calls(ctx, "evalsha")
	if err != nil {
		return false, err
	}
	if err := until(ctx, from.Add(rateFor)); err != nil {
		return false, err
	}
	to := time.Now()
	after, err := s.redis.Servers[0].Calls(ctx, "evalsha")
	if err != nil {
		return false, err
	}
	if err := s.endAll(ctx); err != nil {
		return false, err
	}
	a, err := s.trial.Arrivals()
	if err != nil {
		return false, err
	}
	times := a.Of("alpha")
	seconds := to.Sub(from).Seconds()
	used := float64(judge.Between(times, from, to)) / seconds
	e := judge.ExcessOf(times, rateLimit, burst)
	calls := float64(after-before) / seconds / float64(n)
	ok := len(out.broken)
	how := "even"
	if uneven {
		how = "uneven"
	}
	fmt.Fprintf(t, "%d\t%s\t%d\t%.1f\t%s\t%s\t%s\n", n, how, burst, used, out.say(used >= leastUsed*rateLimit, "%.1f %%", 100*used/rateLimit),
		out.say(e.Over <= 0, "%s", e.In(times)), out.say(calls <= mostCalls, "%.1f", calls))
	progress("%d workers, %s: %.1f/s, %+.1f over, %.1f scripts", n, how, used, e.Over, calls)
	return len(out.broken) == ok, nil
}

// backlog publishes plain jobs of one part, and expects them.
func (s *stage) backlog(ctx context.Context, route, lane, run string, n int) error {
	expect := make([]judge.Job, n)
	for i := range expect {
		expect[i] = judge.Job{ID: load.Single(run, i).ID, Parts: 1}
	}
	s.trial.Expect(expect)
	progress("publishing %d jobs", n)
	return load.Publish(ctx, s.js, trial.Plain(route, lane, run, n), 0, func(int) {})
}
