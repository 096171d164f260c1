package smsctest_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

func TestQuirksOfTheBindResponse(t *testing.T) {
	t.Parallel()
	wrong := smsctest.Config{SystemID: "other"}
	for name, c := range map[string]struct {
		cfg    smsctest.Config
		quirks smsctest.Quirks
		want   smsctest.PDU
	}{
		"none": {want: smsctest.PDU{CommandID: smsctest.BindTransceiverResp, Sequence: 1, Body: []byte("smsctest\x00\x02\x10\x00\x01\x34")}},
		"no body with an acceptance": {
			quirks: smsctest.Quirks{BindBody: []byte{}},
			want:   smsctest.PDU{CommandID: smsctest.BindTransceiverResp, Sequence: 1, Body: []byte{}}},
		"a body with a refusal": {
			cfg: wrong, quirks: smsctest.Quirks{BindErrorBody: []byte("smsc\x00")},
			want: smsctest.PDU{CommandID: smsctest.BindTransceiverResp, Status: smsctest.RINVSYSID, Sequence: 1, Body: []byte("smsc\x00")}},
		"a refusal by generic_nack": {
			cfg: wrong, quirks: smsctest.Quirks{BindNack: true},
			want: smsctest.PDU{CommandID: smsctest.GenericNack, Status: smsctest.RINVSYSID, Sequence: 1, Body: []byte{}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Quirks = c.quirks
			bubble(t, c.cfg, func(t *testing.T, s *smsctest.SMSC) {
				cl := dial(t, s)
				cl.send(smsctest.PDU{CommandID: smsctest.BindTransceiver, Sequence: 1, Body: bindBody("acme", "secret")})
				if diff := cmp.Diff(c.want, cl.recv()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestALateBindResponseFollowsWhatIsSentBeforeIt(t *testing.T) {
	early := smsctest.PDU{CommandID: smsctest.EnquireLink, Sequence: 7}
	cfg := smsctest.Config{Quirks: smsctest.Quirks{BindDelay: 10 * time.Second, BeforeBound: []smsctest.PDU{early}}}
	bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
		c := dial(t, s)
		begin := time.Now()
		c.send(smsctest.PDU{CommandID: smsctest.BindTransceiver, Sequence: 1, Body: bindBody("acme", "secret")})
		if p := c.recv(); p.CommandID != smsctest.EnquireLink || time.Since(begin) != 0 {
			t.Errorf("got %+v after %s", p, time.Since(begin))
		}
		c.submit(2, message{to: "447700900123"})
		if p := c.recv(); p.Status != smsctest.RINVBNDSTS {
			t.Errorf("submit_sm before the bind response got %+v", p)
		}
		if p := c.recv(); p.CommandID != smsctest.BindTransceiverResp || time.Since(begin) != 10*time.Second {
			t.Errorf("got %+v after %s", p, time.Since(begin))
		}
		c.submitted(3, message{to: "447700900123"})
	})
}

func TestQuirksOfTheLink(t *testing.T) {
	t.Parallel()
	t.Run("enquire_link_resp with an error status", func(t *testing.T) {
		bubble(t, smsctest.Config{Quirks: smsctest.Quirks{EnquireLinkStatus: smsctest.RSYSERR}}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.send(smsctest.PDU{CommandID: smsctest.EnquireLink, Sequence: 2})
			if p := c.recv(); p.CommandID != smsctest.EnquireLinkResp || p.Status != smsctest.RSYSERR {
				t.Errorf("got %+v", p)
			}
		})
	})
	t.Run("enquire_link answered by generic_nack", func(t *testing.T) {
		bubble(t, smsctest.Config{Quirks: smsctest.Quirks{EnquireLinkNack: true}}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.send(smsctest.PDU{CommandID: smsctest.EnquireLink, Sequence: 2})
			if p := c.recv(); p.CommandID != smsctest.GenericNack || p.Status != smsctest.RINVCMDID || p.Sequence != 2 {
				t.Errorf("got %+v", p)
			}
		})
	})
	t.Run("unbind without an answer", func(t *testing.T) {
		bubble(t, smsctest.Config{Quirks: smsctest.Quirks{NoUnbindResp: true}}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.send(smsctest.PDU{CommandID: smsctest.Unbind, Sequence: 2})
			c.silent(time.Hour)
		})
	})
	t.Run("hanging up above the window", func(t *testing.T) {
		cfg := smsctest.Config{Window: 1, Latency: time.Hour, Quirks: smsctest.Quirks{WindowClose: true}}
		bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.submit(2, message{to: "447700900123"})
			c.submit(3, message{to: "447700900124"})
			if p := c.recv(); p.Sequence != 3 || p.Status != smsctest.RMSGQFUL {
				t.Errorf("got %+v", p)
			}
			c.ended()
		})
	})
}

func TestQuirksOfFramesAndNumbers(t *testing.T) {
	t.Parallel()
	t.Run("octet by octet, numbered through zero", func(t *testing.T) {
		cfg := smsctest.Config{Quirks: smsctest.Quirks{ChunkOctets: 1, FirstSequence: 0xFFFFFFFF}}
		bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			for _, want := range []uint32{0xFFFFFFFF, 0, 1} {
				s.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", ShortMessage: []byte("hi")})
				_ = c.nc.SetDeadline(time.Now().Add(time.Minute))
				b := make([]byte, 2)
				if n, err := c.nc.Read(b); n != 1 || err != nil {
					t.Fatalf("%d octets with one read, %v", n, err)
				}
				rest, err := smsctest.ReadPDU(io.MultiReader(bytes.NewReader(b[:1]), c.nc))
				if err != nil || rest.Sequence != want {
					t.Errorf("sequence %#x, want %#x, %v", rest.Sequence, want, err)
				}
				c.send(smsctest.PDU{CommandID: smsctest.DeliverSMResp, Sequence: want, Body: []byte{0}})
			}
			if err := s.WaitFor(t.Context(), func(st smsctest.Stats) bool { return st.MOs.Acked == 3 }); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("a response with a body of the test's", func(t *testing.T) {
		cfg := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
			return smsctest.Action{Status: smsctest.RINVDSTADR, Body: []byte("7E5\x00")}
		}}
		bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.submit(2, message{to: "447700900123"})
			want := smsctest.PDU{CommandID: smsctest.SubmitSMResp, Status: smsctest.RINVDSTADR, Sequence: 2, Body: []byte("7E5\x00")}
			if diff := cmp.Diff(want, c.recv()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	})
}
