package ratelimit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/shortwire-sms/shortwire/ratelimit"
)

// step is one action on a bucket: wait, then take or change the rate.
type step struct {
	Sleep time.Duration
	Take  int
}

func TestNoWindowHoldsMoreThanRateTimesTimePlusBurst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		perSecond := rapid.Float64Range(0.1, 50_000).Draw(rt, "rate")
		burst := rapid.IntRange(1, 500).Draw(rt, "burst")
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				Sleep: time.Duration(rapid.Int64Range(0, int64(300*time.Millisecond)).Draw(rt, "sleep")),
				Take:  rapid.IntRange(1, burst).Draw(rt, "take"),
			}
		}), 1, 60).Draw(rt, "steps")

		var fault string
		synctest.Test(t, func(*testing.T) { fault = play(perSecond, burst, steps) })
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// play takes as fast as it may and returns what broke the promise.
func play(perSecond float64, burst int, steps []step) string {
	type grant struct {
		at time.Time
		n  int
	}
	var grants []grant
	bucket := ratelimit.NewBucket(perSecond, burst)
	for _, s := range steps {
		time.Sleep(s.Sleep)
		wait := bucket.Take(s.Take)
		if wait > 0 {
			time.Sleep(wait)
			if again := bucket.Take(s.Take); again != 0 {
				return fmt.Sprintf("Take(%d) said wait %v, then %v", s.Take, wait, again)
			}
		}
		grants = append(grants, grant{time.Now(), s.Take})
	}
	const roundingTokens = 1e-3
	for i := range grants {
		sum := 0
		for j := i; j < len(grants); j++ {
			sum += grants[j].n
			window := grants[j].at.Sub(grants[i].at)
			if allowed := perSecond*window.Seconds() + float64(burst) + roundingTokens; float64(sum) > allowed {
				return fmt.Sprintf("%d tokens in %v, allowed %.3f", sum, window, allowed)
			}
		}
	}
	return ""
}

func TestConcurrentTakersStayBelowTheLimit(t *testing.T) {
	t.Parallel()
	const perSecond, burst = 200_000, 100
	bucket := ratelimit.NewBucket(perSecond, burst)
	start := time.Now()
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for time.Since(start) < 200*time.Millisecond {
				if bucket.Take(1) == 0 {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	allowed := perSecond*time.Since(start).Seconds() + burst
	if got := float64(taken.Load()); got > allowed {
		t.Errorf("took %.0f tokens, allowed %.0f", got, allowed)
	}
}

func TestAZeroRateIsUnlimited(t *testing.T) {
	t.Parallel()
	bucket := ratelimit.NewBucket(0, 50)
	if got := bucket.Burst(); got != 0 {
		t.Errorf("Burst() = %d, want 0", got)
	}
	for range 10_000 {
		if wait := bucket.Take(255); wait != 0 {
			t.Fatalf("Take(255) = %v, want 0", wait)
		}
	}
}

func TestMoreThanTheBurstIsNever(t *testing.T) {
	t.Parallel()
	if got := ratelimit.NewBucket(10, 5).Take(6); got != ratelimit.Never {
		t.Errorf("Take(6) of burst 5 = %v, want Never", got)
	}
}

func TestAChangedRateHoldsFromNowOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := ratelimit.NewBucket(10, 10)
		if wait := bucket.Take(10); wait != 0 {
			t.Fatalf("Take(10) = %v, want 0", wait)
		}
		bucket.SetRate(100, 20)
		if wait := bucket.Take(10); wait != 100*time.Millisecond {
			t.Errorf("after SetRate(100): Take(10) = %v, want 100ms", wait)
		}
		if got := bucket.Burst(); got != 20 {
			t.Errorf("Burst() = %d, want 20", got)
		}
		bucket.SetRate(0, 0)
		if wait := bucket.Take(1000); wait != 0 {
			t.Errorf("unlimited: Take(1000) = %v, want 0", wait)
		}
		bucket.SetRate(5, 5)
		if wait := bucket.Take(5); wait != time.Second {
			t.Errorf("limited again, from empty: Take(5) = %v, want 1s", wait)
		}
	})
}

func ExampleBucket_Take() {
	bucket := ratelimit.NewBucket(500, 50)
	fmt.Println(bucket.Take(50), bucket.Take(1) > 0)
	// Output: 0s true
}

func BenchmarkTake(b *testing.B) {
	bucket := ratelimit.NewBucket(1e12, 1_000_000)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			bucket.Take(1)
		}
	})
}

func TestTokensThatWereNotUsedComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := ratelimit.NewBucket(10, 4)
		b.Return(3) // it is full
		if b.Take(4) != 0 {
			t.Fatal("a full bucket gave nothing")
		}
		if b.Take(1) == 0 {
			t.Fatal("more than the burst")
		}
		b.Return(3)
		if b.Take(3) != 0 {
			t.Error("what was given back is gone")
		}
		if b.Take(1) == 0 {
			t.Error("more than was given back")
		}
	})
}
