package smpp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// submitData is submit for data_sm.
func (r *running) submitData(t *testing.T, job string, done chan *Call) {
	t.Helper()
	if err := r.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := message(1, 1)
	m.DataSM = true
	if err := r.Go(&Burst{Ref: sms.JobRef{JobID: job}, Done: done}, []*sms.Message{m}); err != nil {
		t.Fatal(err)
	}
}

func TestDataSMIsAnsweredByDataSMRespOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{Window: 2})
		done := make(chan *Call, 2)
		r.submitData(t, "data", done)
		data := r.peer.want(cmdDataSM)
		r.submit(t, sms.JobRef{JobID: "submit"}, done)
		submit := r.peer.want(cmdSubmitSM)

		r.peer.send(
			rawPDU{command: cmdSubmitSMResp, sequence: data.sequence, body: []byte("wrong\x00")},
			rawPDU{command: cmdDataSMResp, sequence: submit.sequence, body: []byte("wrong\x00")},
		)
		synctest.Wait()
		if n := len(done); n != 0 {
			t.Fatalf("%d calls ended by the other command's response", n)
		}
		// dpf_result (SMPP 3.4 §5.3.2.28) behind the message_id.
		r.peer.respond(data, 0, "d-1\x00\x04\x20\x00\x01\x01")
		r.peer.respond(submit, 0x45, "")
		if c := <-done; c.burst.Ref.JobID != "data" || c.MessageID != "d-1" || c.Status != 0 || c.Err != nil {
			t.Errorf("data_sm got %+v", c)
		}
		if c := <-done; c.burst.Ref.JobID != "submit" || c.Status != 0x45 {
			t.Errorf("submit_sm got %+v", c)
		}
		if st := r.Stats(); st.Unmatched != 2 || st.InFlight != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestDataSMMayBeNackedAndAnsweredLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var late string
		r := startPipe(t, Config{Window: 2, ResponseTimeout: 10 * time.Second, Late: func(ref sms.JobRef, a sms.Accepted) {
			late += ref.JobID + a.RawMessageID
		}})
		done := make(chan *Call, 2)
		r.submitData(t, "nacked", done)
		r.peer.send(rawPDU{command: cmdGenericNack, status: StatusInvCmdID, sequence: r.peer.want(cmdDataSM).sequence})
		if c := <-done; c.Status != StatusInvCmdID || c.Err != nil {
			t.Errorf("nacked data_sm got %+v", c)
		}
		r.submitData(t, "slow", done)
		slow := r.peer.want(cmdDataSM)
		if c := <-done; code(c.Err) != sms.CodeUncertain {
			t.Errorf("unanswered data_sm got %+v", c)
		}
		r.peer.respond(slow, 0, "-id\x00")
		synctest.Wait()
		if late != "slow-id" {
			t.Errorf("late answer reported as %q", late)
		}
	})
}
