package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// world is workers that share a route, on a clock that the test moves, with
// fleetScript in a real Redis. What they send is written down.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	redis   redis.UniversalClient
	limits  Limits
	start   time.Time
	now     time.Duration // since start
	workers []*simulated
	sent    []time.Duration // arrivals at the SMSC
	calls   int
	away    bool          // Redis
	offset  time.Duration // of Redis's clock
	trip    time.Duration
	late    time.Duration // the longest from a token to the SMSC
	utmost  bool          // and what else a token that was taken early may take
	stalled time.Duration // what is taken before arrives then, or late
	smsc    func(s *simulated, n int)
	each    func() // step
}

// simulated is one worker.
type simulated struct {
	fleet   *Fleet // for its call
	tenant  *tenant
	demand  func(now time.Duration) int // tokens that jobs wait for, more of them
	waiting int
	parts   int
	skew    time.Duration // of its clock: any
	dead    bool
	full    bool // its window
	crowded bool // and since its last call
	window  int  // 0 is the carrier's
	sent    int

	pressing func(now time.Duration) bool // an urgent message comes; nil: none does
	urgent   []time.Duration              // when those came that wait
	soon     time.Duration                // when the first may go
	waits    []time.Duration              // of those that went

	turn    time.Duration // when it tries to take again
	arrives time.Duration // of an answer; 0 when none is under way
	request request
	answer  answer
	err     error
}

const step = 500 * time.Microsecond

func (w *world) add(demand func(time.Duration) int) *simulated {
	s := &simulated{
		fleet:  NewFleet(FleetConfig{Route: "acme", Limits: w.limits}, w.redis),
		demand: demand, parts: 1, skew: time.Duration(w.rng.Int64N(int64(time.Hour))),
	}
	s.tenant = s.fleet.tenant
	s.tenant.report.begun = s.at(w)
	w.workers = append(w.workers, s)
	return s
}

func (s *simulated) at(w *world) time.Time { return w.start.Add(w.now + s.skew) }

// run moves the clock.
func (w *world) run(d time.Duration) {
	for end := w.now + d; w.now < end; w.now += step {
		if w.each != nil {
			w.each()
		}
		for _, s := range w.workers {
			if !s.dead {
				s.step(w)
			}
		}
	}
}

func (s *simulated) step(w *world) {
	now := s.at(w)
	s.waiting += s.demand(w.now)
	if s.arrives > 0 && w.now >= s.arrives {
		s.arrives = 0
		if s.err != nil {
			s.tenant.failed(now, s.request)
		} else {
			s.tenant.answered(now, s.request, s.answer)
		}
		s.turn, s.soon = 0, 0
	}
	s.crowded = s.crowded || s.full
	s.sendUrgent(w, now)
	for w.now >= s.turn && s.waiting >= s.parts && !s.full {
		wait := s.tenant.take(now, s.parts, false)
		if wait > 0 {
			s.turn = w.now + wait
			break
		}
		s.waiting -= s.parts
		delay := w.delay(s)
		for range s.parts {
			w.sent = append(w.sent, w.now+delay)
		}
		s.sent += s.parts
		if w.smsc != nil {
			w.smsc(s, s.parts)
		}
	}
	if s.arrives > 0 {
		return
	}
	if at, ok := s.tenant.due(now); ok && !at.After(now) {
		s.call(w, now)
	}
}

// delay is how long after its tokens a message reaches the SMSC.
func (w *world) delay(s *simulated) time.Duration {
	late := w.late
	if w.utmost {
		late += s.tenant.purse.early
	}
	return max(time.Duration(w.rng.Int64N(int64(late)+1)), min(w.stalled-w.now, late))
}

// sendUrgent sends those first, one token each.
func (s *simulated) sendUrgent(w *world, now time.Time) {
	if s.pressing != nil && s.pressing(w.now) {
		s.urgent = append(s.urgent, w.now)
	}
	for w.now >= s.soon && len(s.urgent) > 0 && !s.full {
		if wait := s.tenant.take(now, 1, true); wait > 0 {
			s.soon = w.now + wait
			return
		}
		s.waits = append(s.waits, w.now-s.urgent[0])
		s.urgent = s.urgent[1:]
		w.sent = append(w.sent, w.now+w.delay(s))
		s.sent++
	}
}

// call asks Redis, whose clock is the world's. Half of the trip, more or less,
// is over when it runs.
func (s *simulated) call(w *world, now time.Time) {
	r, ok := s.tenant.ask(now, s.waiting+len(s.urgent), !s.crowded)
	s.crowded = s.full
	if !ok {
		return
	}
	s.request = r
	there := time.Duration(w.rng.Int64N(int64(w.trip) + 1))
	s.arrives = w.now + w.trip
	if w.away {
		s.err = context.DeadlineExceeded
		return
	}
	w.calls++
	clock := w.start.UnixMicro() + (w.now + there + w.offset).Microseconds()
	s.answer, s.err = s.fleet.call(w.t.Context(), s.tenant.limits, s.tenant.terms, s.request, clock)
	if s.err != nil {
		w.t.Fatal(s.err)
	}
}

// worst returns the most that arrived in any window of d, and where.
func (w *world) worst(d time.Duration) (most int, at time.Duration) {
	slices.Sort(w.sent)
	first := 0
	for last := range w.sent {
		for w.sent[last]-w.sent[first] > d {
			first++
		}
		if n := last - first + 1; n > most {
			most, at = n, w.sent[first]
		}
	}
	return most, at
}

// judge checks every window of a second and more.
func (w *world) judge(what string) {
	w.t.Helper()
	for _, d := range []time.Duration{time.Second, 1500 * time.Millisecond, 2 * time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second} {
		most, at := w.worst(d)
		if allowed := w.limits.Rate*d.Seconds() + float64(w.limits.Burst); float64(most) > allowed+1e-6 {
			w.t.Errorf("%s: %d tokens in the %v from %v on, allowed are %.1f", what, most, d, at, allowed)
		}
	}
}

func newWorld(t testing.TB, client redis.UniversalClient, seed uint64, l Limits) *world {
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), redis: client, limits: l,
		start: time.Now(), trip: 2 * time.Millisecond,
	}
}

func testRedis(t testing.TB) redis.UniversalClient {
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// endless is more work than can be done.
func endless(time.Duration) int { return 3 }

func TestASaturatedLimitIsUsedUpByAnyNumberOfWorkers(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	for _, l := range []Limits{{Rate: 500, Burst: 50}, {Rate: 500, Burst: 1}, {Rate: 20, Burst: 1}, {Rate: 2000, Burst: 100}, {Rate: 2, Burst: 1}} {
		for _, n := range []int{1, 2, 4, 8} {
			w := newWorld(t, client, 1, l)
			w.late = 2 * time.Millisecond
			for range n {
				w.add(endless)
			}
			w.run(2 * time.Second)
			before, calls := len(w.sent), w.calls
			const d = 5 * time.Second
			w.run(d)
			what := fmt.Sprintf("rate %v, burst %d, %d workers", l.Rate, l.Burst, n)
			w.judge(what)
			used := float64(len(w.sent)-before) / d.Seconds() / l.Rate
			each := float64(w.calls-calls) / d.Seconds() / float64(n)
			least, most := 1<<30, 0
			for _, s := range w.workers {
				least, most = min(least, s.sent), max(most, s.sent)
			}
			t.Logf("%s: %.1f %% used, %.1f calls/s each, %d..%d sent", what, 100*used, each, least, most)
			if used < 0.97 {
				t.Errorf("%s: %.1f %% of the limit used, want 97 %%", what, 100*used)
			}
			if each > 25 {
				t.Errorf("%s: %.1f calls/s of each worker, want at most 25", what, each)
			}
			if float64(least) < 0.8*float64(most)-4 {
				t.Errorf("%s: workers sent %d..%d: not fair", what, least, most)
			}
		}
	}
}

func TestIdleWorkersLeaveTheLimitToBusyOnes(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	l := Limits{Rate: 1000, Burst: 100}
	for _, light := range []float64{1, 10, 50} {
		w := newWorld(t, client, 7, l)
		w.add(endless)
		for range 7 {
			w.add(func(time.Duration) int {
				if w.rng.Float64() < light*step.Seconds() {
					return 1
				}
				return 0
			})
		}
		w.run(2 * time.Second)
		before := len(w.sent)
		w.run(6 * time.Second)
		w.judge("uneven load")
		used := float64(len(w.sent)-before) / 6 / l.Rate
		behind := 0
		for _, s := range w.workers[1:] {
			behind = max(behind, s.waiting)
		}
		t.Logf("seven workers at %v/s each: %.1f %% used, at most %d wait", light, 100*used, behind)
		if used < 0.97 {
			t.Errorf("seven workers at %v/s: %.1f %% of the limit used, want 97 %%", light, 100*used)
		}
		if float64(behind) > 1+light/3 {
			t.Errorf("seven workers at %v/s: %d jobs wait with one, though it asks for less than its share", light, behind)
		}
	}
}

func TestALoneJobWaitsForOneRoundTrip(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	w := newWorld(t, client, 3, Limits{Rate: 500, Burst: 50})
	var at time.Duration
	w.add(func(now time.Duration) int {
		if at != 0 && now == at {
			return 1
		}
		return 0
	})
	w.workers[0].waiting = 1 // the first finds an unknown route
	w.run(time.Second)
	for range 20 {
		before, calls := len(w.sent), w.calls
		at = w.now
		w.run(time.Second)
		if len(w.sent) != before+1 || w.calls != calls+1 {
			t.Fatalf("%d sent with %d calls, want one with one", len(w.sent)-before, w.calls-calls)
		}
		if took := w.sent[before] - at; took > w.trip+step {
			t.Errorf("a lone job waited %v, want the round trip of %v", took, w.trip)
		}
	}
}

func TestAClockOfRedisThatIsSetChangesNothingForLong(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	for _, offset := range []time.Duration{time.Hour, -time.Hour, time.Minute, -time.Minute} {
		w := newWorld(t, client, 4, Limits{Rate: 500, Burst: 50})
		for range 8 {
			w.add(endless)
		}
		w.run(2 * time.Second)
		w.offset = offset
		for _, s := range w.workers[1:] {
			s.dead = true
		}
		w.run(2 * time.Second)
		before := len(w.sent)
		w.run(3 * time.Second)
		what := fmt.Sprintf("a clock set by %v", offset)
		w.judge(what)
		if used := float64(len(w.sent)-before) / 3 / 500; used < 0.97 {
			t.Errorf("%s: the worker that is left uses %.1f %% of the limit, want 97 %%", what, 100*used)
		}
	}
}

// TestNoScheduleExceedsTheLimit draws workers that come and go and die, work in
// bursts, delays that end together, and a Redis that goes away, forgets everything
// or is replaced by one that lacks the last writes.
func TestNoScheduleExceedsTheLimit(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	runs := 30
	if testing.Short() {
		runs = 10
	}
	for range runs {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 2))
		l := Limits{Rate: []float64{2, 15, 100, 500, 2000}[rng.IntN(5)]}
		l.Burst = []int{1, 1, 5, max(1, int(l.Rate/10)), max(1, int(l.Rate))}[rng.IntN(5)]
		w := newWorld(t, client, seed, l)
		terms := l.terms()
		w.trip = time.Duration(rng.Int64N(int64(6 * time.Millisecond)))
		w.late, w.utmost = max(0, terms.kept()-w.trip-2*step), true
		burstTerms := max(1, int(terms.capacity))
		for range 1 + rng.IntN(8) {
			w.draw(rng, burstTerms)
		}
		for range 20 {
			w.run(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
			if rng.IntN(2) == 0 { // what waits, for a claim say, goes out at once
				w.stalled = w.now + w.late + time.Duration(rng.Int64N(int64(100*time.Millisecond)))
			}
			switch rng.IntN(8) {
			case 0:
				w.away = !w.away
			case 1:
				if err := client.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			case 2:
				w.workers[rng.IntN(len(w.workers))].dead = true
			case 3:
				w.draw(rng, burstTerms)
			case 4:
				w.failover(time.Duration(rng.Int64N(int64(time.Second))), 250*time.Millisecond+time.Duration(rng.Int64N(int64(500*time.Millisecond))))
			}
		}
		w.judge(fmt.Sprintf("seed %d, rate %v, burst %d, %d workers, late %v", seed, l.Rate, l.Burst, len(w.workers), w.late))
		if t.Failed() {
			return
		}
	}
}

// failover has a replica take over, after a while without any, that lacks what
// was written in the time of lag before.
func (w *world) failover(lag, gap time.Duration) {
	ctx, key := w.t.Context(), w.workers[0].fleet.keys[0]
	state, err := w.redis.Dump(ctx, key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		w.t.Fatal(err)
	}
	w.run(lag)
	w.away = true
	w.run(gap)
	w.away = false
	if state == "" {
		err = w.redis.Del(ctx, key).Err()
	} else {
		err = w.redis.RestoreReplace(ctx, key, 0, state).Err()
		w.redis.HSet(ctx, key, "master", "another")
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// draw adds a worker with work of its own kind.
func (w *world) draw(rng *rand.Rand, burst int) {
	every := time.Duration(rng.Int64N(int64(2 * time.Second)))
	share, most := rng.Float64(), 1+rng.IntN(50)
	s := w.add(func(now time.Duration) int {
		switch {
		case share < 0.4:
			return 2
		case every > 0 && (now/every)%2 == 0 && w.rng.Float64() < share/20:
			return w.rng.IntN(most)
		}
		return 0
	})
	s.parts = 1 + rng.IntN(min(burst, 4))
	if rng.IntN(2) == 0 {
		w.urgentEvery(time.Duration(1 + rng.Int64N(int64(200*time.Millisecond))))
	}
}

// TestUrgentMessagesDoNotWaitForTheirWorkersTurn has every worker with more bulk
// than it can send, and urgent messages that come at times of their own at a
// tenth of the limit. A worker's next lease begins when the others have had theirs.
func TestUrgentMessagesDoNotWaitForTheirWorkersTurn(t *testing.T) {
	t.Parallel()
	client := testRedis(t)
	for _, n := range []int{2, 4, 8} {
		l := Limits{Rate: 1000, Burst: 100}
		w := newWorld(t, client, 9, l)
		w.late = 2 * time.Millisecond
		for range n {
			w.add(endless)
			w.urgentEvery(time.Duration(float64(time.Second) * float64(n) / (l.Rate / 10)))
		}
		w.run(2 * time.Second)
		before := len(w.sent)
		for _, s := range w.workers {
			s.waits = s.waits[:0]
		}
		w.run(10 * time.Second)
		what := fmt.Sprintf("%d workers", n)
		w.judge(what)
		var waits []time.Duration
		for _, s := range w.workers {
			waits = append(waits, s.waits...)
		}
		slices.Sort(waits)
		p50, p90, p99 := waits[len(waits)/2], waits[len(waits)*9/10], waits[len(waits)*99/100]
		used := float64(len(w.sent)-before) / 10 / l.Rate
		t.Logf("%s: urgent messages wait p50 %v, p90 %v, p99 %v; %.1f %% of the limit used", what, p50, p90, p99, 100*used)
		if p50 > 2*time.Millisecond || p90 > 15*time.Millisecond {
			t.Errorf("%s: urgent messages wait %v (p50) and %v (p90)", what, p50, p90)
		}
		if used < 0.97 {
			t.Errorf("%s: %.1f %% of the limit used, want 97 %%", what, 100*used)
		}
	}
}

// urgentEvery gives the last worker an urgent message now and then.
func (w *world) urgentEvery(mean time.Duration) {
	s := w.workers[len(w.workers)-1]
	s.pressing = func(now time.Duration) bool { return w.rng.Float64() < step.Seconds()/mean.Seconds() }
}
