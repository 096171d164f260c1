package smpp

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestEnquireLinkIsSentIntoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{EnquireLink: 30 * time.Second})
		time.Sleep(20 * time.Second)
		// Any PDU is life and moves the next one on.
		r.peer.send(rawPDU{command: cmdAlertNotification, sequence: 9})
		start := time.Now()
		for range 3 {
			p := r.peer.want(cmdEnquireLink)
			if took := time.Since(start); took != 25*time.Second {
				t.Errorf("enquire_link after %s of silence", took)
			}
			start = time.Now()
			r.peer.respond(p, 0x08, "") // an error status is life as well
		}
	})
}

func TestNoAnswerToEnquireLinkEndsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{EnquireLink: 30 * time.Second, EnquireTimeout: 10 * time.Second})
		done := make(chan *Call, 1)
		start := time.Now()
		r.submit(t, sms.JobRef{}, done)
		<-r.done
		if took := time.Since(start); !errors.Is(r.err, ErrLinkDead) || took != 35*time.Second {
			t.Errorf("ended after %s with %v", took, r.err)
		}
		if c := <-done; code(c.Err) != sms.CodeUncertain || !errors.Is(c.Err, ErrLinkDead) {
			t.Errorf("call ended with %v", c.Err)
		}
	})
}

func TestEnquireLinkIsAnsweredWhileHandlersAreBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := startPipe(t, Config{MaxHandled: 2, MaxQueued: 1, Handler: Each(func(context.Context, *Inbound) uint32 {
			<-release
			return 0
		})})
		for i := range uint32(4) {
			r.peer.send(rawPDU{command: cmdDeliverSM, sequence: 10 + i, body: deliverBody("hello")})
			synctest.Wait()
		}
		r.peer.send(rawPDU{command: cmdEnquireLink, sequence: 0})
		// Two are with handlers, the third waits, the fourth is to be kept by the SMSC.
		if p := r.peer.want(cmdDeliverSM | responseBit); p.sequence != 13 || p.status != StatusTemporary {
			t.Errorf("got %+v", p)
		}
		if p := r.peer.want(cmdEnquireLinkResp); p.sequence != 0 {
			t.Errorf("got %+v", p)
		}
		close(release)
		for range 3 {
			if p := r.peer.want(cmdDeliverSM | responseBit); p.status != StatusOK {
				t.Errorf("got %+v", p)
			}
		}
	})
}

func TestAPDUThatStallsMidwayEndsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{FrameTimeout: 10 * time.Second, EnquireLink: -1})
		whole := rawPDU{command: cmdDeliverSM, sequence: 1, body: deliverBody("x")}.bytes()
		for _, b := range whole { // octet by octet is fine
			r.peer.sendBytes([]byte{b})
			time.Sleep(time.Second / 10)
		}
		r.peer.want(cmdDeliverSM | responseBit)
		time.Sleep(time.Hour)
		r.peer.sendBytes(whole[:20])
		start := time.Now()
		<-r.done
		if took := time.Since(start); took != 10*time.Second || r.err == nil {
			t.Errorf("ended after %s with %v", took, r.err)
		}
	})
}

func TestUnbindWaitsForOpenCallsAndForItsResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handled := false
		r := startPipe(t, Config{Handler: Each(func(context.Context, *Inbound) uint32 { handled = true; return 0 })})
		done := make(chan *Call, 1)
		r.submit(t, sms.JobRef{}, done)
		p := r.peer.want(cmdSubmitSM)
		unbound := make(chan error)
		go func() { unbound <- r.Unbind(t.Context()) }()
		synctest.Wait()
		if err := r.Acquire(t.Context()); code(err) != sms.CodeUnavailable {
			t.Errorf("Acquire while draining: %v", err)
		}
		time.Sleep(3 * time.Second)
		r.peer.respond(p, 0, "id\x00")
		if c := <-done; c.MessageID != "id" {
			t.Errorf("got %+v", c)
		}
		u := r.peer.want(cmdUnbind)
		// What comes after our unbind still counts.
		r.peer.send(rawPDU{command: cmdDeliverSM, sequence: 5, body: deliverBody("x")})
		r.peer.want(cmdDeliverSM | responseBit)
		r.peer.respond(u, 0, "")
		if err := <-unbound; err != nil {
			t.Error(err)
		}
		<-r.done
		if r.err != nil || !handled {
			t.Errorf("Run returned %v, handled %v", r.err, handled)
		}
	})
}

func TestUnbindIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{UnbindTimeout: 5 * time.Second})
		done := make(chan *Call, 1)
		r.submit(t, sms.JobRef{}, done)
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start := time.Now()
		if err := r.Unbind(ctx); !errors.Is(err, ErrUnbindTimeout) {
			t.Errorf("Unbind returned %v", err)
		}
		if took := time.Since(start); took != 12*time.Second {
			t.Errorf("Unbind took %s, want 7s for the call and 5s for the response", took)
		}
		<-r.done
		if c := <-done; code(c.Err) != sms.CodeUncertain {
			t.Errorf("call ended with %v", c.Err)
		}
	})
}

func TestUnbindMayBeCalledFromAHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *Session
		result := make(chan error, 1)
		r := startPipe(t, Config{Handler: Each(func(ctx context.Context, _ *Inbound) uint32 {
			result <- s.Unbind(ctx)
			return 0
		})})
		s = r.Session
		r.peer.send(rawPDU{command: cmdDeliverSM, sequence: 5, body: deliverBody("x")})
		r.peer.respond(r.peer.want(cmdUnbind), 0, "")
		if err := <-result; err != nil {
			t.Error(err)
		}
		<-r.done
		if r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestThePeersUnbindIsAnsweredAfterOpenCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		done := make(chan *Call, 1)
		r.submit(t, sms.JobRef{}, done)
		p := r.peer.want(cmdSubmitSM)
		r.peer.send(rawPDU{command: cmdUnbind, sequence: 77})
		time.Sleep(time.Second)
		if r.Acquire(t.Context()) == nil {
			t.Error("submits go on after the peer's unbind")
		}
		r.peer.respond(p, 0, "id\x00")
		if c := <-done; c.MessageID != "id" {
			t.Errorf("got %+v", c)
		}
		if u := r.peer.want(cmdUnbindResp); u.sequence != 77 {
			t.Errorf("got %+v", u)
		}
		_ = r.peer.conn.Close()
		<-r.done
		if !errors.Is(r.err, ErrPeerUnbind) {
			t.Errorf("Run returned %v", r.err)
		}
	})
}

func TestAPeerThatUnbindsAndStaysIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		done := make(chan *Call, 1)
		r.submit(t, sms.JobRef{}, done)
		r.peer.send(rawPDU{command: cmdUnbind, sequence: 77})
		start := time.Now()
		<-r.done
		if took := time.Since(start); took != 7*time.Second || !errors.Is(r.err, ErrPeerUnbind) {
			t.Errorf("ended after %s with %v", took, r.err)
		}
		if c := <-done; code(c.Err) != sms.CodeUncertain {
			t.Errorf("call ended with %v", c.Err)
		}
	})
}

func TestAClosedConnectionEndsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		done := make(chan *Call, 1)
		r.submit(t, sms.JobRef{}, done)
		r.peer.want(cmdSubmitSM)
		_ = r.peer.conn.Close()
		<-r.done
		if c := <-done; code(c.Err) != sms.CodeUncertain || !errors.Is(r.err, io.EOF) {
			t.Errorf("call ended with %v, session with %v", c.Err, r.err)
		}
	})
}

func TestAfterItsUnbindTheSessionWaitsForThePeerToClose(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, Config{UnbindTimeout: time.Minute}, here, newRawPeer(t, there), nil)
	left := make(chan error, 1)
	go func() { left <- r.Unbind(context.Background()) }()
	r.peer.respond(r.peer.want(cmdUnbind), 0, "")
	if pdu, more := <-r.peer.in; more {
		t.Errorf("after unbind came %#x", pdu.command)
	}
	// The session has said that it goes; it hears what the peer still says.
	r.peer.send(rawPDU{command: cmdAlertNotification, sequence: 9})
	_ = there.Close()
	if err := <-left; err != nil {
		t.Errorf("Unbind returned %v", err)
	}
	<-r.done
	if r.err != nil || r.Stats().Inbound != 2 { // unbind_resp and what came after it
		t.Errorf("Run returned %v after %d PDUs", r.err, r.Stats().Inbound)
	}
}
