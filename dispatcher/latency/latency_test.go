package latency_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/latency"
)

func TestAQuantileIsNoShorterThanItsDurationAndAFifthLongerAtMost(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		d := time.Duration(r.Int64N(int64(1) << (10 + r.IntN(38))))
		var h latency.Histogram
		var c latency.Counts
		h.Add(d)
		h.Read(&c)
		for _, q := range []float64{0, 0.5, 1} {
			if got := c.Quantile(q); got < d || got > d+d/4+2*time.Microsecond {
				t.Fatalf("quantile %v of %v is %v", q, d, got)
			}
		}
	}
}

func TestQuantilesOfManyDurations(t *testing.T) {
	t.Parallel()
	var h latency.Histogram
	var before, after latency.Counts
	h.Add(time.Hour)
	h.Add(-time.Second)
	h.Add(1 << 62)
	h.Read(&before)
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	h.Read(&after)
	since := after.Since(&before)
	if since.Total() != 1000 || after.Total() != 1003 {
		t.Errorf("%d of %d durations", since.Total(), after.Total())
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := since.Quantile(q); got < want || got > want+want/4 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
	if got := new(latency.Counts).Quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing is %v", got)
	}
}

func TestAddingAllocatesNothing(t *testing.T) {
	var h latency.Histogram
	if n := testing.AllocsPerRun(100, func() { h.Add(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOctavesHoldWhatIsBelowTheirEnd(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	var h latency.Histogram
	var c latency.Counts
	var want [latency.Octaves]uint64
	var sum time.Duration
	for range 10_000 {
		d := time.Duration(r.Int64N(int64(1) << (5 + r.IntN(38))))
		h.Add(d)
		o := latency.Octave(d)
		if d >= latency.OctaveEnd(o) || o > 0 && d < latency.OctaveEnd(o-1) {
			t.Fatalf("%v is in the octave that ends at %v", d, latency.OctaveEnd(o))
		}
		want[o]++
		sum += d
	}
	h.Read(&c)
	got, about := c.Octaves()
	if got != want {
		t.Errorf("counts %v, want %v", got, want)
	}
	if about < sum-sum/8 || about > sum+sum/8 {
		t.Errorf("together %v, want about %v", about, sum)
	}
}
