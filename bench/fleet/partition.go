package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/internal/trial"
)

const (
	cutFor   = 20 * time.Second
	cutEvery = 40 * time.Second
	// partitionStall is longer than a receipt is parked.
	partitionStall = 90 * time.Second
	// islander is the worker that is cut off; the other stays.
	islander = "worker-1"
)

var services = []string{"Redis", "NATS", "SMSC"}

// partitionMode cuts one of two workers from each service in turn, without a
// word to either side.
func partitionMode(ctx context.Context, o options, bin *rig.Binaries) (held bool, err error) {
	isle, err := newIsland(ctx, services...)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, isle.Close()) }()
	set := setting{
		redis: alone, nats: 1, latency: 20 * time.Millisecond, open: true,
		// The default parking time: longer than a worker is cut from Redis, which
		// cannot say whose a message is meanwhile.
		accounts: []load.Account{{Name: "alpha", Binds: 2, Window: 50, Rate: 200, Burst: 10, ResponseTimeout: 5 * time.Second}},
		configure: func(id string, w *load.Worker) []string {
			if id != islander {
				return nil
			}
			w.Redis, w.NATS = isle.reach("Redis", w.Redis), isle.reach("NATS", w.NATS)
			w.Routes[0].SMSC = isle.reach("SMSC", w.Routes[0].SMSC)
			return isle.wrap()
		},
	}
	began := time.Now()
	return with(ctx, bin, set, func(s *stage) (bool, error) {
		o.duration = firstFault + time.Duration(len(services))*cutEvery
		expect, orders := s.orders(o)
		s.trial.Expect(expect)
		list := orders[0]
		if err := load.Publish(ctx, s.js, slices.Values(list[:len(list)/3]), 0, func(int) {}); err != nil {
			return false, err
		}
		if err := s.startWorkers(ctx, 2, 4); err != nil {
			return false, err
		}
		var faults []happened
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() error {
			return load.Publish(gctx, s.js, slices.Values(list[len(list)/3:]), float64(s.set.accounts[0].Rate)/trial.MeanParts, func(int) {})
		})
		g.Go(func() (err error) {
			faults, err = s.cutOff(gctx, isle)
			return err
		})
		if err := g.Wait(); err != nil {
			return false, err
		}
		v, a, err := s.finish(ctx, partitionStall)
		if err != nil {
			return false, err
		}
		return s.reportPartition(v, a, faults, o.seed, time.Since(began))
	})
}

// cutOff cuts the islander off from one service after the other.
func (s *stage) cutOff(ctx context.Context, isle *island) (all []happened, err error) {
	begun := time.Now()
	for i, service := range services {
		due := begun.Add(firstFault + time.Duration(i)*cutEvery)
		if err := until(ctx, due); err != nil {
			return nil, err
		}
		progress("%s is cut from %s for %s", islander, service, cutFor)
		if err := isle.cut(ctx, service); err != nil {
			return nil, err
		}
		all = append(all, happened{islander + " cut from " + service, time.Now()})
		if err := until(ctx, due.Add(cutFor)); err != nil {
			return nil, err
		}
		if err := isle.heal(ctx, service); err != nil {
			return nil, err
		}
		progress("  healed")
		all = append(all, happened{islander + " has " + service + " again", time.Now()})
	}
	return all, nil
}

func (s *stage) reportPartition(v *judge.Verdict, a *judge.Arrivals, faults []happened, seed uint64, took time.Duration) (bool, error) {
	var out verdicts
	fmt.Printf("\n== partition: 2 workers, one of them cut off, seed %d, %s\n", seed, took.Round(time.Second))
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	// What the islander had written when it was cut off from the SMSC arrives at
	// once when TCP gets through again: its windows, but no more.
	seen := slices.Clone(s.set.accounts)
	seen[0].Burst += seen[0].Binds * seen[0].Window
	out.limits(t, seen, a)
	out.resumed(t, s.set.accounts, a, faults)
	return out.promises(t, v)
}
