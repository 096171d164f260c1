package app

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// MessageConfig says how the SMSC wants messages made.
type MessageConfig struct {
	Alphabet       string        `yaml:"alphabet"`         // behind data_coding 0: gsm7, gsm7-packed, latin1 or ascii. Default gsm7
	SeptetsPerPart int           `yaml:"septets_per_part"` // of long texts: 8..153, with concat udh16 8..152, with sar 8..160; 0 means what fits. Default 0
	PDU            string        `yaml:"pdu"`              // submit_sm or data_sm. Default submit_sm
	MessagingMode  string        `yaml:"messaging_mode"`   // esm_class: default, datagram, transaction or store-and-forward. Default default
	ServiceType    string        `yaml:"service_type"`     // of jobs that name none, at most 5 characters. Default empty
	ProtocolID     uint8         `yaml:"protocol_id"`      // of jobs that name none, 0..255; not with data_sm. Default 0
	Validity       time.Duration `yaml:"validity"`         // of jobs that name none, 1s..10584h (63 weeks); 0 means the SMSC's. Default 0
	TLVs           []TLVConfig   `yaml:"tlvs"`             // of jobs that do not give the tag themselves, in this order. Default none
}

// TLVConfig is an optional parameter.
type TLVConfig struct {
	Tag   uint16 `yaml:"tag"`   // 1..65535, but none of message_payload and sar_*. Required
	Value string `yaml:"value"` // hexadecimal digits; either this or Text, or neither for an empty value
	Text  string `yaml:"text"`  // printable ASCII, written without a closing NUL
}

// NumberFormatConfig says how the SMSC wants numbers written.
type NumberFormatConfig struct {
	CountryCode string             `yaml:"country_code"` // 1..3 digits; of the country whose numbers form national writes without it. Required with it
	TrunkPrefix string             `yaml:"trunk_prefix"` // before national numbers, 0..4 digits. Default none
	Source      SourceNumberConfig `yaml:"source"`       // senders
	Destination NumberConfig       `yaml:"destination"`  // recipients
}

// NumberConfig is the number format of recipients.
type NumberConfig struct {
	Form          string          `yaml:"form"`          // digits, plus, 00 or national. Default digits
	Abroad        string          `yaml:"abroad"`        // with national, numbers of other countries: digits, plus or 00. Default digits
	International NumberingConfig `yaml:"international"` // with country code. Default ton 1, with 00 ton 0; npi 1
	National      NumberingConfig `yaml:"national"`      // without. Default ton 2, npi 1
}

// SourceNumberConfig is the number format of senders.
type SourceNumberConfig struct {
	Form          string          `yaml:"form"`          // as of recipients
	Abroad        string          `yaml:"abroad"`        // as of recipients
	International NumberingConfig `yaml:"international"` // as of recipients
	National      NumberingConfig `yaml:"national"`      // as of recipients
	Short         NumberingConfig `yaml:"short"`         // up to 8 digits without +. Default ton 3, npi 0
	Alphanumeric  NumberingConfig `yaml:"alphanumeric"`  // names. Default ton 5, npi 0
}

// NumberingConfig is a type of number and a numbering plan.
type NumberingConfig struct {
	TON *uint8 `yaml:"ton"` // 0..255. Default by the kind of address
	NPI *uint8 `yaml:"npi"` // 0..255. Default by the kind of address
}

// The PDUs that carry messages.
const (
	PDUSubmitSM = "submit_sm"
	PDUDataSM   = "data_sm"
)

var messagingModes = map[string]dispatcher.MessagingMode{
	"default":           dispatcher.ModeDefault,
	"datagram":          dispatcher.ModeDatagram,
	"transaction":       dispatcher.ModeTransaction,
	"store-and-forward": dispatcher.ModeStoreAndForward,
}

const maxValidity = 63 * 7 * 24 * time.Hour // as of jobs: TP-VP reaches no further (3GPP TS 23.040 §9.2.3.12.1)

func (c *MessageConfig) setDefaults() {
	*c = MessageConfig{Alphabet: string(text.GSM7), PDU: PDUSubmitSM, MessagingMode: "default"}
}

func (c *NumberConfig) setDefaults() {
	*c = NumberConfig{Form: string(dispatcher.FormDigits), Abroad: string(dispatcher.FormDigits)}
}

func (c *SourceNumberConfig) setDefaults() {
	*c = SourceNumberConfig{Form: string(dispatcher.FormDigits), Abroad: string(dispatcher.FormDigits)}
}

// message checks how a route makes its messages.
func (c *checker) message(path string, r *RouteConfig) {
	m, at := &r.Message, path+".message"
	oneOf(c, path+".concat", text.Concat(r.Concat), text.UDH8, text.UDH16, text.SAR, text.Payload)
	oneOf(c, at+".alphabet", text.Alphabet(m.Alphabet), text.GSM7, text.GSM7Packed, text.Latin1, text.ASCII)
	oneOf(c, at+".pdu", m.PDU, PDUSubmitSM, PDUDataSM)
	oneOf(c, at+".messaging_mode", m.MessagingMode, "default", "datagram", "transaction", "store-and-forward")
	if err := text.Concat(r.Concat).CheckSeptetsPerPart(m.SeptetsPerPart); err != nil && !c.faultAt(path+".concat") {
		c.wrong(at+".septets_per_part", "%s", strings.Replace(err.Error(), "with ", "with concat: ", 1))
	}
	c.cString(at+".service_type", m.ServiceType)
	if len(m.ServiceType) > 5 {
		c.wrong(at+".service_type", "must be at most 5 characters, is %q", m.ServiceType)
	}
	if m.PDU == PDUDataSM && m.ProtocolID != 0 {
		c.wrong(at+".protocol_id", "has no place in data_sm; leave it out, or use submit_sm")
	}
	if m.Validity != 0 {
		within(c, at+".validity", m.Validity, time.Second, maxValidity)
	}
	c.tlvs(at+".tlvs", m.TLVs)
	c.optionalParameters(path, r)
	c.numberFormat(path+".number_format", &r.NumberFormat)
}

func (c *checker) faultAt(path string) bool {
	for _, f := range c.faults {
		if f.Path == path {
			return true
		}
	}
	return false
}

func (c *checker) tlvs(path string, tlvs []TLVConfig) {
	for i, t := range tlvs {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case t.Tag == 0:
			c.wrong(at+".tag", "is required, 1..65535")
		case dispatcher.ReservedTag(t.Tag):
			c.wrong(at+".tag", "cannot be 0x%04x: concat decides about message_payload and sar_*", t.Tag)
		}
		if t.Value != "" && t.Text != "" {
			c.wrong(at+".text", "cannot stand beside value; choose one")
		}
		if _, err := hex.DecodeString(t.Value); err != nil {
			c.wrong(at+".value", "must be hexadecimal digits, two per octet")
		}
		c.cString(at+".text", t.Text)
	}
}

// optionalParameters refuses what an SMSC of version 3.3 would not understand
// (SMPP 3.4 §3.3).
func (c *checker) optionalParameters(path string, r *RouteConfig) {
	if r.InterfaceVersion != "3.3" {
		return
	}
	const reason = "needs interface_version 3.4 or 5.0: 3.3 has no optional parameters"
	if concat := text.Concat(r.Concat); concat == text.SAR || concat == text.Payload {
		c.wrong(path+".concat", reason)
	}
	if r.Message.PDU == PDUDataSM {
		c.wrong(path+".message.pdu", reason)
	}
	if len(r.Message.TLVs) > 0 {
		c.wrong(path+".message.tlvs", reason)
	}
}

func (c *checker) numberFormat(path string, f *NumberFormatConfig) {
	forms := []dispatcher.NumberForm{dispatcher.FormDigits, dispatcher.FormPlus, dispatcher.FormZeros, dispatcher.FormNational}
	national := false
	for _, side := range []struct{ key, form, abroad string }{
		{"source", f.Source.Form, f.Source.Abroad}, {"destination", f.Destination.Form, f.Destination.Abroad},
	} {
		at := path + "." + side.key
		oneOf(c, at+".form", dispatcher.NumberForm(side.form), forms...)
		oneOf(c, at+".abroad", dispatcher.NumberForm(side.abroad), forms[:3]...)
		if side.form == string(dispatcher.FormNational) {
			national = true
			continue
		}
		for _, given := range []string{at + ".abroad", at + ".national"} {
			if c.given(given) {
				c.wrong(given, "has no effect without form: national")
			}
		}
	}
	switch {
	case !national && f.CountryCode != "":
		c.wrong(path+".country_code", "has no effect without form: national")
	case !national && f.TrunkPrefix != "":
		c.wrong(path+".trunk_prefix", "has no effect without form: national")
	case !national:
	case f.CountryCode == "":
		c.wrong(path+".country_code", "is required with form: national")
	case !digits(f.CountryCode, 3) || f.CountryCode[0] == '0':
		c.wrong(path+".country_code", "must be 1..3 digits, not beginning with 0, is %q", f.CountryCode)
	}
	if f.TrunkPrefix != "" && !digits(f.TrunkPrefix, 4) {
		c.wrong(path+".trunk_prefix", "must be at most 4 digits, is %q", f.TrunkPrefix)
	}
}

func digits(s string, most int) bool {
	return len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// messageRules is the pipeline's view of all this.
func (c *RouteConfig) messageRules() dispatcher.MessageRules {
	r := dispatcher.MessageRules{
		Numbers:        c.NumberFormat.rules(),
		Receipt:        c.Receipt,
		Alphabet:       text.Alphabet(c.Message.Alphabet),
		Concat:         text.Concat(c.Concat),
		SeptetsPerPart: c.Message.SeptetsPerPart,
		DataSM:         c.Message.PDU == PDUDataSM,
		Mode:           messagingModes[c.Message.MessagingMode],
		ServiceType:    c.Message.ServiceType,
		ProtocolID:     c.Message.ProtocolID,
		Validity:       c.Message.Validity,
	}
	for _, t := range c.Message.TLVs {
		r.TLVs = append(r.TLVs, sms.TLV{Tag: t.Tag, Value: t.octets()})
	}
	r.Source = r.Numbers.SourceAddress(c.Source.Address, c.Source.TON, c.Source.NPI)
	return r
}

func (t TLVConfig) octets() []byte {
	if t.Text != "" {
		return []byte(t.Text)
	}
	value, err := hex.DecodeString(t.Value)
	if err != nil {
		return nil // the configuration was checked
	}
	return value
}

func (f *NumberFormatConfig) rules() dispatcher.NumberFormat {
	s, d := f.Source, f.Destination
	return dispatcher.NumberFormat{
		CountryCode: f.CountryCode,
		TrunkPrefix: f.TrunkPrefix,
		Source: dispatcher.AddressRules{
			Form: dispatcher.NumberForm(s.Form), Abroad: dispatcher.NumberForm(s.Abroad),
			International: dispatcher.Numbering(s.International), National: dispatcher.Numbering(s.National),
			Short: dispatcher.Numbering(s.Short), Alphanumeric: dispatcher.Numbering(s.Alphanumeric),
		},
		Destination: dispatcher.AddressRules{
			Form: dispatcher.NumberForm(d.Form), Abroad: dispatcher.NumberForm(d.Abroad),
			International: dispatcher.Numbering(d.International), National: dispatcher.Numbering(d.National),
		},
	}
}
