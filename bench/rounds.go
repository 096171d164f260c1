package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// drain publishes a backlog, then starts the contender and measures from the
// last look that saw no submit_sm until the last receipt is stored.
func drain(ctx context.Context, s *stage) (*round, error) {
	if err := s.fillKeys(ctx); err != nil {
		return nil, err
	}
	if err := s.backlog(ctx); err != nil {
		return nil, err
	}
	if err := s.contend(ctx); err != nil {
		return nil, err
	}
	var from sample
	err := s.who[0].Ready(ctx, func(ctx context.Context) error {
		now, err := s.sample(ctx)
		if err != nil {
			return err
		}
		stats, err := s.smsc.Stats(ctx)
		if err != nil {
			return err
		}
		if stats.Submits == 0 || from.at.IsZero() {
			from = now
		}
		if stats.Submits == 0 {
			return errors.New("it has not submitted anything")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	res, err := s.measure(ctx, from, s.set.jobs)
	if err == nil && res.first.Before(from.at) { // it had submitted before the first look
		res.since(res.first, s.set.jobs)
	}
	return res, err
}

// measure waits until everything has come and enters rate and cost since then.
func (s *stage) measure(ctx context.Context, from sample, n int) (*round, error) {
	c, err := s.finish(ctx, s.set.jobs, s.set.jobs*s.set.parts)
	if err != nil {
		return nil, err
	}
	to, err := s.sample(ctx)
	if err != nil {
		return nil, err
	}
	res := &round{first: c.First, last: c.Last}
	res.since(from.at, n)
	res.cost(from, to, n)
	return res, nil
}

// since enters the rate of n jobs from a moment until the last receipt.
func (r *round) since(began time.Time, n int) {
	r.Seconds = r.last.Sub(began).Seconds()
	r.JobsPerSecond = float64(n) / r.Seconds
}

// storm has the SMSC keep all receipts back until every job is submitted, and
// measures how fast they go through with nothing else to do. Its jobs are receipts.
func storm(ctx context.Context, s *stage) (*round, error) {
	if err := s.smsc.Tell(ctx, "/hold"); err != nil {
		return nil, err
	}
	if err := s.backlog(ctx); err != nil {
		return nil, err
	}
	if err := s.contend(ctx); err != nil {
		return nil, err
	}
	if _, err := s.finish(ctx, s.set.jobs, 0); err != nil {
		return nil, err
	}
	if err := load.Pause(ctx, s.o.idle()); err != nil {
		return nil, err
	}
	from, err := s.sample(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.smsc.Tell(ctx, "/release"); err != nil {
		return nil, err
	}
	return s.measure(ctx, from, s.set.jobs*s.set.parts)
}

// idle is how long a system rests before what comes out of the blue.
func (o *options) idle() time.Duration {
	if o.quick {
		return 200 * time.Millisecond
	}
	return 2 * time.Second
}

// paced publishes at an even rate, or all at once, while the contender runs.
func paced(ctx context.Context, s *stage) (*round, error) { return s.pace(ctx, 0) }

// pace is paced that also looks every so often, if not 0, at what the processes hold.
func (s *stage) pace(ctx context.Context, every time.Duration) (*round, error) {
	if err := s.contend(ctx); err != nil {
		return nil, err
	}
	if err := s.bound(ctx); err != nil {
		return nil, err
	}
	if err := load.Pause(ctx, s.o.idle()); err != nil {
		return nil, err
	}
	from, err := s.sample(ctx)
	if err != nil {
		return nil, err
	}
	t := newTimes(s.set.jobs)
	var looks []sample
	g, gctx := errgroup.WithContext(ctx)
	published := make(chan struct{}) // closed once all are
	g.Go(func() error {
		defer close(published)
		return load.Pace(gctx, s.nc, s.set.all(), s.set.rate, t.publish)
	})
	g.Go(func() (err error) {
		looks, err = s.look(gctx, every, published)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	waiting, err := s.waiting(ctx)
	if err != nil {
		return nil, err
	}
	res, err := s.measure(ctx, from, s.set.jobs)
	if err != nil {
		return nil, err
	}
	res.Waiting, res.times = waiting, t
	res.drift(from, looks, s.set.rate)
	return res, nil
}

// look samples every so often until published is closed.
func (s *stage) look(ctx context.Context, every time.Duration, published <-chan struct{}) ([]sample, error) {
	if every == 0 {
		return nil, nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var out []sample
	for {
		select {
		case <-published:
			return out, nil
		case <-ctx.Done():
			return out, context.Cause(ctx)
		case <-tick.C:
		}
		now, err := s.sample(ctx)
		if err != nil {
			return out, err
		}
		out = append(out, now)
		progress("  after %s: worker %.0f MiB, NATS %.0f, Redis %.0f", (time.Duration(len(out)) * every).Round(time.Second),
			mib(now.who.RSS), mib(now.nats.RSS), mib(now.redis.RSS))
		if err := s.alive(); err != nil {
			return out, err
		}
	}
}

// waiting is how many jobs nobody has taken and finished yet.
func (s *stage) waiting(ctx context.Context) (int, error) {
	sum := 0
	for i := range s.set.routes {
		n, err := load.Waiting(ctx, s.js, load.JobsOf(routeName(i)))
		if err != nil {
			return 0, err
		}
		sum += int(n)
	}
	return sum, nil
}

// long is paced, with a look at memory and latency every minute.
func long(ctx context.Context, s *stage) (*round, error) {
	return s.pace(ctx, min(time.Minute, s.o.long/2))
}

// drift enters what the looks saw.
func (r *round) drift(from sample, looks []sample, rate float64) {
	for _, now := range looks {
		jobs := rate * now.at.Sub(from.at).Seconds()
		r.Drift = append(r.Drift, drift{
			Seconds: now.at.Sub(r.times.began()).Seconds(),
			Worker:  mib(now.who.RSS), NATS: mib(now.nats.RSS), Redis: mib(now.redis.RSS), CPUPerJob: micros(now.who.CPU-from.who.CPU) / jobs,
		})
		from = now
	}
}
