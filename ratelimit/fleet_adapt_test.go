package ratelimit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// carrier is an SMSC that enforces a limit of its own and answers after a while.
type carrier struct {
	limit   *rate.Limiter
	latency time.Duration
	jitter  time.Duration // beyond latency at most
	answers []carried
	took    int
	refused int
}

type carried struct {
	by        *simulated
	at        time.Duration
	sent      time.Time
	throttled bool
}

// takes has the workers send to the carrier, with no more than window unanswered each.
func (w *world) takes(c *carrier, window int) {
	of := func(s *simulated) int {
		if s.window > 0 {
			return s.window
		}
		return window
	}
	open := make(map[*simulated]int)
	w.smsc = func(s *simulated, n int) {
		for range n {
			throttled := c.limit != nil && !c.limit.AllowN(w.start.Add(w.now), 1)
			if throttled {
				c.refused++
			} else {
				c.took++
			}
			open[s]++
			s.full = open[s] >= of(s)
			late := time.Duration(w.rng.Int64N(int64(c.jitter) + 1))
			c.answers = append(c.answers, carried{s, w.now + c.latency + late, s.at(w), throttled})
		}
	}
	w.each = func() {
		c.answers = slices.DeleteFunc(c.answers, func(a carried) bool {
			if a.at > w.now {
				return false
			}
			open[a.by]--
			t := a.by.tenant
			switch {
			case !a.throttled:
				if a.sent.After(t.since) {
					t.report.accepted++
				}
			default:
				t.throttled(a.sent)
				a.by.waiting++
			}
			return true
		})
		for _, s := range w.workers {
			if !s.tenant.limited && s.at(w).Sub(s.tenant.report.begun) >= rolling {
				s.tenant.report.roll(s.at(w))
			}
			s.full = open[s] >= of(s)
		}
	}
}

func TestAnUnannouncedLimitIsFoundAndKept(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	for _, configured := range []float64{1000, 0} {
		for _, n := range []int{1, 4} {
			latency := 5 * time.Millisecond
			if (n == 1) == (configured == 0) {
				latency = 500 * time.Millisecond
			}
			l := Limits{Rate: configured}.withDefaults()
			w := newWorld(t, client, 5, l)
			c := &carrier{limit: rate.NewLimiter(200, 20), latency: latency}
			w.takes(c, max(100, int(latency/time.Millisecond)))
			for range n {
				w.add(endless)
			}
			w.run(15 * time.Second)
			took, refused := c.took, c.refused
			w.run(30 * time.Second)
			accepted := float64(c.took-took) / 30
			share := float64(c.refused-refused) / float64(c.took-took+c.refused-refused)
			what := fmt.Sprintf("rate %v, %d workers, answers after %v", configured, n, latency)
			t.Logf("%s: first %d of %d throttled; then %.2f %% throttled, %.1f/s accepted", what, refused, took+refused, 100*share, accepted)
			if share > 0.02 {
				t.Errorf("%s: %.2f %% throttled, want at most 2 %%", what, 100*share)
			}
			if accepted < 180 {
				t.Errorf("%s: %.1f/s accepted, want 180", what, accepted)
			}
			c.limit = nil
			w.run(50 * time.Second)
			for _, s := range w.workers {
				if e := s.tenant.known.effective; e != 0 {
					t.Errorf("%s: 50 s after the limit went away the rate is %v", what, e)
				}
			}
		}
	}
}

func TestARecipientsFullQueueDoesNotStopARoute(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	w := newWorld(t, client, 5, Limits{Rate: 200, Burst: 20})
	c := &carrier{latency: 10 * time.Millisecond}
	w.takes(c, 100)
	inner := w.smsc
	w.smsc = func(s *simulated, n int) {
		if w.rng.Float64() < 0.2 { // whatever the rate
			c.limit = rate.NewLimiter(0, 0)
		}
		inner(s, n)
		c.limit = nil
	}
	w.add(endless)
	w.run(60 * time.Second)
	before := c.took
	w.run(20 * time.Second)
	if got := float64(c.took-before) / 20; got < 100 {
		t.Errorf("%.1f/s go through, of 160/s that would", got)
	}
}

func TestNothingGoesThroughLeavesATrickleAndComesBack(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	w := newWorld(t, client, 5, Limits{Rate: 500, Burst: 50})
	c := &carrier{limit: rate.NewLimiter(0, 0), latency: 10 * time.Millisecond}
	w.takes(c, 100)
	w.add(endless)
	w.run(60 * time.Second)
	if c.refused > 1500 {
		t.Errorf("%d messages were throttled in a minute, want pauses", c.refused)
	}
	if why := w.workers[0].tenant.known.reason; why != "throttled" {
		t.Errorf("reason %q", why)
	}
	c.limit = nil
	w.run(120 * time.Second)
	if e := w.workers[0].tenant.known.effective; e != 0 {
		t.Errorf("two minutes after it went away the rate is %v", e)
	}
}

func TestCongestionSlowsTheFleet(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	w := newWorld(t, client, 5, Limits{Rate: 500, Burst: 50})
	c := &carrier{latency: 10 * time.Millisecond}
	w.takes(c, 100)
	w.add(endless)
	w.add(endless)
	w.run(2 * time.Second)
	w.workers[0].tenant.report.congestion = 95
	w.run(500 * time.Millisecond)
	before := c.took
	w.run(time.Second)
	got := c.took - before
	if got < 350 || got > 430 {
		t.Errorf("%d/s after congestion_state 95 at 500/s, want about 400", got)
	}
	if why := w.workers[1].tenant.known.reason; why != "congestion" {
		t.Errorf("the other worker's reason is %q", why)
	}
	for range 20 {
		w.workers[1].tenant.report.congestion = 85
		w.run(500 * time.Millisecond)
	}
	if e := w.workers[0].tenant.known.effective; e > 430 {
		t.Errorf("the rate grew to %v at the optimum load", e)
	}
	w.run(40 * time.Second)
	if e := w.workers[0].tenant.known.effective; e != 0 {
		t.Errorf("40 s after the congestion the rate is %v", e)
	}
}

func TestAWorkerWithASmallWindowLeavesTheRestToOthers(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	for _, n := range []int{2, 4, 8} {
		for _, jitter := range []time.Duration{0, 10 * time.Millisecond, 30 * time.Millisecond} {
			w := newWorld(t, client, 5, Limits{Rate: 400, Burst: 20})
			c := &carrier{latency: 20 * time.Millisecond, jitter: jitter}
			w.takes(c, 50)
			for i := range n {
				w.add(endless).window = i % 2 // 50/s at most
			}
			w.run(3 * time.Second)
			before := c.took
			w.run(10 * time.Second)
			what := fmt.Sprintf("%d workers, every second with a window of 1, answers after 20 ms to %v", n, c.latency+jitter)
			w.judge(what)
			used := float64(c.took-before) / 10 / 400
			t.Logf("%s: %.1f %% used", what, 100*used)
			if used < 0.97 {
				t.Errorf("%s: %.1f %% of the limit used, want 97 %%", what, 100*used)
			}
		}
	}
}

func TestAnSMSCThatStoodStillIsUsedFullyAtOnce(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	for _, n := range []int{1, 4} {
		w := newWorld(t, client, 5, Limits{Rate: 400, Burst: 20})
		c := &carrier{latency: 20 * time.Millisecond}
		w.takes(c, 20)
		for range n {
			w.add(endless)
		}
		w.run(3 * time.Second)
		for range 3 {
			for c.latency = time.Second; c.latency > 20*time.Millisecond; c.latency -= 10 * time.Millisecond {
				w.run(10 * time.Millisecond)
			}
			w.run(200 * time.Millisecond)
			before := c.took
			w.run(2 * time.Second)
			if used := float64(c.took-before) / 2 / 400; used < 0.95 {
				t.Errorf("%d workers: %.1f %% of the limit used after a second without answers, want 95 %%", n, 100*used)
			}
		}
	}
}

func TestARateThatIsAlmostFoundAgainKeepsToTheBurst(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	for _, l := range []Limits{{Rate: 500, Burst: 1}, {Rate: 500, Burst: 10}, {Rate: 100, Burst: 1}} {
		w := newWorld(t, client, 9, l)
		idle := true
		s := w.add(func(time.Duration) int {
			if idle {
				return 0
			}
			return 3
		})
		s.waiting = 1
		w.run(time.Second)
		found := 0.98 * s.tenant.terms.rate
		grown := w.start.Add(w.now).UnixMicro()
		if err := client.HSet(t.Context(), s.fleet.keys[0], "rate", found, "top", found, "grown", grown, "why", "throttled").Err(); err != nil {
			t.Fatal(err)
		}
		w.run(200 * time.Millisecond) // tokens come together
		idle = false
		w.run(300 * time.Millisecond)
		if why := s.tenant.known.reason; why != "throttled" {
			t.Fatalf("the reason is %q", why)
		}
		w.run(1200 * time.Millisecond)
		w.judge(fmt.Sprintf("%.1f/s of %v, burst %d", found, l.Rate, l.Burst))
	}
}

func TestAMomentOfNothingIsNotTakenForTheLimit(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	for _, configured := range []float64{1000, 0} {
		w := newWorld(t, client, 5, Limits{Rate: configured}.withDefaults())
		c := &carrier{limit: rate.NewLimiter(200, 20), latency: 20 * time.Millisecond}
		w.takes(c, 50)
		for range 4 {
			w.add(endless)
		}
		w.run(15 * time.Second)
		c.limit.SetLimitAt(w.start.Add(w.now), 10)
		w.run(2 * time.Second)
		c.limit.SetLimitAt(w.start.Add(w.now), 200)
		w.run(15 * time.Second)
		took, refused := c.took, c.refused
		w.run(10 * time.Second)
		accepted := float64(c.took-took) / 10
		share := float64(c.refused-refused) / float64(c.took-took+c.refused-refused)
		if accepted < 180 || share > 0.02 {
			t.Errorf("rate %v: 15 s after a stall of 2 s %.1f/s are accepted and %.2f %% throttled", configured, accepted, 100*share)
		}
	}
}
