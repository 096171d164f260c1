package smpp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestAnSMSCThatWritesOctetByOctetIsUnderstood(t *testing.T) {
	got := make(messages, 8)
	sim := smsctest.Config{Quirks: smsctest.Quirks{ChunkOctets: 1}}
	bubble(t, sim, smpp.Config{Handler: smpp.Each(got.handle)}, func(t *testing.T, e *esme) {
		e.accepted(t) // and its receipt
		payload := bytes.Repeat([]byte{'x'}, 65_535)
		e.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900124", TLVs: []smsctest.TLV{{Tag: smsctest.TagMessagePayload, Value: payload}}})
		e.acked(t, 1)
		<-got
		in := <-got
		if v, _ := in.Message.TLV(sms.TagMessagePayload); !bytes.Equal(v, payload) {
			t.Errorf("message_payload of %d octets", len(v))
		}
		e.up(t)
	})
}

func TestAMessagePayloadOf64KiBGoesOut(t *testing.T) {
	bubble(t, smsctest.Config{}, smpp.Config{}, func(t *testing.T, e *esme) {
		if err := e.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := &smpp.Burst{Done: make(chan *smpp.Call, 1)}
		m := &sms.Message{Destination: sms.Address{Addr: "447700900123"}, ShortMessage: bytes.Repeat([]byte{'x'}, 65_535), Part: 1, PartsTotal: 1}
		if err := e.Go(b, []*sms.Message{m}); err != nil {
			t.Fatal(err)
		}
		if c := <-b.Done; c.Err != nil || c.Status != 0 {
			t.Errorf("ended with %#x, %v", c.Status, c.Err)
		}
		if v, _ := e.smsc.Submits()[0].TLV(smsctest.TagMessagePayload); !bytes.Equal(v, m.ShortMessage) {
			t.Errorf("message_payload of %d octets", len(v))
		}
	})
}

func TestManyPDUsInOneWriteAreAllTaken(t *testing.T) {
	const n = 3000 // several times the read buffer
	got := make(messages, n)
	bubble(t, smsctest.Config{}, smpp.Config{Handler: smpp.Each(got.handle)}, func(t *testing.T, e *esme) {
		var all []byte
		for i := range n {
			all = deliverSM(uint32(i), fmt.Sprint(i)).Append(all)
		}
		e.sends(t, all)
		synctest.Wait()
		seen := map[string]bool{}
		for len(got) > 0 {
			seen[string((<-got).Message.ShortMessage)] = true
		}
		if len(seen) != n {
			t.Errorf("%d of %d messages taken", len(seen), n)
		}
	})
}

func TestAPDUThatStopsMidwayEndsTheSessionAndIsCounted(t *testing.T) {
	t.Parallel()
	whole := deliverSM(1, "hello").Append(nil)
	for _, n := range []int{1, 15, 16, 17, len(whole) - 1} {
		t.Run(fmt.Sprint("after octet ", n), func(t *testing.T) {
			bubble(t, smsctest.Config{OnSubmit: hold}, smpp.Config{}, func(t *testing.T, e *esme) {
				done := e.submit(t, "447700900123")
				synctest.Wait()
				begin := time.Now()
				e.sends(t, whole[:n])
				e.ends(t, smpp.ErrStalled)
				if took := time.Since(begin); took != 10*time.Second {
					t.Errorf("ended after %s", took)
				}
				if c := <-done; code(c.Err) != sms.CodeUncertain {
					t.Errorf("the open message ended with %v", c.Err)
				}
				if n := e.Stats().Refusals[smpp.RefusedStalled]; n != 1 {
					t.Errorf("counted %d times", n)
				}
			})
		})
	}
}

func hold(*smsctest.Submit) smsctest.Action { return smsctest.Action{Hold: true} }

func TestAConnectionThatEndsMidwayIsNotACleanEnd(t *testing.T) {
	bubble(t, smsctest.Config{}, smpp.Config{}, func(t *testing.T, e *esme) {
		e.sends(t, deliverSM(1, "hello").Append(nil)[:20])
		synctest.Wait()
		e.smsc.CutConnections()
		e.ends(t, io.ErrUnexpectedEOF)
	})
}

func TestEveryFormOfASuccessIsOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"no body":           {[]byte{}, ""},
		"an empty id":       {[]byte{0}, ""},
		"an id without NUL": {[]byte("9"), "9"},
		"an id and a TLV":   {[]byte("7E5\x00\x02\x03\x00\x01\xa0"), "7E5"},
	} {
		t.Run(name, func(t *testing.T) {
			sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Body: c.body, NoReceipt: true} }}
			bubble(t, sim, smpp.Config{}, func(t *testing.T, e *esme) {
				if got := e.accepted(t); got.MessageID != c.want {
					t.Errorf("message_id %q", got.MessageID)
				}
			})
		})
	}
}

func TestResponsesInAnyOrderFindTheirMessages(t *testing.T) {
	sim := smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		return smsctest.Action{Hold: true, NoReceipt: true, MessageID: "id-" + m.Destination}
	}}
	bubble(t, sim, smpp.Config{}, func(t *testing.T, e *esme) {
		to := []string{"447700900001", "447700900002", "447700900003", "447700900004"}
		done := e.submit(t, to...)
		synctest.Wait()
		e.smsc.ReleaseHeld(true)
		for i := range to {
			c := <-done
			if want := to[len(to)-1-i]; c.MessageID != "id-"+want || to[c.Part-1] != want {
				t.Errorf("part %d got %q", c.Part, c.MessageID)
			}
		}
	})
}

func TestASecondResponseIsCountedAndNothingMore(t *testing.T) {
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Duplicate: true} }}
	bubble(t, sim, smpp.Config{Window: 1}, func(t *testing.T, e *esme) {
		for range 10 {
			e.accepted(t)
			synctest.Wait()
		}
		st := e.Stats()
		if st.Responses != 10 || st.Refusals[smpp.RefusedResponse] != 10 || st.InFlight != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestANackOfABrokenStreamEndsTheSession(t *testing.T) {
	bubble(t, smsctest.Config{OnSubmit: hold}, smpp.Config{}, func(t *testing.T, e *esme) {
		done := e.submit(t, "447700900123")
		synctest.Wait()
		e.sends(t, smsctest.PDU{CommandID: smsctest.GenericNack, Status: smsctest.RINVCMDLEN}.Append(nil))
		e.ends(t, smpp.ErrNacked)
		if c := <-done; code(c.Err) != sms.CodeUncertain {
			t.Errorf("the open message ended with %v", c.Err)
		}
	})
}

func TestSubmitsAndEnquireLinkShareOneCounter(t *testing.T) {
	var mu sync.Mutex
	seen := map[uint32]int{} // guarded by mu
	sim := smsctest.Config{OnPDU: func(_ uint64, p smsctest.PDU) ([]byte, bool) {
		mu.Lock()
		defer mu.Unlock()
		if p.CommandID&smsctest.GenericNack == 0 {
			seen[p.Sequence]++
		}
		return nil, false
	}}
	bubble(t, sim, smpp.Config{}, func(t *testing.T, e *esme) {
		const n = 500
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for range n {
					e.accepted(t)
				}
			})
			all.Go(func() {
				for range n {
					if _, err := e.Ping(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if len(seen) != 4*n+1 { // and the bind
			t.Errorf("%d sequence numbers for %d requests", len(seen), 4*n+1)
		}
	})
}

func TestTheSMSCsSequenceNumbersComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, first := range []uint32{0xFFFFFFFE, 0x7FFFFFFF, 0x806A179B} {
		t.Run(fmt.Sprintf("from 0x%08X", first), func(t *testing.T) {
			sim := smsctest.Config{Quirks: smsctest.Quirks{FirstSequence: first}, EnquireLink: time.Second}
			bubble(t, sim, smpp.Config{}, func(t *testing.T, e *esme) {
				for range 4 {
					e.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900124", ShortMessage: []byte("hi")})
				}
				e.acked(t, 4)
				time.Sleep(10*time.Second + time.Millisecond)
				if st := e.smsc.Stats(); st.Alive != 10 || st.Unknown != 0 {
					t.Errorf("%d enquire_link answered, %d answers to nothing", st.Alive, st.Unknown)
				}
			})
		})
	}
}

func TestReceiptsMayComeAsDataSM(t *testing.T) {
	got := make(messages, 1)
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{Receipts: []smsctest.Receipt{{DataSM: true}}}
	}}
	bubble(t, sim, smpp.Config{Handler: smpp.Each(got.handle)}, func(t *testing.T, e *esme) {
		c := e.accepted(t)
		in := <-got
		if id, _ := in.Message.TLV(sms.TagReceiptedMsgID); in.Command != smpp.CommandDataSM || string(bytes.TrimRight(id, "\x00")) != c.MessageID {
			t.Errorf("got %+v", in)
		}
		if err := e.smsc.WaitFor(t.Context(), func(st smsctest.Stats) bool { return st.Receipts.Acked == 1 }); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatCannotBeTakenStaysWithTheSMSC(t *testing.T) {
	t.Parallel()
	t.Run("while the handler has no room for it", func(t *testing.T) {
		tries := 0
		handler := func(context.Context, *smpp.Inbound) uint32 {
			if tries++; tries < 4 {
				return smpp.StatusTemporary
			}
			return smpp.StatusOK
		}
		bubble(t, smsctest.Config{}, smpp.Config{Handler: smpp.Each(handler)}, func(t *testing.T, e *esme) {
			e.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900124", ShortMessage: []byte("hi")})
			e.acked(t, 1)
			if n := e.Stats().Refusals[smpp.RefusedByHandler]; tries != 4 || n != 3 {
				t.Errorf("%d tries, %d counted", tries, n)
			}
		})
	})
	t.Run("while all handlers are busy", func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string]int{} // guarded by mu
		slow := func(_ context.Context, in *smpp.Inbound) uint32 {
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			seen[string(in.Message.ShortMessage)]++
			return smpp.StatusOK
		}
		bubble(t, smsctest.Config{}, smpp.Config{Handler: smpp.Each(slow), MaxHandled: 1, MaxQueued: 2}, func(t *testing.T, e *esme) {
			want := map[string]int{}
			for i := range 50 {
				text := fmt.Sprint("message ", i)
				want[text] = 1
				e.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900124", ShortMessage: []byte(text)})
			}
			e.acked(t, 50)
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("handled (-want +got):\n%s", diff)
			}
			if e.Stats().Refusals[smpp.RefusedBusy] == 0 {
				t.Error("none was refused: the test shows nothing")
			}
		})
	})
}
