package dispatcher

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// changeable returns a dispatcher whose one bind has ten slots.
func changeable(t *testing.T, l *rate.Limiter) *Dispatcher {
	t.Helper()
	s := &slots{free: 10}
	d, err := New(Config{Route: "acme", Window: 10}, Deps{Binds: s, Limiter: tokens{l}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Notify(d.turnstile.turn)
	t.Cleanup(d.turnstile.stop)
	return d
}

// turned starts a job at the turnstile and returns where it says how many
// parts of it may go.
func turned(t *testing.T, ts *turnstile, lane sms.Lane, n int) <-chan int {
	t.Helper()
	went := make(chan int, 1)
	go func() {
		res, n, err := ts.wait(t.Context(), lane, "shop", n)
		if err != nil {
			return
		}
		res.Release()
		went <- n
	}()
	synctest.Wait()
	return went
}

// gone reads from turned: 0 when the job still waits.
func gone(went <-chan int) int {
	synctest.Wait()
	select {
	case n := <-went:
		return n
	default:
		return 0
	}
}

func TestAPausedLaneWaitsAndTheOthersGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := changeable(t, nil)
		ts := d.turnstile
		d.Pause(func(l sms.Lane) bool { return l == sms.LaneBulk })
		bulk := turned(t, ts, sms.LaneBulk, 1)
		if n := gone(turned(t, ts, sms.LaneHigh, 1)); n != 1 {
			t.Errorf("%d parts of high went, want 1", n)
		}
		if n := gone(bulk); n != 0 {
			t.Errorf("%d parts of bulk went while it was paused", n)
		}
		if l, _ := ts.limits(); l != LimitPaused {
			t.Errorf("limit is %s while only paused jobs wait", l)
		}
		d.Pause(func(sms.Lane) bool { return false })
		if n := gone(bulk); n != 1 {
			t.Errorf("%d parts of bulk went after the pause, want 1", n)
		}
		d.Pause(func(sms.Lane) bool { return true })
		if l, _ := ts.limits(); l != LimitPaused {
			t.Errorf("limit is %s while all lanes are paused", l)
		}
	})
}

func TestAJobThatWaitsForMoreThanIsGrantedAnyMoreGoesInSmallerSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := rate.NewLimiter(1, 8)
		l.AllowN(time.Now(), 8)
		d := changeable(t, l)
		ts := d.turnstile
		job := turned(t, ts, sms.LaneNormal, 8)
		d.Change(Config{Window: 10}, 3, func() { l.SetBurst(3) })
		if n := gone(job); n != 0 {
			t.Fatalf("%d parts went without tokens", n)
		}
		time.Sleep(3 * time.Second)
		if n := gone(job); n != 3 {
			t.Errorf("%d parts may go, want the new burst of 3", n)
		}
	})
}

func TestARaisedRateHoldsForThoseThatWaitAlready(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := rate.NewLimiter(0.01, 1)
		l.AllowN(time.Now(), 1)
		d := changeable(t, l)
		ts := d.turnstile
		job := turned(t, ts, sms.LaneNormal, 1)
		d.Change(Config{}, 1, func() { l.SetLimit(100) })
		start := time.Now()
		<-job
		if waited := time.Since(start); waited > 10*time.Millisecond {
			t.Errorf("it waited %v at 100/s", waited)
		}
	})
}

func TestChangedWeightsShareTheNextTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := rate.NewLimiter(100, 1)
		d := changeable(t, l)
		ts := d.turnstile
		d.Change(Config{Lanes: map[sms.Lane]int{sms.LaneHigh: 1, sms.LaneNormal: 1, sms.LaneBulk: 3}}, 1, func() {})
		ctx, cancel := context.WithCancel(t.Context())
		went := make(map[sms.Lane]int)
		order := make(chan sms.Lane, 300)
		for _, lane := range sms.Lanes() {
			for range 100 {
				go func() {
					if res, _, err := ts.wait(ctx, lane, "shop", 1); err == nil {
						res.Release()
						order <- lane
					}
				}()
			}
		}
		for range 100 {
			went[<-order]++
		}
		if n := went[sms.LaneBulk]; n < 58 || n > 62 {
			t.Errorf("of 100 turns bulk had %d, want its three fifths: %v", n, went)
		}
		cancel()
	})
}

// passes notes what each Consume was asked for.
type passes struct{ prefetch chan int }

func (p passes) Consume(ctx context.Context, _ string, _ sms.Lane, prefetch int, _ func(Delivery)) error {
	p.prefetch <- prefetch
	<-ctx.Done()
	return nil
}

func TestALaneIsConsumedAnewWhenAnotherNumberOfJobsIsToBeInHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := passes{make(chan int, 1)}
		d := &Dispatcher{}
		d.cfg.Store(&Config{Prefetch: 500})
		h := newHands(100)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.consumeLane(ctx, ctx, sms.LaneHigh, h, source.Consume) }()
		if n := <-source.prefetch; n != 100 {
			t.Errorf("prefetch %d, want 100", n)
		}
		h.resize(100) // nothing new
		h.resize(40)
		if n := <-source.prefetch; n != 40 {
			t.Errorf("prefetch %d, want 40", n)
		}
		synctest.Wait()
		if n := len(source.prefetch); n != 0 {
			t.Errorf("%d passes too many", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
