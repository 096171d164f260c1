package smpp_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestAnIdleLinkLivesAtSMSCsThatCloseAfterTheSameSilence(t *testing.T) {
	bubble(t, smsctest.Config{IdleTimeout: 30 * time.Second}, smpp.Config{EnquireLink: 30 * time.Second}, func(t *testing.T, e *esme) {
		time.Sleep(time.Hour)
		e.up(t)
		// 3600 s of silence, 25 s at a time.
		if n := e.smsc.Stats().Enquiries; n != 144 {
			t.Errorf("%d enquire_link within an hour, want 144", n)
		}
	})
}

func TestAnyAnswerToEnquireLinkIsLife(t *testing.T) {
	t.Parallel()
	for name, quirks := range map[string]smsctest.Quirks{
		"an error status": {EnquireLinkStatus: smsctest.RSYSERR},
		"a generic_nack":  {EnquireLinkNack: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, smsctest.Config{Quirks: quirks}, smpp.Config{}, func(t *testing.T, e *esme) {
				time.Sleep(time.Hour)
				e.up(t)
				if r := e.Stats().Refusals; r != (smpp.Refusals{}) {
					t.Errorf("refusals %v", r)
				}
			})
		})
	}
}

func TestABlackHoleIsLeftInTwoIntervalsAndAResponseTime(t *testing.T) {
	cfg := smpp.Config{EnquireLink: 30 * time.Second, ResponseTimeout: 20 * time.Second}
	var deaf atomic.Bool // all that is sent is taken, and nothing comes back
	sim := smsctest.Config{
		Receipts: smsctest.ReceiptConfig{Off: true}, // sent again and again, they would be life
		OnPDU:    func(uint64, smsctest.PDU) ([]byte, bool) { return nil, deaf.Load() },
	}
	bubble(t, sim, cfg, func(t *testing.T, e *esme) {
		e.up(t)
		deaf.Store(true)
		begin := time.Now()
		done := e.submit(t, "447700900123")
		e.ends(t, smpp.ErrLinkDead)
		if took := time.Since(begin); took > 2*30*time.Second+20*time.Second {
			t.Errorf("noticed after %s", took)
		}
		if c := <-done; code(c.Err) != sms.CodeUncertain {
			t.Errorf("the open message ended with %v", c.Err)
		}
	})
}

func TestTheSMSCsEnquireLinkIsAnsweredBesideBusyHandlers(t *testing.T) {
	blocked := func(ctx context.Context, _ *smpp.Inbound) uint32 {
		<-ctx.Done()
		return smpp.StatusTemporary
	}
	bubble(t, smsctest.Config{EnquireLink: 45 * time.Second}, smpp.Config{Handler: smpp.Each(blocked), EnquireLink: -1}, func(t *testing.T, e *esme) {
		e.sends(t, deliverSM(1, "hello").Append(nil))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := e.smsc.Stats().Alive; n != 13 {
			t.Errorf("%d enquire_link answered within ten minutes, want 13", n)
		}
	})
}

func TestAnUnbindWithoutAnAnswerIsBounded(t *testing.T) {
	bubble(t, smsctest.Config{Quirks: smsctest.Quirks{NoUnbindResp: true}}, smpp.Config{}, func(t *testing.T, e *esme) {
		begin := time.Now()
		if err := e.Unbind(t.Context()); err != smpp.ErrUnbindTimeout {
			t.Errorf("Unbind: %v", err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %s", took)
		}
		e.ends(t, smpp.ErrUnbindTimeout)
	})
}

func TestResponsesAndReceiptsAfterOurUnbindCount(t *testing.T) {
	got := make(messages, 8)
	// Unbind gives up waiting for the response and unbinds; the SMSC answers
	// the message first, sends its receipt, and only then answers the unbind.
	sim := smsctest.Config{Latency: 3 * time.Second, OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{Delay: 0, MessageID: "7E5", NoReceipt: true}
	}}
	bubble(t, sim, smpp.Config{Handler: smpp.Each(got.handle)}, func(t *testing.T, e *esme) {
		done := e.submit(t, "447700900123")
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		unbound := make(chan error, 1)
		go func() { unbound <- e.Unbind(gone) }()
		time.Sleep(time.Second)
		e.sends(t, deliverSM(9, "id:7E5").Append(nil))
		if in := <-got; in.Sequence != 9 {
			t.Errorf("got %+v", in)
		}
		if c := <-done; c.Err != nil || c.MessageID != "7E5" {
			t.Errorf("the open message ended with %q, %v", c.MessageID, c.Err)
		}
		if err := <-unbound; err != nil {
			t.Error(err)
		}
		e.ends(t, nil)
		if st := e.smsc.Stats(); st.Unbinds != 1 || st.Lost != 0 {
			t.Errorf("%d unbinds, %d lost", st.Unbinds, st.Lost)
		}
	})
}

func TestTheSMSCsUnbindIsAnsweredAfterWhatIsOpen(t *testing.T) {
	bubble(t, smsctest.Config{Latency: time.Second}, smpp.Config{}, func(t *testing.T, e *esme) {
		done := e.submit(t, "447700900123")
		synctest.Wait()
		e.smsc.Unbind()
		if c := <-done; c.Err != nil {
			t.Errorf("the open message ended with %v", c.Err)
		}
		e.ends(t, smpp.ErrPeerUnbind)
		if st := e.smsc.Stats(); st.UnbindResp != 1 || st.Lost != 0 {
			t.Errorf("%d unbind answered, %d lost", st.UnbindResp, st.Lost)
		}
	})
}

func TestACloseRightAfterSubmitIsUncertain(t *testing.T) {
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Close: true} }}
	bubble(t, sim, smpp.Config{}, func(t *testing.T, e *esme) {
		if c := <-e.submit(t, "447700900123"); code(c.Err) != sms.CodeUncertain {
			t.Errorf("ended with %v", c.Err)
		}
		e.ends(t, io.EOF)
	})
}

func TestAResponseRightBeforeTheCloseCounts(t *testing.T) {
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{CloseAfter: true} }}
	bubble(t, sim, smpp.Config{}, func(t *testing.T, e *esme) {
		e.accepted(t)
		e.ends(t, io.EOF)
	})
}
