package smsctest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

func TestSubmitIsRecordedOctetForOctet(t *testing.T) {
	bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		tlvs := smsctest.AppendTLV(nil, 0x1400, []byte{1})
		tlvs = smsctest.AppendTLV(tlvs, 0x1400, nil)
		id := c.submitted(7, message{to: "447700900123", text: "\x05\x00\x03\x2a\x02\x01caf\x05", esm: 0x40, registered: 1, tlvs: tlvs})
		got := s.Submits()
		want := []smsctest.Submit{{
			Time: got[0].Time, Bind: 1, SystemID: "acme", Sequence: 7,
			SourceTON: 5, Source: "ACME", DestTON: 1, DestNPI: 1, Destination: "447700900123",
			ESMClass: 0x40, RegisteredDelivery: 1,
			ShortMessage: smsctest.Octets("\x05\x00\x03\x2a\x02\x01caf\x05"),
			TLVs:         []smsctest.TLV{{Tag: 0x1400, Value: smsctest.Octets{1}}, {Tag: 0x1400, Value: smsctest.Octets{}}},
			MessageID:    id, Answer: smsctest.AnswerResp,
		}}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(smsctest.Submit{}), cmpopts.IgnoreFields(smsctest.Submit{}, "Raw")); diff != "" {
			t.Error(diff)
		}
		if text := got[0].Text(); text != "café" {
			t.Errorf("text %q", text)
		}
	})
}

func TestFaultsOfASubmitAreNoted(t *testing.T) {
	t.Parallel()
	payload := smsctest.AppendTLV(nil, smsctest.TagMessagePayload, []byte("x"))
	tests := []struct {
		name string
		seq  uint32
		m    message
		want string
	}{
		{"a sound one has none", 2, message{text: "x"}, ""},
		{"two messages in one", 2, message{text: "x", tlvs: payload}, "both short_message and message_payload"},
		{"a header longer than the message", 2, message{text: "\x05\x00", esm: 0x40}, "user data header longer than the message"},
		{"UDHI without a message", 2, message{esm: 0x40}, "user data header longer than the message"},
		{"sequence number zero", 0, message{text: "x"}, "sequence_number out of range"},
		{"octets after the TLVs", 2, message{text: "x", tlvs: []byte{0}}, "octets left over after the optional parameters"},
		{"a TLV that says more than there is", 2, message{text: "x", tlvs: []byte{0x14, 0, 0, 9, 1}}, "optional parameter 0x1400 longer than the PDU"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
				c := bound(t, s, smsctest.BindTransceiver, "acme")
				tt.m.to = "447700900123"
				c.submitted(tt.seq, tt.m)
				if got := s.Submits()[0].Fault; got != tt.want {
					t.Errorf("fault %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestActionsChangeTheAnswer(t *testing.T) {
	t.Parallel()
	resp := func(status uint32, id string) smsctest.PDU {
		body := []byte{}
		if status == 0 {
			body = smsctest.AppendCString(nil, id)
		}
		return smsctest.PDU{CommandID: smsctest.SubmitSMResp, Status: status, Sequence: 2, Body: body}
	}
	raw := smsctest.PDU{CommandID: smsctest.SubmitSMResp, Sequence: 99}
	tests := []struct {
		name   string
		action smsctest.Action
		want   []smsctest.PDU
		after  time.Duration
		ended  bool
	}{
		{"an id of the test's choice", smsctest.Action{MessageID: "abc-1"}, []smsctest.PDU{resp(0, "abc-1")}, 0, false},
		{"accepted with an empty id", smsctest.Action{EmptyID: true}, []smsctest.PDU{resp(0, "")}, 0, false},
		{"refused without a body", smsctest.Action{Status: 0x45}, []smsctest.PDU{resp(0x45, "")}, 0, false},
		{"late", smsctest.Action{MessageID: "1", Delay: 3 * time.Second}, []smsctest.PDU{resp(0, "1")}, 3 * time.Second, false},
		{"twice", smsctest.Action{MessageID: "1", Duplicate: true}, []smsctest.PDU{resp(0, "1"), resp(0, "1")}, 0, false},
		{"generic_nack", smsctest.Action{Status: 0x58, Nack: true}, []smsctest.PDU{{CommandID: smsctest.GenericNack, Status: 0x58, Sequence: 2, Body: []byte{}}}, 0, false},
		{"raw octets", smsctest.Action{Raw: raw.Append(nil)}, []smsctest.PDU{{CommandID: smsctest.SubmitSMResp, Sequence: 99, Body: []byte{}}}, 0, false},
		{"never", smsctest.Action{Drop: true}, nil, 0, false},
		{"closed instead", smsctest.Action{Close: true}, nil, 0, true},
		{"closed instead, late", smsctest.Action{Close: true, Delay: time.Second}, nil, time.Second, true},
		{"closed afterwards", smsctest.Action{MessageID: "1", CloseAfter: true}, []smsctest.PDU{resp(0, "1")}, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return tt.action }}
			bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
				c := bound(t, s, smsctest.BindTransceiver, "acme")
				begin := time.Now()
				c.submit(2, message{to: "447700900123"})
				for _, want := range tt.want {
					if diff := cmp.Diff(want, c.recv()); diff != "" {
						t.Error(diff)
					}
				}
				if tt.ended {
					c.ended()
				}
				if d := time.Since(begin); d != tt.after {
					t.Errorf("answered after %v, want %v", d, tt.after)
				}
				if !tt.ended {
					c.silent(time.Hour)
				}
			})
		})
	}
}

func TestHeldAnswersAreReleasedInEitherOrder(t *testing.T) {
	cfg := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Hold: true} }}
	bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		for seq := uint32(2); seq < 5; seq++ {
			c.submit(seq, message{to: "447700900123", registered: 1})
		}
		if err := s.WaitFor(t.Context(), func(st smsctest.Stats) bool { return st.Held == 3 }); err != nil {
			t.Fatal(err)
		}
		if n := s.ReleaseHeld(true); n != 3 {
			t.Errorf("released %d", n)
		}
		var got []uint32
		for range 3 {
			got = append(got, c.recv().Sequence)
		}
		if diff := cmp.Diff([]uint32{4, 3, 2}, got); diff != "" {
			t.Error(diff)
		}
		for range 3 {
			c.ack(c.recvDeliver(), 0)
		}
	})
}

func TestLimitsAreEnforced(t *testing.T) {
	t.Parallel()
	burst := func(n int) []byte {
		var b []byte
		for i := range n {
			b = smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: uint32(i + 2), Body: message{to: "447700900123", text: fmt.Sprint(i)}.body()}.Append(b)
		}
		return b
	}
	statuses := func(c *client, n int) map[string]int {
		got := map[string]int{}
		for range n {
			got[smsctest.StatusName(c.recv().Status)]++
		}
		return got
	}
	t.Run("over the window it is full", func(t *testing.T) {
		bubble(t, smsctest.Config{Window: 10, Latency: time.Second}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.write(burst(12))
			want := map[string]int{"ESME_ROK": 10, "ESME_RMSGQFUL": 2}
			if diff := cmp.Diff(want, statuses(c, 12)); diff != "" {
				t.Error(diff)
			}
			if st := s.Stats(); st.MaxWindow != 12 || st.MaxRate != 12 || st.Submits != 12 || st.Accepted != 10 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("over the rate it throttles the account on all its binds", func(t *testing.T) {
		bubble(t, smsctest.Config{Rate: 5, Burst: 5}, func(t *testing.T, s *smsctest.SMSC) {
			a, b := bound(t, s, smsctest.BindTransceiver, "acme"), bound(t, s, smsctest.BindTransceiver, "acme")
			a.write(burst(4))
			if diff := cmp.Diff(map[string]int{"ESME_ROK": 4}, statuses(a, 4)); diff != "" {
				t.Error(diff)
			}
			b.write(burst(4))
			if diff := cmp.Diff(map[string]int{"ESME_ROK": 1, "ESME_RTHROTTLED": 3}, statuses(b, 4)); diff != "" {
				t.Error(diff)
			}
			time.Sleep(400 * time.Millisecond)
			b.write(burst(4))
			if diff := cmp.Diff(map[string]int{"ESME_ROK": 2, "ESME_RTHROTTLED": 2}, statuses(b, 4)); diff != "" {
				t.Error(diff)
			}
			want := map[string]uint64{"ESME_RTHROTTLED": 5}
			if diff := cmp.Diff(want, s.Stats().Refused); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("random faults are repeatable by their seed", func(t *testing.T) {
		once := func(t *testing.T) (st smsctest.Stats) {
			synctest.Test(t, func(t *testing.T) {
				s := smsctest.New(smsctest.Config{Seed: 42, Faults: smsctest.Faults{Error: 0.2, ErrorStatus: 0x14, Throttle: 0.1}})
				c := bound(t, s, smsctest.BindTransceiver, "acme")
				c.write(burst(200))
				statuses(c, 200)
				st = s.Stats()
				_ = s.Close()
			})
			return st
		}
		a, b := once(t), once(t)
		if diff := cmp.Diff(a.Refused, b.Refused); diff != "" {
			t.Error(diff)
		}
		if n := a.Refused["ESME_RMSGQFUL"]; n < 20 || n > 60 {
			t.Errorf("%d of 200 refused at 0.2", n)
		}
	})
}

func TestDataSMStandsForSubmitSM(t *testing.T) {
	cfg := smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		if m.Destination == "447700900404" {
			return smsctest.Action{Status: smsctest.RINVDSTADR}
		}
		return smsctest.Action{}
	}}
	bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		data := func(seq uint32, to string) smsctest.PDU {
			b := smsctest.AppendCString([]byte{0, 5, 0}, "ACME")
			b = smsctest.AppendCString(append(b, 1, 1), to)
			b = append(b, 0, 1, 0) // esm_class, registered_delivery, data_coding
			b = smsctest.AppendTLV(b, smsctest.TagMessagePayload, []byte("hello"))
			c.send(smsctest.PDU{CommandID: smsctest.DataSM, Sequence: seq, Body: b})
			return c.recv()
		}
		p := data(2, "447700900123")
		if p.CommandID != smsctest.DataSMResp || p.Sequence != 2 || p.Status != 0 {
			t.Fatalf("data_sm answered with %+v", p)
		}
		d := c.recvDeliver()
		c.ack(d, 0)
		if id := cString(d.tlvs[smsctest.TagReceiptedMessageID]); id == "" || id != cString(p.Body) {
			t.Errorf("receipt for %q, message id %q", id, cString(p.Body))
		}
		if p := data(3, "447700900404"); p.CommandID != smsctest.DataSMResp || p.Status != smsctest.RINVDSTADR {
			t.Errorf("refused data_sm answered with %+v", p)
		}
		m := s.Submits()[0]
		if !m.DataSM || m.Text() != "hello" || m.Destination != "447700900123" || m.RegisteredDelivery != 1 || m.Fault != "" {
			t.Errorf("recorded %+v", m)
		}
	})
}

func TestRepeatedMessagesAreCounted(t *testing.T) {
	bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		a := c.submitted(2, message{to: "447700900123", text: "a"})
		b := c.submitted(3, message{to: "447700900124", text: "a"})
		again := c.submitted(4, message{to: "447700900123", text: "a"})
		if a == b || a == again {
			t.Error("message ids repeat")
		}
		if st := s.Stats(); st.Unique != 2 || st.Duplicate != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestMagicNumbersDecideByDestination(t *testing.T) {
	t.Parallel()
	tests := []struct {
		to   string
		want []uint32 // statuses of the same message sent again and again
	}{
		{"447700900404", []uint32{smsctest.RINVDSTADR, smsctest.RINVDSTADR}},
		{"+447700900458", []uint32{smsctest.RTHROTTLED, smsctest.RTHROTTLED, 0, 0}},
		{"447700900414", []uint32{smsctest.RMSGQFUL, 0}},
		{"447700900123", []uint32{0}},
	}
	for _, tt := range tests {
		t.Run(tt.to, func(t *testing.T) {
			bubble(t, smsctest.Config{Magic: true}, func(t *testing.T, s *smsctest.SMSC) {
				c := bound(t, s, smsctest.BindTransceiver, "acme")
				var got []uint32
				for i := range tt.want {
					c.submit(uint32(i+2), message{to: tt.to})
					got = append(got, c.recv().Status)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
	t.Run("never answered and not taken in", func(t *testing.T) {
		bubble(t, smsctest.Config{Magic: true}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.submit(2, message{to: "447700900400", registered: 1})
			c.silent(time.Hour)
			if st := s.Stats(); st.Accepted != 0 || st.Unanswered != 1 || st.Receipts.Due != 0 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("receipts come only when asked for", func(t *testing.T) {
		bubble(t, smsctest.Config{Magic: true}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.submitted(2, message{to: "447700900501"})
			c.submitted(3, message{to: "447700900501", text: "2", registered: 2})
			d := c.recvDeliver()
			if d.tlvs[smsctest.TagMessageState][0] != 5 {
				t.Errorf("%+v", d)
			}
			c.ack(d, 0)
			c.silent(time.Hour)
		})
	})
}
