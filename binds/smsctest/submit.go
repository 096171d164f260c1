package smsctest

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"time"

	"github.com/linxGnu/gosmpp/data"
)

// Answer says what the simulator did to answer a submit_sm.
type Answer string

// The answers.
const (
	AnswerResp  Answer = "resp"  // submit_sm_resp, now or after a delay
	AnswerNack  Answer = "nack"  // generic_nack
	AnswerRaw   Answer = "raw"   // the octets of Action.Raw
	AnswerHeld  Answer = "held"  // kept back for ReleaseHeld
	AnswerNone  Answer = "none"  // never answered
	AnswerClose Answer = "close" // the connection was closed instead
)

// Submit is a submit_sm, or a data_sm that stands for one, as it came, with
// what became of it.
type Submit struct {
	Time     time.Time `json:"time"`
	Bind     uint64    `json:"bind"` // Bind.ID of the connection
	SystemID string    `json:"system_id"`
	Sequence uint32    `json:"seq"`
	DataSM   bool      `json:"data_sm,omitempty"` // came as data_sm

	ServiceType          string `json:"service_type,omitempty"`
	SourceTON            uint8  `json:"source_ton"`
	SourceNPI            uint8  `json:"source_npi"`
	Source               string `json:"source"`
	DestTON              uint8  `json:"dest_ton"`
	DestNPI              uint8  `json:"dest_npi"`
	Destination          string `json:"destination"`
	ESMClass             uint8  `json:"esm_class"`
	ProtocolID           uint8  `json:"protocol_id,omitempty"`
	PriorityFlag         uint8  `json:"priority_flag,omitempty"`
	ScheduleDeliveryTime string `json:"schedule_delivery_time,omitempty"`
	ValidityPeriod       string `json:"validity_period,omitempty"`
	RegisteredDelivery   uint8  `json:"registered_delivery"`
	ReplaceIfPresent     uint8  `json:"replace_if_present,omitempty"`
	DataCoding           uint8  `json:"data_coding"`
	SMDefaultMsgID       uint8  `json:"sm_default_msg_id,omitempty"`
	ShortMessage         Octets `json:"short_message"` // the octets of short_message
	TLVs                 []TLV  `json:"tlvs,omitempty"`

	// Fault is what a strict SMSC would object to although the PDU could be
	// read: both short_message and message_payload, both UDH and SAR, a UDH
	// longer than the message, left-over octets, a sequence_number of 0 or above 0x7FFFFFFF.
	Fault string `json:"fault,omitempty"`

	Status    uint32 `json:"status"`               // as answered, or as it would have been
	MessageID string `json:"message_id,omitempty"` // empty when it was not taken in
	Answer    Answer `json:"answer"`

	Raw []byte `json:"-"` // the whole frame

	num uint64 // the message id before notation; 0 when the caller chose it
}

// parseSubmit reads a whole frame, which the result keeps.
func parseSubmit(frame []byte) (*Submit, error) {
	body := frame[headerOctets:]
	c := cursor{b: body, s: string(body)}
	m := &Submit{
		DataSM:      parseHeader(frame).CommandID == DataSM,
		Sequence:    binary.BigEndian.Uint32(frame[12:]),
		Raw:         frame,
		ServiceType: c.cString(),
		SourceTON:   c.octet(),
		SourceNPI:   c.octet(),
		Source:      c.cString(),
		DestTON:     c.octet(),
		DestNPI:     c.octet(),
		Destination: c.cString(),
		ESMClass:    c.octet(),
	}
	if m.DataSM { // SMPP 3.4 §4.7.1
		m.RegisteredDelivery, m.DataCoding = c.octet(), c.octet()
	} else {
		m.ProtocolID, m.PriorityFlag = c.octet(), c.octet()
		m.ScheduleDeliveryTime, m.ValidityPeriod = c.cString(), c.cString()
		m.RegisteredDelivery, m.ReplaceIfPresent = c.octet(), c.octet()
		m.DataCoding, m.SMDefaultMsgID = c.octet(), c.octet()
		m.ShortMessage = c.octets(int(c.octet()))
	}
	if c.err != nil {
		return m, c.err
	}
	tlvs, err := c.tlvs()
	m.TLVs = tlvs
	if err == nil {
		err = m.check()
	}
	if err != nil {
		m.Fault = err.Error()
	}
	return m, nil
}

func (m *Submit) check() error {
	payload, hasPayload := m.TLV(TagMessagePayload)
	if hasPayload && len(m.ShortMessage) > 0 {
		return errors.New("both short_message and message_payload")
	}
	if _, sar := m.TLV(TagSarMsgRefNum); sar && m.ESMClass&0x40 != 0 {
		return errors.New("both user data header and sar_msg_ref_num")
	}
	if len(m.ShortMessage) == 255 {
		return errors.New("sm_length above 254")
	}
	if m.Sequence == 0 || m.Sequence > 0x7FFFFFFF {
		return errors.New("sequence_number out of range")
	}
	ud := m.ShortMessage
	if hasPayload {
		ud = payload
	}
	if m.ESMClass&0x40 != 0 && (len(ud) == 0 || int(ud[0])+1 > len(ud)) {
		return errors.New("user data header longer than the message")
	}
	return nil
}

// response is the command that answers it.
func (m *Submit) response() uint32 {
	if m.DataSM {
		return DataSMResp
	}
	return SubmitSMResp
}

// TLV returns the value of the first optional parameter with this tag.
func (m *Submit) TLV(tag uint16) ([]byte, bool) {
	for _, t := range m.TLVs {
		if t.Tag == tag {
			return t.Value, true
		}
	}
	return nil, false
}

// UserData splits the message, short_message or else message_payload, into
// its user data header (with its length octet; nil without UDHI) and the rest.
func (m *Submit) UserData() (udh, payload []byte) {
	payload = m.ShortMessage
	if len(payload) == 0 {
		payload, _ = m.TLV(TagMessagePayload)
	}
	if m.ESMClass&0x40 == 0 || len(payload) == 0 || int(payload[0])+1 > len(payload) {
		return nil, payload
	}
	n := int(payload[0]) + 1
	return payload[:n], payload[n:]
}

// Text decodes the message by its data_coding: 0 GSM 03.38 unpacked,
// 1 ASCII, 3 Latin-1, 8 UCS-2. Any other, and what does not decode, comes back
// octet for octet.
func (m *Submit) Text() string {
	_, ud := m.UserData()
	var enc data.Encoding
	switch m.DataCoding {
	case 0:
		enc = data.GSM7BIT
	case 3:
		enc = data.LATIN1
	case 8:
		enc = data.UCS2
	default:
		return string(ud)
	}
	s, err := enc.Decode(ud)
	if err != nil {
		return string(ud)
	}
	return s
}

var hashSeed = maphash.MakeSeed()

// key identifies the message for counting repeats: addresses and content.
func (m *Submit) key() uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	_, _ = h.WriteString(m.Source)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(m.Destination)
	_ = h.WriteByte(0)
	_, _ = h.Write(m.ShortMessage)
	if len(m.ShortMessage) == 0 {
		payload, _ := m.TLV(TagMessagePayload)
		_, _ = h.Write(payload)
	}
	segment, _ := m.TLV(TagSarSegmentSeqnum)
	_, _ = h.Write(segment)
	return h.Sum64()
}
