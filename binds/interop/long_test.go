//go:build interop

package interop_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// joined is a message as the SMSC put it together.
type joined struct {
	By    string
	Parts int
	Text  string
}

func TestPoolSendsLongMessagesInEveryWay(t *testing.T) {
	t.Parallel()
	s := startNode(t)
	r := startPool(t, s, nil)
	texts := map[sms.Encoding]string{
		"auto":   strings.Repeat("plain @ {text} € ", 40),
		"latin1": strings.Repeat("façade ", 50),
		"ucs2":   strings.Repeat("жизнь 😀 ", 30),
	}
	how := map[text.Concat]string{text.UDH8: "udh8", text.UDH16: "udh16", text.SAR: "sar", text.Payload: "payload"}
	want := map[string]joined{}
	for concat, by := range how {
		for _, dataSM := range []bool{false, true} {
			rules := dispatcher.MessageRules{Concat: concat, DataSM: dataSM}
			for encoding, content := range texts {
				to := fmt.Sprintf("4477009001%02d", len(want))
				msgs, err := rules.Encode("shop", &sms.Job{ID: to, To: to, From: "ACME", Text: &content, Encoding: encoding, Receipt: sms.ReceiptNone})
				if err != nil {
					t.Fatal(err)
				}
				for _, reply := range <-r.submit(t, msgs) {
					if reply.Err != nil || reply.RawMessageID == "" {
						t.Errorf("%s, data_sm %t, %s: %+v", concat, dataSM, encoding, reply)
					}
				}
				want[to] = joined{by, len(msgs), content}
				if (len(msgs) == 1) != (concat == text.Payload) {
					t.Errorf("%s, %s: %d parts", concat, encoding, len(msgs))
				}
			}
		}
	}
	r.drain()
	got := map[string]joined{}
	for _, m := range s.lines(t, "message") {
		got[m.To] = joined{m.By, m.Parts, m.Text}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages as node-smpp joined them (-sent +got):\n%s", diff)
	}
	s.audit(t)
}

func TestPoolTakesLongMessagesFromTheSMSC(t *testing.T) {
	t.Parallel()
	gsm := "Long message from the handset: " + strings.Repeat("grün und € 12 [ok] ", 20) + "end."
	ucs2 := "Длинное сообщение: " + strings.Repeat("привет 😀 мир ", 15) + "конец."
	s := startNode(t)
	r := startPool(t, s, nil)
	want := map[string]joined{
		"447700900777": {"udh8", 3, gsm}, "447700900778": {"udh16", 4, ucs2},
		"447700900779": {"payload", 1, gsm}, "447700900780": {"payload", 1, ucs2},
	}
	for to := range want {
		<-r.send(t, to, "please write back", sms.EncodingAuto, 0)
	}
	s.await(t, "deliver_resp", 3+4+1+1+len(want)+1) // a receipt each, one of which is refused once
	r.drain()
	got := map[string]joined{}
	for from, parts := range bySource(r.mos) {
		got[from] = joinInbound(t, parts)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-sent by node-smpp +got):\n%s", diff)
	}
	s.audit(t)
}

func bySource(all []*sms.Message) map[string][]*sms.Message {
	out := map[string][]*sms.Message{}
	for _, m := range all {
		out[m.Source.Addr] = append(out[m.Source.Addr], m)
	}
	return out
}

// joinInbound puts together what came in. Octets are joined before they are
// decoded: node-smpp cuts between the halves of a surrogate pair.
func joinInbound(t *testing.T, parts []*sms.Message) joined {
	t.Helper()
	var all []byte
	by := "payload"
	slices.SortFunc(parts, func(a, b *sms.Message) int { return bytes.Compare(a.ShortMessage, b.ShortMessage) })
	for i, m := range parts {
		if m.ESMClass&sms.ESMClassUDHI == 0 {
			payload, ok := m.TLV(sms.TagMessagePayload)
			if !ok || len(m.ShortMessage) > 0 {
				t.Errorf("neither header nor message_payload: %+v", m)
			}
			all = append(all, payload...)
			continue
		}
		header := int(m.ShortMessage[0]) + 1
		by = map[byte]string{0x00: "udh8", 0x08: "udh16"}[m.ShortMessage[1]]
		if total, number := m.ShortMessage[header-2], m.ShortMessage[header-1]; int(total) != len(parts) || int(number) != i+1 {
			t.Errorf("part %d of %d at place %d of %d", number, total, i+1, len(parts))
		}
		all = append(all, m.ShortMessage[header:]...)
	}
	decoded, _ := text.Decode(parts[0].DataCoding, all)
	return joined{by, len(parts), decoded}
}

func TestPoolReadsReceiptsInTextTLVAndDataSM(t *testing.T) {
	t.Parallel()
	s := startNode(t)
	r := startPool(t, s, nil)
	r.refused = true // none of these
	type reading struct {
		TextID, TLVID string
		State         sms.State
	}
	want := map[string]reading{}
	for to, read := range map[string]func(id string) reading{
		"447700900123": func(id string) reading { return reading{id, "", sms.StateDelivered} },
		"447700900501": func(id string) reading { return reading{id, "", sms.StateUndeliverable} },
		"447700900502": func(id string) reading { return reading{"", id, sms.StateDelivered} },
		"447700900503": func(id string) reading { return reading{decimal(t, id), id, sms.StateDelivered} },
		"447700900504": func(id string) reading { return reading{id, id, sms.StateDelivered} },
	} {
		reply := (<-r.send(t, to, "a receipt, please", sms.EncodingAuto, 0))[0]
		want[reply.RawMessageID] = read(reply.RawMessageID)
	}
	s.await(t, "deliver_resp", len(want))
	r.drain()
	got := map[string]reading{}
	for i := range r.parsed {
		p := &r.parsed[i]
		id := p.TLVID
		if id == "" {
			id = p.TextID
		}
		got[id] = reading{p.TextID, p.TLVID, p.State}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
	s.audit(t)
}

// decimal is a hexadecimal id as the text of some receipts has it.
func decimal(t *testing.T, id string) string {
	t.Helper()
	var n uint64
	if _, err := fmt.Sscanf(id, "%x", &n); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%020d", n)
}
