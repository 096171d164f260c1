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
	switch dataCoding {
	case codingGSM7:
		return a.decode(b, header), true
	case 0x01, codingLatin1: // ASCII is within Latin-1
		return DecodeLatin1(b), true
	case codingUCS2:
		return DecodeUCS2(b), true
	}
	group, alphabet := dataCoding&0xF0, dataCoding&0x0C
	switch {
	case group == 0x10 && alphabet == 0x00, group == 0xF0 && alphabet == 0x00, group == 0xC0, group == 0xD0:
		return a.decode(b, header), true
	case group == 0x10 && alphabet == 0x08, group == 0xE0:
		return DecodeUCS2(b), true
	}
	return "", false
}

func (a Alphabet) decode(b []byte, header int) string {
	switch a {
	case GSM7Packed:
		return DecodeGSM7(Unpack(b, header))
	case Latin1, ASCII:
		return DecodeLatin1(b)
	}
	return DecodeGSM7(b)
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
