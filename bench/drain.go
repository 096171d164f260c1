package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// stage is what a round runs on.
type stage struct {
	o      options
	rig    *rig.Rig
	nats   *rig.Server
	redis  *rig.Server
	smsc   *rig.SMSC
	js     jetstream.JetStream
	config string
}

// drain is one round: a backlog is published, then the contender started, and
// watched until the last receipt stands in the results stream.
func drain(ctx context.Context, bin *rig.Binaries, o options, who string, number int) (_ *round, err error) {
	r, err := rig.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s := &stage{o: o, rig: r}
	if err := s.start(ctx, bin); err != nil {
		return nil, err
	}
	nc, js, err := load.Connect(s.nats.URL("nats"))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	s.js = js

	progress("round %d %-6s  publishing %d jobs", number, who, o.jobs)
	if err := load.Publish(ctx, js, backlog(o.jobs), 0, func(int) {}); err != nil {
		return nil, err
	}
	p, err := s.contend(bin, who)
	if err != nil {
		return nil, err
	}
	res, err := s.watch(ctx, p, who)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.Tail(30))
	}
	res.Number = number
	if err := s.end(ctx, p); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.Tail(30))
	}
	return res, s.audit(ctx, res)
}

// start begins the servers and creates the streams.
func (s *stage) start(ctx context.Context, bin *rig.Binaries) (err error) {
	if s.nats, err = s.rig.StartNATS(ctx, bin.NATS); err != nil {
		return err
	}
	if s.redis, err = s.rig.StartRedis(ctx, bin.Redis, rig.InMemory); err != nil {
		return err
	}
	s.smsc, err = s.rig.StartSMSC(ctx, bin.SMSCSim, "--receipts", "DELIVRD=100", "--receipt-delay", "0s", "--latency", "0s")
	if err != nil {
		return err
	}
	admin, err := rig.FreePort()
	if err != nil {
		return err
	}
	s.config, err = load.Worker{
		ID: "bench-1", NATS: s.nats.URL("nats"), Redis: s.redis.URL("redis") + "/0", Admin: "127.0.0.1:" + strconv.Itoa(admin),
		Routes: []load.Account{{SMSC: s.smsc.Addr, Binds: s.o.binds, Window: s.o.window}},
	}.Write(s.rig.Dir())
	if err != nil {
		return err
	}
	return load.Setup(ctx, bin.Shortwire, s.config)
}

// contend starts the worker or the floor.
func (s *stage) contend(bin *rig.Binaries, who string) (*rig.Proc, error) {
	if who == worker {
		return s.rig.Start(worker, load.Env(), bin.Shortwire, "run", "--config", s.config)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return s.rig.Start(floorName, nil, self, floorName, "--nats", s.nats.URL("nats"), "--redis", s.redis.Addr, "--smsc", s.smsc.Addr,
		"--binds", strconv.Itoa(s.o.binds), "--window", strconv.Itoa(s.o.window))
}

func backlog(n int) iter.Seq[load.Job] {
	return func(yield func(load.Job) bool) {
		for i := range n {
			if !yield(load.Single("b", i)) {
				return
			}
		}
	}
}

// sample is what the processes had used at a moment.
type sample struct {
	at    time.Time
	who   rig.Usage
	nats  time.Duration // CPU
	redis time.Duration // CPU
	smsc  time.Duration // CPU
	cmds  int64         // executed by Redis
}

func (s *stage) sample(ctx context.Context, p *rig.Proc) (sample, error) {
	out := sample{at: time.Now()}
	for q, use := range map[*rig.Proc]func(rig.Usage){
		p:            func(u rig.Usage) { out.who = u },
		s.nats.Proc:  func(u rig.Usage) { out.nats = u.CPU },
		s.redis.Proc: func(u rig.Usage) { out.redis = u.CPU },
		s.smsc.Proc:  func(u rig.Usage) { out.smsc = u.CPU },
	} {
		u, err := q.Usage()
		if err != nil {
			return out, err
		}
		use(u)
	}
	var err error
	out.cmds, err = s.redis.CommandsProcessed(ctx)
	return out, err
}

// watch measures from the last look that saw no submit_sm until the last receipt.
func (s *stage) watch(ctx context.Context, p *rig.Proc, who string) (*round, error) {
	var from sample
	err := p.Ready(ctx, func(ctx context.Context) error {
		now, err := s.sample(ctx, p)
		if err != nil {
			return err
		}
		stats, err := s.smsc.Stats(ctx)
		if err != nil {
			return err
		}
		if stats.Submits == 0 {
			from = now
			return errors.New("it has not submitted anything")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	counts, err := s.finish(ctx, p)
	if err != nil {
		return nil, err
	}
	to, err := s.sample(ctx, p)
	if err != nil {
		return nil, err
	}
	n := float64(s.o.jobs)
	res := &round{
		Who:           who,
		JobsPerSecond: n / counts.Last.Sub(from.at).Seconds(),
		Seconds:       counts.Last.Sub(from.at).Seconds(),
		CPUPerJob:     micros(to.who.CPU-from.who.CPU) / n,
		NATSPerJob:    micros(to.nats-from.nats) / n,
		RedisPerJob:   micros(to.redis-from.redis) / n,
		SMSCPerJob:    micros(to.smsc-from.smsc) / n,
		Commands:      float64(to.cmds-from.cmds) / n,
		PeakRSS:       float64(to.who.PeakRSS) / (1 << 20),
	}
	res.TotalPerJob = res.CPUPerJob + res.NATSPerJob + res.RedisPerJob + res.SMSCPerJob
	return res, nil
}

// finish waits until every job has its outcome and its receipt, or nothing has
// come for the stall time: what is missing then is found by audit.
func (s *stage) finish(ctx context.Context, p *rig.Proc) (load.Counts, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	told, moved := time.Now(), time.Now()
	var before load.Counts
	for {
		c, err := load.Count(ctx, s.js)
		if err != nil {
			return c, err
		}
		if want := int64(s.o.jobs); c.Outcomes >= want && c.Receipts >= want {
			return c, nil
		}
		if c != before {
			before, moved = c, time.Now()
		}
		if time.Since(moved) > s.o.stall {
			progress("nothing has come for %s, with %d outcomes and %d receipts\n%s", s.o.stall, c.Outcomes, c.Receipts, p.Tail(10))
			return c, nil
		}
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			progress("  %d outcomes, %d receipts", c.Outcomes, c.Receipts)
		}
		select {
		case <-ctx.Done():
			return c, context.Cause(ctx)
		case <-p.Done():
			return c, fmt.Errorf("%s ended before its work was done", p.Name())
		case <-tick.C:
		}
	}
}

// end stops the contender as an orchestrator would, and expects it to end well.
func (s *stage) end(ctx context.Context, p *rig.Proc) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 40*time.Second, errors.New("it did not end within 40 s"))
	defer cancel()
	code, err := p.Terminate(ctx)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("%s ended with code %d after SIGTERM", p.Name(), code)
	}
	return nil
}

// audit reads the whole results stream and asks the simulator what it saw.
func (s *stage) audit(ctx context.Context, res *round) error {
	jobs := make([]judge.Job, s.o.jobs)
	for i := range jobs {
		jobs[i] = judge.Job{ID: load.Single("b", i).ID, Parts: 1}
	}
	j := judge.New(jobs)
	if _, err := load.ReadResults(ctx, s.js, 1, j.Result); err != nil {
		return err
	}
	stats, err := s.smsc.Stats(ctx)
	if err != nil {
		return err
	}
	v := j.Verdict()
	for _, e := range v.Examples {
		progress("  broken: %s", e)
	}
	res.Lost = v.Lost + v.LostReceipts
	for kind, n := range v.Outcomes {
		if kind != "submitted" { // nothing here gives a reason for it
			progress("  broken: %d jobs are %s", n, kind)
			res.Lost += n
		}
	}
	res.Duplicates = int(stats.Submits) - int(stats.Unique) + v.TwoOutcomes + v.Stray
	if res.Lost+res.Duplicates > 0 {
		s.rig.Keep()
		progress("  logs kept in %s", s.rig.Dir())
	}
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
