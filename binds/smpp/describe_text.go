package smpp

import (
	"encoding/binary"
	"errors"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Information elements of concatenated messages (3GPP TS 23.040 §9.2.3.24.1,
// §9.2.3.24.8).
const (
	elementConcat8  = 0x00
	elementConcat16 = 0x08
)

// UserData is what a message carries: its header, if it has one, and the rest.
type UserData struct {
	Elements []Element      // of the user data header
	Header   int            // octets of that with its length, 0 when there is none
	Concat   *Concatenation // nil when the message is not a part of several
	Body     []byte         // what follows the header
}

// Element is one information element of a user data header.
type Element struct {
	ID   uint8
	Data []byte
}

// Concatenation says which part of which message this is.
type Concatenation struct {
	By     string // "udh8", "udh16" or "sar"
	Ref    uint16
	Total  uint8
	Number uint8 // 1 for the first
}

var errHeader = errors.New("user data header does not fit: taken for text")

// ReadUserData takes user data apart: short_message, or message_payload when
// that is empty. The error says that esm_class announces a user data header
// that is not there; Body is then all of it, as some SMSCs copy the bit into
// messages without one.
func ReadUserData(m *sms.Message) (UserData, error) {
	u := UserData{Body: m.ShortMessage}
	if len(u.Body) == 0 {
		u.Body, _ = m.TLV(sms.TagMessagePayload)
	}
	u.Concat = sarOf(m)
	if m.ESMClass&sms.ESMClassUDHI == 0 || len(u.Body) == 0 {
		return u, nil
	}
	end := 1 + int(u.Body[0])
	if end > len(u.Body) {
		return u, errHeader
	}
	var elements []Element
	for at := 1; at < end; {
		if at+2 > end || at+2+int(u.Body[at+1]) > end {
			return u, errHeader
		}
		next := at + 2 + int(u.Body[at+1])
		elements = append(elements, Element{ID: u.Body[at], Data: u.Body[at+2 : next]})
		at = next
	}
	u.Elements, u.Header, u.Body = elements, end, u.Body[end:]
	for _, e := range elements {
		if c := concatOf(e); c != nil {
			u.Concat = c
			break
		}
	}
	return u, nil
}

// concatOf reads a concatenation element, nil when e is none.
func concatOf(e Element) *Concatenation {
	d := e.Data
	switch {
	case e.ID == elementConcat8 && len(d) == 3:
		return &Concatenation{By: "udh8", Ref: uint16(d[0]), Total: d[1], Number: d[2]}
	case e.ID == elementConcat16 && len(d) == 4:
		return &Concatenation{By: "udh16", Ref: binary.BigEndian.Uint16(d), Total: d[2], Number: d[3]}
	}
	return nil
}

// sarOf reads the sar TLVs (§5.3.2.22 to 24), nil when they are not all there.
func sarOf(m *sms.Message) *Concatenation {
	ref, _ := m.TLV(sms.TagSarMsgRefNum)
	total, _ := m.TLV(sms.TagSarTotalSegs)
	number, _ := m.TLV(sms.TagSarSegmentSeq)
	if len(ref) != 2 || len(total) != 1 || len(number) != 1 {
		return nil
	}
	return &Concatenation{By: "sar", Ref: binary.BigEndian.Uint16(ref), Total: total[0], Number: number[0]}
}
