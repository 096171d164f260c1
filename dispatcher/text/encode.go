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
	Encoding       sms.Encoding // empty is auto: data_coding 0 when every character fits, else UCS-2
	Alphabet       Alphabet     // behind data_coding 0. Default GSM7
	Concat         Concat       // of texts that need several parts. Default UDH8
	Ref            uint16       // concatenation reference; its low octet with UDH8
	SeptetsPerPart int          // for SMSCs that want less than fits: 8..153, 8..152 with UDH16, 8..160 with SAR. Default what fits, 153 with SAR
	Flash          bool         // class 0 display; not with encoding latin1
}

// Encoded is a text ready to send: one segment, or 2..255 concatenated ones.
type Encoded struct {
	Encoding   sms.Encoding // the characters that were allowed, never auto; empty for binary payloads
	DataCoding uint8
	Concat     Concat // of the segments; empty when one short message is enough
	Ref        uint16 // concatenation reference
	Segments   []Segment
}

// TLVs returns the optional parameters that belong to the segment with the
// index: sar_msg_ref_num, sar_total_segments and sar_segment_seqnum with SAR,
// none else.
func (e *Encoded) TLVs(i int) []sms.TLV {
	if e.Concat != SAR {
		return nil
	}
	return sarTLVs(e.Ref, len(e.Segments), i+1)
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
// more than 255 parts, or with Payload more than 65,535 octets, is refused.
func Encode(s string, o Options) (Encoded, error) {
	standard, err := o.Alphabet.behindZero()
	if err != nil {
		return Encoded{}, invalid(err)
	}
	switch o.Encoding {
	case "", sms.EncodingAuto:
		if b, bad := standard.append(make([]byte, 0, len(s)), s); bad < 0 {
			return split(b, standard, o)
		}
		return encode(s, ucs2, o)
	case sms.EncodingGSM7:
		return encode(s, standard, o)
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

func encode(s string, a *alphabet, o Options) (Encoded, error) {
	size := len(s)
	if a == ucs2 {
		size = 2 * utf8.RuneCountInString(s)
	}
	b, bad := a.append(make([]byte, 0, size), s)
	if bad >= 0 {
		return Encoded{}, invalid(misfit(s, bad, a.name))
	}
	return split(b, a, o)
}

// misfit names the character at an offset without showing it.
func misfit(s string, offset int, name string) error {
	position := utf8.RuneCountInString(s[:offset]) + 1
	r, size := utf8.DecodeRuneInString(s[offset:])
	if r == utf8.RuneError && size == 1 {
		return fmt.Errorf("text is not UTF-8 at octet %d", offset+1)
	}
	return fmt.Errorf("character %d (%U) is not in %s", position, r, name)
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
	if a.weight(b) <= a.limit(0) {
		e.Segments = []Segment{segment(a.pack(nil, b, 0), 0)}
		return e, nil
	}
	if o.Concat == Payload {
		return whole(e, a.pack(nil, b, 0))
	}
	return cutUp(e, b, a, o)
}

// maxPayloadOctets of message_payload: its length is two octets (SMPP 3.4 §3.2.4.1).
const maxPayloadOctets = 65535

// whole leaves the splitting to the SMSC.
func whole(e Encoded, b []byte) (Encoded, error) {
	if len(b) > maxPayloadOctets {
		return Encoded{}, invalid(fmt.Errorf("text is %d octets, message_payload takes at most %d", len(b), maxPayloadOctets))
	}
	e.Concat, e.Segments = Payload, []Segment{segment(b, 0)}
	return e, nil
}

// cutUp makes concatenated segments.
func cutUp(e Encoded, b []byte, a *alphabet, o Options) (Encoded, error) {
	limit, err := a.partLimit(o)
	if err != nil {
		return Encoded{}, invalid(err)
	}
	parts := 0
	for rest := b; len(rest) > 0; parts++ {
		rest = rest[a.cut(rest, limit):]
	}
	if parts > MaxParts {
		return Encoded{}, invalid(fmt.Errorf("text needs %d parts, at most %d can be sent", parts, MaxParts))
	}
	header := o.Concat.headerOctets()
	e.Concat, e.Ref = o.Concat.orDefault(), o.Ref
	e.Segments = make([]Segment, 0, parts)
	buf := make([]byte, 0, len(b)+parts*header)
	for len(b) > 0 {
		n, start, number := a.cut(b, limit), len(buf), len(e.Segments)+1
		buf = o.Concat.appendHeader(buf, o.Ref, parts, number)
		buf = a.pack(buf, b[:n], header)
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
