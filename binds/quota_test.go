package binds

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// refusedAlready counts the binds that the SMSC answered with ESME_RALYNBD.
func (r *rig) refusedAlready() uint64 {
	return uint64(r.smsc.Stats().BindsNo[smsctest.StatusName(smsctest.RALYNBD)])
}

func TestFewerBindsAreTriedWhereTheSMSCAllowsFewer(t *testing.T) {
	bubble(t, smsctest.Config{MaxBinds: 2}, Config{Binds: 4}, Deps{}, func(t *testing.T, r *rig) {
		if r.Bound() != 2 || r.Wanted() != 2 {
			t.Fatalf("%d bound, %d wanted, want 2 and 2", r.Bound(), r.Wanted())
		}
		held := 0
		for _, st := range r.Snapshot() {
			if st.Held {
				held++
				if st.State != StateBackoff || st.Hint == "" {
					t.Errorf("held back: %+v", st)
				}
			}
		}
		if held != 2 {
			t.Errorf("%d say that they are held back, want 2", held)
		}
		time.Sleep(29 * time.Second)
		if n := r.refusedAlready(); n != 2 {
			t.Errorf("refused %d times within 29s, want twice, once each", n)
		}
		// 30..60s, doubling up to 16..32m: 8 to 13 times each within two hours, not 120.
		time.Sleep(2 * time.Hour)
		if n := r.refusedAlready(); n < 12 || n > 28 {
			t.Errorf("refused %d times within two hours", n)
		}
		if st := r.smsc.Stats(); r.Bound() != 2 || st.BindsTotal != 2 {
			t.Errorf("%d bound after %d binds: those that were bound must stay", r.Bound(), st.BindsTotal)
		}
		if n := r.logs.count("fewer binds are tried", "binds=2", "configured=4"); n == 0 {
			t.Error("nothing in the log says so")
		}
	})
}

func TestAnOldSessionThatTheSMSCStillHoldsIsWaitedFor(t *testing.T) {
	until := time.Time{}
	sim := smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 {
		if until.IsZero() {
			until = time.Now().Add(45 * time.Second)
		}
		if time.Now().Before(until) {
			return smsctest.RALYNBD
		}
		return smsctest.ROK
	}}
	bubble(t, sim, Config{Binds: 2}, Deps{}, func(t *testing.T, r *rig) {
		if r.Wanted() != 1 {
			t.Errorf("%d wanted, want 1: one is always left", r.Wanted())
		}
		time.Sleep(30*time.Second - time.Millisecond)
		synctest.Wait()
		if n := r.refusedAlready(); n != 2 {
			t.Errorf("tried %d times within 30s, want once each", n)
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if r.Bound() != 2 || r.Wanted() != 2 {
			t.Errorf("after 4m: %d bound, %d wanted", r.Bound(), r.Wanted())
		}
	})
}

func TestAPairGivesWayAsAWhole(t *testing.T) {
	// Room for two sessions: both transmitters get in first, then neither receiver.
	bubble(t, smsctest.Config{MaxBinds: 2}, Config{Pair: true, Binds: 2}, Deps{}, func(t *testing.T, r *rig) {
		time.Sleep(70 * time.Second)
		synctest.Wait()
		for range 20 {
			if whole(r.states()) {
				break
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if !whole(r.states()) {
			t.Errorf("neither pair is whole: %v", r.states())
		}
	})
}

// whole reports whether one of two pairs has both its sessions.
func whole(states map[string]State) bool {
	return states["acme/1/tx"] == StateBound && states["acme/1/rx"] == StateBound ||
		states["acme/2/tx"] == StateBound && states["acme/2/rx"] == StateBound
}
