package receipts

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

func TestCallsWaitWhileRedisIsAwayAndThenComplete(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(srv *redistest.Server) (back func()){
		"stalled": func(srv *redistest.Server) func() { return srv.Stall() },
		"killed":  func(srv *redistest.Server) func() { srv.Stop(); return srv.Restart },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			d, pub := newDesk(t, srv.Addr, nil)
			l := d.Ledger()
			done, working, straight := jobRef("done"), jobRef("working"), jobRef("straight")
			submit(t, d, done, "A1")
			c, told := claim(t, d, working, sms.ClaimFresh), claim(t, d, straight, sms.ClaimFresh)
			deliver(t, d, deliverReceipt("B1", "DELIVRD"), statusOK)

			back := outage(srv)
			var wg sync.WaitGroup
			wg.Go(func() {
				if c, err := l.Claim(t.Context(), jobRef("new")); err != nil || c.State != sms.ClaimFresh {
					t.Errorf("claim of a new job: state %d, %v", c.State, err)
				}
			})
			wg.Go(func() {
				if c, err := l.Claim(t.Context(), done); err != nil || c.State != sms.ClaimSettled {
					t.Errorf("claim of a settled job: state %d, %v", c.State, err)
				}
			})
			wg.Go(func() {
				if _, err := l.Accept(t.Context(), working, c.Token, accepted(1, 1, "B1"), nil, outcomeOf(working)); err != nil {
					t.Errorf("accept: %v", err)
				}
			})
			wg.Go(func() {
				if c, err := claimThen(t.Context(), l, jobRef("newer")); err != nil || c.State != sms.ClaimFresh {
					t.Errorf("claim of another new job: state %d, %v", c.State, err)
				}
			})
			wg.Go(func() {
				if _, err := acceptThen(t.Context(), l, straight, told.Token, accepted(1, 1, "C1"), nil, outcomeOf(straight)); err != nil {
					t.Errorf("accept without waiting: %v", err)
				}
			})
			until(t, "the outage was noticed", func() bool { return !l.Healthy() })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if _, err := l.Claim(ctx, jobRef("impatient")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("claim with a deadline: %v", err)
			}
			if _, err := claimThen(ctx, l, jobRef("impatient too")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("claim with a deadline, without waiting: %v", err)
			}
			if _, err := acceptThen(ctx, l, working, c.Token, accepted(1, 1, "B2"), nil, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("accept with a deadline, without waiting: %v", err)
			}
			back()
			wg.Wait()
			until(t, "redis is back", func() bool { return l.Healthy() })
			if got := only(t, pub); got.JobID != "working" {
				t.Errorf("the parked receipt was published for %q", got.JobID)
			}
			claim(t, d, working, sms.ClaimSettled)
			claim(t, d, straight, sms.ClaimSettled)
		})
	}
}

func TestAReceiptIsRefusedWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, func(c *Config) { c.DeliverTimeout = 100 * time.Millisecond })
	submit(t, d, jobRef("j1"), "A1")
	resume := srv.Stall()
	begun := time.Now()
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusTemporary)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("answered after %v", took)
	}
	resume()
	d.cfg.DeliverTimeout = patience
	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
	only(t, pub)
}

func TestAMissingLeaseProvesNothingRightAfterAnOutage(t *testing.T) {
	t.Parallel()
	srv := start(t)
	dead, _ := newDesk(t, srv.Addr, shortLease)
	d, _ := newDesk(t, srv.Addr, func(c *Config) { c.LeaseTTL = 2 * time.Second })
	claim(t, dead, jobRef("j1"), sms.ClaimFresh)
	die(t, dead)
	claim(t, d, jobRef("warm-up"), sms.ClaimFresh)
	d.store.failed("test", errors.New("away"))
	claim(t, d, jobRef("j1"), sms.ClaimBusy)
	until(t, "the other worker has had its time", func() bool {
		return must(d.Ledger().Claim(t.Context(), jobRef("j1")))(t).State == sms.ClaimInDoubt
	})
}

func TestRestartedRedisLearnsTheScriptsAgain(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	claim(t, d, jobRef("j1"), sms.ClaimFresh)
	if err := d.store.client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	claim(t, d, jobRef("j1"), sms.ClaimInDoubt)
}
