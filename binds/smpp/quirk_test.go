package smpp_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// esme is a session that is bound to a simulator.
type esme struct {
	*smpp.Session
	smsc *smsctest.SMSC
	done chan struct{}
	err  error // of Run, once done is closed
}

// bubble binds a session to a simulator over an in-memory pipe, under fake time.
func bubble(t *testing.T, sim smsctest.Config, cfg smpp.Config, test func(t *testing.T, e *esme)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		smsc := smsctest.New(sim)
		defer func() { _ = smsc.Close() }()
		if cfg.Handler == nil {
			cfg.Handler = smpp.Each(func(context.Context, *smpp.Inbound) uint32 { return smpp.StatusOK })
		}
		s, err := bind(t, smsc, cfg)
		if err != nil {
			t.Fatal(err)
		}
		e := &esme{Session: s, smsc: smsc, done: make(chan struct{})}
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			defer close(e.done)
			e.err = s.Run(ctx)
		}()
		defer func() {
			cancel()
			<-e.done
		}()
		test(t, e)
	})
}

func bind(t *testing.T, smsc *smsctest.SMSC, cfg smpp.Config) (*smpp.Session, error) {
	t.Helper()
	conn, err := smsc.Dial()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.SystemID == "" {
		cfg.SystemID = "acme"
	}
	return smpp.Bind(t.Context(), conn, cfg)
}

// submit sends messages of one job and returns where their calls end.
func (e *esme) submit(t *testing.T, to ...string) chan *smpp.Call {
	t.Helper()
	done := make(chan *smpp.Call, len(to))
	var msgs []*sms.Message
	for i, n := range to {
		if err := e.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, &sms.Message{
			Source:             sms.Address{TON: 5, Addr: "ACME"},
			Destination:        sms.Address{TON: 1, NPI: 1, Addr: n},
			RegisteredDelivery: 1,
			ShortMessage:       []byte("Your code is 1234"),
			Part:               i + 1,
			PartsTotal:         len(to),
		})
	}
	if err := e.Go(&smpp.Burst{Ref: sms.JobRef{JobID: "job"}, Done: done}, msgs); err != nil {
		t.Fatal(err)
	}
	return done
}

// accepted submits one message and fails unless it is accepted.
func (e *esme) accepted(t *testing.T) *smpp.Call {
	t.Helper()
	c := <-e.submit(t, "447700900123")
	if c.Err != nil || c.Status != smpp.StatusOK {
		t.Errorf("submit_sm ended with status %#x, %v", c.Status, c.Err)
	}
	return c
}

// up fails unless the session lives and takes messages.
func (e *esme) up(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case <-e.done:
		t.Fatalf("session ended: %v", e.err)
	default:
		e.accepted(t)
	}
}

// ends waits for the session's end and fails unless it came of want.
func (e *esme) ends(t *testing.T, want error) {
	t.Helper()
	<-e.done
	if !errors.Is(e.err, want) {
		t.Errorf("session ended with %v, want %v", e.err, want)
	}
}

// messages is a handler that keeps what it takes.
type messages chan *smpp.Inbound

func (m messages) handle(_ context.Context, in *smpp.Inbound) uint32 {
	m <- in
	return smpp.StatusOK
}

// deliverSM is a deliver_sm with a text.
func deliverSM(sequence uint32, text string) smsctest.PDU {
	b := append([]byte{0, 1, 1}, "447700900124\x00\x00\x00ACME\x00"...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(text)))
	return smsctest.PDU{CommandID: smsctest.DeliverSM, Sequence: sequence, Body: append(b, text...)}
}

// acked waits until the SMSC has had its deliver_sm accepted n times.
func (e *esme) acked(t *testing.T, n uint64) {
	t.Helper()
	if err := e.smsc.WaitFor(t.Context(), func(st smsctest.Stats) bool { return st.MOs.Acked == n }); err != nil {
		t.Errorf("%d of %d deliver_sm accepted", e.smsc.Stats().MOs.Acked, n)
	}
}

func bindID(t *testing.T, smsc *smsctest.SMSC) uint64 {
	t.Helper()
	all := smsc.Binds()
	if len(all) == 0 {
		t.Fatal("nothing is bound")
	}
	return all[len(all)-1].ID
}

func (e *esme) sends(t *testing.T, octets []byte) {
	t.Helper()
	if err := e.smsc.Send(bindID(t, e.smsc), octets); err != nil {
		t.Error(err)
	}
}

// code returns the code of an *sms.Error.
func code(err error) sms.Code {
	var e *sms.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
