package judge

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(ms ...int) []time.Time {
	var out []time.Time
	for _, m := range ms {
		out = append(out, epoch.Add(time.Duration(m)*time.Millisecond))
	}
	return out
}

// slow is the definition, for every window from a second on.
func slow(times []time.Time, rate float64, burst int) float64 {
	worst := math.Inf(-1)
	for i := range times {
		for j := i; j < len(times); j++ {
			window := max(time.Second, times[j].Sub(times[i]))
			worst = max(worst, float64(j-i+1)-rate*window.Seconds()-float64(burst))
		}
	}
	return worst
}

func TestExcessIsTheWorstOfAllWindows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var times []time.Time
		now := epoch
		for range rng.IntN(80) {
			now = now.Add(time.Duration(rng.ExpFloat64() * float64(50*time.Millisecond)))
			if rng.IntN(20) == 0 {
				now = now.Add(time.Duration(rng.IntN(3000)) * time.Millisecond)
			}
			times = append(times, now)
		}
		rate, burst := float64(1+rng.IntN(30)), rng.IntN(10)
		got, want := ExcessOf(times, rate, burst), slow(times, rate, burst)
		if d := got.Over - want; len(times) > 0 && (d > 1e-6 || d < -1e-6) {
			t.Errorf("seed %d: %+v, want %f over", seed, got, want)
		}
	}
}

func TestExcessOfKnownArrivals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		times []time.Time
		rate  float64
		burst int
		over  float64
	}{
		"a burst at once":               {at(0, 0, 0, 0, 0), 1, 2, 2},
		"a steady stream, ends counted": {at(0, 1000, 2000, 3000), 1, 1, 0},
		"nothing":                       {nil, 1, 3, -3},
		"slack collects over long windows, a burst in it shows": {at(0, 5000, 5001, 5002), 1, 1, 1},
	} {
		if got := ExcessOf(c.times, c.rate, c.burst); got.Over != c.over {
			t.Errorf("%s: %+v, want %g over", name, got, c.over)
		}
	}
}

func TestSlowIsTheLongestStretchBelowHalf(t *testing.T) {
	t.Parallel()
	var times []time.Time
	for ms := 0; ms < 40_000; ms += 100 { // ten a second, but for gaps of 3 s and of 1 s
		if (ms < 15_000 || ms >= 18_000) && (ms < 24_000 || ms >= 25_000) {
			times = append(times, at(ms)...)
		}
	}
	until := at(40_000)[0]
	// A window of a second is slow from half a second before the gap until half a second after it.
	if got := Slow(times, at(14_000)[0], until, time.Second); got < 3*time.Second || got > 4100*time.Millisecond {
		t.Errorf("slow for %s, want about 4 s", got)
	}
	if got := Slow(times, at(29_000)[0], until, time.Second); got != 0 {
		t.Errorf("slow for %s though it never stopped", got)
	}
}

func TestArrivalsAreReadFromTheRecord(t *testing.T) {
	t.Parallel()
	a, err := ReadArrivals(strings.NewReader(`{"ev":"bind","time":"2026-03-01T12:00:00Z","system_id":"a"}
{"ev":"bind","time":"2026-03-01T12:00:01Z","system_id":"a"}
{"ev":"submit","time":"2026-03-01T12:00:03Z","system_id":"a"}
{"ev":"submit","time":"2026-03-01T12:00:02Z","system_id":"a","status":88}
{"ev":"deliver","kind":"receipt"}
{"ev":"bind_ended","since":"2026-03-01T12:00:00Z","until":"2026-03-01T12:00:04Z","system_id":"a"}
{"ev":"bind","time":"2026-03-01T12:00:05Z","system_id":"a"}
{"ev":"bind","time":"2026-03-01T12:00:05Z","system_id":"b"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if n := a.MostBinds("a"); n != 2 {
		t.Errorf("%d binds at once, want 2", n)
	}
	if got := a.Of("a"); len(got) != 2 || !got[0].Before(got[1]) || len(a.Accounts()) != 1 || Between(got, got[0], got[1]) != 1 {
		t.Errorf("arrivals %v of %v", got, a.Accounts())
	}
	if got := a.RefusedOf("a"); len(got) != 1 {
		t.Errorf("refused at %v, want one", got)
	}
	if _, err := ReadArrivals(strings.NewReader("{")); err == nil {
		t.Error("half a line was accepted")
	}
}
