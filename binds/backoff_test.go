package binds

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestEachBindStatusHasItsPause(t *testing.T) {
	for name, c := range map[string]struct {
		status      uint32
		state       State
		least, most int // attempts within an hour
		alarms      int
	}{
		"wrong password":           {smsctest.RINVPASWD, StateRefused, 10, 13, 1},
		"unknown system_id":        {smsctest.RINVSYSID, StateRefused, 10, 13, 1},
		"bind failed":              {smsctest.RBINDFAIL, StateRefused, 10, 13, 1},
		"invalid command_id":       {smsctest.RINVCMDID, StateRefused, 10, 13, 1},
		"already bound":            {smsctest.RALYNBD, StateBackoff, 59, 121, 0},
		"busy":                     {smsctest.RSYSERR, StateBackoff, 28, 150, 0},
		"queue full":               {smsctest.RMSGQFUL, StateBackoff, 28, 150, 0},
		"throttled":                {smsctest.RTHROTTLED, StateBackoff, 28, 150, 0},
		"temporary":                {smsctest.RXTAPPN, StateBackoff, 28, 150, 0},
		"reserved":                 {0x1D, StateBackoff, 28, 150, 0},
		"closed without a PDU":     {smsctest.CloseConnection, StateRefused, 14, 20, 1},
		"service type not allowed": {0x101, StateRefused, 10, 13, 1},
	} {
		t.Run(name, func(t *testing.T) {
			sim := smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 { return c.status }}
			bubble(t, sim, Config{}, Deps{}, func(t *testing.T, r *rig) {
				time.Sleep(time.Hour)
				synctest.Wait()
				st := r.Snapshot()[0]
				if st.State != c.state || st.Attempts < c.least || st.Attempts > c.most {
					t.Errorf("%s after %d attempts within an hour, want %s after %d..%d", st.State, st.Attempts, c.state, c.least, c.most)
				}
				if st.Hint == "" || st.LastErr == "" {
					t.Errorf("last error %q, hint %q", st.LastErr, st.Hint)
				}
				if n := r.logs.count("level=ERROR"); n != c.alarms {
					t.Errorf("alarmed %d times, want %d", n, c.alarms)
				}
				if st.Entered[StateBinding] != uint64(st.Attempts) || st.Entered[StateBound] != 0 {
					t.Errorf("states entered: %v", st.Entered)
				}
			})
		})
	}
}

func TestAnSMSCThatHangsUpAfterAPDUIsNotTakenForARefusal(t *testing.T) {
	sim := smsctest.Config{Quirks: smsctest.Quirks{BeforeBound: []smsctest.PDU{{CommandID: smsctest.EnquireLink, Sequence: 1}}}}
	bubble(t, sim, Config{}, Deps{}, func(t *testing.T, r *rig) {
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			r.smsc.CutConnections()
		}
		if n := r.Snapshot()[0].Entered[StateRefused]; n != 0 {
			t.Errorf("refused %d times", n)
		}
	})
}

func TestADeadSMSCIsLeftInTwoIntervalsAndAResponseTime(t *testing.T) {
	cfg := Config{EnquireLink: 20 * time.Second, ResponseTimeout: 30 * time.Second}
	bubble(t, smsctest.Config{}, cfg, Deps{}, func(t *testing.T, r *rig) {
		replies := exchange(t.Context(), r.reserve(t, 1), sms.JobRef{}, parts(1, "447700900123"))
		for reply := range replies {
			if reply.Err != nil {
				t.Fatal(reply.Err)
			}
		}
		r.smsc.Stall() // it neither reads nor writes from here on
		defer r.smsc.Resume()
		time.Sleep(20*time.Second - time.Millisecond)
		synctest.Wait()
		if st := r.Snapshot()[0]; st.State != StateBound {
			t.Errorf("%s within the interval, want bound", st.State)
		}
		time.Sleep(50*time.Second + time.Millisecond)
		synctest.Wait()
		if st := r.Snapshot()[0]; st.Entered[StateBackoff] == 0 {
			t.Errorf("still %s after 2 × 20s + 30s of silence", st.State)
		}
	})
}
