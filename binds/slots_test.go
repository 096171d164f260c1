package binds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// office gives out as many slots as the test says, for 5.5 s each time.
type office struct {
	mu    sync.Mutex
	slots int           // guarded by mu
	hangs bool          // guarded by mu; Renew does not return before ctx ends
	slow  time.Duration // guarded by mu; how long it takes to answer
	err   error         // guarded by mu
	told  []SlotUse     // guarded by mu

	frozen time.Duration // guarded by mu
}

func (o *office) Renew(ctx context.Context, use SlotUse) (SlotGrant, error) {
	asked := time.Now()
	o.mu.Lock()
	o.told = append(o.told, use)
	slots, hangs, slow, err, frozen := o.slots, o.hangs, o.slow, o.err, o.frozen
	o.mu.Unlock()
	time.Sleep(slow)
	if hangs {
		<-ctx.Done()
		err = ctx.Err()
	}
	if err != nil {
		return SlotGrant{}, err
	}
	return SlotGrant{Slots: slots, Until: asked.Add(5500 * time.Millisecond), Again: 1500 * time.Millisecond, Limit: 8, Frozen: frozen}, nil
}

// set changes what is given out, and lets it come through.
func (o *office) set(slots int) {
	o.mu.Lock()
	o.slots = slots
	o.mu.Unlock()
	time.Sleep(4 * time.Second) // heard with one renewal, said what came of it with the next
	synctest.Wait()
}

// fail has renewals fail, or work again with nil.
func (o *office) fail(hangs bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hangs, o.err = hangs, err
}

// last is what the pool said last.
func (o *office) last() SlotUse {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told[len(o.told)-1]
}

// slotBubble is bubble with an office.
func slotBubble(t *testing.T, slots int, sim smsctest.Config, cfg Config, test func(*testing.T, *rig, *office)) {
	t.Helper()
	o := &office{slots: slots}
	bubble(t, sim, cfg, Deps{Slots: o}, func(t *testing.T, r *rig) {
		time.Sleep(time.Second)
		synctest.Wait()
		test(t, r, o)
	})
}

// atSMSC counts the binds that the SMSC has now, and those that ended without unbind.
func (r *rig) atSMSC() (bound, lost int) {
	for _, b := range r.smsc.Binds() {
		switch {
		case b.Until.IsZero():
			bound++
		case !b.Unbound:
			lost++
		}
	}
	return bound, lost
}

func (r *rig) wantAtSMSC(t *testing.T, when string, want int) {
	t.Helper()
	if bound, lost := r.atSMSC(); bound != want || lost != 0 {
		t.Errorf("%s: the SMSC has %d binds, want %d; %d ended without unbind", when, bound, want, lost)
	}
}

func TestAPoolBindsWhatItIsGrantedAndTheRestStandsBy(t *testing.T) {
	slotBubble(t, 0, smsctest.Config{}, Config{Binds: 3}, func(t *testing.T, r *rig, o *office) {
		var mu sync.Mutex
		var news []bool // guarded by mu
		r.Notify(func() {
			mu.Lock()
			defer mu.Unlock()
			if n := len(news); n == 0 || news[n-1] != r.Standby() {
				news = append(news, r.Standby())
			}
		})
		if !r.Standby() || r.Wanted() != 0 {
			t.Errorf("without a slot: standby %v, %d tried", r.Standby(), r.Wanted())
		}
		for _, n := range []int{1, 3, 2, 0, 3} {
			o.set(n)
			r.wantAtSMSC(t, fmt.Sprintf("%d granted", n), n)
			standby := 0
			for _, s := range r.states() {
				if s == StateStandby {
					standby++
				}
			}
			if standby != 3-n || r.Wanted() != n || r.Standby() != (n == 0) {
				t.Errorf("%d granted: %d stand by, %d tried, pool stands by: %v", n, standby, r.Wanted(), r.Standby())
			}
			if diff := cmp.Diff(SlotUse{Held: n, Bound: n, Firm: 3, Wanted: 3}, o.last()); diff != "" {
				t.Errorf("%d granted (-want +said):\n%s", n, diff)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]bool{false, true, false}, news); diff != "" {
			t.Errorf("listeners find the pool standing by (-want +got):\n%s", diff)
		}
	})
}

func TestTheLeastLoadedBindGivesWayOnceItsMessagesAreAnswered(t *testing.T) {
	slotBubble(t, 3, smsctest.Config{Latency: 12 * time.Second}, Config{Binds: 3, Window: 10}, func(t *testing.T, r *rig, o *office) {
		replies := make(chan sms.Reply, 100)
		load := map[string]int{}
		for range 14 { // each goes to the bind with most free slots
			res := r.reserve(t, 1)
			load[res.Bind()]++
			go func() {
				for reply := range exchange(context.WithoutCancel(t.Context()), res, sms.JobRef{}, parts(1, "447700900123")) {
					replies <- reply
				}
			}()
		}
		synctest.Wait()
		idle := ""
		for _, st := range r.Snapshot() {
			if idle == "" || load[st.Bind] < load[idle] {
				idle = st.Bind
			}
		}
		o.set(2)
		var draining []string
		for name, s := range r.states() {
			if s == StateDraining {
				draining = append(draining, name)
			}
		}
		if len(draining) != 1 || load[draining[0]] != load[idle] {
			t.Errorf("draining %v of %v, want one with %d", draining, load, load[idle])
		}
		if use := o.last(); use.Held != 3 || use.Bound != 2 {
			t.Errorf("a draining bind still has its slot: %+v", use)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		for range 14 {
			if reply := <-replies; reply.Err != nil {
				t.Errorf("%+v", reply)
			}
		}
		r.wantAtSMSC(t, "in the end", 2)
		if use := o.last(); use.Held != 2 {
			t.Errorf("said in the end: %+v", use)
		}
	})
}

func TestABindIsGoneBeforeItsLeaseIs(t *testing.T) {
	for name, hangs := range map[string]bool{"Redis refuses": false, "Redis hangs": true} {
		t.Run(name, func(t *testing.T) {
			// The SMSC answers nothing, not even unbind, while Redis is away.
			slotBubble(t, 2, smsctest.Config{}, Config{Binds: 2}, func(t *testing.T, r *rig, o *office) {
				lost := time.Now()
				o.fail(hangs, errors.New("away"))
				time.Sleep(2 * time.Second)
				synctest.Wait()
				r.wantAtSMSC(t, "after 2s", 2)
				r.smsc.Stall()
				time.Sleep(time.Until(lost.Add(5500 * time.Millisecond)))
				synctest.Wait()
				for _, b := range r.Snapshot() {
					if b.State != StateStandby {
						t.Errorf("%s is %s at the end of the lease", b.Bind, b.State)
					}
				}
				if !r.Standby() || r.logs.count("bind slots not renewed") != 1 || r.Slots().Err == "" {
					t.Errorf("standby %v, said %d times, status %+v", r.Standby(), r.logs.count("bind slots not renewed"), r.Slots())
				}
				r.smsc.Resume()
				o.fail(false, nil)
				o.set(2)
				if bound, _ := r.atSMSC(); bound != 2 {
					t.Errorf("%d bound when Redis is back", bound)
				}
			})
		})
	}
}

func TestALeaseThatLapsesUnbindsInGoodOrder(t *testing.T) {
	slotBubble(t, 2, smsctest.Config{Latency: 500 * time.Millisecond}, Config{Binds: 2}, func(t *testing.T, r *rig, o *office) {
		o.fail(false, errors.New("away"))
		time.Sleep(1900 * time.Millisecond) // a renewal at 1.5s failed; the lease began at 0
		until := time.Now().Add(6 * time.Second)
		var faults []error
		for time.Now().Before(until) {
			if res, _ := r.TryReserve(1); res != nil {
				for reply := range exchange(t.Context(), res, sms.JobRef{}, parts(1, "447700900123")) {
					faults = append(faults, reply.Err)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		if i := slices.IndexFunc(faults, func(err error) bool { return err != nil }); i >= 0 || len(faults) == 0 {
			t.Errorf("of %d replies: %v", len(faults), faults)
		}
		r.wantAtSMSC(t, "after the lease", 0)
	})
}

func TestALeaseThatLapsesDoesNotWaitForAnSMSCThatIsSilent(t *testing.T) {
	slotBubble(t, 1, smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Drop: true} }},
		Config{}, func(t *testing.T, r *rig, o *office) {
			replies := make(chan sms.Reply, 1)
			res := r.reserve(t, 1)
			go func() {
				for reply := range exchange(context.WithoutCancel(t.Context()), res, sms.JobRef{}, parts(1, "447700900123")) {
					replies <- reply
				}
			}()
			synctest.Wait()
			o.fail(false, errors.New("away"))
			time.Sleep(5500 * time.Millisecond)
			synctest.Wait()
			r.wantAtSMSC(t, "after the lease", 0)
			if reply := <-replies; code(reply.Err) != sms.CodeUncertain {
				t.Errorf("the open message: %+v", reply)
			}
		})
}

func TestTheLogSaysOnceThatNoBindsAreLeased(t *testing.T) {
	slotBubble(t, 1, smsctest.Config{}, Config{}, func(t *testing.T, r *rig, o *office) {
		for _, frozen := range []time.Duration{6 * time.Second, 0} {
			o.mu.Lock()
			o.frozen = frozen
			o.mu.Unlock()
			o.set(1)
		}
		for words, want := range map[string]int{"may have lost who has binds": 1, "binds are leased again": 1} {
			if n := r.logs.count(words, "route=acme"); n != want {
				t.Errorf("%d lines say %q, want %d", n, words, want)
			}
		}
	})
}

func TestSlotsGoBackAsBindsEndInADrain(t *testing.T) {
	slotBubble(t, 2, smsctest.Config{Latency: 5 * time.Second}, Config{Binds: 2}, func(t *testing.T, r *rig, o *office) {
		go exchange(context.WithoutCancel(t.Context()), r.reserve(t, 1), sms.JobRef{}, parts(1, "447700900123"))(func(sms.Reply) bool { return true })
		synctest.Wait()
		ended := make(chan struct{})
		go func() { defer close(ended); r.drain() }()
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff(SlotUse{Held: 1}, o.last()); diff != "" {
			t.Errorf("while one bind has an open message (-want +said):\n%s", diff)
		}
		<-ended
		if diff := cmp.Diff(SlotUse{}, o.last()); diff != "" {
			t.Errorf("in the end (-want +said):\n%s", diff)
		}
		r.wantAtSMSC(t, "in the end", 0)
		if r.Standby() {
			t.Error("a pool that has ended waits for slots")
		}
	})
}

func TestTheFleetHearsThatTheSMSCAllowsFewerBinds(t *testing.T) {
	slotBubble(t, 3, smsctest.Config{MaxBinds: 2}, Config{Binds: 3}, func(t *testing.T, r *rig, o *office) {
		o.mu.Lock()
		told := slices.Clone(o.told)
		o.mu.Unlock()
		refused := 0
		for _, use := range told {
			if refused += use.Refused; use.Refused > 0 && (use.Hold < 30*time.Second || use.Hold > time.Minute) {
				t.Errorf("hold for %v", use.Hold)
			}
		}
		if refused != 1 {
			t.Errorf("said %d times, want once: %+v", refused, told)
		}
		o.set(2)
		if diff := cmp.Diff(SlotUse{Held: 2, Bound: 2, Firm: 2, Wanted: 3}, o.last()); diff != "" {
			t.Errorf("who was refused gives way, and does not come first (-want +said):\n%s", diff)
		}
		r.wantAtSMSC(t, "two granted", 2)
	})
}

func TestAPairHasOneSlotAndLosesItAsAWhole(t *testing.T) {
	slotBubble(t, 1, smsctest.Config{}, Config{Pair: true, Binds: 2}, func(t *testing.T, r *rig, o *office) {
		r.wantAtSMSC(t, "one granted", 2)
		if diff := cmp.Diff(SlotUse{Held: 1}, SlotUse{Held: r.Wanted()}); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		o.set(2)
		r.wantAtSMSC(t, "two granted", 4)
		o.set(1)
		r.wantAtSMSC(t, "one granted again", 2)
		up := 0
		for _, s := range r.states() {
			if s == StateBound {
				up++
			}
		}
		if s := r.states(); up != 2 || s["acme/1/tx"] != s["acme/1/rx"] {
			t.Errorf("a pair was torn: %v", s)
		}
		o.set(0)
		r.wantAtSMSC(t, "none granted", 0)
	})
}

func TestABindThatCannotConnectIsDoubtedForAWhile(t *testing.T) {
	var refuse atomic.Bool
	refuse.Store(true)
	slotBubble(t, 2, smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 {
		if refuse.Load() {
			return smsctest.RSYSERR
		}
		return smsctest.ROK
	}}, Config{Binds: 2}, func(t *testing.T, r *rig, o *office) {
		o.set(0)
		if diff := cmp.Diff(SlotUse{Wanted: 2}, o.last()); diff != "" {
			t.Errorf("after failures (-want +said):\n%s", diff)
		}
		refuse.Store(false)
		o.set(2)
		if diff := cmp.Diff(SlotUse{Held: 2, Bound: 2, Firm: 2, Wanted: 2}, o.last()); diff != "" {
			t.Errorf("bound (-want +said):\n%s", diff)
		}
		refuse.Store(true)
		r.smsc.CutConnections()
		o.set(0)
		if diff := cmp.Diff(SlotUse{Wanted: 2}, o.last()); diff != "" {
			t.Errorf("after failures again (-want +said):\n%s", diff)
		}
		time.Sleep(20 * time.Minute)
		if diff := cmp.Diff(SlotUse{Firm: 2, Wanted: 2}, o.last()); diff != "" {
			t.Errorf("much later (-want +said):\n%s", diff)
		}
	})
}
