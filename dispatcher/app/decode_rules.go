package app

import (
	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

func statusMeaning(code uint32) string { return binds.Meaning(code) }

// class is what a command_status means for a job on the route.
func (d *Decoder) class(code uint32) string { return binds.Classify(code).String() }

// bindClass is what a command_status other than ESME_ROK means for a bind.
func bindClass(code uint32) string {
	for _, s := range binds.Table() {
		if s.First <= code && code <= s.Last {
			return s.AtBind
		}
	}
	return ""
}

// text decodes user data by data_coding and the route's alphabet for 0.
func (d *Decoder) text(dataCoding uint8, body []byte) (string, bool) {
	return text.Decode(dataCoding, body)
}

// encoding names what data_coding means.
func (d *Decoder) encoding(dataCoding uint8) string {
	switch {
	case dataCoding == 0x01:
		return "ascii"
	case dataCoding == 0x03:
		return "latin1"
	}
	if _, ok := text.Decode(dataCoding, nil); !ok {
		return "binary"
	}
	// The groups of 3GPP TS 23.038 §4, as text.Decode reads them.
	if dataCoding == 0x08 || dataCoding&0xFC == 0x18 || dataCoding&0xF0 == 0xE0 {
		return "ucs2"
	}
	return "gsm7"
}
