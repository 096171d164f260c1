package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/bench/internal/trial"
)

const (
	lanesRate = 1000
	lanesHigh = lanesRate / 10 // high jobs per second
	lanesFor  = 20 * time.Second
	// mostSlower is how many times its idle value the p99 may be, beside the
	// cost of one window slot.
	mostSlower = 3
)

// lanesMode sends high jobs on an idle route and over a backlog of bulk jobs.
func lanesMode(ctx context.Context, o options, bin *rig.Binaries) (bool, error) {
	set := setting{
		redis: alone, nats: 1, latency: 20 * time.Millisecond,
		accounts: []load.Account{{Name: "alpha", Binds: 2, Window: 50, Rate: lanesRate, Burst: 20, ParkingTime: 10 * time.Second}},
	}
	return with(ctx, bin, set, func(s *stage) (bool, error) {
		if err := s.startWorkers(ctx, 2, 4); err != nil {
			return false, err
		}
		n := lanesHigh * int(lanesFor.Seconds())
		progress("%d high jobs at %d/s, idle route", n, lanesHigh)
		idle, err := s.publishHigh(ctx, "i", n)
		if err != nil {
			return false, err
		}
		progress("publishing %d bulk jobs", o.jobs)
		if err := load.Publish(ctx, s.js, trial.Plain("alpha", "bulk", "b", o.jobs), 0, func(int) {}); err != nil {
			return false, err
		}
		progress("%d high jobs at %d/s over the backlog", n, lanesHigh)
		loaded, err := s.publishHigh(ctx, "h", n)
		if err != nil {
			return false, err
		}
		left, err := load.Waiting(ctx, s.js, load.JobsOf("alpha"))
		if err != nil {
			return false, err
		}
		if err := s.endAll(ctx); err != nil {
			return false, err
		}
		return s.reportLanes(idle, loaded, n, left)
	})
}

// endAll stops workers and simulator without waiting for the backlog.
func (s *stage) endAll(ctx context.Context) error {
	for id, w := range s.workers {
		if err := w.Kill(); err != nil {
			return err
		}
		delete(s.workers, id)
	}
	return s.trial.End(ctx, nil)
}

// publishHigh publishes high jobs at an even pace, each when it is due, and
// returns when each was.
func (s *stage) publishHigh(ctx context.Context, run string, n int) (map[string]time.Time, error) {
	at := make(map[string]time.Time, n)
	var acks []jetstream.PubAckFuture
	begun, i := time.Now(), 0
	for job := range trial.Plain("alpha", "high", run, n) {
		if err := until(ctx, begun.Add(time.Duration(i)*time.Second/lanesHigh)); err != nil {
			return nil, err
		}
		at[job.ID] = time.Now()
		ack, err := s.js.PublishMsgAsync(job.Message())
		if err != nil {
			return nil, fmt.Errorf("publish a high job: %w", err)
		}
		acks, i = append(acks, ack), i+1
	}
	for _, a := range acks {
		select {
		case <-a.Ok():
		case err := <-a.Err():
			return nil, fmt.Errorf("publish a high job: %w", err)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return at, until(ctx, time.Now().Add(2*time.Second))
}

func (s *stage) reportLanes(idle, loaded map[string]time.Time, n int, left uint64) (bool, error) {
	f, err := os.Open(s.trial.Record)
	if err != nil {
		return false, fmt.Errorf("open the simulator's record: %w", err)
	}
	defer f.Close()
	seen := map[string]time.Time{}
	if err := judge.EachSubmit(f, func(job string, at time.Time) {
		if _, again := seen[job]; !again {
			seen[job] = at
		}
	}); err != nil {
		return false, err
	}
	var out verdicts
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\n== high jobs at %d/s on a route of %d/s, %d bulk jobs still waiting at the end\n", lanesHigh, lanesRate, left)
	fmt.Fprintf(t, "publish to submit_sm\tseen\tp50\tp99\tmost\n")
	var p99 [2]time.Duration
	for i, c := range []struct {
		name string
		at   map[string]time.Time
	}{{"idle route", idle}, {"bulk backlog", loaded}} {
		var waits []time.Duration
		for id, at := range c.at {
			if got, ok := seen[id]; ok {
				waits = append(waits, got.Sub(at))
			}
		}
		if len(waits) == 0 {
			return false, fmt.Errorf("%s: no high job arrived", c.name)
		}
		slices.Sort(waits)
		p99[i] = waits[len(waits)*99/100]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.name, out.say(len(waits) == n, "%d of %d", len(waits), n), ms(waits[len(waits)/2]), ms(p99[i]), ms(waits[len(waits)-1]))
	}
	slot := s.set.latency / time.Duration(s.set.accounts[0].Window) // a window of this many turns over in its latency
	fmt.Fprintf(t, "p99, loaded against idle\t%s\n", out.say(p99[1] <= mostSlower*p99[0]+slot, "%.1f times", float64(p99[1])/float64(p99[0])))
	if err := t.Flush(); err != nil {
		return false, err
	}
	return out.conclude(), nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
