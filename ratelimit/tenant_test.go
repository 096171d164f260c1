package ratelimit

import (
	"testing"
	"time"
)

func TestALeaseThatComesWhileAWorkerHelpedItselfIsNotSpentOnTop(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"Redis answers late": false, "Redis comes back slowly": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTenant(Limits{Rate: 500, Burst: 50, WithoutRedis: 100})
			now := time.Now()
			if w.take(now, 1, false) == 0 {
				t.Fatal("tokens without a lease while Redis may answer")
			}
			r, _ := w.ask(now, 10, true)
			if before {
				w.failed(now, r)
				if r, _ = w.ask(now, 10, true); r.still != 0 {
					t.Fatalf("standstill %v of a worker that took nothing", r.still)
				}
			}
			now = now.Add(silence + time.Millisecond)
			w.take(now, 1, false) // its share begins
			now = now.Add(10 * time.Millisecond)
			if wait := w.take(now, 1, false); wait > 0 {
				t.Fatalf("nothing of its own share: %v", wait)
			}
			a := answer{at: time.Hour, granted: 20, start: -time.Second / 50, rate: 490, capacity: 18, limited: true, cut: "0"}
			w.answered(now, r, a)
			if now = now.Add(20 * time.Millisecond); w.take(now, 1, false) == 0 {
				t.Error("a token of a lease on top of its share")
			}
			if at, ok := w.due(now); !ok || at.After(now) {
				t.Fatal("it asks for no other lease")
			}
			if r, _ = w.ask(now, 10, true); r.still != standstill {
				t.Fatalf("standstill %v, want %v: others may still help themselves", r.still, standstill)
			}
			w.answered(now, r, a)
			if now = now.Add(20 * time.Millisecond); w.take(now, 1, false) > 0 {
				t.Error("nothing of the lease after the standstill")
			}
			if p := w.purse; p.granted != 40 || p.lost != 20 {
				t.Errorf("%d granted, %d lost, want 40 and 20", p.granted, p.lost)
			}
		})
	}
}

func TestAWorkerAsksAtOnceWhenItsRateIsRaised(t *testing.T) {
	t.Parallel()
	w := newTenant(Limits{Rate: 0.01, Burst: 1})
	now := time.Now()
	w.take(now, 1, false)
	r, _ := w.ask(now, 1, true)
	w.answered(now, r, answer{at: time.Hour, wait: 100 * time.Second, rate: 0.01, capacity: 1, limited: true, cut: "0"})
	if at, _ := w.due(now); at.Sub(now) < 90*time.Second {
		t.Fatalf("it asks again in %v of a token that is due in 100 s", at.Sub(now))
	}
	w.set(Limits{Rate: 500, Burst: 50})
	if at, ok := w.due(now); !ok || at.Sub(now) > time.Second {
		t.Errorf("it asks again in %v", at.Sub(now))
	}
}
