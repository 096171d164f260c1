package smsctest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

func TestRecordIsWrittenAsJSONLines(t *testing.T) {
	var out bytes.Buffer
	bubble(t, smsctest.Config{RecordTo: &out}, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		c.submitted(2, message{to: "447700900123", text: "hello", registered: 1})
		c.ack(c.recvDeliver(), 0)
		time.Sleep(time.Second)
		synctest.Wait()
		before := out.String()
		if !strings.Contains(before, `"ev":"deliver"`) {
			t.Errorf("not flushed within a second: %s", before)
		}
		_ = c.nc.Close()
		_ = s.Close()
		var got []string
		for line := range strings.Lines(out.String()) {
			var l struct {
				Ev      string
				ID      string `json:"message_id"`
				SM      string `json:"short_message"`
				Text    string
				Outcome string
				Attempt struct{ Bind, Seq int }
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(l.Ev, l.ID != "", l.SM, l.Text, l.Outcome, l.Attempt))
		}
		want := []string{
			"bindfalse{0 0}",
			"submittrue68656c6c6fhello{0 0}",
			"delivertrueacked{1 1}",
			"bind_endedfalse{0 0}",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRecordInMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for keep, want := range map[int][2]int{0: {20, 20}, 5: {5, 10}, -1: {0, 0}} {
		t.Run(fmt.Sprintf("keep %d", keep), func(t *testing.T) {
			bubble(t, smsctest.Config{Keep: keep}, func(t *testing.T, s *smsctest.SMSC) {
				c := bound(t, s, smsctest.BindTransceiver, "acme")
				var id string
				for seq := uint32(2); seq < 22; seq++ {
					id = c.submitted(seq, message{to: "447700900123", registered: 1})
					c.ack(c.recvDeliver(), 0)
				}
				got, receipts := s.Submits(), s.Receipts()
				if len(got) < want[0] || len(got) > want[1] || len(receipts) < want[0] || len(receipts) > want[1] {
					t.Errorf("%d submits and %d receipts kept", len(got), len(receipts))
				}
				if len(got) > 0 && got[len(got)-1].MessageID != id {
					t.Error("the last submit is not kept")
				}
				if st := s.Stats(); st.Submits != 20 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

func TestWaitForEndsWithItsContext(t *testing.T) {
	bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.WaitFor(ctx, func(smsctest.Stats) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSimulatorWorksOverTCP(t *testing.T) {
	t.Parallel()
	s := smsctest.New(smsctest.Config{Latency: time.Millisecond, Jitter: 2 * time.Millisecond, Receipts: smsctest.ReceiptConfig{Delay: 3 * time.Millisecond}})
	defer func() { _ = s.Close() }()
	addr, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const binds, messages = 4, 500
	done := make(chan error, binds)
	for i := range binds {
		go func() {
			nc, err := net.Dial("tcp", addr.String())
			if err != nil {
				done <- err
				return
			}
			defer func() { _ = nc.Close() }()
			done <- exchange(nc, i, messages)
		}()
	}
	for range binds {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	st := s.Stats()
	if st.Submits != binds*messages || st.Unique != binds*messages || st.Receipts.Acked != binds*messages {
		t.Errorf("%+v", st)
	}
	if st.Writes >= st.Submits {
		t.Errorf("%d writes for %d submits", st.Writes, st.Submits)
	}
}

// exchange binds, submits n messages at once, and reads until every response
// and every receipt came and every receipt is acknowledged.
func exchange(nc net.Conn, bind, n int) error {
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	b := smsctest.PDU{CommandID: smsctest.BindTransceiver, Sequence: 1, Body: bindBody("acme", "")}.Append(nil)
	if _, err := nc.Write(b); err != nil {
		return err
	}
	if _, err := smsctest.ReadPDU(nc); err != nil {
		return err
	}
	b = nil
	for i := range n {
		m := message{to: "447700900123", text: fmt.Sprint(bind, i), registered: 1}
		b = smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: uint32(i + 2), Body: m.body()}.Append(b)
	}
	if _, err := nc.Write(b); err != nil {
		return err
	}
	for responses, receipts := 0, 0; responses < n || receipts < n; {
		p, err := smsctest.ReadPDU(nc)
		if err != nil {
			return fmt.Errorf("after %d responses and %d receipts: %w", responses, receipts, err)
		}
		switch p.CommandID {
		case smsctest.SubmitSMResp:
			responses++
		case smsctest.DeliverSM:
			receipts++
			ack := smsctest.PDU{CommandID: smsctest.DeliverSMResp, Sequence: p.Sequence, Body: []byte{0}}
			if _, err := nc.Write(ack.Append(nil)); err != nil {
				return err
			}
		}
	}
	b = smsctest.PDU{CommandID: smsctest.Unbind, Sequence: 0x7FFFFFFF}.Append(nil)
	if _, err := nc.Write(b); err != nil {
		return err
	}
	p, err := smsctest.ReadPDU(nc)
	if err == nil && p.CommandID != smsctest.UnbindResp {
		err = fmt.Errorf("unbind answered with %+v", p)
	}
	return err
}
