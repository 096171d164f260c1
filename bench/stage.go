package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/peers"
)

// setting is what a round runs with.
type setting struct {
	label   string // names it in tables
	against string // label of the setting that it is compared with; empty for none
	who     string
	jobs    int
	routes  int           // the jobs are spread evenly over them
	workers int           // likewise
	binds   int           // of all routes and workers together
	window  int           // per bind
	parts   int           // of each job
	ucs2    bool          // UCS-2 in place of GSM 03.38
	latency time.Duration // of the SMSC
	rate    float64       // jobs/s that are published evenly; 0: a backlog, or all at once
	keys    int           // correlations in Redis from before
	times   bool          // record them
}

// jobPrefix begins the ids of all jobs.
const jobPrefix = "b"

// job is the i-th job as it is published.
func (s *setting) job(i int) load.Job {
	j := load.Single(jobPrefix, i)
	switch {
	case s.parts > 1:
		j = load.Multipart(jobPrefix, i, s.parts)
	case s.ucs2:
		j = load.Cyrillic(jobPrefix, i)
	}
	j.Route = routeName(i % s.routes)
	return j
}

func (s *setting) all() iter.Seq[load.Job] {
	return func(yield func(load.Job) bool) {
		for i := range s.jobs {
			if !yield(s.job(i)) {
				return
			}
		}
	}
}

// routeName is the name of the i-th route; the first has the usual one.
func routeName(i int) string {
	if i == 0 {
		return load.Route
	}
	return load.Route + strconv.Itoa(i+1)
}

// stage is what a round runs on.
type stage struct {
	*bench
	set     setting
	rig     *rig.Rig
	nats    *rig.Server
	redis   *rig.Server
	smsc    *rig.SMSC
	nc      *nats.Conn
	js      jetstream.JetStream
	results jetstream.Stream
	configs []string    // one for each worker
	admins  []string    // host:port, likewise
	who     []*rig.Proc // the contender
	apart   []*rig.Proc // what only joins it to NATS
	times   string      // file with the simulator's times
	keys    int         // correlations from before that Redis holds
}

// with makes a stage for run, and judges what run did on it.
func (b *bench) with(ctx context.Context, set setting, run runFunc) (res *round, err error) {
	r, err := rig.Open()
	if err != nil {
		return nil, err
	}
	s := &stage{bench: b, set: set, rig: r, times: filepath.Join(r.Dir(), "times")}
	defer func() {
		if s.nc != nil {
			s.nc.Close()
		}
		err = errors.Join(err, r.Close())
	}()
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	res, err = run(ctx, s)
	if err == nil {
		err = s.end(ctx)
	}
	if err != nil {
		for _, p := range slices.Concat(s.who, s.apart) {
			err = fmt.Errorf("%w\n%s", err, p.Tail(20))
		}
		return nil, err
	}
	res.Setting, res.Against, res.Who, res.Jobs, res.Parts, res.Offered = set.label, set.against, set.who, set.jobs, set.parts, set.rate
	return res, s.audit(ctx, res)
}

// start begins the servers and creates the streams.
func (s *stage) start(ctx context.Context) (err error) {
	if s.nats, err = s.rig.StartNATS(ctx, s.bin.NATS); err != nil {
		return err
	}
	if s.redis, err = s.rig.StartRedis(ctx, s.bin.Redis, rig.InMemory); err != nil {
		return err
	}
	flags := []string{"--receipts", "DELIVRD=100", "--receipt-delay", "0s", "--latency", s.set.latency.String()}
	if s.set.times {
		flags = append(flags, "--times", s.times)
	}
	if s.smsc, err = s.rig.StartSMSC(ctx, s.bin.SMSCSim, flags...); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	if err := load.Setup(ctx, s.bin.Shortwire, s.configs[0]); err != nil {
		return err
	}
	if s.nc, s.js, err = load.Connect(s.nats.URL("nats")); err != nil {
		return err
	}
	if s.results, err = s.js.Stream(ctx, load.Results); err != nil {
		return fmt.Errorf("find %s: %w", load.Results, err)
	}
	return nil
}

// octetsPerJob is more than a job takes in its stream.
const octetsPerJob = 1024

// reserve is how many octets the jobs of a route may take: all of a backlog, and
// of jobs that come evenly what waits when nobody keeps up.
func (s *setting) reserve() int64 {
	n := s.jobs
	if s.rate > 0 {
		n = min(n, 2_000_000)
	}
	return max(512<<20, int64(n)*octetsPerJob) / int64(s.routes)
}

// configure writes the configuration of each worker.
func (s *stage) configure() error {
	for n := range s.set.workers {
		admin, err := rig.FreePort()
		if err != nil {
			return err
		}
		s.admins = append(s.admins, "127.0.0.1:"+strconv.Itoa(admin))
		w := load.Worker{
			ID: "bench-" + strconv.Itoa(n+1), NATS: s.nats.URL("nats"), Redis: s.redis.URL("redis") + "/0",
			Admin: s.admins[n], MaxBytes: s.set.reserve(),
		}
		for i := range s.set.routes {
			w.Routes = append(w.Routes, load.Account{
				Name: routeName(i), SMSC: s.smsc.Addr, Binds: s.set.binds / s.set.routes / s.set.workers, Window: s.set.window,
			})
		}
		path, err := w.Write(s.rig.Dir())
		if err != nil {
			return err
		}
		s.configs = append(s.configs, path)
	}
	return nil
}

// backlog publishes all jobs before anybody takes them.
func (s *stage) backlog(ctx context.Context) error {
	told := time.Now()
	return load.Publish(ctx, s.js, s.set.all(), 0, func(n int) {
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			progress("  %d jobs published", n)
		}
	})
}

// contend starts the contender.
func (s *stage) contend(ctx context.Context) error {
	switch s.set.who {
	case worker:
		for n, config := range s.configs {
			p, err := s.rig.Start(worker+"-"+strconv.Itoa(n+1), load.Env(), s.bin.Shortwire, "run", "--config", config)
			if err != nil {
				return err
			}
			s.who = append(s.who, p)
		}
		return nil
	case floorName:
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		p, err := s.rig.Start(floorName, nil, self, floorName, "--nats", s.nats.URL("nats"), "--redis", s.redis.Addr, "--smsc", s.smsc.Addr,
			"--binds", strconv.Itoa(s.set.binds), "--window", strconv.Itoa(s.set.window))
		s.who = append(s.who, p)
		return err
	}
	return s.contendPeer(ctx)
}

func (s *stage) contendPeer(ctx context.Context) error {
	for _, p := range s.peers {
		if p.Name != s.set.who {
			continue
		}
		dir, err := s.rig.Subdir("peer")
		if err != nil {
			return err
		}
		all, err := p.Start(ctx, s.rig, peers.Where{
			NATS: s.nats.URL("nats"), Redis: s.redis.Addr, SMSC: s.smsc.Addr, SystemID: load.SystemID, Password: load.Password,
			Binds: s.set.binds, Window: s.set.window, Dir: dir,
		})
		for _, proc := range all {
			if peers.Counted(proc) {
				s.who = append(s.who, proc)
			} else {
				s.apart = append(s.apart, proc)
			}
		}
		return err
	}
	return fmt.Errorf("no peer is called %s", s.set.who)
}

// bound waits until the contender has all its binds.
func (s *stage) bound(ctx context.Context) error {
	return s.who[0].Ready(ctx, func(ctx context.Context) error {
		stats, err := s.smsc.Stats(ctx)
		if err == nil && stats.Binds < s.set.binds {
			err = fmt.Errorf("%d of %d bound", stats.Binds, s.set.binds)
		}
		return err
	})
}

// alive fails when a process of the contender ended by itself.
func (s *stage) alive() error {
	for _, p := range slices.Concat(s.who, s.apart) {
		select {
		case <-p.Done():
			return fmt.Errorf("%s ended before its work was done", p.Name())
		default:
		}
	}
	return nil
}

// end stops the contender as an orchestrator would, and expects it to end well.
func (s *stage) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 60*time.Second, errors.New("it did not end within 60 s"))
	defer cancel()
	for _, p := range slices.Concat(s.who, s.apart) {
		code, err := p.Terminate(ctx)
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("%s ended with code %d after SIGTERM", p.Name(), code)
		}
	}
	return nil
}
