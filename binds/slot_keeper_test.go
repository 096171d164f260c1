package binds

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// Redis takes a worker's word for what it holds, and somebody else may have it.
func TestAnAnswerAfterTheLeaseGrantsNothingThatWasClaimedUnderIt(t *testing.T) {
	slotBubble(t, 2, smsctest.Config{}, Config{Binds: 2}, func(t *testing.T, r *rig, o *office) {
		until := r.Slots().Until
		o.fail(false, errors.New("away"))
		r.smsc.Stall() // so that no bind ends before the lease does
		time.Sleep(time.Until(until) - 300*time.Millisecond)
		o.fail(false, nil)
		o.mu.Lock()
		o.slow = 600 * time.Millisecond
		o.mu.Unlock()
		time.Sleep(250 * time.Millisecond)
		if use := o.last(); use.Held != 2 {
			t.Fatalf("shortly before the end of the lease it says %+v", use)
		}
		time.Sleep(100 * time.Millisecond)
		r.smsc.Resume()
		time.Sleep(time.Until(until) + time.Second)
		synctest.Wait()
		if use := o.last(); use.Held != 0 || use.Bound != 0 || use.Wanted != 2 {
			t.Errorf("after the lease it says %+v", use)
		}
		if bound, _ := r.atSMSC(); bound != 0 {
			t.Errorf("%d binds although nothing was granted since", bound)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := r.Bound(); n != 2 {
			t.Errorf("%d bound after a new lease", n)
		}
	})
}

func TestAProcessThatStoodStillClosesItsBindsBeforeItClaimsAny(t *testing.T) {
	slotBubble(t, 2, smsctest.Config{}, Config{Binds: 2}, func(t *testing.T, r *rig, o *office) {
		k := newSlotKeeper(r.Pool) // whose next call is due at the same time as the end of its lease
		k.until = time.Now()
		k.call(t.Context())
		k.calls.Wait()
		if diff := cmp.Diff(SlotUse{Firm: 2, Wanted: 2}, o.last()); diff != "" {
			t.Errorf("(-want +said):\n%s", diff)
		}
		synctest.Wait()
		if bound, _ := r.atSMSC(); bound != 0 {
			t.Errorf("%d bound after the end of the lease", bound)
		}
	})
}
