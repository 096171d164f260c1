package smsctest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// bubble runs a test on in-memory pipes under fake time.
func bubble(t *testing.T, cfg smsctest.Config, test func(t *testing.T, s *smsctest.SMSC)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := smsctest.New(cfg)
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, s)
	})
}

func TestBindIsAnsweredByCredentialsAndQuota(t *testing.T) {
	t.Parallel()
	one := smsctest.Config{SystemID: "acme", Password: "secret", MaxBinds: 1}
	tests := []struct {
		name               string
		cfg                smsctest.Config
		before             int // binds of acme that are there already
		systemID, password string
		want               uint32
	}{
		{"an open simulator takes anyone", smsctest.Config{}, 0, "whoever", "", smsctest.ROK},
		{"the account with its password is bound", one, 0, "acme", "secret", smsctest.ROK},
		{"an unknown system_id is refused", one, 0, "acne", "secret", smsctest.RINVSYSID},
		{"a wrong password is refused", one, 0, "acme", "Secret", smsctest.RINVPASWD},
		{"a bind over the quota is refused", one, 1, "acme", "secret", smsctest.RALYNBD},
		{"a further account is bound", smsctest.Config{Credentials: map[string]string{"b": "pw"}}, 0, "b", "pw", smsctest.ROK},
		{"the hook has the last word", smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 { return 0x401 }}, 0, "a", "", 0x401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.cfg, func(t *testing.T, s *smsctest.SMSC) {
				for range tt.before {
					bound(t, s, smsctest.BindTransceiver, "acme")
				}
				if got := dial(t, s).bind(smsctest.BindTransceiver, tt.systemID, tt.password); got != tt.want {
					t.Errorf("status %s, want %s", smsctest.StatusName(got), smsctest.StatusName(tt.want))
				}
			})
		})
	}
}

func TestBindCanBeLeftUnansweredOrHungUp(t *testing.T) {
	cfg := smsctest.Config{OnBind: func(r *smsctest.BindRequest) uint32 {
		if r.SystemID == "silent" {
			return smsctest.NoAnswer
		}
		return smsctest.CloseConnection
	}}
	bubble(t, cfg, func(t *testing.T, s *smsctest.SMSC) {
		c := dial(t, s)
		c.send(smsctest.PDU{CommandID: smsctest.BindTransceiver, Sequence: 1, Body: bindBody("silent", "")})
		c.silent(time.Hour)
		c = dial(t, s)
		c.send(smsctest.PDU{CommandID: smsctest.BindTransceiver, Sequence: 1, Body: bindBody("closed", "")})
		c.ended()
	})
}

func TestFramesAreFoundHoweverTheyAreCut(t *testing.T) {
	bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
		c := dial(t, s)
		all := smsctest.PDU{CommandID: smsctest.BindTransceiver, Sequence: 1, Body: bindBody("acme", "")}.Append(nil)
		all = smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: 2, Body: message{to: "447700900123", text: "one"}.body()}.Append(all)
		big := smsctest.AppendTLV(nil, smsctest.TagMessagePayload, make([]byte, 65000))
		go func() {
			for i := range all {
				_, _ = c.nc.Write(all[i : i+1])
			}
			_, _ = c.nc.Write(smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: 3, Body: message{to: "447700900124", tlvs: big}.body()}.Append(nil))
		}()
		for want := uint32(1); want <= 3; want++ {
			if p := c.recv(); p.Sequence != want || p.Status != 0 {
				t.Fatalf("got %+v, want sequence %d", p, want)
			}
		}
		if got := len(s.Submits()[1].TLVs[0].Value); got != 65000 {
			t.Errorf("message_payload has %d octets", got)
		}
	})
}

func TestPDUsThatDoNotFitAreAnsweredAsTheSpecificationSays(t *testing.T) {
	t.Parallel()
	t.Run("an unknown command is nacked and the session stays", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.send(smsctest.PDU{CommandID: 0x777, Sequence: 9})
			want := smsctest.PDU{CommandID: smsctest.GenericNack, Status: smsctest.RINVCMDID, Sequence: 9, Body: []byte{}}
			if diff := cmp.Diff(want, c.recv()); diff != "" {
				t.Error(diff)
			}
			c.send(smsctest.PDU{CommandID: smsctest.EnquireLink, Sequence: 10})
			if p := c.recv(); p.CommandID != smsctest.EnquireLinkResp {
				t.Errorf("got %+v", p)
			}
		})
	})
	t.Run("an unknown response is not nacked", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.send(smsctest.PDU{CommandID: 0x80000777, Sequence: 9})
			c.silent(time.Minute)
		})
	})
	t.Run("an impossible length ends the connection after a nack", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			c := dial(t, s)
			c.write(make([]byte, 16))
			if p := c.recv(); p.CommandID != smsctest.GenericNack || p.Status != smsctest.RINVCMDLEN {
				t.Errorf("got %+v", p)
			}
			c.ended()
		})
	})
	t.Run("a cut submit_sm is refused", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.send(smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: 2, Body: message{to: "447700900123", text: "hello"}.body()[:30]})
			if p := c.recv(); p.CommandID != smsctest.SubmitSMResp || p.Status != smsctest.RINVCMDLEN {
				t.Errorf("got %+v", p)
			}
			if st := s.Stats(); st.Faulty != 1 {
				t.Errorf("faulty %d", st.Faulty)
			}
		})
	})
	t.Run("submit_sm needs a bind that transmits", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			for _, c := range []*client{dial(t, s), bound(t, s, smsctest.BindReceiver, "acme")} {
				c.submit(2, message{to: "447700900123"})
				if p := c.recv(); p.Status != smsctest.RINVBNDSTS {
					t.Errorf("got %+v", p)
				}
			}
		})
	})
}

func TestUnbindIsAnsweredAfterTheResponsesThatAreDue(t *testing.T) {
	bubble(t, smsctest.Config{Latency: time.Second}, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		c.submit(2, message{to: "447700900123"})
		c.send(smsctest.PDU{CommandID: smsctest.Unbind, Sequence: 3})
		var got []uint32
		got = append(got, c.recv().CommandID, c.recv().CommandID)
		if diff := cmp.Diff([]uint32{smsctest.SubmitSMResp, smsctest.UnbindResp}, got); diff != "" {
			t.Error(diff)
		}
		c.ended()
		b := s.Binds()[0]
		if !b.Unbound || b.Until.IsZero() || s.Stats().Unbinds != 1 || s.Stats().Lost != 0 {
			t.Errorf("%+v %+v", b, s.Stats())
		}
	})
}

func TestTheSimulatorUnbindsEnquiresAndHangsUp(t *testing.T) {
	t.Parallel()
	t.Run("its unbind ends the connection when it is answered", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			if n := s.Unbind(); n != 1 {
				t.Fatalf("unbound %d", n)
			}
			p := c.recv()
			if p.CommandID != smsctest.Unbind {
				t.Fatalf("got %+v", p)
			}
			c.send(smsctest.PDU{CommandID: smsctest.UnbindResp, Sequence: p.Sequence})
			c.ended()
			synctest.Wait()
			if st := s.Stats(); st.UnbindResp != 1 || st.Lost != 0 || st.Binds != 0 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("it enquires at its interval", func(t *testing.T) {
		bubble(t, smsctest.Config{EnquireLink: 45 * time.Second}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			begin := time.Now()
			for i := 1; i <= 3; i++ {
				p := c.recv()
				if p.CommandID != smsctest.EnquireLink || time.Since(begin) != time.Duration(i)*45*time.Second {
					t.Fatalf("got %+v after %v", p, time.Since(begin))
				}
				c.send(smsctest.PDU{CommandID: smsctest.EnquireLinkResp, Sequence: p.Sequence})
			}
		})
	})
	t.Run("it closes an idle connection", func(t *testing.T) {
		bubble(t, smsctest.Config{IdleTimeout: 30 * time.Second}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			begin := time.Now()
			c.ended()
			if d := time.Since(begin); d != 30*time.Second {
				t.Errorf("closed after %v", d)
			}
		})
	})
	t.Run("it cuts connections", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			s.CutConnections()
			c.ended()
			synctest.Wait()
			if st := s.Stats(); st.Lost != 1 || st.Binds != 0 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("stalled, it neither answers nor hangs up", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			s.Stall()
			c.send(smsctest.PDU{CommandID: smsctest.EnquireLink, Sequence: 2})
			c.silent(time.Hour)
			s.Resume()
			if p := c.recv(); p.CommandID != smsctest.EnquireLinkResp {
				t.Errorf("got %+v", p)
			}
		})
	})
	t.Run("it refuses to be connected to", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			s.Refuse(true)
			dial(t, s).ended()
			s.Refuse(false)
			bound(t, s, smsctest.BindTransceiver, "acme")
		})
	})
	t.Run("closed, it is not there", func(t *testing.T) {
		bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			_ = s.Close()
			c.ended()
			if _, err := s.Dial(); !errors.Is(err, smsctest.ErrClosed) {
				t.Errorf("dial: %v", err)
			}
		})
	})
	t.Run("the hook sees every PDU and may answer it", func(t *testing.T) {
		nack := func(_ uint64, p smsctest.PDU) ([]byte, bool) {
			if p.CommandID != smsctest.EnquireLink {
				return nil, false
			}
			return smsctest.PDU{CommandID: smsctest.EnquireLinkResp, Status: smsctest.RSYSERR, Sequence: p.Sequence}.Append(nil), true
		}
		bubble(t, smsctest.Config{OnPDU: nack}, func(t *testing.T, s *smsctest.SMSC) {
			c := bound(t, s, smsctest.BindTransceiver, "acme")
			c.send(smsctest.PDU{CommandID: smsctest.EnquireLink, Sequence: 2})
			if p := c.recv(); p.Status != smsctest.RSYSERR {
				t.Errorf("got %+v", p)
			}
		})
	})
}
