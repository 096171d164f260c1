package smsctest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// The bubble's clock begins at midnight UTC of 1 January 2000.

func TestReceiptSaysWhatAppendixBSays(t *testing.T) {
	cfg := smsctest.Config{
		IDs:      smsctest.IDs{Submit: smsctest.Hex, Receipt: smsctest.DecimalPadded},
		Receipts: smsctest.ReceiptConfig{Delay: 2 * time.Minute, States: []smsctest.StateShare{{State: "UNDELIV", Weight: 1}}},
	}
	bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		id := c.submitted(2, message{to: "447700900123", text: "a message longer than its echo", registered: 1})
		begin := time.Now()
		d := c.recvDeliver()
		if got := time.Since(begin); got != 2*time.Minute {
			t.Errorf("came after %v", got)
		}
		textID, rest, _ := strings.Cut(strings.TrimPrefix(d.text, "id:"), " ")
		if want := "sub:001 dlvrd:000 submit date:0001010000 done date:0001010002 stat:UNDELIV err:001 text:a message longer tha"; rest != want {
			t.Errorf("text %q\nwant %q", rest, want)
		}
		if n := strings.TrimLeft(textID, "0123456789"); n != "" || textID == id {
			t.Errorf("id %q in the text, %q in the response", textID, id)
		}
		want := map[uint16][]byte{
			smsctest.TagReceiptedMessageID: append([]byte(id), 0),
			smsctest.TagMessageState:       {5},
			smsctest.TagNetworkErrorCode:   {3, 0, 1},
		}
		if diff := cmp.Diff(want, d.tlvs); diff != "" {
			t.Error(diff)
		}
		if d.source != "447700900123" || d.dest != "ACME" || d.esm != 0x04 || d.sourceTON != 1 || d.dstTN != 5 {
			t.Errorf("%+v", d)
		}
		c.ack(d, 0)
		c.silent(time.Hour)
		if st := s.Stats().Receipts; st != (smsctest.DeliveryStats{Due: 1, Sent: 1, Acked: 1}) {
			t.Errorf("%+v", st)
		}
		if r := s.Receipts()[0]; r.Outcome != smsctest.Acked || r.MessageID != id || len(r.Attempts) != 1 {
			t.Errorf("%+v", r)
		}
	})
}

func TestRegisteredDeliveryIsHonoured(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		registered byte
		state      string
		want       []byte // message_state of what comes
	}{
		{"none", 0, "DELIVRD", nil},
		{"both, delivered", 1, "DELIVRD", []byte{2}},
		{"both, failed", 1, "EXPIRED", []byte{3}},
		{"failure only, delivered", 2, "DELIVRD", nil},
		{"failure only, failed", 2, "REJECTD", []byte{8}},
		{"success only, failed", 3, "UNDELIV", nil},
		{"intermediate only", 16, "DELIVRD", []byte{1}},
		{"intermediate and final", 17, "DELIVRD", []byte{1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := smsctest.Config{Receipts: smsctest.ReceiptConfig{Delay: time.Second, States: []smsctest.StateShare{{State: tt.state, Weight: 1}}}}
			bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
				c := bound(t, s, smsctest.BindTransceiver, "acme")
				c.submitted(2, message{to: "447700900123", registered: tt.registered})
				var got []byte
				for range tt.want {
					d := c.recvDeliver()
					c.ack(d, 0)
					got = append(got, d.tlvs[smsctest.TagMessageState]...)
				}
				c.silent(time.Hour)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestReceiptComesBeforeTheResponseWhenToldTo(t *testing.T) {
	bubble(t, smsctest.Config{Receipts: smsctest.ReceiptConfig{Before: true}}, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		c.submit(2, message{to: "447700900123", registered: 1})
		d := c.recvDeliver()
		if p := c.recv(); p.CommandID != smsctest.SubmitSMResp || cString(p.Body) != cString(d.tlvs[smsctest.TagReceiptedMessageID]) {
			t.Errorf("got %+v after %+v", p, d)
		}
	})
}

func TestReceiptIsKeptUntilItIsAnswered(t *testing.T) {
	t.Parallel()
	cfg := smsctest.Config{Receipts: smsctest.ReceiptConfig{RetryDelay: 10 * time.Second}}
	t.Run("a temporary error brings it again later", func(t *testing.T) {
		bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.submitted(2, message{to: "447700900123", registered: 1})
			c.ack(c.recvDeliver(), smsctest.RXTAPPN)
			begin := time.Now()
			c.ack(c.recvDeliver(), smsctest.ROK)
			if d := time.Since(begin); d != 10*time.Second {
				t.Errorf("again after %v", d)
			}
			synctest.Wait()
			if st := s.Stats().Receipts; st != (smsctest.DeliveryStats{Due: 1, Sent: 2, Acked: 1, Retried: 1}) {
				t.Errorf("%+v", st)
			}
			if a := s.Receipts()[0].Attempts; a[0].Status != smsctest.RXTAPPN || a[1].Status != smsctest.ROK || a[1].Answered.IsZero() {
				t.Errorf("%+v", a)
			}
		})
	})
	t.Run("a permanent error ends it", func(t *testing.T) {
		bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.submitted(2, message{to: "447700900123", registered: 1})
			c.ack(c.recvDeliver(), smsctest.RXRAPPN)
			c.silent(time.Hour)
			if st := s.Stats().Receipts; st.Refused != 1 || st.Pending() != 0 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("without an answer it comes again", func(t *testing.T) {
		bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.submitted(2, message{to: "447700900123", registered: 1})
			first := c.recvDeliver()
			begin := time.Now()
			second := c.recvDeliver()
			if d := time.Since(begin); d != 30*time.Second || second.text != first.text || second.seq == first.seq {
				t.Errorf("after %v: %+v, then %+v", d, first, second)
			}
			c.ack(first, 0)
			synctest.Wait()
			if st := s.Stats(); st.Unknown != 1 || st.Receipts.Acked != 0 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("a lost bind gives it to the next one", func(t *testing.T) {
		bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.submitted(2, message{to: "447700900123", text: "1", registered: 1})
			first := c.recvDeliver()
			_ = c.nc.Close()
			bound(t, s, smsctest.BindTransceiver, "another")
			time.Sleep(time.Hour)
			again := bound(t, s, smsctest.BindReceiver, "acme")
			d := again.recvDeliver()
			if d.text != first.text {
				t.Errorf("%+v, first %+v", d, first)
			}
			again.ack(d, 0)
			again.silent(time.Hour)
			if p := s.Stats().Receipts.Pending(); p != 0 {
				t.Errorf("%d pending", p)
			}
		})
	})
}

func TestReceiptsGoOverTheConfiguredBind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		via  smsctest.Via
		want int // index of the bind
	}{
		{"the submitter", smsctest.ViaSubmitter, 0},
		{"another", smsctest.ViaOther, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, smsctest.Config{Receipts: smsctest.ReceiptConfig{Via: tt.via}}, func(t *testing.T, s *smsctest.SMSC) {
				binds := []*client{bound(t, s, smsctest.BindTransceiver, "acme"), bound(t, s, smsctest.BindTransceiver, "acme")}
				for seq := uint32(2); seq < 5; seq++ {
					binds[0].submitted(seq, message{to: "447700900123", registered: 1})
					binds[tt.want].ack(binds[tt.want].recvDeliver(), 0)
				}
			})
		})
	}
	t.Run("a transmitter's go to the receiver", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			tx, rx := bound(t, s, smsctest.BindTransmitter, "acme"), bound(t, s, smsctest.BindReceiver, "acme")
			tx.submitted(2, message{to: "447700900123", registered: 1})
			rx.ack(rx.recvDeliver(), 0)
		})
	})
	t.Run("no more than the window at once", func(t *testing.T) {
		bubble(t, smsctest.Config{Receipts: smsctest.ReceiptConfig{Window: 2}}, func(t *testing.T, s *smsctest.SMSC) {
			tx, rx := bound(t, s, smsctest.BindTransmitter, "acme"), bound(t, s, smsctest.BindReceiver, "acme")
			for seq := uint32(2); seq < 5; seq++ {
				tx.submitted(seq, message{to: "447700900123", registered: 1})
			}
			first := rx.recvDeliver()
			rx.recvDeliver()
			rx.silent(time.Second)
			rx.ack(first, 0)
			rx.recvDeliver()
		})
	})
}

func TestReceiptsAsTheTestWantsThem(t *testing.T) {
	cfg := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{MessageID: "m1", Receipts: []smsctest.Receipt{
			{State: "ENROUTE", Intermediate: true},
			{Delay: time.Second, State: "DELIVRD", ID: "other", DataSM: true},
			{Delay: 2 * time.Second, Text: "ID: m1 Stat: gone", TLVs: []smsctest.TLV{}},
		}}
	}}
	bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		c.submitted(2, message{to: "447700900123"})
		one, two, three := c.recvDeliver(), c.recvDeliver(), c.recvDeliver()
		if one.esm != 0x20 || !strings.HasPrefix(one.text, "id:m1 ") {
			t.Errorf("%+v", one)
		}
		if two.commandID != smsctest.DataSM || !strings.HasPrefix(string(two.tlvs[smsctest.TagMessagePayload]), "id:other ") {
			t.Errorf("%+v", two)
		}
		if three.text != "ID: m1 Stat: gone" || len(three.tlvs) != 0 {
			t.Errorf("%+v", three)
		}
		for _, d := range []deliver{one, two, three} {
			c.ack(d, 0)
		}
		if err := s.WaitFor(t.Context(), func(st smsctest.Stats) bool { return st.Receipts.Acked == 3 }); err != nil {
			t.Error(err)
		}
	})
}

func TestMobileOriginatedMessagesWaitForABind(t *testing.T) {
	bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
		s.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", Destination: "447700900001", ShortMessage: []byte("STOP")})
		c := bound(t, s, smsctest.BindReceiver, "acme")
		d := c.recvDeliver()
		if d.text != "STOP" || d.source != "447700900123" || d.esm != 0 {
			t.Errorf("%+v", d)
		}
		c.ack(d, 0)
		synctest.Wait()
		if m := s.MOs(); len(m) != 1 || m[0].Outcome != smsctest.Acked || len(s.Receipts()) != 0 {
			t.Errorf("%+v", m)
		}
	})
}

func TestMobileOriginatedMessagesTravelAsDataSMToo(t *testing.T) {
	bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindReceiver, "acme")
		s.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", ESMClass: 0x40, ShortMessage: []byte("STOP"), DataSM: true})
		d := c.recvDeliver()
		if d.commandID != smsctest.DataSM || d.source != "447700900123" || d.esm != 0x40 || string(d.tlvs[smsctest.TagMessagePayload]) != "STOP" {
			t.Errorf("%+v", d)
		}
		c.ack(d, 0)
		synctest.Wait()
		if m := s.MOs(); len(m) != 1 || m[0].Outcome != smsctest.Acked {
			t.Errorf("%+v", m)
		}
	})
}

func TestStatesAreRead(t *testing.T) {
	t.Parallel()
	got, err := smsctest.ParseStates("DELIVRD=90, UNDELIV=8,EXPIRED=2")
	if err != nil {
		t.Fatal(err)
	}
	want := []smsctest.StateShare{{State: "DELIVRD", Weight: 90}, {State: "UNDELIV", Weight: 8}, {State: "EXPIRED", Weight: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "DELIVRD", "DELIVRD=x", "DELIVERED=1", "DELIVRD=-1"} {
		if _, err := smsctest.ParseStates(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
