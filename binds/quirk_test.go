package binds

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestASuccessWithoutAMessageIDIsASuccess(t *testing.T) {
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Body: []byte{}} }}
	bubble(t, sim, Config{}, Deps{}, func(t *testing.T, r *rig) {
		want := []sms.Reply{{Part: 1, Bind: "acme/1"}}
		if diff := cmp.Diff(want, r.send(t, 1)); diff != "" {
			t.Errorf("replies (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour)
		if n := r.smsc.Stats().Submits; n != 1 {
			t.Errorf("submitted %d times", n)
		}
	})
}

func TestAMessageOfMoreSegmentsThanTheSMSCGrantsGoesAllTheSame(t *testing.T) {
	sim := smsctest.Config{Window: 2, Latency: 50 * time.Millisecond}
	bubble(t, sim, Config{Window: 8}, Deps{}, func(t *testing.T, r *rig) {
		for range 200 { // most of it refused, until the window is narrowed
			_ = r.send(t, 8)
			synctest.Wait()
		}
		replies := r.send(t, 8)
		if diff := cmp.Diff(make([]sms.Code, 8), codes(replies)); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		if st := r.Snapshot()[0]; st.Window != 2 {
			t.Errorf("the status shows a window of %d, want the 2 that are granted", st.Window)
		}
	})
}

func TestRefusalsAreSummedOverTheSessionsOfABind(t *testing.T) {
	bubble(t, smsctest.Config{}, Config{}, Deps{}, func(t *testing.T, r *rig) {
		for range 2 {
			all := r.smsc.Binds()
			id := all[len(all)-1].ID
			junk := smsctest.PDU{CommandID: 0x777, Sequence: 1}.Append(nil)
			if err := r.smsc.Send(id, append(junk, make([]byte, 16)...)); err != nil { // and a length of 0
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
		}
		var want smpp.Refusals
		want[smpp.RefusedCommand], want[smpp.RefusedLength] = 2, 2
		st := r.Snapshot()[0]
		if diff := cmp.Diff(want, st.Stats.Refusals); diff != "" || st.State != StateBound {
			t.Errorf("state %s, refusals (-want +got):\n%s", st.State, diff)
		}
	})
}

// Whoever is told of free slots takes them at once; a message that has begun
// must have its own all the same, or it ends only with the backlog.
func TestAMessageOfMorePartsThanSlotsEndsUnderABacklog(t *testing.T) {
	sim := smsctest.Config{Latency: time.Second}
	bubble(t, sim, Config{Window: 2}, Deps{}, func(t *testing.T, r *rig) {
		var others sync.WaitGroup
		var stop atomic.Bool
		backlog := func() {
			for !stop.Load() {
				res, _ := r.TryReserve(1)
				if res == nil {
					return
				}
				others.Go(func() {
					for range exchange(t.Context(), res, sms.JobRef{JobID: "other"}, parts(1, "447700900124")) {
					}
				})
			}
		}
		res := r.reserve(t, 6)
		r.Notify(backlog)
		backlog()
		start := time.Now()
		time.AfterFunc(time.Hour, func() { stop.Store(true) })
		replies := slices.Collect(exchange(t.Context(), res, sms.JobRef{JobID: "long"}, parts(6, "447700900123")))
		if diff := cmp.Diff(make([]sms.Code, 6), codes(replies)); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("six parts took %s", took)
		}
		stop.Store(true)
		others.Wait()
		synctest.Wait()
		if r.free() != 2 {
			t.Errorf("%d slots free, want 2", r.free())
		}
	})
}
