package app

import (
	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// classes are the route's own classes of command_status, if it has any.
func (d *Decoder) classes() binds.Overrides {
	if d.route == nil {
		return nil
	}
	return d.route.overrides()
}

// alphabet is what the SMSC takes data_coding 0 for.
func (d *Decoder) alphabet() text.Alphabet {
	if d.route == nil {
		return text.GSM7
	}
	return text.Alphabet(d.route.Message.Alphabet)
}

// encoding names what data_coding means.
func (d *Decoder) encoding(dataCoding uint8) string {
	switch {
	case dataCoding == 0x01:
		return string(text.ASCII)
	case dataCoding == 0x03:
		return string(text.Latin1)
	}
	if _, ok := text.Decode(dataCoding, nil); !ok {
		return "binary"
	}
	// The groups of 3GPP TS 23.038 §4, as text.Decode reads them.
	if dataCoding == 0x08 || dataCoding&0xFC == 0x18 || dataCoding&0xF0 == 0xE0 {
		return "ucs2"
	}
	return string(d.alphabet())
}
