package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/internal/trial"
)

// How Redis is kept.
const (
	alone    = "alone"
	sentinel = "sentinel"
	cluster  = "cluster"
)

// setting is what a stage runs on.
type setting struct {
	redis    string // alone, sentinel or cluster
	nats     int    // servers; streams are on all of them, at most three
	accounts []load.Account
	smsc     []string // further flags of the simulator
	latency  time.Duration
	// configure changes the configuration of one worker, and says how it is
	// started; nil, or an empty answer, is for nothing special.
	configure func(id string, w *load.Worker) (wrap []string)
	open      bool // servers listen on every address
	keep      bool // logs and record though all held
}

// stage is a fleet and what it runs on.
type stage struct {
	set   setting
	bin   *rig.Binaries
	rig   *rig.Rig
	nats  *rig.NATSCluster
	redis *rig.Redis
	smsc  *rig.SMSC
	nc    *nats.Conn
	js    jetstream.JetStream
	trial *trial.Trial

	workers map[string]*rig.Proc // alive, by id
}

// with runs f on a stage that is ended afterwards. When f does not say that all
// held, or the setting says so, logs and record are kept.
func with(ctx context.Context, bin *rig.Binaries, set setting, f func(*stage) (held bool, err error)) (held bool, err error) {
	r, err := rig.Open()
	if err != nil {
		return false, err
	}
	s := &stage{set: set, bin: bin, rig: r, workers: map[string]*rig.Proc{}}
	defer func() {
		if s.nc != nil {
			s.nc.Close()
		}
		if !held || set.keep {
			r.Keep()
			progress("logs and record kept in %s", r.Dir())
		}
		err = errors.Join(err, r.Close())
	}()
	if err := s.start(ctx); err != nil {
		return false, err
	}
	return f(s)
}

// start begins the servers and creates the streams.
func (s *stage) start(ctx context.Context) (err error) {
	if s.set.open {
		s.rig.ListenEverywhere()
	}
	if s.nats, err = s.startNATS(ctx); err != nil {
		return err
	}
	switch s.set.redis {
	case alone:
		s.redis, err = s.rig.StartRedisAlone(ctx, s.bin.Redis, rig.LogWrites)
	case sentinel:
		s.redis, err = s.rig.StartRedisSentinel(ctx, s.bin.Redis)
	case cluster:
		s.redis, err = s.rig.StartRedisCluster(ctx, s.bin.Redis, 3)
	}
	if err != nil {
		return err
	}
	record := filepath.Join(s.rig.Dir(), "smsc.jsonl")
	s.smsc, err = s.rig.StartSMSC(ctx, s.bin.SMSCSim, append([]string{"--record", record, "--magic", "--receipts", "DELIVRD=100",
		"--receipt-via", "any", "--receipt-delay", "200ms", "--latency", s.set.latency.String()}, s.set.smsc...)...)
	if err != nil {
		return err
	}
	// It is the clock that everything is judged by. Without the right to, its
	// times are late when the machine is busy, and the judgement stricter.
	_ = syscall.Setpriority(syscall.PRIO_PGRP, s.smsc.PID(), -15)
	for i := range s.set.accounts {
		s.set.accounts[i].SMSC = s.smsc.Addr
	}
	config, _, err := s.config("")
	if err != nil {
		return err
	}
	if err := load.Setup(ctx, s.bin.Shortwire, config); err != nil {
		return err
	}
	if s.nc, s.js, err = load.Connect(s.nats.URL()); err != nil {
		return err
	}
	s.trial = &trial.Trial{JS: s.js, SMSC: s.smsc, Record: record, Streams: []string{load.Retries}, Progress: progress}
	for _, a := range s.set.accounts {
		s.trial.Streams = append(s.trial.Streams, load.JobsOf(a.Name))
	}
	return nil
}

func (s *stage) startNATS(ctx context.Context) (*rig.NATSCluster, error) {
	if s.set.nats > 1 {
		return s.rig.StartNATSCluster(ctx, s.bin.NATS, s.set.nats)
	}
	one, err := s.rig.StartNATS(ctx, s.bin.NATS)
	return &rig.NATSCluster{Servers: []*rig.Server{one}}, err
}

// config writes the configuration of one worker, or for an empty id of setup.
func (s *stage) config(id string) (path string, wrap []string, err error) {
	port, err := rig.FreePort()
	if err != nil {
		return "", nil, err
	}
	w := load.Worker{
		ID: id, NATS: s.nats.URL(), Redis: s.redis.URL, Admin: "127.0.0.1:" + strconv.Itoa(port),
		Replicas: min(3, s.set.nats), Routes: slices.Clone(s.set.accounts),
	}
	if s.set.configure != nil && id != "" {
		wrap = s.set.configure(id, &w)
	}
	path, err = w.Write(s.rig.Dir())
	return path, wrap, err
}

// worker starts a worker of that id.
func (s *stage) worker(id string) error {
	config, wrap, err := s.config(id)
	if err != nil {
		return err
	}
	command := append(wrap, s.bin.Shortwire, "run", "--config", config)
	s.workers[id], err = s.rig.Start(id, load.Env(), command[0], command[1:]...)
	return err
}

// startWorkers starts 1 to n, and waits until binds are bound.
func (s *stage) startWorkers(ctx context.Context, n, binds int) error {
	for i := range n {
		if err := s.worker("worker-" + strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("not %d binds within 30 s", binds))
	defer cancel()
	err := rig.Await(ctx, "binds", func(ctx context.Context) error {
		if err := s.alive(); err != nil {
			return err
		}
		now, err := s.bound(ctx)
		if err == nil && len(now) < binds {
			err = fmt.Errorf("%d bound", len(now))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.workers["worker-1"].Tail(20))
	}
	return nil
}

// alive fails when a worker ended by itself.
func (s *stage) alive() error {
	for id, w := range s.workers {
		select {
		case <-w.Done():
			return fmt.Errorf("%s ended by itself\n%s", id, w.Tail(30))
		default:
		}
	}
	return nil
}

// bind is what the simulator tells of one.
type bind struct {
	ID       uint64    `json:"bind"`
	SystemID string    `json:"system_id"`
	Remote   string    `json:"remote"`
	Until    time.Time `json:"until"`
}

// bound asks the simulator who is bound now.
func (s *stage) bound(ctx context.Context) ([]bind, error) {
	var all, now []bind
	if err := s.simulator(ctx, http.MethodGet, "/binds", &all); err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.Until.IsZero() {
			now = append(now, b)
		}
	}
	return now, nil
}

// simulator asks the simulator.
func (s *stage) simulator(ctx context.Context, method, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.smsc.Admin+path, nil)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the simulator: %s %s: %s", method, path, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	return nil
}

// finish waits until nothing is owed, ends the fleet and judges.
func (s *stage) finish(ctx context.Context, stall time.Duration) (*judge.Verdict, *judge.Arrivals, error) {
	settled, err := s.trial.Settle(ctx, stall, s.alive)
	if err != nil {
		return nil, nil, err
	}
	var all []*rig.Proc
	for _, w := range s.workers {
		all = append(all, w)
		if !settled {
			progress("%s", w.Tail(10))
		}
	}
	if err := s.trial.End(ctx, all); err != nil {
		return nil, nil, err
	}
	v, err := s.trial.Verdict(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := s.trial.Arrivals()
	return v, a, err
}
