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

// slow is a Ledger that answers every claim after a while.
type slow struct {
	Ledger
	takes time.Duration
}

func (s *slow) Claim(context.Context, sms.JobRef) (sms.Claim, error) {
	time.Sleep(s.takes)
	return sms.Claim{State: sms.ClaimFresh, Token: "t"}, nil
}

func TestATurnIsOverWhenTheLedgerAnswersLate(t *testing.T) {
	const quick, late = turnLasts / 2, 2 * turnLasts
	for name, c := range map[string]struct {
		limit *rate.Limiter
		takes []time.Duration
		want  []step
	}{
		"a quick answer":             {rate.NewLimiter(10, 1), []time.Duration{quick, quick}, []step{proceed, proceed}},
		"a late one, then a quick":   {rate.NewLimiter(10, 1), []time.Duration{late, quick, late}, []step{elsewhere, proceed, elsewhere}},
		"always late":                {rate.NewLimiter(10, 1), []time.Duration{late, late, late}, []step{elsewhere, proceed, elsewhere}},
		"late on an unlimited route": {nil, []time.Duration{late, late}, []step{proceed, proceed}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(slow)
				d, err := New(Config{Route: "acme"}, Deps{Ledger: l, Binds: &slots{free: 1}, Limiter: tokens{c.limit}, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				a := &attempt{out: d, job: &sms.Job{}, todo: []*sms.Message{{}}, total: 1}
				for i, takes := range c.takes {
					l.takes = takes
					if got, err := d.claim(t.Context(), a); got != c.want[i] || err != nil {
						t.Errorf("claim %d: step %d, %v, want %d", i+1, got, err, c.want[i])
					}
				}
			})
		})
	}
}
