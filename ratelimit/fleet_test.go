package ratelimit_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/ratelimit"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// worker takes from a Fleet as the turnstile does, as much as it gets, and
// writes down when.
type worker struct {
	fleet *ratelimit.Fleet
	stop  func()

	mu    sync.Mutex
	taken []time.Time // guarded by mu
}

func startWorker(t *testing.T, addr string, cfg ratelimit.FleetConfig) *worker {
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second})
	w := &worker{fleet: ratelimit.NewFleet(cfg, client)}
	renewed := make(chan struct{}, 1)
	w.fleet.Notify(func() {
		select {
		case renewed <- struct{}{}:
		default:
		}
	}, func() (int, bool) { return 256, true })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.fleet.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		timer := time.NewTimer(0)
		defer timer.Stop()
		for ctx.Err() == nil {
			wait := w.fleet.Take(1)
			if wait == 0 {
				w.mu.Lock()
				w.taken = append(w.taken, time.Now())
				w.mu.Unlock()
				continue
			}
			timer.Reset(wait)
			select {
			case <-renewed:
			case <-timer.C:
			case <-ctx.Done():
			}
		}
	})
	w.stop = sync.OnceFunc(func() { cancel(); wg.Wait(); _ = client.Close() })
	t.Cleanup(w.stop)
	return w
}

func (w *worker) times() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.taken)
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still waiting until %s", what)
		}
	}
}

// judge checks every window of at least a second of what all took.
func judge(t *testing.T, rate float64, burst int, all ...[]time.Time) {
	t.Helper()
	times := slices.SortedFunc(slices.Values(slices.Concat(all...)), time.Time.Compare)
	for first := range times {
		for last := first + burst; last < len(times); last++ {
			d := times[last].Sub(times[first])
			if d < time.Second {
				continue
			}
			if n := last - first + 1; float64(n) > rate*d.Seconds()+float64(burst) {
				t.Fatalf("%d tokens in %v at %v/s with a burst of %d", n, d, rate, burst)
			}
		}
	}
}

func TestWorkersShareOneLimitThatNoWindowExceeds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const rate, burst = 500, 50
	cfg := ratelimit.FleetConfig{Route: "acme", Limits: ratelimit.Limits{Rate: rate, Burst: burst}}
	var workers []*worker
	total := func() (n int, all [][]time.Time) {
		for _, w := range workers {
			got := w.times()
			n, all = n+len(got), append(all, got)
		}
		return n, all
	}
	began := time.Now()
	for _, n := range []int{300, 700, 1100, 1500} { // one after another joins, the first leaves
		workers = append(workers, startWorker(t, server.Addr, cfg))
		until(t, "more is taken", func() bool { got, _ := total(); return got >= n })
	}
	workers[0].stop()
	until(t, "the others go on", func() bool { got, _ := total(); return got >= 2000 })
	took := time.Since(began)
	n, all := total()
	judge(t, rate, burst, all...)
	for i, w := range workers {
		s := w.fleet.Status()
		t.Logf("worker %d: %d taken, %+v", i, len(all[i]), s)
		if perSecond := float64(s.Calls) / took.Seconds(); perSecond > 25 {
			t.Errorf("worker %d: %.1f calls/s", i, perSecond)
		}
	}
	t.Logf("%.1f %% of the limit used", 100*float64(n)/took.Seconds()/rate)
}

func TestALostRedisStopsLeasesAndItsReturnBringsNoBurst(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const rate, burst = 500, 50
	cfg := ratelimit.FleetConfig{Route: "acme", Limits: ratelimit.Limits{Rate: rate, Burst: burst}}
	own := cfg
	own.Limits.WithoutRedis = 100
	none, static := startWorker(t, server.Addr, cfg), startWorker(t, server.Addr, own)
	until(t, "both have tokens", func() bool { return len(none.times()) > 50 && len(static.times()) > 50 })
	server.Stop()
	until(t, "both know", func() bool {
		return none.fleet.Status().Reason == "redis_away" && static.fleet.Status().Reason == "redis_away" && none.fleet.CutOff()
	})
	before, beforeStatic := len(none.times()), len(static.times())
	until(t, "the one goes on alone", func() bool { return len(static.times()) > beforeStatic+60 })
	if n := len(none.times()) - before; n > 0 {
		t.Errorf("%d tokens without Redis and without a share of its own", n)
	}
	server.Restart()
	until(t, "both have leases again", func() bool {
		return len(none.times()) > before+300 && static.fleet.Status().Reason == "configured" && len(static.times()) > beforeStatic+300
	})
	judge(t, rate, burst, none.times(), static.times())
}

func TestAStalledRedisBringsNoBurst(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const rate, burst = 500, 50
	cfg := ratelimit.FleetConfig{Route: "acme", Limits: ratelimit.Limits{Rate: rate, Burst: burst}}
	a, b := startWorker(t, server.Addr, cfg), startWorker(t, server.Addr, cfg)
	for i := range 3 {
		n := len(a.times())
		until(t, "there are tokens", func() bool { return len(a.times()) > n+200 })
		resume := server.Stall()
		until(t, "both know", func() bool { return a.fleet.CutOff() && b.fleet.CutOff() })
		if i == 2 {
			resume()
			break
		}
		resume()
	}
	n := len(a.times())
	until(t, "there are tokens again", func() bool { return len(a.times()) > n+300 })
	judge(t, rate, burst, a.times(), b.times())
}

func TestAnUnlimitedRouteCallsNobodyUntilItIsThrottled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	f := ratelimit.NewFleet(ratelimit.FleetConfig{Route: "acme"}, client)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	for range 1000 {
		if wait := f.Take(1); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
		f.Accepted(time.Now())
	}
	if s := f.Status(); s.Calls != 0 || s.Reason != "unlimited" || f.Burst() != 0 {
		t.Errorf("%+v, burst %d", s, f.Burst())
	}
	for range 500 {
		f.Throttled(time.Now())
	}
	if f.Take(1) == 0 {
		t.Error("it goes on as if nothing had been")
	}
	until(t, "the fleet has decided", func() bool { return f.Status().Reason == "throttled" })
	if s := f.Status(); s.Effective < 1 || s.Effective > 6000 {
		t.Errorf("%+v", s)
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	f := ratelimit.NewFleet(ratelimit.FleetConfig{Route: "acme"}, nil)
	limited := ratelimit.NewFleet(ratelimit.FleetConfig{Route: "acme", Limits: ratelimit.Limits{Rate: 10}}, nil)
	if n := testing.AllocsPerRun(1000, func() { f.Take(1); f.Accepted(time.Now()); limited.Take(1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
