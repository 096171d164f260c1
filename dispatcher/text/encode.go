package text

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Sizes of a short message.
const (
	MaxOctets = 140 // user data of one short message, its header included (3GPP TS 23.040 §9.2.3.24)
	MaxParts  = 255 // the total of a concatenation header is one octet
)

// data_coding values (SMPP 3.4 §5.2.19) and, with class 0, those of the general
// group of 3GPP TS 23.038 §4. There is no class 0 for Latin-1: 23.038 has no
// such alphabet, and 0x13 would be GSM 7-bit with class 3.
const (
	codingGSM7        = 0x00
	codingLatin1      = 0x03
	codingBinary      = 0x04
	codingUCS2        = 0x08
	codingGSM7Flash   = 0x10
	codingBinaryFlash = 0x14
	codingUCS2Flash   = 0x18
)

// Options say how a text is encoded and split. The zero value chooses the
// alphabet by the text and uses 8-bit concatenation references.
type Options struct {
	Encoding       sms.Encoding // empty is auto: GSM 7-bit when every character fits, else UCS-2
	Ref            uint16       // concatenation reference; its low octet unless Ref16
	Ref16          bool         // 16-bit reference, which costs an octet per part
	SeptetsPerPart int          // GSM 7-bit part size for SMSCs that want less than fits, 2..153. Default what fits: 153, or 152 with Ref16
	Flash          bool         // class 0 display; not with latin1
}

// Encoded is a text ready to send: one segment, or 2..255 concatenated ones.
type Encoded struct {
	Encoding   sms.Encoding // the alphabet that was used, never auto; empty for binary payloads
	DataCoding uint8
	Segments   []Segment
}

// Segment is the user data of one short message.
type Segment struct {
	UDH      []byte // user data header with its length octet; nil when there is none
	Payload  []byte
	userData []byte // UDH and Payload
}

// UserData returns header and payload as they stand in short_message. With a
// header, esm_class needs sms.ESMClassUDHI. The caller must not change it.
func (s Segment) UserData() []byte {
	if s.userData == nil {
		return append(s.UDH[:len(s.UDH):len(s.UDH)], s.Payload...)
	}
	return s.userData
}

// Encode encodes and splits a text. Escape sequences and surrogate pairs are
// never cut. The error is an *sms.Error with CodeInvalid: a character that the
// alphabet lacks is named by its position and code point, and a text that needs
// more than 255 parts is refused.
func Encode(s string, o Options) (Encoded, error) {
	switch o.Encoding {
	case "", sms.EncodingAuto:
		if b, bad := appendGSM7(make([]byte, 0, len(s)), s); bad < 0 {
			return split(b, gsm7, o)
		}
		return encode(s, ucs2, o)
	case sms.EncodingGSM7:
		return encode(s, gsm7, o)
	case sms.EncodingLatin1:
		return encode(s, latin1, o)
	case sms.EncodingUCS2:
		return encode(s, ucs2, o)
	}
	return Encoded{}, invalid(fmt.Errorf("unknown encoding %q", o.Encoding))
}

// SplitBinary prepares a binary payload with the header it brings along, if
// any. It does not split: who wants more than 140 octets concatenates with own
// headers. dataCoding nil means 8-bit data, of class 0 when flash is set.
func SplitBinary(data, udh []byte, dataCoding *uint8, flash bool) (Encoded, error) {
	if n := len(udh) + len(data); n > MaxOctets {
		return Encoded{}, invalid(fmt.Errorf("udh and data are %d octets, at most %d fit", n, MaxOctets))
	}
	e := Encoded{DataCoding: codingBinary}
	switch {
	case dataCoding != nil:
		e.DataCoding = *dataCoding
	case flash:
		e.DataCoding = codingBinaryFlash
	}
	userData := append(append(make([]byte, 0, len(udh)+len(data)), udh...), data...)
	e.Segments = []Segment{segment(userData, len(udh))}
	return e, nil
}

// An alphabet is one way to write text.
type alphabet struct {
	encoding sms.Encoding
	coding   uint8
	flash    uint8 // data_coding with class 0; 0 when there is none
	append   func(b []byte, s string) ([]byte, int)
}

var (
	gsm7   = &alphabet{sms.EncodingGSM7, codingGSM7, codingGSM7Flash, appendGSM7}
	latin1 = &alphabet{sms.EncodingLatin1, codingLatin1, 0, appendLatin1}
	ucs2   = &alphabet{sms.EncodingUCS2, codingUCS2, codingUCS2Flash, appendUCS2}
)

func encode(s string, a *alphabet, o Options) (Encoded, error) {
	size := len(s)
	if a == ucs2 {
		size = 2 * utf8.RuneCountInString(s)
	}
	b, bad := a.append(make([]byte, 0, size), s)
	if bad >= 0 {
		return Encoded{}, invalid(misfit(s, bad, a.encoding))
	}
	return split(b, a, o)
}

// misfit names the character at an offset without showing it.
func misfit(s string, offset int, e sms.Encoding) error {
	position := utf8.RuneCountInString(s[:offset]) + 1
	r, size := utf8.DecodeRuneInString(s[offset:])
	if r == utf8.RuneError && size == 1 {
		return fmt.Errorf("text is not UTF-8 at octet %d", offset+1)
	}
	return fmt.Errorf("character %d (%U) is not in %s", position, r, e)
}

func invalid(err error) error {
	return &sms.Error{Op: "encode text", Code: sms.CodeInvalid, Err: err}
}

var errFlash = errors.New("latin1 has no class 0 (flash) data_coding")

// split cuts encoded text into segments.
func split(b []byte, a *alphabet, o Options) (Encoded, error) {
	e := Encoded{Encoding: a.encoding, DataCoding: a.coding}
	if o.Flash {
		if a.flash == 0 {
			return Encoded{}, invalid(errFlash)
		}
		e.DataCoding = a.flash
	}
	if len(b) <= a.limit(0) {
		e.Segments = []Segment{segment(b, 0)}
		return e, nil
	}
	header := headerOctets(o)
	limit := a.limit(header)
	if a == gsm7 && o.SeptetsPerPart >= 2 {
		limit = min(limit, o.SeptetsPerPart)
	}
	parts := 0
	for rest := b; len(rest) > 0; parts++ {
		rest = rest[a.cut(rest, limit):]
	}
	if parts > MaxParts {
		return Encoded{}, invalid(fmt.Errorf("text needs %d parts, at most %d can be sent", parts, MaxParts))
	}
	e.Segments = make([]Segment, 0, parts)
	buf := make([]byte, 0, len(b)+parts*header)
	for len(b) > 0 {
		n, start := a.cut(b, limit), len(buf)
		buf = appendHeader(buf, o, parts, len(e.Segments)+1)
		buf = append(buf, b[:n]...)
		b = b[n:]
		e.Segments = append(e.Segments, segment(buf[start:len(buf):len(buf)], header))
	}
	return e, nil
}

func segment(userData []byte, header int) Segment {
	s := Segment{Payload: userData[header:], userData: userData}
	if header > 0 {
		s.UDH = userData[:header:header]
	}
	return s
}

// limit returns how many octets of encoded text fit beside a header: 7-bit
// text is packed on the air, where the header takes whole septets
// (3GPP TS 23.040 §9.2.3.24).
func (a *alphabet) limit(header int) int {
	switch a {
	case gsm7:
		return (MaxOctets - header) * 8 / 7
	case ucs2:
		return (MaxOctets - header) &^ 1
	}
	return MaxOctets - header
}

// cut returns where to end a part of at most limit octets.
func (a *alphabet) cut(b []byte, limit int) int {
	if len(b) <= limit {
		return len(b)
	}
	switch {
	case a == gsm7 && b[limit-1] == escape:
		return limit - 1
	case a == ucs2 && b[limit-2]&0xFC == 0xD8: // a high surrogate
		return limit - 2
	}
	return limit
}
