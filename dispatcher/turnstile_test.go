package dispatcher

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// slots is a Binds with one bind of a fixed window, for turnstile tests.
type slots struct {
	mu     sync.Mutex
	free   int // guarded by mu
	notify func()
}

func (s *slots) Reserve(n int) (Reservation, Shortage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free < n {
		return nil, Shortage{Reason: LimitWindow}
	}
	s.free -= n
	return &held{s, n}, Shortage{}
}

func (s *slots) Bound() int { return 1 }

func (s *slots) Notify(f func()) { s.notify = f }

type held struct {
	slots *slots
	n     int
}

func (h *held) Release() {
	h.slots.mu.Lock()
	h.slots.free += h.n
	h.slots.mu.Unlock()
	h.slots.notify()
}

func (h *held) Send(context.Context, sms.JobRef, []*sms.Message) { panic("not used here") }

func (h *held) SendThen(*sms.JobRef, *sms.Message, func(sms.Reply)) { panic("not used here") }

func (h *held) Abandon() bool { panic("not used here") }

func (h *held) Next(context.Context) (sms.Reply, bool) { panic("not used here") }

// tokens is a Limiter over x/time/rate; nil means unlimited.
type tokens struct{ l *rate.Limiter }

func (t tokens) Burst() int {
	if t.l == nil {
		return 0
	}
	return t.l.Burst()
}

func (t tokens) Take(n int) time.Duration {
	if t.l == nil {
		return 0
	}
	r := t.l.ReserveN(time.Now(), n)
	d := r.Delay()
	if d > 0 {
		r.Cancel()
	}
	return d
}

func newTestTurnstile(window int, l *rate.Limiter) (*turnstile, *slots) {
	s := &slots{free: window}
	t := newTurnstile(s, tokens{l}, map[sms.Lane]int{sms.LaneHigh: 8, sms.LaneNormal: 4, sms.LaneBulk: 1})
	s.Notify(t.turn)
	return t, s
}

func TestHighOvertakesBulkAtTheNextFreeSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, _ := newTestTurnstile(1, nil)
		first, _, err := ts.wait(t.Context(), sms.LaneBulk, "shop", 1)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []sms.Lane
		enter := func(lane sms.Lane) {
			go func() {
				res, _, err := ts.wait(t.Context(), lane, "shop", 1)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, lane)
				mu.Unlock()
				res.Release()
			}()
			synctest.Wait()
		}
		enter(sms.LaneBulk)
		enter(sms.LaneBulk)
		enter(sms.LaneNormal)
		enter(sms.LaneHigh)
		first.Release()
		synctest.Wait()
		want := []sms.Lane{sms.LaneHigh, sms.LaneNormal, sms.LaneBulk, sms.LaneBulk}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("order of lanes (-want +got):\n%s", diff)
		}
	})
}

func TestWeightsShareASaturatedRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, _ := newTestTurnstile(1, nil)
		gate, _, err := ts.wait(t.Context(), sms.LaneHigh, "shop", 1)
		if err != nil {
			t.Fatal(err)
		}
		const each = 130
		got := make(chan sms.Lane, 3*each)
		for _, lane := range sms.Lanes() {
			for range each {
				go func() {
					res, _, err := ts.wait(t.Context(), lane, "shop", 1)
					if err != nil {
						t.Error(err)
						return
					}
					got <- lane
					res.Release()
				}()
			}
		}
		synctest.Wait()
		gate.Release()
		synctest.Wait()
		share := map[sms.Lane]int{}
		for range 130 { // while all lanes still have jobs
			share[<-got]++
		}
		want := map[sms.Lane]int{sms.LaneHigh: 80, sms.LaneNormal: 40, sms.LaneBulk: 10}
		for lane, n := range want {
			if diff := share[lane] - n; diff < -8 || diff > 8 {
				t.Errorf("lane %s got %d of 130 turns, want about %d", lane, share[lane], n)
			}
		}
	})
}

func TestTurnsKeepToTheRateWithoutLosingSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, s := newTestTurnstile(10, rate.NewLimiter(100, 5))
		defer ts.stop()
		start := time.Now()
		var wg sync.WaitGroup
		for range 105 {
			wg.Go(func() {
				res, _, err := ts.wait(t.Context(), sms.LaneNormal, "shop", 1)
				if err != nil {
					t.Error(err)
					return
				}
				res.Release()
			})
		}
		wg.Wait()
		if got, want := time.Since(start), time.Second; got < want || got > want+20*time.Millisecond {
			t.Errorf("105 turns at 100/s with a burst of 5 took %v, want %v", got, want)
		}
		if s.free != 10 {
			t.Errorf("%d slots free at the end, want 10", s.free)
		}
	})
}

func TestWhoGivesUpLeavesNoSlotBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, s := newTestTurnstile(1, nil)
		res, _, err := ts.wait(t.Context(), sms.LaneNormal, "shop", 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithDeadlineCause(t.Context(), time.Now().Add(time.Second), errExpired)
		defer cancel()
		if _, _, err := ts.wait(ctx, sms.LaneNormal, "shop", 1); !errors.Is(err, errExpired) {
			t.Errorf("wait past its deadline: %v, want errExpired", err)
		}
		res.Release()
		if s.free != 1 {
			t.Errorf("%d slots free, want 1", s.free)
		}
		if n := ts.waiting()[sms.LaneNormal]; n != 0 {
			t.Errorf("%d still waiting, want 0", n)
		}
	})
}

func TestThoseWhoGiveUpBehindAStandingHeadAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, slots := newTestTurnstile(0, nil)
		through := make(chan struct{})
		pass := func() {
			res, _, err := ts.wait(t.Context(), sms.LaneBulk, "shop", 1)
			if err != nil {
				t.Error(err)
			} else {
				res.Release()
			}
			through <- struct{}{}
		}
		go pass()
		synctest.Wait()
		for i := range 10_000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if i == 5000 {
				go pass()
				synctest.Wait()
			}
			if _, _, err := ts.wait(ctx, sms.LaneBulk, "shop", 1); err == nil {
				t.Error("went through a closed turnstile")
			}
			cancel()
		}
		q := ts.queues[laneIndex(sms.LaneBulk)].of("shop")
		if n := len(q.items); n > 2*fewGone || q.len() != 2 || ts.waiting()[sms.LaneBulk] != 2 {
			t.Errorf("%d in the queue, of which %d wait, want 2", n, q.len())
		}
		slots.free = 1
		ts.turn()
		<-through
		<-through
		if q.head() != nil || q.len() != 0 || q.gone != 0 {
			t.Errorf("%d wait, %d are gone, when all are through", q.len(), q.gone)
		}
	})
}

func TestAnEndedContextNeverGoesThrough(t *testing.T) {
	t.Parallel()
	ts, s := newTestTurnstile(1, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errExpired)
	for range 1000 {
		if res, _, err := ts.wait(ctx, sms.LaneHigh, "shop", 1); res != nil || !errors.Is(err, errExpired) {
			t.Fatalf("wait: %v, %v", res, err)
		}
	}
	if s.free != 1 {
		t.Errorf("%d slots free, want 1", s.free)
	}
}

func BenchmarkTurnstile(b *testing.B) {
	ts, _ := newTestTurnstile(1000, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, _, err := ts.wait(context.Background(), sms.LaneNormal, "shop", 1)
			if err != nil {
				b.Fatal(err)
			}
			res.Release()
		}
	})
}
