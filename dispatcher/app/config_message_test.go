package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

func TestMessageRulesOfAMinimalFileAreTheDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("f.yaml", []byte(minimal), env)
	if err != nil {
		t.Fatal(err)
	}
	want := dispatcher.MessageRules{
		Receipt: sms.ReceiptFinal, Alphabet: text.GSM7, Concat: text.UDH8,
		Numbers: dispatcher.NumberFormat{
			Source:      dispatcher.AddressRules{Form: dispatcher.FormDigits, Abroad: dispatcher.FormDigits},
			Destination: dispatcher.AddressRules{Form: dispatcher.FormDigits, Abroad: dispatcher.FormDigits},
		},
	}
	if diff := cmp.Diff(want, cfg.Routes[0].messageRules()); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMessageKeyReachesTheRules(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("f.yaml", []byte(minimal+`
    concat: sar
    receipt: none
    source: {address: "+447700900123", npi: 8}
    message:
      alphabet: latin1
      septets_per_part: 160
      pdu: data_sm
      messaging_mode: store-and-forward
      service_type: CMT
      validity: 1h
      tlvs: [{tag: 0x1400, text: "1001"}, {tag: 0x1401, value: 0aFF}, {tag: 5122}]
    number_format:
      country_code: 44
      trunk_prefix: "0"
      source: {form: 00, international: {npi: 9}, short: {ton: 0}, alphanumeric: {npi: 1}}
      destination: {form: national, abroad: plus, national: {ton: 0, npi: 0}, international: {ton: 4}}
`), env)
	if err != nil {
		t.Fatal(err)
	}
	n := func(v uint8) *uint8 { return &v }
	want := dispatcher.MessageRules{
		Source:  sms.Address{TON: 0, NPI: 8, Addr: "00447700900123"},
		Receipt: sms.ReceiptNone, Alphabet: text.Latin1, Concat: text.SAR, SeptetsPerPart: 160, DataSM: true,
		Mode: dispatcher.ModeStoreAndForward, ServiceType: "CMT", Validity: time.Hour,
		TLVs: []sms.TLV{{Tag: 0x1400, Value: []byte("1001")}, {Tag: 0x1401, Value: []byte{0x0A, 0xFF}}, {Tag: 0x1402, Value: []byte{}}},
		Numbers: dispatcher.NumberFormat{
			CountryCode: "44", TrunkPrefix: "0",
			Source: dispatcher.AddressRules{
				Form: dispatcher.FormZeros, Abroad: dispatcher.FormDigits, International: dispatcher.Numbering{NPI: n(9)},
				Short: dispatcher.Numbering{TON: n(0)}, Alphanumeric: dispatcher.Numbering{NPI: n(1)},
			},
			Destination: dispatcher.AddressRules{
				Form: dispatcher.FormNational, Abroad: dispatcher.FormPlus,
				National: dispatcher.Numbering{TON: n(0), NPI: n(0)}, International: dispatcher.Numbering{TON: n(4)},
			},
		},
	}
	if diff := cmp.Diff(want, cfg.Routes[0].messageRules()); diff != "" {
		t.Error(diff)
	}
}

func TestMessageRulesThatCannotBe(t *testing.T) {
	t.Parallel()
	cases := []struct{ lines, want string }{
		{"concat: udh", "concat: must be one of udh8, udh16, sar, payload"},
		{"message: {alphabet: utf8}", "message.alphabet: must be one of gsm7, gsm7-packed, latin1, ascii"},
		{"message: {septets_per_part: 154}", "message.septets_per_part: must be 8..153 with concat: udh8, is 154"},
		{"message: {septets_per_part: 153}\n    concat: udh16", "message.septets_per_part: must be 8..152 with concat: udh16, is 153"},
		{"message: {septets_per_part: 161}\n    concat: sar", "message.septets_per_part: must be 8..160 with concat: sar, is 161"},
		{"message: {septets_per_part: 152}\n    concat: payload", "message.septets_per_part: has no effect with concat: payload: the SMSC splits"},
		{"message: {pdu: submit_multi}", "message.pdu: must be one of submit_sm, data_sm"},
		{"message: {pdu: data_sm, protocol_id: 64}", "message.protocol_id: has no place in data_sm"},
		{"message: {messaging_mode: forward}", "message.messaging_mode: must be one of default, datagram, transaction, store-and-forward"},
		{"message: {service_type: CMTCMT}", `message.service_type: must be at most 5 characters, is "CMTCMT"`},
		{"message: {service_type: é}", "message.service_type: must be printable ASCII"},
		{"message: {protocol_id: 256}", "message.protocol_id: must be 0..255, is 256"},
		{"message: {validity: 100ms}", "message.validity: must be 1s..10584h, is 100ms"},
		{"message: {tlvs: [{value: 00}]}", "message.tlvs[0].tag: is required, 1..65535"},
		{"message: {tlvs: [{tag: 0x0424, value: 00}]}", "message.tlvs[0].tag: cannot be 0x0424: concat decides about message_payload and sar_*"},
		{"message: {tlvs: [{tag: 0x020c, value: 0001}]}", "message.tlvs[0].tag: cannot be 0x020c"},
		{"message: {tlvs: [{tag: 65536}]}", "message.tlvs[0].tag: must be 0..65535, is 65536"},
		{"message: {tlvs: [{tag: 1, value: 0}]}", "message.tlvs[0].value: must be hexadecimal digits, two per octet"},
		{"message: {tlvs: [{tag: 1, value: 00, text: a}]}", "message.tlvs[0].text: cannot stand beside value; choose one"},
		{"interface_version: 3.3\n    concat: sar", "concat: needs interface_version 3.4 or 5.0: 3.3 has no optional parameters"},
		{"interface_version: 3.3\n    concat: payload", "concat: needs interface_version 3.4 or 5.0"},
		{"interface_version: 3.3\n    message: {pdu: data_sm}", "message.pdu: needs interface_version 3.4 or 5.0"},
		{"interface_version: 3.3\n    message: {tlvs: [{tag: 1}]}", "message.tlvs: needs interface_version 3.4 or 5.0"},
		{"number_format: {source: {form: e164}}", "number_format.source.form: must be one of digits, plus, 00, national"},
		{"number_format: {country_code: 44, destination: {form: national, abroad: national}}", "number_format.destination.abroad: must be one of digits, plus, 00"},
		{"number_format: {destination: {form: national}}", "number_format.country_code: is required with form: national"},
		{`number_format: {country_code: "044", destination: {form: national}}`, `number_format.country_code: must be 1..3 digits, not beginning with 0, is "044"`},
		{`number_format: {country_code: "+44", destination: {form: national}}`, "number_format.country_code: must be 1..3 digits"},
		{"number_format: {country_code: 44}", "number_format.country_code: has no effect without form: national"},
		{"number_format: {trunk_prefix: 0}", "number_format.trunk_prefix: has no effect without form: national"},
		{"number_format: {country_code: 44, trunk_prefix: 0a, source: {form: national}}", "number_format.trunk_prefix: must be at most 4 digits"},
		{"number_format: {source: {abroad: plus}}", "number_format.source.abroad: has no effect without form: national"},
		{"number_format: {source: {national: {ton: 2}}}", "number_format.source.national: has no effect without form: national"},
		{"number_format: {destination: {alphanumeric: {ton: 5}}}", "number_format.destination.alphanumeric: is not a known key"},
	}
	for _, c := range cases {
		t.Run(c.lines, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f.yaml", []byte(minimal+"    "+c.lines+"\n"), env)
			if err == nil || !strings.Contains(err.Error(), "routes[0]."+c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got:\n%v\nwant only: %s", err, c.want)
			}
		})
	}
}
