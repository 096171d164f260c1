package smsctest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

func TestTimesOfSubmitsAndReceiptsAreShortLines(t *testing.T) {
	var out bytes.Buffer
	bubble(t, smsctest.Config{TimesTo: &out}, func(t *testing.T, s *smsctest.SMSC) {
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		began := time.Now()
		id := c.submitted(2, message{to: "447700900123", text: "job-1 hello you", registered: 1})
		c.ack(c.recvDeliver(), 0)
		time.Sleep(time.Second)
		synctest.Wait()
		want := []string{
			fmt.Sprintf("s %d job-1", began.UnixNano()),
			fmt.Sprintf("r %d %s", began.UnixNano(), id),
		}
		if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(out.String()), "\n")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHeldDeliveriesComeWhenReleased(t *testing.T) {
	bubble(t, smsctest.Config{}, func(t *testing.T, s *smsctest.SMSC) {
		s.HoldDeliveries()
		c := bound(t, s, smsctest.BindTransceiver, "acme")
		id := c.submitted(2, message{to: "447700900123", text: "hello", registered: 1})
		c.silent(time.Minute)
		if st := s.Stats().Receipts; st.Due != 1 || st.Sent != 0 {
			t.Errorf("while held: %+v", st)
		}
		s.ReleaseDeliveries()
		p := c.recvDeliver()
		if !strings.Contains(p.text, id) {
			t.Errorf("the receipt %q is not of message %s", p.text, id)
		}
		c.ack(p, 0)
	})
}
