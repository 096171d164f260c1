package app

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// maxErrorCodeOctets is what err: of a receipt holds at most where it is a code.
const maxErrorCodeOctets = 9

// hideSecrets takes passwords out and reports whether there were any.
func hideSecrets(d *smpp.Description) (found bool) {
	switch d.Command {
	case "bind_receiver", "bind_transmitter", "bind_transceiver", "outbind":
		found = true // also when it is cut short before the field is
	}
	for i := range d.Fields {
		if d.Fields[i].Class == smpp.Secret {
			d.Fields[i].Value, found = "***", true
		}
	}
	return found
}

// mask hides numbers and what people wrote in fields and TLVs.
func mask(d *smpp.Description, m sms.Masker) {
	maskFields(d.Fields, m)
	for i := range d.TLVs {
		d.TLVs[i].Value = masked(d.TLVs[i].Class, d.TLVs[i].Value, m)
	}
}

func maskFields(fields smpp.Fields, m sms.Masker) {
	for i := range fields {
		fields[i].Value = masked(fields[i].Class, fields[i].Value, m)
	}
}

func masked(class smpp.Sensitivity, value any, m sms.Masker) any {
	switch v := value.(type) {
	case []smpp.Fields:
		for _, f := range v {
			maskFields(f, m)
		}
		return v
	case string:
		if class == smpp.Number {
			return m.Mask(v)
		}
		if class == smpp.Content || swallowed(v) {
			return hiddenOctets(len(v))
		}
	case smpp.Octets:
		if class == smpp.Content {
			return hiddenOctets(len(v))
		}
	}
	return value
}

// maxPlainOctets is the longest text of an SMSC's own: message_id (SMPP 3.4
// §5.2.23).
const maxPlainOctets = 65

// swallowed reports whether a text seems to have run on into the parameters
// after it, for want of its NUL.
func swallowed(s string) bool {
	return len(s) > maxPlainOctets || strings.ContainsFunc(s, unicode.IsControl)
}

func hiddenOctets(n int) string { return fmt.Sprintf("(%d octets)", n) }

// maskDecoded hides what people wrote, and what may quote it, in what was read
// out of user data.
func maskDecoded(p *DecodedPDU) {
	p.Text = nil
	for i := range p.UDH {
		p.UDH[i].Data = "" // what is known of it is in Concat
	}
	r := p.Receipt
	if r == nil {
		return
	}
	if r.Text != nil {
		*r.Text = hiddenOctets(len(*r.Text))
	}
	r.TextHex = ""
	for _, s := range []*string{r.Stat, r.ErrorCode, r.Sub, r.Dlvrd} {
		// Free text in these fields has been seen.
		if s != nil && len(*s) > maxErrorCodeOctets {
			*s = hiddenOctets(len(*s))
		}
	}
}
