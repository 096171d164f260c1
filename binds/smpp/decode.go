package smpp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Inbound is a message that the SMSC sent. Its octets are its own: handlers
// may keep them.
type Inbound struct {
	Command  uint32 // CommandDeliverSM or CommandDataSM
	Sequence uint32 // the SMSC's; 0 and values above 0x7FFFFFFF have been seen
	Received time.Time
	Message  sms.Message

	session *Session // that answers it
}

// Content is what the SMSC sent.
func (in *Inbound) Content() *sms.Message { return &in.Message }

var errTruncated = errors.New("body ends inside a mandatory field")

// decodeMessageID returns the message_id of a submit_sm_resp body (§4.4.2). The
// body may be absent, also when the status is ESME_ROK, may lack its NUL, and
// may go on with TLVs.
func decodeMessageID(body []byte) string {
	if i := bytes.IndexByte(body, 0); i >= 0 {
		body = body[:i]
	}
	return string(body)
}

// BindResult is what the SMSC said of itself in its bind response.
type BindResult struct {
	SystemID string
	// InterfaceVersion is sc_interface_version (§5.3.2.25), 0 when absent.
	InterfaceVersion uint8
	TLVs             []sms.TLV // all of them, order and repeats kept
}

const tagSCInterfaceVersion = 0x0210

// decodeBindResp reads the body of a bind response (§4.1.2), which refusals
// often leave out.
func decodeBindResp(body []byte) BindResult {
	r := reader{b: bytes.Clone(body)}
	var res BindResult
	res.SystemID = string(r.cString())
	if r.short {
		return BindResult{SystemID: string(body)}
	}
	res.TLVs = r.tlvs()
	for _, t := range res.TLVs {
		if t.Tag == tagSCInterfaceVersion && len(t.Value) == 1 {
			res.InterfaceVersion = t.Value[0]
		}
	}
	return res
}

// decodeMessage reads the body of deliver_sm (§4.6.1) or data_sm (§4.7.1). It
// fails only when the body ends before the destination address does; later
// fields that are missing are zero, and lengths that point beyond the end
// mean "up to the end".
func decodeMessage(command uint32, body []byte) (sms.Message, error) {
	r := reader{b: bytes.Clone(body)}
	var m sms.Message
	m.ServiceType = string(r.cString())
	m.Source = r.address()
	m.Destination = r.address()
	if r.short {
		return sms.Message{}, errTruncated
	}
	m.ESMClass = r.octet()
	if command == cmdDataSM {
		m.RegisteredDelivery = r.octet()
		m.DataCoding = r.octet()
		m.TLVs = r.tlvs()
		return m, nil
	}
	m.ProtocolID = r.octet()
	m.PriorityFlag = r.octet()
	m.ScheduleDeliveryTime = string(r.cString())
	m.ValidityPeriod = string(r.cString())
	m.RegisteredDelivery = r.octet()
	m.ReplaceIfPresent = r.octet()
	m.DataCoding = r.octet()
	r.octet() // sm_default_msg_id
	m.ShortMessage = r.take(int(r.octet()))
	m.TLVs = r.tlvs()
	return m, nil
}

// reader takes fields off a body. What is missing reads as zero and sets short.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) octet() uint8 {
	if len(r.b) == 0 {
		r.short = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// take returns n octets or as many as there are.
func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.short, n = true, len(r.b)
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// cString returns the octets before the next NUL, or all that is left.
func (r *reader) cString() []byte {
	i := bytes.IndexByte(r.b, 0)
	if i < 0 {
		return r.take(len(r.b) + 1)
	}
	v := r.b[:i]
	r.b = r.b[i+1:]
	return v
}

func (r *reader) address() sms.Address {
	return sms.Address{TON: r.octet(), NPI: r.octet(), Addr: string(r.cString())}
}

// tlvs returns what is left as optional parameters, order and repeats kept.
// Fewer than four octets at the end are padding. They are counted first: an
// SMSC that sends thousands of empty ones costs no more than their slice.
func (r *reader) tlvs() []sms.TLV {
	n := 0
	for b := r.b; len(b) >= 4; n++ {
		b = b[min(len(b), 4+int(binary.BigEndian.Uint16(b[2:]))):]
	}
	if n == 0 {
		return nil
	}
	out := make([]sms.TLV, n)
	for i := range out {
		tag, octets := binary.BigEndian.Uint16(r.b), int(binary.BigEndian.Uint16(r.b[2:]))
		r.b = r.b[4:]
		out[i] = sms.TLV{Tag: tag, Value: r.take(octets)}
	}
	return out
}
