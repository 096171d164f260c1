package smpp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

func TestSlotsOfCallsThatEndedInASilenceAreWithheldUntilThePeerIsHeard(t *testing.T) {
	cfg := smpp.Config{Window: 2, ResponseTimeout: 5 * time.Second, EnquireLink: 30 * time.Second, EnquireTimeout: time.Minute}
	bubble(t, smsctest.Config{}, cfg, func(t *testing.T, e *esme) {
		time.Sleep(time.Second)
		e.smsc.Stall()
		done := e.submit(t, "447700900123", "447700900124")
		for range 2 {
			if c := <-done; c.Err == nil {
				t.Errorf("answered with status %d by a peer that is silent", c.Status)
			}
		}
		time.Sleep(10 * time.Second)
		if n := e.Free(); n != 0 {
			t.Errorf("%d slots are free on a silent link, want none", n)
		}
		e.smsc.Resume()
		time.Sleep(time.Second) // enquire_link was sent into the silence
		synctest.Wait()
		if n := e.Free(); n != 2 {
			t.Errorf("%d slots are free once the peer is heard, want 2", n)
		}
	})
}

func TestASlowPeerIsHeardAtOnce(t *testing.T) {
	cfg := smpp.Config{Window: 2, ResponseTimeout: 5 * time.Second, EnquireLink: time.Hour}
	bubble(t, smsctest.Config{Latency: 10 * time.Second}, cfg, func(t *testing.T, e *esme) {
		time.Sleep(time.Second)
		if c := <-e.submit(t, "447700900123"); c.Err == nil {
			t.Error("answered within the timeout")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := e.Free(); n != 2 {
			t.Errorf("%d slots are free though enquire_link was answered, want 2", n)
		}
	})
}

func TestASilentLinkWithOpenCallsIsClosedSoonerThanAnIdleOne(t *testing.T) {
	cfg := smpp.Config{Window: 1, ResponseTimeout: 5 * time.Second, EnquireLink: time.Hour, EnquireTimeout: 5 * time.Second}
	bubble(t, smsctest.Config{}, cfg, func(t *testing.T, e *esme) {
		time.Sleep(time.Second)
		e.smsc.Stall()
		began := time.Now()
		<-e.submit(t, "447700900123")
		e.ends(t, smpp.ErrLinkDead)
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("closed after %s, want response and enquire timeout", took)
		}
	})
}
