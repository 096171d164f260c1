package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/internal/trial"
)

const (
	fleetWorkers = 4
	firstFault   = 10 * time.Second // after the first job was published
	faultEvery   = 20 * time.Second
	backAfter    = 10 * time.Second // what was killed comes back
	// resumeWithin is how soon a route must be back at half of what it did
	// before, seen over windows that a busy machine's hiccups do not fill.
	resumeWithin = 10 * time.Second
	slowWindow   = 2 * time.Second
	// killStall is longer than a dead worker's jobs take to come back.
	killStall = 60 * time.Second
)

// routes of the fleet: unequal, and more binds wanted than may be.
func killRoutes() []load.Account {
	base := load.Account{Binds: 2, MaxBinds: 6, Window: 50, ResponseTimeout: 5 * time.Second, ParkingTime: 10 * time.Second}
	var all []load.Account
	for _, r := range []struct {
		name        string
		rate, burst int
	}{{"alpha", 300, 30}, {"beta", 200, 10}, {"gamma", 100, 5}} {
		a := base
		a.Name, a.Rate, a.Burst = r.name, r.rate, r.burst
		all = append(all, a)
	}
	return all
}

// happened is a fault that was made.
type happened struct {
	what string
	at   time.Time
}

// replicaBehind is how much a Redis replica may lack on a busy machine, and the
// time from a submit_sm until its id is written.
const replicaBehind = 2 * time.Second

const redisMaster = "a Redis master" // in what happened

// fault breaks something, says what, and returns how to mend it, nil for nothing to do.
type fault func(ctx context.Context) (what string, mend func(context.Context) error, err error)

// killMode is one variant.
func killMode(ctx context.Context, o options, bin *rig.Binaries, variant string) (bool, error) {
	began := time.Now()
	progress("%s, seed %d: NATS ×3, %d workers, 3 routes", variant, o.seed, fleetWorkers)
	set := setting{keep: o.keep, redis: variant, nats: 3, accounts: killRoutes(), latency: 20 * time.Millisecond}
	return with(ctx, bin, set, func(s *stage) (bool, error) {
		expect, orders := s.orders(o)
		s.trial.Expect(expect)
		for _, list := range orders { // a backlog, so that what arrives is what the fleet can do
			if err := load.Publish(ctx, s.js, slices.Values(list[:len(list)/3]), 0, func(int) {}); err != nil {
				return false, err
			}
		}
		if err := s.startWorkers(ctx, fleetWorkers, len(s.set.accounts)*killRoutes()[0].MaxBinds); err != nil {
			return false, err
		}
		var faults []happened
		g, gctx := errgroup.WithContext(ctx)
		for i, list := range orders {
			a := s.set.accounts[i]
			g.Go(func() error {
				return load.Publish(gctx, s.js, slices.Values(list[len(list)/3:]), float64(a.Rate)/trial.MeanParts, func(int) {})
			})
		}
		g.Go(func() (err error) {
			faults, err = s.play(gctx, o.seed)
			return err
		})
		if err := g.Wait(); err != nil {
			return false, err
		}
		for _, f := range faults {
			if strings.Contains(f.what, redisMaster) {
				s.trial.Judge().Replaced(replicaBehind, f.at)
			}
		}
		v, a, err := s.finish(ctx, killStall)
		if err != nil {
			return false, err
		}
		return s.report(variant, v, a, faults, o.seed, time.Since(began))
	})
}

// orders are the jobs of each route, and all as they are judged.
func (s *stage) orders(o options) (expect []judge.Job, orders [][]load.Job) {
	for i, a := range s.set.accounts {
		n := int(float64(a.Rate) * o.duration.Seconds() / trial.MeanParts)
		var list []load.Job
		for job, e := range trial.Orders(o.seed+uint64(i), a.Name[:1], n) {
			job.Route = a.Name
			list, expect = append(list, job), append(expect, e)
		}
		orders = append(orders, list)
	}
	return expect, orders
}

// play makes the faults one after the other.
func (s *stage) play(ctx context.Context, seed uint64) ([]happened, error) {
	rng := rand.New(rand.NewPCG(seed, 4))
	route := s.set.accounts[rng.IntN(len(s.set.accounts))].Name
	faults := []fault{s.killLeader(load.JobsOf(route)), s.killMaster, s.killWorker(rng), s.cutBind(rng)}
	rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	begun := time.Now()
	var all []happened
	for i, f := range faults {
		due := begun.Add(firstFault + time.Duration(i)*faultEvery)
		if err := until(ctx, due); err != nil {
			return nil, err
		}
		at := time.Now()
		what, mend, err := f(ctx)
		if err != nil {
			return nil, err
		}
		progress("%s", what)
		all = append(all, happened{what, at})
		if mend == nil {
			continue
		}
		if err := until(ctx, due.Add(backAfter)); err != nil {
			return nil, err
		}
		if err := mend(ctx); err != nil {
			return nil, fmt.Errorf("start again after %q: %w", what, err)
		}
		progress("  back")
	}
	return all, nil
}

// until waits for a moment.
func until(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *stage) killLeader(stream string) fault {
	return func(ctx context.Context) (string, func(context.Context) error, error) {
		leader, err := s.nats.Leader(ctx, stream)
		if err != nil {
			return "", nil, err
		}
		return fmt.Sprintf("SIGKILL to %s, leader of %s", leader.Name(), stream), leader.Restart, leader.Kill()
	}
}

// killMaster kills the master that has the ledger's epoch: every claim of a job
// that may be old asks it.
func (s *stage) killMaster(ctx context.Context) (string, func(context.Context) error, error) {
	master, err := s.redis.Master(ctx, "sw:epoch")
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("SIGKILL to %s, %s", master.Name(), redisMaster), master.Restart, master.Kill()
}

func (s *stage) killWorker(rng *rand.Rand) fault {
	id := fmt.Sprintf("worker-%d", 1+rng.IntN(fleetWorkers))
	return func(context.Context) (string, func(context.Context) error, error) {
		w := s.workers[id]
		delete(s.workers, id)
		return "SIGKILL to " + id, func(context.Context) error { return s.worker(id) }, w.Kill()
	}
}

func (s *stage) cutBind(rng *rand.Rand) fault {
	return func(ctx context.Context) (string, func(context.Context) error, error) {
		all, err := s.bound(ctx)
		if err == nil && len(all) == 0 {
			err = errors.New("nobody is bound")
		}
		if err != nil {
			return "", nil, err
		}
		b := all[rng.IntN(len(all))]
		return fmt.Sprintf("one connection of %s is cut", b.SystemID), nil,
			s.simulator(ctx, http.MethodPost, fmt.Sprintf("/cut?bind=%d", b.ID), &struct{}{})
	}
}
