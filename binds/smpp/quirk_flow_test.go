package smpp_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestTheWindowIsNeverOverrun(t *testing.T) {
	// An SMSC that hangs up above its window, and the default window.
	sim := smsctest.Config{Window: 10, Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Quirks: smsctest.Quirks{WindowClose: true}}
	bubble(t, sim, smpp.Config{}, func(t *testing.T, e *esme) {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				for range 20 {
					e.accepted(t)
				}
			})
		}
		all.Wait()
		e.up(t)
		if st := e.smsc.Stats(); st.MaxWindow != 10 {
			t.Errorf("%d outstanding at the SMSC, want 10", st.MaxWindow)
		}
	})
}

func TestAnOverrunWindowIsAStatusLikeAnother(t *testing.T) {
	t.Parallel()
	for _, status := range []uint32{smsctest.RSUBMITFAIL, smsctest.RMSGQFUL, smsctest.RTHROTTLED} {
		t.Run(smsctest.StatusName(status), func(t *testing.T) {
			sim := smsctest.Config{Window: 3, WindowStatus: status, Latency: time.Second}
			bubble(t, sim, smpp.Config{Window: 4}, func(t *testing.T, e *esme) {
				done := e.submit(t, "447700900001", "447700900002", "447700900003", "447700900004")
				refused := 0
				for range 4 {
					if c := <-done; c.Err != nil {
						t.Errorf("part %d ended with %v", c.Part, c.Err)
					} else if c.Status == status && c.Part == 4 {
						refused++
					}
				}
				if refused != 1 {
					t.Errorf("%d refused for the window, want the fourth", refused)
				}
				e.up(t)
			})
		})
	}
}

// pump sends messages from as many senders, each waiting for the answer to
// its last, until n are answered. It returns how many were refused.
func (e *esme) pump(t *testing.T, senders, n int) (refused int) {
	t.Helper()
	var left, no atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if c := <-e.submit(t, "447700900123"); c.Err != nil {
					t.Errorf("ended with %v", c.Err)
				} else if c.Status != smpp.StatusOK {
					no.Add(1)
				}
			}
		})
	}
	all.Wait()
	return int(no.Load())
}

func TestAWindowThatTheSMSCDoesNotGrantIsNarrowed(t *testing.T) {
	t.Parallel()
	for _, status := range []uint32{smsctest.RSUBMITFAIL, smsctest.RMSGQFUL} {
		t.Run(smsctest.StatusName(status), func(t *testing.T) {
			sim := smsctest.Config{Window: 10, WindowStatus: status, Latency: 50 * time.Millisecond}
			bubble(t, sim, smpp.Config{Window: 40}, func(t *testing.T, e *esme) {
				e.pump(t, 48, 1000)
				if w := e.Window(); w != 10 {
					t.Errorf("window %d, want what the SMSC grants", w)
				}
				if n := e.pump(t, 48, 2000); n != 0 {
					t.Errorf("%d of 2000 refused with the narrowed window", n)
				}
				// What is tried now and then beyond it costs little.
				if n := e.pump(t, 48, 20_000); n > 200 || e.Window() < 10 || e.Window() > 11 {
					t.Errorf("%d of 20000 refused, window %d", n, e.Window())
				}
				synctest.Wait()
				if st := e.Stats(); st.InFlight != 0 || e.Free() != e.Window() {
					t.Errorf("%d in flight, %d of %d slots free", st.InFlight, e.Free(), e.Window())
				}
			})
		})
	}
}

func TestRefusalsForOtherReasonsLeaveTheWindow(t *testing.T) {
	t.Parallel()
	for name, share := range map[string]float64{"now and then": 0.05, "often": 0.4} {
		t.Run(name, func(t *testing.T) {
			sim := smsctest.Config{Latency: 50 * time.Millisecond, Faults: smsctest.Faults{Error: share, ErrorStatus: smsctest.RSUBMITFAIL}}
			bubble(t, sim, smpp.Config{Window: 40}, func(t *testing.T, e *esme) {
				e.pump(t, 48, 5000)
				if w := e.Window(); w != 40 {
					t.Errorf("window %d, want 40", w)
				}
			})
		})
	}
}

func TestAWindowOverrunThatIsAnsweredByHangingUpLosesNothing(t *testing.T) {
	sim := smsctest.Config{Window: 3, Latency: time.Second, Quirks: smsctest.Quirks{WindowClose: true}}
	bubble(t, sim, smpp.Config{Window: 4}, func(t *testing.T, e *esme) {
		done := e.submit(t, "447700900001", "447700900002", "447700900003", "447700900004")
		ends := map[string]int{}
		for range 4 {
			c := <-done
			ends[fmt.Sprintf("%s %d", code(c.Err), c.Status)]++
		}
		if ends["uncertain 0"] != 3 || ends[" 20"] != 1 {
			t.Errorf("ends %v", ends)
		}
	})
}

func TestASegmentDoesNotWaitForTheAnswerToAnother(t *testing.T) {
	// Relays that put messages together answer no segment before the last.
	bubble(t, smsctest.Config{OnSubmit: hold}, smpp.Config{}, func(t *testing.T, e *esme) {
		done := e.submit(t, "447700900123", "447700900123", "447700900123")
		synctest.Wait()
		if n := e.smsc.ReleaseHeld(false); n != 3 {
			t.Fatalf("%d segments came before the first answer", n)
		}
		for range 3 {
			if c := <-done; c.Err != nil {
				t.Errorf("part %d ended with %v", c.Part, c.Err)
			}
		}
	})
}

func TestAResponseMayTakeMinutes(t *testing.T) {
	sim := smsctest.Config{Latency: 9 * time.Minute, IdleTimeout: time.Minute}
	bubble(t, sim, smpp.Config{ResponseTimeout: 10 * time.Minute}, func(t *testing.T, e *esme) {
		if c := e.accepted(t); c.Latency != 9*time.Minute {
			t.Errorf("latency %s", c.Latency)
		}
	})
}

func TestALateResponseStillNamesItsJobAndNoOther(t *testing.T) {
	type late struct {
		job, id string
	}
	var got []late
	sim := smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		if m.Destination == "447700900999" {
			return smsctest.Action{Delay: 70 * time.Second, MessageID: "slow", NoReceipt: true}
		}
		return smsctest.Action{Delay: 30 * time.Second, MessageID: "quick", NoReceipt: true}
	}}
	cfg := smpp.Config{Window: 1, Late: func(ref sms.JobRef, a sms.Accepted) { got = append(got, late{ref.JobID, a.RawMessageID}) }}
	bubble(t, sim, cfg, func(t *testing.T, e *esme) {
		if c := <-e.submit(t, "447700900999"); code(c.Err) != sms.CodeUncertain {
			t.Errorf("ended with %v", c.Err)
		}
		// Its slot is used again, and open while the late answer comes.
		if c := e.accepted(t); c.MessageID != "quick" {
			t.Errorf("the next message got %q", c.MessageID)
		}
		synctest.Wait()
		if len(got) != 1 || got[0] != (late{"job", "slow"}) {
			t.Errorf("late: %v", got)
		}
	})
}
