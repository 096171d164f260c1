package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// inbox is what is in SMS_INBOUND.
type inbox struct {
	mu  sync.Mutex
	all []*sms.Inbound // guarded by mu
}

func followInbound(t *testing.T, r *rig) *inbox {
	t.Helper()
	js, err := jetstream.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.OrderedConsumer(t.Context(), sms.Subjects{}.StreamInbound(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	box := new(inbox)
	cc, err := c.Consume(func(m jetstream.Msg) {
		in := new(sms.Inbound)
		if err := json.Unmarshal(m.Data(), in); err != nil || m.Headers().Get("Nats-Msg-Id") != in.ID {
			t.Errorf("inbound message %s under %q: %v", in.ID, m.Headers().Get("Nats-Msg-Id"), err)
		}
		box.mu.Lock()
		defer box.mu.Unlock()
		box.all = append(box.all, in)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cc.Stop)
	return box
}

// texts returns what came, by sender.
func (b *inbox) texts() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := make(map[string]string)
	for _, in := range b.all {
		text := in.Text
		if len(in.PartsMissing) > 0 {
			text += fmt.Sprint(" without ", in.PartsMissing)
		}
		if before, twice := got[in.From]; twice {
			text = before + " and " + text
		}
		got[in.From] = text
	}
	return got
}

// inParts makes the parts of a text in one of the ways that there are.
func inParts(way int, from, text string) []smsctest.MO {
	var all []smsctest.MO
	total := (len(text) + 9) / 10
	for i := range total {
		octets := []byte(text[10*i : min(len(text), 10*i+10)])
		mo := smsctest.MO{SystemID: "acme", Source: from, Destination: "15550100", ShortMessage: octets}
		n, of := byte(i+1), byte(total)
		switch way % 4 {
		case 0, 1:
			mo.ESMClass, mo.ShortMessage, mo.DataSM = 0x40, append([]byte{5, 0, 3, 77, of, n}, octets...), way%4 == 1
		case 2:
			mo.ESMClass, mo.ShortMessage = 0x40, append([]byte{6, 8, 4, 3, 77, of, n}, octets...)
		case 3:
			mo.TLVs = []smsctest.TLV{
				{Tag: smsctest.TagSarMsgRefNum, Value: []byte{3, 77}}, {Tag: smsctest.TagSarTotalSegments, Value: []byte{of}},
				{Tag: smsctest.TagSarSegmentSeqnum, Value: []byte{n}},
			}
		}
		all = append(all, mo)
	}
	return all
}

func TestMessagesFromHandsetsAreJoinedAcrossWorkers(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Receipts: smsctest.ReceiptConfig{AckTimeout: 2 * time.Second}}, "")
	box := followInbound(t, r)
	r.Worker("w1")
	r.Worker("w2")
	apptest.Until(t, "four are bound", func() bool { return len(r.smsc.Binds()) == 4 })
	want := make(map[string]string)
	var parts []smsctest.MO
	for i := range 100 {
		from := fmt.Sprintf("447700900%03d", i)
		want[from] = fmt.Sprintf("Message %d from a handset, in four parts", i)
		parts = append(parts, inParts(i, from, want[from])...)
	}
	slices.SortStableFunc(parts, func(a, b smsctest.MO) int { return strings.Compare(string(b.ShortMessage), string(a.ShortMessage)) })
	for i, mo := range parts {
		r.smsc.DeliverMO(mo)
		if i%7 == 0 {
			r.smsc.DeliverMO(mo) // the SMSC believes that it was lost
		}
		if i == len(parts)/2 {
			r.smsc.CutConnections() // so that some are lost in fact
		}
	}
	apptest.Until(t, "every part is answered", func() bool {
		return !slices.ContainsFunc(r.smsc.MOs(), func(d smsctest.Delivery) bool { return d.Outcome != smsctest.Acked })
	})
	apptest.Until(t, "every message is there", func() bool { return len(box.texts()) == len(want) })
	if diff := cmp.Diff(want, box.texts()); diff != "" {
		t.Errorf("inbound (-want +got):\n%s", diff)
	}
}

func TestAPartWhoseOthersDoNotComeIsPublishedByWhoIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "    inbound: {join_timeout: 1s}\n")
	box := followInbound(t, r)
	stop := r.Worker("w1")
	lone := inParts(2, "447700900123", "the first and the last")[2]
	r.smsc.DeliverMO(lone)
	apptest.Until(t, "the part is answered", func() bool { return r.smsc.MOs()[0].Outcome == smsctest.Acked })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.Worker("w2")
	want := map[string]string{"447700900123": "st without [1 2]"}
	apptest.Until(t, "it is published", func() bool { return maps.Equal(box.texts(), want) })
	// By w1 when its last sweep came in time, else by w2.
	apptest.Until(t, "what is published counts as incomplete", func() bool { n := r.Route().Inbound; return n.Published == n.Incomplete })
}

func TestMessagesFromHandsetsOutliveARestartOfTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Receipts: smsctest.ReceiptConfig{RetryDelay: 100 * time.Millisecond}}, "")
	box := followInbound(t, r)
	r.Worker("w1")
	apptest.Until(t, "both are bound", func() bool { return len(r.smsc.Binds()) == 2 })
	r.RestartNATS()
	for _, mo := range inParts(0, "447700900123", "while workers reconnect") {
		r.smsc.DeliverMO(mo)
	}
	r.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900124", Destination: "15550100", ShortMessage: []byte("STOP")})
	want := map[string]string{"447700900123": "while workers reconnect", "447700900124": "STOP"}
	apptest.Until(t, "both are published", func() bool { return maps.Equal(box.texts(), want) })
}
