package text

import (
	"unicode/utf16"
	"unicode/utf8"
)

// The decoders are for what SMSCs deliver: they accept everything and lose as
// little as they can.

// Decode decodes user data without its header by data_coding, read as SMPP
// 3.4 §5.2.19 and, for other values, as 3GPP TS 23.038 §4. It is not ok
// for binary data, compressed text and alphabets that are not supported.
func Decode(dataCoding uint8, b []byte) (s string, ok bool) { return GSM7.Decode(dataCoding, b, 0) }

// Decode is Decode for an SMSC whose default alphabet is a. The user data
// header that went before b was header octets long.
func (a Alphabet) Decode(dataCoding uint8, b []byte, header int) (s string, ok bool) {
	return a.DecodeParts([]Received{{DataCoding: dataCoding, Octets: b, Header: header}})
}

// Received is the user data of one part of a message, without its header.
type Received struct {
	DataCoding uint8
	Octets     []byte
	Header     int // octets of the header that went before
}

// DecodeParts is Decode for parts of one message that follow each other.
// Those of one data_coding are read as one text: senders that count octets
// cut between the two halves of a surrogate pair, or behind an escape. It is
// not ok when any part has no text.
func (a Alphabet) DecodeParts(parts []Received) (s string, ok bool) {
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && parts[n].DataCoding == parts[0].DataCoding {
			n++
		}
		run, ok := a.decodeRun(parts[:n])
		if !ok {
			return "", false
		}
		s, parts = s+run, parts[n:]
	}
	return s, true
}

// decodeRun decodes parts of one data_coding.
func (a Alphabet) decodeRun(parts []Received) (s string, ok bool) {
	decode := a.behind(parts[0].DataCoding)
	if decode == nil {
		return "", false
	}
	packed := a == GSM7Packed && isDefault(parts[0].DataCoding)
	var whole []byte
	for _, p := range parts {
		octets := p.Octets
		if packed {
			octets = Unpack(octets, p.Header)
		}
		whole = append(whole, octets...)
	}
	return decode(whole), true
}

// behind returns what decodes a data_coding, nil when nothing does.
func (a Alphabet) behind(dataCoding uint8) func([]byte) string {
	group, alphabet := dataCoding&0xF0, dataCoding&0x0C
	switch {
	case isDefault(dataCoding) && (a == Latin1 || a == ASCII):
		return DecodeLatin1
	case isDefault(dataCoding):
		return DecodeGSM7
	case dataCoding == 0x01, dataCoding == codingLatin1: // ASCII is within Latin-1
		return DecodeLatin1
	case dataCoding == codingUCS2, group == 0x10 && alphabet == 0x08, group == 0xE0:
		return DecodeUCS2
	}
	return nil
}

// isDefault reports whether a data_coding names the SMSC's default alphabet.
func isDefault(dataCoding uint8) bool {
	switch dataCoding & 0xF0 {
	case 0x00:
		return dataCoding == codingGSM7
	case 0x10, 0xF0:
		return dataCoding&0x0C == 0
	}
	return dataCoding&0xF0 == 0xC0 || dataCoding&0xF0 == 0xD0
}

// DecodeGSM7 decodes unpacked septets. An escape before a code that the
// extension table lacks is ignored, and a lone one is a space (3GPP TS 23.038
// §6.2.1.1); octets from 0x80 are read as Latin-1, which is what SMSCs that
// send them mean.
func DecodeGSM7(b []byte) string {
	out := make([]byte, 0, len(b)+len(b)/8)
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == escape && i+1 < len(b) && b[i+1] < 0x80 && b[i+1] != escape {
			i++
			r := gsm7Extension[b[i]]
			if r == 0 {
				r = gsm7Runes[b[i]]
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		r := rune(c)
		if c < 0x80 {
			r = gsm7Runes[c]
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// DecodeLatin1 decodes ISO 8859-1.
func DecodeLatin1(b []byte) string {
	out := make([]byte, 0, len(b)+len(b)/8)
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return string(out)
}

// DecodeUCS2 decodes UTF-16BE. Unpaired surrogates and a last odd octet become
// U+FFFD.
func DecodeUCS2(b []byte) string {
	units := make([]uint16, 0, (len(b)+1)/2)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[0])<<8|uint16(b[1]))
	}
	if len(b) == 1 {
		units = append(units, utf8.RuneError)
	}
	return string(utf16.Decode(units))
}
