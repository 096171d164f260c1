package binds

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestWrongCredentialsAreNotRetriedHot(t *testing.T) {
	sim := smsctest.Config{SystemID: "acme", Password: "secret"}
	bubble(t, sim, Config{Password: "wrong"}, Deps{}, func(t *testing.T, r *rig) {
		st := r.Snapshot()[0]
		if st.State != StateRefused || !strings.Contains(st.LastErr, "bind_transceiver: account: ESME_RINVPASWD (0x0000000E)") {
			t.Errorf("got %s: %s", st.State, st.LastErr)
		}
		time.Sleep(time.Hour)
		if n := r.Snapshot()[0].Attempts; n < 10 || n > 13 {
			t.Errorf("%d attempts within an hour, want one each five minutes", n)
		}
		if n := r.logs.count("level=ERROR"); n != 1 {
			t.Errorf("%d errors logged, want 1", n)
		}
	})
}

func TestABindThatIsClosedAtOnceBacksOff(t *testing.T) {
	bubble(t, smsctest.Config{}, Config{}, Deps{}, func(t *testing.T, r *rig) {
		deadline := time.Now().Add(time.Hour)
		for time.Now().Before(deadline) {
			r.smsc.CutConnections()
			time.Sleep(100 * time.Millisecond)
		}
		// Pauses double up to two minutes, the least half a second.
		if n := r.Snapshot()[0].Sessions; n < 20 || n > 150 {
			t.Errorf("bound %d times within an hour of being closed at once", n)
		}
	})
}

func TestAStableBindComesBackSoonAfterALoss(t *testing.T) {
	bubble(t, smsctest.Config{}, Config{}, Deps{}, func(t *testing.T, r *rig) {
		for range 20 {
			time.Sleep(31 * time.Second)
			r.smsc.CutConnections()
			synctest.Wait()
			if st := r.Snapshot()[0].State; st != StateBackoff {
				t.Fatalf("state %s after a loss", st)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if r.Bound() != 1 {
				t.Fatal("not bound a second after a loss")
			}
		}
	})
}

func TestAnAccountThatIsBoundElsewhereWaits(t *testing.T) {
	sim := smsctest.Config{MaxBinds: 1}
	bubble(t, sim, Config{Binds: 2}, Deps{}, func(t *testing.T, r *rig) {
		if r.Bound() != 1 {
			t.Fatalf("%d bound, want 1", r.Bound())
		}
		time.Sleep(29 * time.Second)
		if n := r.smsc.Stats().BindsNo[smsctest.StatusName(smsctest.RALYNBD)]; n != 1 {
			t.Errorf("refused %d times within 29s", n)
		}
		time.Sleep(32 * time.Second)
		if n := r.smsc.Stats().BindsNo[smsctest.StatusName(smsctest.RALYNBD)]; n < 2 {
			t.Errorf("refused %d times within 61s", n)
		}
		if n := r.logs.count("level=ERROR"); n != 0 {
			t.Errorf("%d errors logged", n)
		}
	})
}

func TestThePeersUnbindIsFollowedByAPause(t *testing.T) {
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Delay: time.Second} }}
	bubble(t, sim, Config{}, Deps{}, func(t *testing.T, r *rig) {
		replies := exchange(t.Context(), r.reserve(t, 1), sms.JobRef{}, parts(1, "447700900123"))
		synctest.Wait()
		r.smsc.Unbind()
		synctest.Wait()
		if st := r.Snapshot()[0].State; st != StateDraining {
			t.Errorf("state %s after the peer's unbind", st)
		}
		if _, short := r.TryReserve(1); short.Reason != ShortBind {
			t.Errorf("a bind that drains: %+v", short)
		}
		if got := codes(slices.Collect(replies)); got[0] != "" {
			t.Errorf("the open message ended with %v", got)
		}
		time.Sleep(29 * time.Second)
		if r.Bound() != 0 {
			t.Error("bound again within 29s")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if st := r.smsc.Stats(); r.Bound() != 1 || st.UnbindResp != 1 {
			t.Errorf("%d bound, %d unbind answered", r.Bound(), st.UnbindResp)
		}
	})
}

func TestAStatusThatKillsTheSessionLeadsToANewOne(t *testing.T) {
	first := true
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		if first {
			first = false
			return smsctest.Action{Status: smsctest.RINVBNDSTS}
		}
		return smsctest.Action{Delay: time.Second}
	}}
	bubble(t, sim, Config{}, Deps{}, func(t *testing.T, r *rig) {
		a, b := r.reserve(t, 1), r.reserve(t, 1)
		ra := exchange(t.Context(), a, sms.JobRef{}, parts(1, "447700900123"))
		rb := exchange(t.Context(), b, sms.JobRef{}, parts(1, "447700900124"))
		if got := codes(slices.Collect(ra)); got[0] != sms.CodeTemporary {
			t.Errorf("got %v", got)
		}
		// What is open meanwhile gets its answer before the unbind.
		if got := codes(slices.Collect(rb)); got[0] != "" {
			t.Errorf("the other message ended with %v", got)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if st := r.smsc.Stats(); st.Unbinds != 1 || st.BindsTotal != 2 || r.Bound() != 1 {
			t.Errorf("%d unbinds, %d binds, %d bound", st.Unbinds, st.BindsTotal, r.Bound())
		}
	})
}

func TestDrainWaitsForOpenMessagesAndUnbinds(t *testing.T) {
	sim := smsctest.Config{Latency: 3 * time.Second}
	bubble(t, sim, Config{Binds: 2}, Deps{}, func(t *testing.T, r *rig) {
		replies := exchange(t.Context(), r.reserve(t, 2), sms.JobRef{}, parts(2, "447700900123"))
		start := time.Now()
		go r.drain()
		synctest.Wait()
		if _, short := r.TryReserve(1); short.Reason != ShortBind {
			t.Errorf("reservation while draining: %+v", short)
		}
		if got := codes(slices.Collect(replies)); !slices.Equal(got, []sms.Code{"", ""}) {
			t.Errorf("open messages ended with %v", got)
		}
		r.drain()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("drain took %s", took)
		}
		if st := r.smsc.Stats(); st.Unbinds != 2 || st.Lost != 0 {
			t.Errorf("%d unbinds, %d lost", st.Unbinds, st.Lost)
		}
		for _, b := range r.Snapshot() {
			if b.State != StateStopped || b.Stats.Submits != b.Stats.Responses {
				t.Errorf("%+v", b)
			}
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	sim := smsctest.Config{OnPDU: func(_ uint64, p smsctest.PDU) ([]byte, bool) {
		return nil, p.CommandID == smsctest.Unbind || p.CommandID == smsctest.SubmitSM
	}}
	bubble(t, sim, Config{DrainTimeout: 7 * time.Second}, Deps{}, func(t *testing.T, r *rig) {
		replies := exchange(t.Context(), r.reserve(t, 1), sms.JobRef{}, parts(1, "447700900123"))
		start := time.Now()
		r.drain()
		if took := time.Since(start); took != 12*time.Second {
			t.Errorf("drain took %s, want 7s for the message and 5s for the unbind", took)
		}
		if got := codes(slices.Collect(replies)); got[0] != sms.CodeUncertain {
			t.Errorf("got %v", got)
		}
	})
}

func TestTheEndOfWorkEndsADrainAtOnce(t *testing.T) {
	sim := smsctest.Config{Latency: time.Hour}
	bubble(t, sim, Config{}, Deps{}, func(t *testing.T, r *rig) {
		replies := exchange(t.Context(), r.reserve(t, 1), sms.JobRef{}, parts(1, "447700900123"))
		start := time.Now()
		go r.drain()
		time.Sleep(time.Second)
		r.abort()
		r.drain()
		if took := time.Since(start); took != time.Second {
			t.Errorf("ended after %s", took)
		}
		if got := codes(slices.Collect(replies)); got[0] != sms.CodeUncertain {
			t.Errorf("got %v", got)
		}
	})
}

func TestStopDuringEachStageLeavesNothing(t *testing.T) {
	blocked := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	closed := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
	silent := smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 { return smsctest.NoAnswer }}
	for state, c := range map[State]struct {
		sim  smsctest.Config
		deps Deps
	}{
		StateConnecting: {deps: Deps{Dial: blocked}},
		StateBinding:    {sim: silent},
		StateBackoff:    {deps: Deps{Dial: closed}},
		StateBound:      {},
	} {
		t.Run(string(state), func(t *testing.T) {
			bubble(t, c.sim, Config{}, c.deps, func(t *testing.T, r *rig) {
				if st := r.Snapshot()[0].State; st != state {
					t.Fatalf("state %s, want %s", st, state)
				}
				start := time.Now()
				r.drain()
				if took := time.Since(start); took != 0 {
					t.Errorf("stop took %s", took)
				}
				synctest.Wait()
				if n := r.smsc.Stats().Binds; n != 0 {
					t.Errorf("%d binds left", n)
				}
			})
		})
	}
}

func TestSlowStagesTimeOut(t *testing.T) {
	slow := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	silent := smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 { return smsctest.NoAnswer }}
	for name, c := range map[string]struct {
		sim   smsctest.Config
		deps  Deps
		after time.Duration
		err   string
	}{
		"dial": {deps: Deps{Dial: slow}, after: 10 * time.Second, err: "connect to smsc.example.net:2775: context deadline exceeded"},
		"bind": {sim: silent, after: 30 * time.Second, err: "no answer within 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.sim, Config{}, c.deps, func(t *testing.T, r *rig) {
				time.Sleep(c.after)
				synctest.Wait()
				if st := r.Snapshot()[0]; st.State != StateBackoff || !strings.Contains(st.LastErr, c.err) {
					t.Errorf("after %s: %s, %q", c.after, st.State, st.LastErr)
				}
			})
		})
	}
}

func TestEndpointsAreTriedInTurn(t *testing.T) {
	var up atomic.Pointer[rig] // only c is up, and only once this is set
	var dialled []string
	deps := Deps{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled = append(dialled, addr)
		if r := up.Load(); r != nil && addr == "c:1" {
			return r.smsc.DialContext(ctx, network, addr)
		}
		return nil, errors.New("refused")
	}}
	bubble(t, smsctest.Config{}, Config{Endpoints: []string{"a:1", "b:1", "c:1"}}, deps, func(t *testing.T, r *rig) {
		up.Store(r)
		time.Sleep(time.Second)
		synctest.Wait()
		st := r.Snapshot()[0]
		if diff := cmp.Diff([]string{"a:1", "b:1", "c:1", "a:1", "b:1", "c:1"}, dialled); diff != "" || st.Endpoint != "c:1" || st.State != StateBound {
			t.Errorf("%+v, dialled (-want +got):\n%s", st, diff)
		}
		// After a loss a bind that was stable goes back to where it was.
		time.Sleep(time.Minute)
		r.smsc.CutConnections()
		time.Sleep(time.Second)
		synctest.Wait()
		if r.Bound() != 1 || len(dialled) != 7 || dialled[6] != "c:1" {
			t.Errorf("%d bound, dialled %v", r.Bound(), dialled)
		}
	})
}

func TestEveryTransitionIsLoggedOnce(t *testing.T) {
	told := make(chan struct{}, 16)
	bubble(t, smsctest.Config{}, Config{}, Deps{}, func(t *testing.T, r *rig) {
		r.Notify(func() { told <- struct{}{} })
		time.Sleep(time.Minute)
		r.smsc.CutConnections()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(told) != 1 {
			t.Errorf("told %d times of the new bind, want once", len(told))
		}
		r.drain()
		for state, want := range map[State]int{StateBound: 2, StateBackoff: 1, StateDraining: 1, StateStopped: 1} {
			if n := r.logs.count("state="+string(state), "route=acme", "bind=acme/1"); n != want {
				t.Errorf("%d log lines for %s, want %d", n, state, want)
			}
		}
	})
}
