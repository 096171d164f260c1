package dispatcher

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// job makes a job with a text.
func job(content string, change func(*sms.Job)) *sms.Job {
	j := &sms.Job{ID: "j1", To: "447700900123", From: "ACME", Text: &content}
	if change != nil {
		change(j)
	}
	return j
}

func TestDefaultsOfTheRouteYieldToTheJob(t *testing.T) {
	t.Parallel()
	rules := MessageRules{
		Source: sms.Address{TON: 5, Addr: "ROUTE"}, Receipt: sms.ReceiptNone, ServiceType: "CMT", ProtocolID: 0x40, Validity: time.Hour,
		Mode: ModeStoreAndForward,
		TLVs: []sms.TLV{{Tag: 0x1400, Value: []byte("entity")}, {Tag: 0x1401, Value: []byte("template")}, {Tag: 0x1400, Value: []byte("again")}},
	}
	base := sms.Message{
		ServiceType: "CMT", Source: sms.Address{TON: 5, Addr: "ACME"}, Destination: sms.Address{TON: 1, NPI: 1, Addr: "447700900123"},
		ESMClass: 3, ProtocolID: 0x40, ValidityPeriod: "000000010000000R", ShortMessage: []byte("hi"), TLVs: rules.TLVs, Part: 1, PartsTotal: 1,
	}
	tests := []struct {
		name   string
		change func(*sms.Job)
		want   func(*sms.Message)
	}{
		{"nothing given", nil, nil},
		{"no sender", func(j *sms.Job) { j.From = "" }, func(m *sms.Message) { m.Source = rules.Source }},
		{"receipt", func(j *sms.Job) { j.Receipt = sms.ReceiptAll }, func(m *sms.Message) { m.RegisteredDelivery = 0x11 }},
		{"service type", func(j *sms.Job) { j.ServiceType = "VMN" }, func(m *sms.Message) { m.ServiceType = "VMN" }},
		{"protocol id", func(j *sms.Job) { j.ProtocolID = 1 }, func(m *sms.Message) { m.ProtocolID = 1 }},
		{"validity", func(j *sms.Job) { j.Validity = sms.Duration(25 * time.Hour) }, func(m *sms.Message) { m.ValidityPeriod = "000001010000000R" }},
		{"a tag of its own", func(j *sms.Job) {
			j.TLVs = []sms.JobTLV{{Tag: 0x1400, Value: []byte("own")}, {Tag: 0x0204, Value: []byte{1, 2}}}
		}, func(m *sms.Message) {
			m.TLVs = []sms.TLV{{Tag: 0x1401, Value: []byte("template")}, {Tag: 0x1400, Value: []byte("own")}, {Tag: 0x0204, Value: []byte{1, 2}}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := base
			if tt.want != nil {
				tt.want(&want)
			}
			got, err := rules.Encode("shop", job("hi", tt.change))
			if diff := cmp.Diff([]*sms.Message{&want}, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestLongTextsAreHeldTogetherAsTheRouteSays(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 161)
	ref := text.Reference("shop", "j1")
	hi, lo := byte(ref>>8), byte(ref)
	extra := sms.TLV{Tag: 0x1400, Value: []byte("entity")}
	sar := func(n byte) []sms.TLV {
		return []sms.TLV{extra, {Tag: 0x020C, Value: []byte{hi, lo}}, {Tag: 0x020E, Value: []byte{2}}, {Tag: 0x020F, Value: []byte{n}}}
	}
	type part struct {
		ESM  uint8
		Data string
		TLVs []sms.TLV
	}
	udh := func(b ...byte) string { return string(b) }
	own := []sms.TLV{extra}
	for name, tt := range map[string]struct {
		rules MessageRules
		want  []part
	}{
		"udh8": {MessageRules{}, []part{
			{0x40, udh(5, 0, 3, lo, 2, 1) + long[:153], own}, {0x40, udh(5, 0, 3, lo, 2, 2) + long[:8], own},
		}},
		"udh16 store and forward": {MessageRules{Concat: text.UDH16, Mode: ModeStoreAndForward}, []part{
			{0x43, udh(6, 8, 4, hi, lo, 2, 1) + long[:152], own}, {0x43, udh(6, 8, 4, hi, lo, 2, 2) + long[:9], own},
		}},
		"sar":     {MessageRules{Concat: text.SAR}, []part{{0, long[:153], sar(1)}, {0, long[:8], sar(2)}}},
		"payload": {MessageRules{Concat: text.Payload}, []part{{0, "", []sms.TLV{extra, {Tag: 0x0424, Value: []byte(long)}}}}},
		"payload in data_sm, which has it there anyway": {MessageRules{Concat: text.Payload, DataSM: true}, []part{{0, long, own}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.rules.TLVs = own
			for range 2 { // a second attempt sends the same
				msgs, err := tt.rules.Encode("shop", job(long, nil))
				if err != nil {
					t.Fatal(err)
				}
				var got []part
				for i, m := range msgs {
					if m.Part != i+1 || m.PartsTotal != len(msgs) {
						t.Errorf("part %d of %d is numbered %d of %d", i+1, len(msgs), m.Part, m.PartsTotal)
					}
					got = append(got, part{m.ESMClass, string(m.ShortMessage), m.TLVs})
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff([]sms.TLV{extra}, own); diff != "" {
				t.Errorf("the route's TLVs changed:\n%s", diff)
			}
		})
	}
}

func TestDataSMSaysValidityInATLVAndDropsThePriority(t *testing.T) {
	t.Parallel()
	rules := MessageRules{DataSM: true, Validity: time.Hour}
	got, err := rules.Encode("shop", job("hi", func(j *sms.Job) { j.Priority = 3 }))
	want := []*sms.Message{{
		Source: sms.Address{TON: 5, Addr: "ACME"}, Destination: sms.Address{TON: 1, NPI: 1, Addr: "447700900123"}, RegisteredDelivery: 1,
		ShortMessage: []byte("hi"), TLVs: []sms.TLV{{Tag: 0x0017, Value: []byte{0, 0, 0x0E, 0x10}}}, DataSM: true, Part: 1, PartsTotal: 1,
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, _ = rules.Encode("shop", job("hi", func(j *sms.Job) { j.TLVs = []sms.JobTLV{{Tag: 0x0017, Value: []byte{0, 0, 0, 9}}} }))
	if diff := cmp.Diff([]sms.TLV{{Tag: 0x0017, Value: []byte{0, 0, 0, 9}}}, got[0].TLVs); diff != "" {
		t.Errorf("the job's own time to live (-want +got):\n%s", diff)
	}
}

func TestJobsThatTheRouteCannotSay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 161)
	tlv := func(tag uint16) func(*sms.Job) {
		return func(j *sms.Job) { j.TLVs = []sms.JobTLV{{Tag: tag, Value: []byte{1}}} }
	}
	data := MessageRules{DataSM: true}
	plus := MessageRules{Numbers: NumberFormat{Source: AddressRules{Form: FormPlus}, Destination: AddressRules{Form: FormPlus}}}
	twenty := strings.Repeat("4", 20)
	for _, tt := range []struct {
		rules  MessageRules
		text   string
		change func(*sms.Job)
		want   string
	}{
		{data, "a", func(j *sms.Job) { j.ScheduleAt = time.Now() }, "schedule_at: the route sends data_sm, which has no place for it"},
		{data, "a", func(j *sms.Job) { j.Replace = true }, "replace_if_present: the route sends data_sm, which has no place for it"},
		{data, "a", func(j *sms.Job) { j.ProtocolID = 1 }, "protocol_id: the route sends data_sm, which has no place for it"},
		{data, "", tlv(0x0424), "tlvs: message_payload (0x0424) cannot stand beside the job's own text"},
		{MessageRules{}, "a", tlv(0x0424), "tlvs: message_payload (0x0424) cannot stand beside the job's own text"},
		{MessageRules{}, long, tlv(0x020C), "tlvs: 0x020c names one segment, but the text is too long for one"},
		{MessageRules{Concat: text.SAR}, long, tlv(0x020F), "tlvs: 0x020f names one segment, but the text is too long for one"},
		{MessageRules{Concat: text.Payload}, long, tlv(0x020E), "tlvs: 0x020e names one segment, but the text is too long for one"},
		{plus, "a", func(j *sms.Job) { j.To = twenty }, "to: is 21 characters as the route writes it, at most 20 fit"},
		{plus, "a", func(j *sms.Job) { j.From = twenty }, "from: is 21 characters as the route writes it, at most 20 fit"},
	} {
		_, err := tt.rules.Encode("shop", job(tt.text, tt.change))
		if sms.CodeOf(err) != sms.CodeInvalid || err.Error() != "encode job: invalid: "+tt.want {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
	for name, j := range map[string]*sms.Job{
		"a segment of the producer's own making": job("a", tlv(0x020C)),
		"a payload of the producer's own making": job("", tlv(0x0424)),
	} {
		if _, err := (&MessageRules{}).Encode("shop", j); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBinaryPayloadsKeepTheirHeaderInDataSM(t *testing.T) {
	t.Parallel()
	j := &sms.Job{ID: "j1", To: "447700900123", Data: []byte{1, 2}, UDH: []byte{2, 0x70, 0}}
	got, err := (&MessageRules{DataSM: true, Concat: text.SAR}).Encode("shop", j)
	if err != nil || len(got) != 1 || got[0].ESMClass != 0x40 || got[0].DataCoding != 4 || !bytes.Equal(got[0].ShortMessage, []byte{2, 0x70, 0, 1, 2}) {
		t.Errorf("%v: %+v", err, got)
	}
}

func BenchmarkEncode(b *testing.B) {
	long := strings.Repeat("hello [€] ", 40)
	for name, content := range map[string]string{"short": "Your code is 123456. It expires in 10 minutes.", "three parts": long} {
		b.Run(name, func(b *testing.B) {
			j := job(content, nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := new(MessageRules).Encode("shop", j); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
