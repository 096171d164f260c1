package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/internal/trial"
)

const (
	parkingTime = 10 * time.Second
	// mayBeParked is how long a receipt may be parked: until it is due and a
	// sweep, every 5 s give or take a half, has published it, with time to do so.
	mayBeParked = parkingTime + 20*time.Second
)

// scene is a running scenario.
type scene struct {
	o     options
	plan  plan
	storm storm // with --random
	bin   *rig.Binaries
	rig   *rig.Rig

	nats    *rig.Server
	redis   *rig.Server
	smsc    *rig.SMSC
	relay   *rig.Relay  // between workers and smsc; nil without --random
	workers []*rig.Proc // alive; owned by the goroutine of the faults until it is joined
	started int         // workers so far
	emptied []time.Time // when Redis was back empty; owned likewise

	published atomic.Int64
	trial     trial.Trial
}

// play runs the scenario and judges it.
func (s *scene) play(ctx context.Context) (*judge.Verdict, error) {
	var expect []judge.Job
	for _, e := range trial.Orders(s.plan.seed, "c", s.o.jobs) {
		expect = append(expect, e)
	}
	s.trial.Expect(expect)
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	if s.relay != nil {
		defer s.relay.Close()
	}
	nc, js, err := load.Connect(s.nats.URL("nats"))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	s.trial.JS, s.trial.SMSC, s.trial.Progress = js, s.smsc, progress
	s.trial.Streams = []string{load.Jobs, load.Retries}

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.publish(gctx) })
	g.Go(func() error {
		if s.o.random {
			return s.rage(gctx)
		}
		return s.faults(gctx)
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	settled, err := s.trial.Settle(ctx, s.o.stall, s.alive)
	if err != nil {
		return nil, err
	}
	if !settled {
		for _, w := range s.workers {
			progress("%s", w.Tail(10))
		}
	}
	if err := s.trial.End(ctx, s.workers); err != nil {
		return nil, err
	}
	s.trial.Judge().Forgetful(mayBeParked, s.emptied...)
	return s.trial.Verdict(ctx)
}

// start begins all processes.
func (s *scene) start(ctx context.Context) (err error) {
	if s.nats, err = s.rig.StartNATS(ctx, s.bin.NATS); err != nil {
		return err
	}
	if s.redis, err = s.rig.StartRedis(ctx, s.bin.Redis, rig.LogWrites); err != nil {
		return err
	}
	s.trial.Record = filepath.Join(s.rig.Dir(), "smsc.jsonl")
	// Latency keeps a few hundred messages on the wire, so that faults meet some.
	s.smsc, err = s.rig.StartSMSC(ctx, s.bin.SMSCSim, "--record", s.trial.Record, "--magic", "--receipts", "DELIVRD=100", "--receipt-via", "any",
		"--receipt-delay", "200ms", "--latency", "20ms", "--seed", strconv.FormatUint(s.o.seed, 10))
	if err != nil {
		return err
	}
	workers := 2
	if s.o.random {
		workers = stormWorkers
		if s.relay, err = rig.StartRelay(s.smsc.Addr); err != nil {
			return err
		}
	}
	config, err := s.config("setup")
	if err != nil {
		return err
	}
	if err := load.Setup(ctx, s.bin.Shortwire, config); err != nil {
		return err
	}
	for range workers {
		w, err := s.worker()
		if err != nil {
			return err
		}
		s.workers = append(s.workers, w)
	}
	return nil
}

// config writes the configuration of one worker.
func (s *scene) config(id string) (string, error) {
	port, err := rig.FreePort()
	if err != nil {
		return "", err
	}
	smsc := s.smsc.Addr
	if s.relay != nil {
		smsc = s.relay.Addr
	}
	return load.Worker{
		ID: id, NATS: s.nats.URL("nats"), Redis: s.redis.URL("redis") + "/0", Admin: "127.0.0.1:" + strconv.Itoa(port),
		Routes: []load.Account{{SMSC: smsc, Binds: 2, Window: 200, ResponseTimeout: 5 * time.Second, ParkingTime: parkingTime}},
	}.Write(s.rig.Dir())
}

// worker starts one more worker.
func (s *scene) worker() (*rig.Proc, error) {
	s.started++
	id := fmt.Sprintf("worker-%d", s.started)
	config, err := s.config(id)
	if err != nil {
		return nil, err
	}
	return s.rig.Start(id, load.Env(), s.bin.Shortwire, "run", "--config", config)
}

func (s *scene) publish(ctx context.Context) error {
	jobs := func(yield func(load.Job) bool) {
		for j := range trial.Orders(s.plan.seed, "c", s.o.jobs) {
			if !yield(j) {
				return
			}
		}
	}
	told := time.Now()
	return load.Publish(ctx, s.trial.JS, jobs, float64(s.o.jobs)/s.o.duration.Seconds(), func(n int) {
		s.published.Store(int64(n))
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			progress("%6d of %d jobs published", n, s.o.jobs)
		}
	})
}

// faults breaks one thing after the other, each when so many jobs are published.
func (s *scene) faults(ctx context.Context) error {
	for _, f := range []struct {
		at   float64
		what func(context.Context) error
	}{
		{s.plan.killAt, s.killWorker},
		{s.plan.replaceAt, s.replaceWorker},
		{s.plan.natsAt, s.restartNATS},
		{s.plan.redisAt, s.stopRedis},
	} {
		err := rig.Await(ctx, "the next fault", func(context.Context) error {
			if n := s.published.Load(); float64(n) < f.at*float64(s.o.jobs) {
				return fmt.Errorf("%d jobs published", n)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := f.what(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *scene) killWorker(context.Context) error {
	w := s.workers[s.plan.victim]
	progress("SIGKILL to %s", w.Name())
	s.workers = append(s.workers[:s.plan.victim], s.workers[s.plan.victim+1:]...)
	return w.Kill()
}

func (s *scene) replaceWorker(context.Context) error {
	w, err := s.worker()
	if err != nil {
		return err
	}
	progress("%s replaces it", w.Name())
	s.workers = append(s.workers, w)
	return nil
}

func (s *scene) restartNATS(ctx context.Context) error {
	progress("%s to the NATS server", signalName(s.plan.natsSignal))
	if s.plan.natsSignal == syscall.SIGKILL {
		if err := s.nats.Kill(); err != nil {
			return err
		}
	} else if _, err := s.nats.Terminate(ctx); err != nil {
		return err
	}
	err := s.nats.Restart(ctx)
	progress("the NATS server is back")
	return err
}

func (s *scene) stopRedis(ctx context.Context) error {
	away := time.NewTimer(redisAway)
	defer away.Stop()
	begin, end := func() error { return s.redis.Signal(syscall.SIGSTOP) }, func() error { return s.redis.Signal(syscall.SIGCONT) }
	if s.plan.redisKill {
		begin, end = s.redis.Kill, func() error { return s.redis.Restart(ctx) }
	}
	progress("Redis stops")
	if err := begin(); err != nil {
		return err
	}
	select {
	case <-away.C:
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), s.redis.Signal(syscall.SIGCONT))
	}
	err := end()
	progress("Redis is back")
	return err
}

// alive fails when a worker ended by itself.
func (s *scene) alive() error {
	for _, w := range s.workers {
		select {
		case <-w.Done():
			return fmt.Errorf("%s ended by itself\n%s", w.Name(), w.Tail(30))
		default:
		}
	}
	return nil
}
