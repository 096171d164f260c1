package ratelimit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/ratelimit"
)

func TestCongestionHalvesTheRateOnceASecondAndItComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := ratelimit.NewAdaptive(100, 10)
		rates := []float64{a.Rate()}
		for range 50 {
			a.Congestion(100) // the responses that are on their way all say so
		}
		rates = append(rates, a.Rate())
		time.Sleep(time.Second)
		a.Congestion(95)
		rates = append(rates, a.Rate())
		time.Sleep(3 * time.Second) // the first second belongs to the reaction
		rates = append(rates, a.Rate())
		time.Sleep(time.Minute)
		rates = append(rates, a.Rate())
		if diff := cmp.Diff([]float64{100, 50, 25, 35, 100}, rates); diff != "" {
			t.Errorf("rates (-want +got):\n%s", diff)
		}
		if a.Burst() != 10 {
			t.Errorf("Burst() = %d, want 10", a.Burst())
		}
	})
}

func TestTheOptimumLoadHoldsTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := ratelimit.NewAdaptive(100, 10)
		a.Congestion(89)
		if got := a.Rate(); got != 100 {
			t.Errorf("at the optimum from the start: %v/s, want 100", got)
		}
		a.Congestion(90)
		for range 100 {
			time.Sleep(500 * time.Millisecond)
			a.Congestion(85)
		}
		if got := a.Rate(); got != 50 {
			t.Errorf("at the optimum for 50s: %v/s, want 50", got)
		}
		for range 100 {
			time.Sleep(500 * time.Millisecond)
			a.Congestion(0)
		}
		if got := a.Rate(); got != 100 {
			t.Errorf("idle for 50s: %v/s, want 100", got)
		}
	})
}

func TestASlowedBucketGivesOutWhatItSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := ratelimit.NewAdaptive(1000, 100)
		for a.Take(1) == 0 {
		}
		a.Slow()
		start, taken := time.Now(), 0
		for time.Since(start) < time.Second {
			if wait := a.Take(1); wait > 0 {
				time.Sleep(wait)
				continue
			}
			taken++
		}
		if taken < 495 || taken > 505 {
			t.Errorf("%d tokens in a second at half of 1000/s", taken)
		}
	})
}

func TestAnUnlimitedRateIsHalvedFromWhatWasTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := ratelimit.NewAdaptive(0, 0)
		for range 3000 {
			if wait := a.Take(1); wait != 0 {
				t.Fatalf("an unlimited bucket says wait %v", wait)
			}
			time.Sleep(time.Millisecond)
		}
		a.Congestion(100)
		if got := a.Rate(); got < 450 || got > 550 {
			t.Errorf("slowed from 1000/s to %v/s, want about 500", got)
		}
		if wait := a.Take(255); wait == ratelimit.Never {
			t.Error("the longest message can never go")
		}
		time.Sleep(time.Minute)
		if got := a.Rate(); got != 0 {
			t.Errorf("after a minute: %v/s, want unlimited", got)
		}
	})
}

func TestCongestionWithoutEndLeavesATrickle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for perSecond, want := range map[float64]float64{1000: 10, 10: 1, 0.5: 0.5} {
			a := ratelimit.NewAdaptive(perSecond, 10)
			for range 1000 {
				a.Congestion(100)
				time.Sleep(time.Second)
			}
			a.Congestion(100)
			if got := a.Rate(); got != want {
				t.Errorf("of %v/s remain %v, want %v", perSecond, got, want)
			}
		}
	})
}

func BenchmarkAdaptiveTake(b *testing.B) {
	a := ratelimit.NewAdaptive(1e12, 1_000_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a.Take(1)
		}
	})
}
