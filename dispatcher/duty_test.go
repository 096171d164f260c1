package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// shared is slots that other workers may have.
type shared struct {
	*slots
	others atomic.Bool
}

func (s *shared) Standby() bool { return s.others.Load() }

func TestJobsThatWaitGoBackWhenOtherWorkersHaveTheBinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shared{slots: &slots{}}
		d, err := New(Config{Route: "acme"}, Deps{Binds: s, Limiter: tokens{}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		admit := func() <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := d.admit(t.Context(), &attempt{out: d, job: &sms.Job{}, del: delivery{}, todo: make([]*sms.Message, 1)})
				done <- err
			}()
			synctest.Wait()
			return done
		}
		d.report()
		waits := admit()
		passed := false
		d.duty.until(func() { passed = true })
		leave := d.duty.until(func() { t.Error("a pass was ended that was over") })
		leave()
		if len(waits) != 0 || passed {
			t.Fatal("on duty, a job does not wait, or a pass ends")
		}

		s.others.Store(true)
		d.report()
		synctest.Wait()
		if len(waits) != 1 || !errors.Is(<-waits, errStandby) || !passed {
			t.Errorf("a waiting job was not sent back, or the pass goes on: %v", passed)
		}
		if err := <-admit(); !errors.Is(err, errStandby) {
			t.Errorf("a job that came late: %v", err)
		}
		if p, err := d.turnstile.waitFor(t.Context(), sms.LaneNormal, "shop", 1, caller{route: d}); p != (pass{}) || err != nil {
			t.Errorf("a job that chose before: %v, %v", p, err)
		}
		if l, _ := d.turnstile.limits(); l != LimitStandby {
			t.Errorf("limit is %s", l)
		}
		at := false
		d.duty.until(func() { at = true })
		if !at {
			t.Error("a pass began off duty")
		}
		began := make(chan struct{})
		go func() { defer close(began); d.duty.wait(context.WithoutCancel(t.Context())) }()
		synctest.Wait()
		select {
		case <-began:
			t.Error("off duty nothing is waited for")
		default:
		}

		s.others.Store(false)
		d.report()
		<-began
		waits = admit()
		s.mu.Lock()
		s.free = 1
		s.mu.Unlock()
		d.turnstile.turn()
		if err := <-waits; err != nil {
			t.Errorf("on duty again: %v", err)
		}
	})
}
