package app_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// reassemble joins the parts of one text as an SMSC does that knows the
// route's alphabet, and fails when they do not belong together.
func reassemble(t *testing.T, a text.Alphabet, parts []smsctest.Submit) string {
	t.Helper()
	texts, refs := map[byte]string{}, map[string]bool{}
	total := 1
	for i := range parts {
		m := &parts[i]
		if m.Fault != "" {
			t.Errorf("the SMSC objects: %s", m.Fault)
		}
		udh, payload := m.UserData()
		number, ref := byte(1), ""
		if sar, has := m.TLV(smsctest.TagSarMsgRefNum); has {
			of, _ := m.TLV(smsctest.TagSarTotalSegments)
			n, _ := m.TLV(smsctest.TagSarSegmentSeqnum)
			number, total, ref = n[0], int(of[0]), string(sar)
		} else if len(udh) > 0 {
			number, total, ref = udh[len(udh)-1], int(udh[len(udh)-2]), string(udh[:len(udh)-2])
		}
		decoded, ok := a.Decode(m.DataCoding, payload, len(udh))
		if !ok {
			t.Errorf("data_coding %#x", m.DataCoding)
		}
		texts[number], refs[ref] = decoded, true
	}
	if len(texts) != total || len(refs) != 1 {
		t.Errorf("%d parts of %d with %d references", len(texts), total, len(refs))
	}
	var all strings.Builder
	for n := range total {
		all.WriteString(texts[byte(n+1)])
	}
	return all.String()
}

// submitAll sends messages over one bind.
func submitAll(t *testing.T, pool *binds.Pool, msgs []*sms.Message) {
	t.Helper()
	var r *binds.Reservation
	apptest.Until(t, "the bind takes them", func() bool {
		r, _ = pool.TryReserve(len(msgs))
		return r != nil
	})
	r.Send(t.Context(), sms.JobRef{}, msgs)
	for reply, ok := r.Next(t.Context()); ok; reply, ok = r.Next(t.Context()) {
		if reply.Err != nil || reply.RawMessageID == "" {
			t.Errorf("part %d: id %q, %v", reply.Part, reply.RawMessageID, reply.Err)
		}
	}
}

func TestEveryWayToMakeMessagesReachesTheSMSCWhole(t *testing.T) {
	t.Parallel()
	smsc := smsctest.New(smsctest.Config{Receipts: smsctest.ReceiptConfig{Off: true}})
	t.Cleanup(func() { _ = smsc.Close() })
	pool, err := binds.New(binds.Config{Route: "acme", Endpoints: []string{"smsc:2775"}, SystemID: "acme", Window: 1000}, binds.Deps{Dial: smsc.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	pool.Notify(func() {})
	intake, drain := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(intake, context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		drain()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	texts := map[sms.Encoding]string{
		"auto":   strings.Repeat("plain @ {text} ", 40),
		"gsm7":   strings.Repeat("a_b|c ", 27),
		"latin1": strings.Repeat("façade ", 50),
		"ucs2":   strings.Repeat("жизнь 😀 ", 30),
	}
	type sent struct {
		text     string
		alphabet text.Alphabet
		dataSM   bool
		parts    int
	}
	want := map[string]sent{}
	for _, concat := range []text.Concat{text.UDH8, text.UDH16, text.SAR, text.Payload} {
		for _, alphabet := range []text.Alphabet{text.GSM7, text.GSM7Packed, text.Latin1, text.ASCII} {
			for _, dataSM := range []bool{false, true} {
				rules := dispatcher.MessageRules{Concat: concat, Alphabet: alphabet, DataSM: dataSM}
				for encoding, content := range texts {
					to := fmt.Sprintf("447700900%03d", len(want))
					job := &sms.Job{ID: to, To: to, From: "ACME", Text: &content, Encoding: encoding}
					msgs, err := rules.Encode("shop", job)
					if err != nil {
						t.Fatalf("%s %s %s: %v", concat, alphabet, encoding, err)
					}
					submitAll(t, pool, msgs)
					want[to] = sent{content, alphabet, dataSM, len(msgs)}
				}
			}
		}
	}
	got := map[string][]smsctest.Submit{}
	for _, m := range smsc.Submits() {
		got[m.Destination] = append(got[m.Destination], m)
	}
	for to, w := range want {
		parts := got[to]
		if len(parts) != w.parts {
			t.Errorf("%s: %d parts, want %d", to, len(parts), w.parts)
		}
		for _, m := range parts {
			if m.DataSM != w.dataSM {
				t.Errorf("%s: data_sm is %t, want %t", to, m.DataSM, w.dataSM)
			}
		}
		if diff := cmp.Diff(w.text, reassemble(t, w.alphabet, parts)); diff != "" {
			t.Errorf("%s in %s (-want +got):\n%s", to, w.alphabet, diff)
		}
	}
}

func TestRoutesWithMessageRulesSubmitRetryAndMatchReceipts(t *testing.T) {
	t.Parallel()
	refused := make(chan string, 1) // the second part of the SAR route, once
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		if n, _ := m.TLV(smsctest.TagSarSegmentSeqnum); len(n) == 1 && n[0] == 2 {
			select {
			case refused <- string(m.ShortMessage):
				return smsctest.Action{Status: smsctest.RTHROTTLED}
			default:
			}
		}
		return smsctest.Action{}
	}}, `    concat: sar
    message: {alphabet: latin1, messaging_mode: store-and-forward, tlvs: [{tag: 0x1400, text: "1001"}]}
    number_format: {country_code: 44, trunk_prefix: "0", destination: {form: national}}
  - name: payload
    endpoints: ["$SMSC"]
    system_id: payload
    password_env: ACME_PASSWORD
    concat: payload
    number_format: {source: {form: plus}, destination: {form: plus}}
  - name: data
    endpoints: ["$SMSC"]
    system_id: data
    password_env: ACME_PASSWORD
    message: {pdu: data_sm, service_type: CMT, validity: 90s}
`)
	r.Worker("w1")
	content := strings.Repeat("0123456789", 31)
	js, err := jetstream.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{"acme", "payload", "data"} {
		job := fmt.Sprintf(`{"id":%q,"to":"+447700900123","from":"447700900456","text":%q}`, route, content)
		if _, err := js.Publish(t.Context(), "sms.jobs."+route+".normal.shop", []byte(job)); err != nil {
			t.Fatal(err)
		}
	}
	parts := map[string]int{"acme": 3, "payload": 1, "data": 3}
	for route, n := range parts {
		submitted := r.AwaitKinds(route, sms.KindSubmitted)[0]
		if len(submitted.Parts) != n {
			t.Errorf("%s: %d parts, want %d", route, len(submitted.Parts), n)
		}
		all := r.Await("the receipts of "+route, func(all []*sms.Result) bool { return receiptsOf(all, route) == n })
		final := 0
		for _, res := range all {
			if res.Kind == sms.KindReceipt && res.JobID == route && res.JobState == sms.StateDelivered && res.PartsTotal == n {
				final++
			}
		}
		if final != 1 {
			t.Errorf("%s: %d receipts say that the job is delivered, want 1", route, final)
		}
	}
	bySystem := map[string][]smsctest.Submit{}
	for _, m := range r.smsc.Submits() {
		bySystem[m.SystemID] = append(bySystem[m.SystemID], m)
	}
	judgeSAR(t, bySystem["acme"], <-refused, content)
	if got := reassemble(t, text.GSM7, bySystem["data"]); got != content {
		t.Errorf("data_sm carried %q", got)
	}
	for _, m := range bySystem["data"] {
		if ttl, _ := m.TLV(0x0017); !m.DataSM || m.ServiceType != "CMT" || string(ttl) != "\x00\x00\x00\x5a" {
			t.Errorf("data_sm %t, service_type %q, qos_time_to_live % x", m.DataSM, m.ServiceType, ttl)
		}
	}
	m := bySystem["payload"][0]
	if got := reassemble(t, text.GSM7, bySystem["payload"]); got != content || len(m.ShortMessage) > 0 {
		t.Errorf("message_payload carried %q beside %d octets", got, len(m.ShortMessage))
	}
	if m.Destination != "+447700900123" || m.Source != "+447700900456" || m.DestTON != 1 {
		t.Errorf("to %s, ton %d, from %s", m.Destination, m.DestTON, m.Source)
	}
}

// judgeSAR checks that only the refused part came twice, and the same.
func judgeSAR(t *testing.T, all []smsctest.Submit, refused, content string) {
	t.Helper()
	if len(all) != 4 {
		t.Fatalf("%d submits, want 4", len(all))
	}
	var accepted []smsctest.Submit
	var again []smsctest.Submit
	for _, m := range all {
		if m.Status == smsctest.ROK {
			accepted = append(accepted, m)
		}
		if string(m.ShortMessage) == refused {
			again = append(again, m)
		}
		if m.Destination != "07700900123" || m.DestTON != 2 || m.ESMClass != 3 {
			t.Errorf("to %s, ton %d, esm_class %#x", m.Destination, m.DestTON, m.ESMClass)
		}
		if v, _ := m.TLV(0x1400); string(v) != "1001" {
			t.Errorf("tag 0x1400 is %q", v)
		}
	}
	if len(again) != 2 {
		t.Fatalf("the refused part came %d times, want 2", len(again))
	}
	if diff := cmp.Diff(again[0].TLVs, again[1].TLVs); diff != "" {
		t.Errorf("TLVs of the part sent again (-first +again):\n%s", diff)
	}
	if got := reassemble(t, text.Latin1, accepted); got != content {
		t.Errorf("SAR carried %q", got)
	}
}

// receiptsOf counts the receipts of a job.
func receiptsOf(all []*sms.Result, job string) (n int) {
	for _, res := range all {
		if res.Kind == sms.KindReceipt && res.JobID == job {
			n++
		}
	}
	return n
}
