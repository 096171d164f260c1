package smpp

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// code returns the code of an *sms.Error, or the text of any other error.
func code(err error) sms.Code {
	var e *sms.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return sms.Code(err.Error())
	}
	return ""
}

func TestAFullWindowBlocksUntilContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{Window: 2})
		done := make(chan *Call, 8)
		r.submit(t, sms.JobRef{}, done)
		r.submit(t, sms.JobRef{}, done)
		if r.TryAcquire(1) {
			t.Error("a third slot in a window of two")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		before := time.Now()
		if err := r.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire on a full window: %v", err)
		}
		if took := time.Since(before); took != time.Second {
			t.Errorf("Acquire gave up after %s", took)
		}
		// enquire_link needs no slot.
		go func() {
			r.peer.want(cmdSubmitSM)
			r.peer.want(cmdSubmitSM)
			r.peer.respond(r.peer.want(cmdEnquireLink), 0, "")
		}()
		if _, err := r.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSlotsComeFreeInTurnAndAreAnnounced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		freed := 0
		r := startPipe(t, Config{Window: 1, OnFree: func() { freed++ }})
		done := make(chan *Call, 4)
		r.submit(t, sms.JobRef{}, done)
		acquired := make(chan struct{})
		go func() {
			if r.Acquire(t.Context()) == nil {
				close(acquired)
			}
		}()
		synctest.Wait()
		r.peer.respond(r.peer.want(cmdSubmitSM), 0, "id\x00")
		<-acquired
		if c := <-done; c.Err != nil || c.MessageID != "id" {
			t.Errorf("got %+v", c)
		}
		synctest.Wait()
		if freed != 1 {
			t.Errorf("announced %d times, want once", freed)
		}
		r.Release(1)
		if freed != 1 {
			t.Error("announced although nobody had missed it")
		}
	})
}

func TestResponsesMatchOnSequenceAndCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		done := make(chan *Call, 1)
		r.submit(t, sms.JobRef{}, done)
		p := r.peer.want(cmdSubmitSM)
		r.peer.send(
			rawPDU{command: cmdEnquireLinkResp, sequence: p.sequence},
			rawPDU{command: cmdUnbindResp, sequence: p.sequence},
			rawPDU{command: cmdDataSM | responseBit, sequence: p.sequence, body: []byte("x\x00")},
			rawPDU{command: cmdSubmitSMResp, sequence: p.sequence + 1, body: []byte("x\x00")},
		)
		synctest.Wait()
		select {
		case c := <-done:
			t.Fatalf("ended by another's answer: %+v", c)
		default:
		}
		r.peer.respond(p, 0, "ok\x00")
		if c := <-done; c.MessageID != "ok" {
			t.Errorf("got %+v", c)
		}
	})
}

func TestGenericNackEndsItsCallAndFreesItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		done := make(chan *Call, 1)
		for _, status := range []uint32{0x58, 0} {
			r.submit(t, sms.JobRef{}, done)
			r.peer.send(rawPDU{command: cmdGenericNack, status: status, sequence: r.peer.want(cmdSubmitSM).sequence})
			want := status
			if status == 0 {
				want = StatusInvCmdID
			}
			if c := <-done; c.Err != nil || c.Status != want {
				t.Errorf("nack %#x: %+v", status, c)
			}
		}
		synctest.Wait()
		if r.Free() != r.Window() {
			t.Errorf("%d of %d slots free", r.Free(), r.Window())
		}
	})
}

func TestANackOfABrokenStreamClosesTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		r.peer.send(rawPDU{command: cmdGenericNack, status: 0x03, sequence: 0})
		r.peer.send(rawPDU{command: cmdGenericNack, status: StatusInvCmdLen, sequence: 0})
		<-r.done
		if !errors.Is(r.err, ErrNacked) {
			t.Errorf("Run returned %v", r.err)
		}
	})
}

func TestALateResponseIsReportedAndMatchesNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type late struct {
			job string
			id  string
			at  int
		}
		var got []late
		r := startPipe(t, Config{Window: 1, ResponseTimeout: 10 * time.Second, Late: func(ref sms.JobRef, a sms.Accepted) {
			got = append(got, late{ref.JobID, a.RawMessageID, a.Part})
		}})
		done := make(chan *Call, 1)
		r.submit(t, sms.JobRef{JobID: "first"}, done)
		start := time.Now()
		first := r.peer.want(cmdSubmitSM)
		c := <-done
		if took := time.Since(start); code(c.Err) != sms.CodeUncertain || took != 10*time.Second {
			t.Errorf("ended after %s with %v", took, c.Err)
		}
		synctest.Wait()
		r.submit(t, sms.JobRef{JobID: "second"}, done)
		second := r.peer.want(cmdSubmitSM)
		r.peer.respond(first, 0, "late\x00")
		r.peer.respond(first, 0, "twice\x00")
		r.peer.respond(second, 0, "fresh\x00")
		if c := <-done; c.MessageID != "fresh" || c.Err != nil {
			t.Errorf("second call got %+v", c)
		}
		synctest.Wait()
		if diff := cmp.Diff([]late{{"first", "late", 1}}, got, cmp.AllowUnexported(late{})); diff != "" {
			t.Errorf("late (-want +got):\n%s", diff)
		}
		if st := r.Stats(); st.Timeouts != 1 || st.Late != 1 || st.Unmatched != 1 || st.InFlight != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestAbandonedCallsKeepTheirSlotUntilTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := ""
		r := startPipe(t, Config{Window: 2, Late: func(ref sms.JobRef, a sms.Accepted) { late += ref.JobID + a.RawMessageID }})
		done := make(chan *Call, 2)
		if !r.TryAcquire(2) {
			t.Fatal("no slots")
		}
		b := &Burst{Ref: sms.JobRef{JobID: "j"}, Done: done}
		if err := r.Go(b, []*sms.Message{message(1, 2), message(2, 2)}); err != nil {
			t.Fatal(err)
		}
		p1, p2 := r.peer.want(cmdSubmitSM), r.peer.want(cmdSubmitSM)
		r.peer.respond(p2, 0, "b\x00")
		synctest.Wait()
		open := r.Abandon(b)
		if len(open) != 1 || open[0].Part != 1 {
			t.Errorf("abandoned %v", open)
		}
		if c := <-done; c.Part != 2 || c.MessageID != "b" {
			t.Errorf("got %+v", c)
		}
		if r.Free() != 1 {
			t.Errorf("%d slots free, want 1", r.Free())
		}
		r.peer.respond(p1, 0, "a\x00")
		synctest.Wait()
		if r.Free() != 2 || late != "ja" || len(done) != 0 {
			t.Errorf("free %d, late %q, %d more ends", r.Free(), late, len(done))
		}
	})
}

func TestPartsHaveTheirOwnSequenceAndKeepTheOrderOfTLVs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		msgs := make([]*sms.Message, 3)
		for i := range msgs {
			msgs[i] = message(i+1, 3)
			msgs[i].ESMClass = sms.ESMClassUDHI
			msgs[i].ShortMessage = []byte{5, 0, 3, 7, 3, byte(i + 1), 'x'}
			msgs[i].TLVs = []sms.TLV{{Tag: 0x1401, Value: []byte{1}}, {Tag: 0x1400}, {Tag: 0x1401, Value: []byte{2}}}
		}
		if !r.TryAcquire(3) {
			t.Fatal("no slots")
		}
		if err := r.Go(&Burst{Done: make(chan *Call, 3)}, msgs); err != nil {
			t.Fatal(err)
		}
		seen := map[uint32]bool{}
		for i := range msgs {
			p := r.peer.want(cmdSubmitSM)
			seen[p.sequence] = true
			const fixed = "00" + "0500" + "41434d4500" + "0101" + "34343737303039303031323300" + "400000" + "0000" + "0100" + "0000"
			want := fixed + "07" + "0500030703" + hex.EncodeToString([]byte{byte(i + 1), 'x'}) + "1401000101" + "14000000" + "1401000102"
			if diff := cmp.Diff(want, hex.EncodeToString(p.body)); diff != "" {
				t.Errorf("part %d (-want +got):\n%s", i+1, diff)
			}
		}
		if len(seen) != 3 {
			t.Errorf("sequences %v are not distinct", seen)
		}
	})
}

func TestSequenceNumbersWrapWithoutZeroOrOpenOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		r := start(t, Config{Window: 8}, here, newRawPeer(t, there), func(s *Session) { s.sequence = 0 })
		done := make(chan *Call, 8)
		r.submit(t, sms.JobRef{}, done) // takes 1 and stays open
		open := r.peer.want(cmdSubmitSM)
		r.mu.Lock()
		r.sequence = 0x7FFFFFFD
		r.mu.Unlock()
		var got []uint32
		for range 3 {
			r.submit(t, sms.JobRef{}, done)
			p := r.peer.want(cmdSubmitSM)
			got = append(got, p.sequence)
			r.peer.respond(p, 0, "x\x00")
			<-done
		}
		if diff := cmp.Diff([]uint32{0x7FFFFFFE, 0x7FFFFFFF, 2}, got); open.sequence != 1 || diff != "" {
			t.Errorf("open is %d, then (-want +got):\n%s", open.sequence, diff)
		}
	})
}

func TestWhatCannotBeEncodedIsInvalidAndItsNeighboursGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		bad := message(2, 3)
		bad.Destination.Addr = "4477\x00"
		done := make(chan *Call, 3)
		if !r.TryAcquire(3) {
			t.Fatal("no slots")
		}
		if err := r.Go(&Burst{Done: done}, []*sms.Message{message(1, 3), bad, message(3, 3)}); err != nil {
			t.Fatal(err)
		}
		if c := <-done; c.Part != 2 || code(c.Err) != sms.CodeInvalid {
			t.Errorf("got %+v", c)
		}
		for range 2 {
			r.peer.respond(r.peer.want(cmdSubmitSM), 0, "x\x00")
			<-done
		}
		synctest.Wait()
		if r.Free() != r.Window() {
			t.Errorf("%d of %d slots free", r.Free(), r.Window())
		}
	})
}

func TestGoAfterTheEndIsUnavailableAndGivesItsSlotBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPipe(t, Config{})
		if !r.TryAcquire(1) {
			t.Fatal("no slot")
		}
		r.stop()
		<-r.done
		err := r.Go(&Burst{Done: make(chan *Call, 1)}, []*sms.Message{message(1, 1)})
		if code(err) != sms.CodeUnavailable || r.Free() != r.Window() {
			t.Errorf("Go: %v, %d free", err, r.Free())
		}
		if err := r.Acquire(t.Context()); code(err) != sms.CodeUnavailable {
			t.Errorf("Acquire: %v", err)
		}
	})
}

func TestAPeerThatDoesNotReadEndsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		go func() {
			bind, _ := readRaw(there)
			_, _ = there.Write(rawPDU{command: bind.command | responseBit, sequence: bind.sequence, body: []byte{0}}.bytes())
		}()
		s, err := Bind(t.Context(), here, Config{WriteTimeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- s.Run(context.Background()) }()
		start := time.Now()
		first, second := make(chan *Call, 1), make(chan *Call, 1)
		for _, done := range []chan *Call{first, second} {
			if err := s.Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Go(&Burst{Done: done}, []*sms.Message{message(1, 1)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if err := <-ended; err == nil {
			t.Error("Run returned nil")
		}
		if took := time.Since(start); took != 5*time.Second+lingerAfterWriteError {
			t.Errorf("ended after %s", took)
		}
		if c := <-first; code(c.Err) != sms.CodeUncertain {
			t.Errorf("the call in the failed write: %v", c.Err)
		}
		if c := <-second; code(c.Err) != sms.CodeUnavailable {
			t.Errorf("the call behind it: %v", c.Err)
		}
		if w := s.Stats().Writes; w != 1 {
			t.Errorf("%d writes, want 1", w)
		}
		_ = there.Close()
	})
}
