package smpp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestSubmitSMReadsTheSameByGosmpp(t *testing.T) {
	t.Parallel()
	m := message(1, 1)
	m.ServiceType, m.ProtocolID, m.PriorityFlag = "CMT", 1, 2
	m.ScheduleDeliveryTime, m.ValidityPeriod = "000001000000000R", "000002000000000R"
	m.ReplaceIfPresent, m.DataCoding = 1, 8
	m.ShortMessage = []byte{0x04, 0x1F}
	m.TLVs = []sms.TLV{{Tag: 0x0204, Value: []byte{0, 7}}}
	b, err := appendSubmitSM(nil, 42, m)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pdu.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	s := p.(*pdu.SubmitSM)
	raw, _ := s.Message.GetMessageData()
	got := sms.Message{
		ServiceType:          s.ServiceType,
		Source:               sms.Address{TON: s.SourceAddr.Ton(), NPI: s.SourceAddr.Npi(), Addr: s.SourceAddr.Address()},
		Destination:          sms.Address{TON: s.DestAddr.Ton(), NPI: s.DestAddr.Npi(), Addr: s.DestAddr.Address()},
		ESMClass:             s.EsmClass,
		ProtocolID:           s.ProtocolID,
		PriorityFlag:         s.PriorityFlag,
		ScheduleDeliveryTime: s.ScheduleDeliveryTime,
		ValidityPeriod:       s.ValidityPeriod,
		RegisteredDelivery:   s.RegisteredDelivery,
		ReplaceIfPresent:     s.ReplaceIfPresentFlag,
		DataCoding:           s.Message.Encoding().DataCoding(),
		ShortMessage:         raw,
		TLVs:                 []sms.TLV{{Tag: 0x0204, Value: s.OptionalParameters[0x0204].Data}},
		Part:                 1,
		PartsTotal:           1,
	}
	if diff := cmp.Diff(*m, got); diff != "" || s.SequenceNumber != 42 {
		t.Errorf("sequence %d (-want +got):\n%s", s.SequenceNumber, diff)
	}
}

func TestDeliverSMOfGosmppReadsTheSame(t *testing.T) {
	t.Parallel()
	p := pdu.NewDeliverSM().(*pdu.DeliverSM)
	_ = p.SourceAddr.SetAddress("447700900123")
	_ = p.DestAddr.SetAddress("ACME")
	p.EsmClass = 4
	_ = p.Message.SetMessageWithEncoding("id:1 stat:DELIVRD", data.LATIN1)
	p.RegisterOptionalParam(pdu.Field{Tag: pdu.TagMessageStateOption, Data: []byte{2}})
	w := pdu.NewBuffer(nil)
	p.Marshal(w)
	got, err := decodeMessage(cmdDeliverSM, w.Bytes()[headerOctets:])
	want := sms.Message{
		Source:       sms.Address{TON: p.SourceAddr.Ton(), NPI: p.SourceAddr.Npi(), Addr: "447700900123"},
		Destination:  sms.Address{TON: p.DestAddr.Ton(), NPI: p.DestAddr.Npi(), Addr: "ACME"},
		ESMClass:     4,
		DataCoding:   3,
		ShortMessage: []byte("id:1 stat:DELIVRD"),
		TLVs:         []sms.TLV{{Tag: 0x0427, Value: []byte{2}}},
	}
	want.RegisteredDelivery = p.RegisteredDelivery
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// deliverHead is a deliver_sm body up to esm_class: no service_type, from
// 447700900123, to ACME.
const deliverHead = "00" + "0101" + "34343737303039303031323300" + "0500" + "41434d4500"

func TestInboundBodiesAreReadAsFarAsTheyGo(t *testing.T) {
	t.Parallel()
	from, to := sms.Address{TON: 1, NPI: 1, Addr: "447700900123"}, sms.Address{TON: 5, Addr: "ACME"}
	cases := map[string]struct {
		command uint32
		body    string
		want    sms.Message
		err     error
	}{
		"unknown data_coding and octets beyond ASCII stay": {
			body: deliverHead + "000000" + "0000" + "0000f500" + "04" + "c3000180",
			want: sms.Message{DataCoding: 0xF5, ShortMessage: []byte{0xC3, 0, 1, 0x80}},
		},
		"sm_length beyond the end": {
			body: deliverHead + "000000" + "0000" + "00000800" + "10" + "c1e1",
			want: sms.Message{DataCoding: 8, ShortMessage: []byte{0xC1, 0xE1}},
		},
		"TLVs in order, repeated and empty, one trailing pad octet": {
			body: deliverHead + "040000" + "0000" + "00000000" + "00" + "14010001aa" + "04240000" + "14010001bb" + "00",
			want: sms.Message{ESMClass: 4, TLVs: []sms.TLV{{Tag: 0x1401, Value: []byte{0xAA}}, {Tag: 0x0424}, {Tag: 0x1401, Value: []byte{0xBB}}}},
		},
		"TLV length beyond the end": {
			body: deliverHead + "040000" + "0000" + "00000000" + "00" + "0427000102" + "001e0041" + "3330303500",
			want: sms.Message{ESMClass: 4, TLVs: []sms.TLV{{Tag: 0x0427, Value: []byte{2}}, {Tag: 0x001E, Value: []byte("3005\x00")}}},
		},
		"bare TLV header": {
			body: deliverHead + "000000" + "0000" + "00000000" + "01" + "78" + "001d00c8",
			want: sms.Message{ShortMessage: []byte("x"), TLVs: []sms.TLV{{Tag: 0x001D}}},
		},
		"message_payload beyond 32 KiB": {
			body: deliverHead + "000000" + "0000" + "00000000" + "00" + "04249000" + strings.Repeat("41", 0x9000),
			want: sms.Message{TLVs: []sms.TLV{{Tag: 0x0424, Value: bytes.Repeat([]byte("A"), 0x9000)}}},
		},
		"data_sm": {
			command: cmdDataSM,
			body:    deliverHead + "04" + "01" + "03" + "0424000161",
			want:    sms.Message{ESMClass: 4, RegisteredDelivery: 1, DataCoding: 3, TLVs: []sms.TLV{{Tag: 0x0424, Value: []byte("a")}}},
		},
		"ends after the addresses": {body: deliverHead, want: sms.Message{}},
		"ends inside an address":   {body: deliverHead[:30], err: errTruncated},
		"empty":                    {body: "", err: errTruncated},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.command == 0 {
				c.command = cmdDeliverSM
			}
			if c.err == nil {
				c.want.Source, c.want.Destination = from, to
			}
			body, err := hex.DecodeString(c.body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeMessage(c.command, body)
			if !errors.Is(err, c.err) {
				t.Fatalf("got error %v", err)
			}
			empty := cmp.Transformer("empty", func(b []byte) string { return string(b) })
			if diff := cmp.Diff(c.want, got, empty); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for i := range body {
				body[i] = 0xEE // the frame buffer goes on to the next PDU
			}
			if diff := cmp.Diff(c.want, got, empty); diff != "" {
				t.Errorf("refers to the frame buffer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessageIDsAreTakenAsTheyCome(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"":                                 "",
		"\x00":                             "",
		"9":                                "9",
		"6E84FC04\x00":                     "6E84FC04",
		"x.1:2-3@4\x00":                    "x.1:2-3@4",
		"7F\x00\x02\x03\x00\x07\xa0242010": "7F",
	} {
		if got := decodeMessageID([]byte(body)); got != want {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	}
}

func TestLongUserDataTravelsAsMessagePayload(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 254, 255, 40_000, 65_535} {
		m := message(1, 1)
		m.ShortMessage = bytes.Repeat([]byte{'x'}, n)
		b, err := appendSubmitSM([]byte("before"), 1, m)
		if err != nil {
			t.Fatal(err)
		}
		// submit_sm and deliver_sm have the same layout.
		got, err := decodeMessage(cmdDeliverSM, b[len("before")+headerOctets:])
		if err != nil {
			t.Fatal(err)
		}
		payload, has := got.TLV(sms.TagMessagePayload)
		if has != (n > 254) || len(payload)+len(got.ShortMessage) != n {
			t.Errorf("%d octets: payload %v, %d + %d octets", n, has, len(payload), len(got.ShortMessage))
		}
	}
}

func TestDataSMCarriesItsUserDataAsMessagePayload(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 140, 65_535} {
		m := message(1, 1)
		m.DataSM, m.ServiceType, m.ESMClass, m.DataCoding = true, "CMT", 0x40, 8
		m.ShortMessage = bytes.Repeat([]byte{'x'}, n)
		m.TLVs = []sms.TLV{{Tag: 0x1400, Value: []byte("1001")}}
		b, err := appendDataSM([]byte("before"), 42, m)
		if err != nil {
			t.Fatal(err)
		}
		b = b[len("before"):]
		f := rawPDU{binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]), nil}
		if diff := cmp.Diff(rawPDU{0x103, 0, 42, nil}, f, cmp.AllowUnexported(rawPDU{})); diff != "" || int(binary.BigEndian.Uint32(b)) != len(b) {
			t.Errorf("header of %d octets says %d (-want +got):\n%s", len(b), binary.BigEndian.Uint32(b), diff)
		}
		got, err := decodeMessage(cmdDataSM, b[headerOctets:])
		want := *m
		want.DataSM, want.Part, want.PartsTotal, want.ShortMessage = false, 0, 0, nil
		want.TLVs = append(want.TLVs, sms.TLV{Tag: sms.TagMessagePayload, Value: m.ShortMessage})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%d octets: %v (-want +got):\n%s", n, err, diff)
		}
	}
}

func TestDataSMOfTheSpecificationOctetByOctet(t *testing.T) {
	t.Parallel()
	m := message(1, 1)
	m.ShortMessage, m.DataSM = []byte("Hi"), true
	b, err := appendDataSM(nil, 7, m)
	want := "00000030" + "00000103" + "00000000" + "00000007" + // header
		"00" + "0500" + "41434d4500" + // service_type, source ACME
		"0101" + "34343737303039303031323300" + // destination 447700900123
		"00" + "01" + "00" + // esm_class, registered_delivery, data_coding
		"0424" + "0002" + "4869" // message_payload
	if got := hex.EncodeToString(b); err != nil || got != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}

func TestMessagesThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*sms.Message){
		"service_type":           func(m *sms.Message) { m.ServiceType = "CMTCMT" },
		"source_addr":            func(m *sms.Message) { m.Source.Addr = strings.Repeat("1", 21) },
		"destination_addr":       func(m *sms.Message) { m.Destination.Addr = strings.Repeat("1", 21) },
		"NUL":                    func(m *sms.Message) { m.Source.Addr = "A\x00B" },
		"validity_period":        func(m *sms.Message) { m.ValidityPeriod = "0" },
		"schedule_delivery_time": func(m *sms.Message) { m.ScheduleDeliveryTime = "0" },
		"short_message":          func(m *sms.Message) { m.ShortMessage = make([]byte, 65_536) },
		"tlv 0x1400":             func(m *sms.Message) { m.TLVs = []sms.TLV{{Tag: 0x1400, Value: make([]byte, 65_536)}} },
		"submit_sm": func(m *sms.Message) {
			m.TLVs = []sms.TLV{{Tag: 1, Value: make([]byte, 65_535)}, {Tag: 2, Value: make([]byte, 65_535)}}
		},
	} {
		m := message(1, 1)
		spoil(m)
		b, err := appendSubmitSM([]byte("before"), 1, m)
		if err == nil || !strings.Contains(err.Error(), name) || string(b) != "before" {
			t.Errorf("%s: error %v, %d octets", name, err, len(b))
		}
	}
}

// FuzzInboundBodies holds that no body makes the decoders panic or hold more
// than it has, and that optional parameters that are whole read as they stand.
func FuzzInboundBodies(f *testing.F) {
	for _, s := range []string{"", deliverHead, deliverHead + "040000" + "0000" + "00000000" + "05" + "6869" + "001e0041"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	addRecords(f, func(octets []byte) { f.Add(octets[min(len(octets), headerOctets):]) })
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, command := range []uint32{cmdDeliverSM, cmdDataSM} {
			m, err := decodeMessage(command, body)
			if err != nil {
				continue
			}
			n := len(m.ShortMessage) + len(m.ServiceType) + len(m.Source.Addr) + len(m.Destination.Addr)
			for _, v := range m.TLVs {
				n += 4 + len(v.Value)
			}
			if n > len(body) || cap(m.TLVs) > len(m.TLVs) {
				t.Errorf("%d octets and room for %d TLVs out of %d octets", n, cap(m.TLVs), len(body))
			}
		}
		if id := decodeMessageID(body); len(id) > len(body) {
			t.Errorf("message_id of %d octets out of %d", len(id), len(body))
		}
		decodeBindResp(body)

		r := reader{b: body}
		var again []byte
		for _, v := range r.tlvs() {
			again = appendTLV(again, v)
		}
		if whole := body[:len(body)-len(r.b)]; !r.short && !bytes.Equal(whole, again) {
			t.Errorf("optional parameters %x read as %x", whole, again)
		}
	})
}
