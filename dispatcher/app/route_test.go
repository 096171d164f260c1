package app

import "testing"

func TestARouteTakesWhatItsRateIsAbleToSend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate                   float64
		burst, inHand, fetched int
	}{
		{rate: 0, inHand: 1024, fetched: 256},
		{rate: 1, inHand: 16, fetched: 16},
		{rate: 50, inHand: 100, fetched: 16},
		{rate: 50, burst: 200, inHand: 200, fetched: 16},
		{rate: 500, inHand: 256, fetched: 125},
		{rate: 4000, inHand: 500, fetched: 256},
		{rate: 100_000, burst: 5000, inHand: 1024, fetched: 256},
	} {
		r := RouteConfig{Rate: c.rate, Burst: c.burst}
		if held, fetched := r.held(), r.prefetch(); held != c.inHand || fetched != c.fetched {
			t.Errorf("rate %v, burst %d: %d in hand and %d fetched, want %d and %d", c.rate, c.burst, held, fetched, c.inHand, c.fetched)
		}
	}
}
