package receipts

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestDatesOfDigitsAreReadAsTimeParseReadsThem(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50_000 {
		// All fields go a little beyond what is valid.
		year, rest := r.IntN(10_000), fmt.Sprintf("%02d%02d%02d%02d", r.IntN(14), r.IntN(33), r.IntN(26), r.IntN(62))
		short, seconds := fmt.Sprintf("%02d", year%100), fmt.Sprintf("%02d", r.IntN(62))
		for s, layouts := range map[string][]string{
			short + rest:                                   {"0601021504"},
			short + rest + seconds:                         {"060102150405", "200601021504"},
			fmt.Sprintf("%04d", year) + rest:               {"060102150405", "200601021504"},
			fmt.Sprintf("%04d", year) + rest + seconds:     {"20060102150405"},
			(short + rest)[:r.IntN(10)] + "x" + rest + "9": nil,
		} {
			var want *time.Time
			for _, layout := range layouts {
				if at, err := time.Parse(layout, s); err == nil {
					want = &at
					break
				}
			}
			got := ParseDate(s)
			if (got == nil) != (want == nil) || got != nil && !got.Equal(*want) {
				t.Fatalf("seed %d: %s is read as %v, want %v", seed, s, got, want)
			}
		}
	}
}
