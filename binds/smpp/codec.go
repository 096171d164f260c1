package smpp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/linxGnu/gosmpp/pdu"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Field limits of submit_sm without the closing NUL (§4.4.1).
const (
	maxServiceTypeOctets  = 5
	maxAddressOctets      = 20
	timeOctets            = 16
	maxShortMessageOctets = 254
	maxTLVOctets          = 65535
)

var errNUL = errors.New("contains a NUL octet")

// appendHeader appends a PDU without a body.
func appendHeader(b []byte, command, status, sequence uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, headerOctets)
	b = binary.BigEndian.AppendUint32(b, command)
	b = binary.BigEndian.AppendUint32(b, status)
	return binary.BigEndian.AppendUint32(b, sequence)
}

// appendResponse appends deliver_sm_resp or data_sm_resp: 17 octets with an
// empty message_id. Some peers close the link on any other form.
func appendResponse(b []byte, command, status, sequence uint32) []byte {
	at := len(b)
	b = append(appendHeader(b, command, status, sequence), 0)
	binary.BigEndian.PutUint32(b[at:], headerOctets+respBodyOctets)
	return b
}

// appendBind appends a bind request (§4.1.1, §4.1.3, §4.1.5). Lengths are not
// checked: some accounts have a system_id or password beyond the specification.
func appendBind(b []byte, sequence uint32, c *Config) ([]byte, error) {
	for name, v := range map[string]string{
		"system_id": c.SystemID, "password": c.Password, "system_type": c.SystemType, "address_range": c.AddressRange,
	} {
		if strings.IndexByte(v, 0) >= 0 {
			return b, fmt.Errorf("%s: %w", name, errNUL)
		}
	}
	var t pdu.BindingType
	switch c.BindType {
	case Transmitter:
		t = pdu.Transmitter
	case Receiver:
		t = pdu.Receiver
	default:
		t = pdu.Transceiver
	}
	p := pdu.NewBindRequest(t)
	p.SystemID, p.Password, p.SystemType = c.SystemID, c.Password, c.SystemType
	p.InterfaceVersion = c.InterfaceVersion
	p.AddressRange = pdu.NewAddressRangeWithTonNpiAddr(c.AddrTON, c.AddrNPI, c.AddressRange)
	p.SetSequenceNumber(int32(sequence))
	w := pdu.NewBuffer(nil)
	p.Marshal(w)
	return append(b, w.Bytes()...), nil
}

// appendSubmitSM appends submit_sm (§4.4.1). It is written by hand: gosmpp's
// marshaller costs seven allocations a message, has no place for a short
// message's raw octets beside an unknown data_coding, and shuffles TLVs.
// User data beyond 254 octets travels as message_payload (§5.3.2.32). When m
// cannot be encoded b comes back as it was.
func appendSubmitSM(b []byte, sequence uint32, m *sms.Message) ([]byte, error) {
	if err := checkMessage(m); err != nil {
		return b, err
	}
	at := len(b)
	b = appendHeader(b, cmdSubmitSM, 0, sequence)
	b = appendCString(b, m.ServiceType)
	b = appendAddress(b, m.Source)
	b = appendAddress(b, m.Destination)
	b = append(b, m.ESMClass, m.ProtocolID, m.PriorityFlag)
	b = appendCString(b, m.ScheduleDeliveryTime)
	b = appendCString(b, m.ValidityPeriod)
	b = append(b, m.RegisteredDelivery, m.ReplaceIfPresent, m.DataCoding, 0) // sm_default_msg_id 0: none
	payload := len(m.ShortMessage) > maxShortMessageOctets
	if payload {
		b = append(b, 0)
	} else {
		b = append(b, byte(len(m.ShortMessage)))
		b = append(b, m.ShortMessage...)
	}
	for _, t := range m.TLVs {
		b = appendTLV(b, t)
	}
	if payload {
		b = appendTLV(b, sms.TLV{Tag: sms.TagMessagePayload, Value: m.ShortMessage})
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b, nil
}

// appendDataSM appends data_sm (§4.7.1), which has no short_message: the user
// data travels as message_payload whatever its size.
func appendDataSM(b []byte, sequence uint32, m *sms.Message) ([]byte, error) {
	if err := checkMessage(m); err != nil {
		return b, err
	}
	at := len(b)
	b = appendHeader(b, cmdDataSM, 0, sequence)
	b = appendCString(b, m.ServiceType)
	b = appendAddress(b, m.Source)
	b = appendAddress(b, m.Destination)
	b = append(b, m.ESMClass, m.RegisteredDelivery, m.DataCoding)
	for _, t := range m.TLVs {
		b = appendTLV(b, t)
	}
	b = appendTLV(b, sms.TLV{Tag: sms.TagMessagePayload, Value: m.ShortMessage})
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b, nil
}

func appendCString(b []byte, s string) []byte {
	return append(append(b, s...), 0)
}

func appendAddress(b []byte, a sms.Address) []byte {
	return appendCString(append(b, a.TON, a.NPI), a.Addr)
}

func appendTLV(b []byte, t sms.TLV) []byte {
	b = binary.BigEndian.AppendUint16(b, t.Tag)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.Value)))
	return append(b, t.Value...)
}

// checkMessage refuses what the wire form cannot carry.
func checkMessage(m *sms.Message) error {
	switch {
	case len(m.ServiceType) > maxServiceTypeOctets:
		return fmt.Errorf("service_type: must be at most %d octets, is %d", maxServiceTypeOctets, len(m.ServiceType))
	case len(m.Source.Addr) > maxAddressOctets:
		return fmt.Errorf("source_addr: must be at most %d octets, is %d", maxAddressOctets, len(m.Source.Addr))
	case len(m.Destination.Addr) > maxAddressOctets:
		return fmt.Errorf("destination_addr: must be at most %d octets, is %d", maxAddressOctets, len(m.Destination.Addr))
	case m.ScheduleDeliveryTime != "" && len(m.ScheduleDeliveryTime) != timeOctets:
		return fmt.Errorf("schedule_delivery_time: must be empty or %d octets, is %d", timeOctets, len(m.ScheduleDeliveryTime))
	case m.ValidityPeriod != "" && len(m.ValidityPeriod) != timeOctets:
		return fmt.Errorf("validity_period: must be empty or %d octets, is %d", timeOctets, len(m.ValidityPeriod))
	}
	if hasNUL(m.ServiceType) || hasNUL(m.Source.Addr) || hasNUL(m.Destination.Addr) ||
		hasNUL(m.ScheduleDeliveryTime) || hasNUL(m.ValidityPeriod) {
		return fmt.Errorf("text field: %w", errNUL)
	}
	total := headerOctets + len(m.ShortMessage)
	if len(m.ShortMessage) > maxTLVOctets {
		return fmt.Errorf("short_message: must be at most %d octets, is %d", maxTLVOctets, len(m.ShortMessage))
	}
	for _, t := range m.TLVs {
		if len(t.Value) > maxTLVOctets {
			return fmt.Errorf("tlv 0x%04x: must be at most %d octets, is %d", t.Tag, maxTLVOctets, len(t.Value))
		}
		total += 4 + len(t.Value)
	}
	const limit = maxPDUOctets - 256 // room for the mandatory fields
	if total > limit {
		return fmt.Errorf("submit_sm: must be at most %d octets, is %d", limit, total)
	}
	return nil
}

func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }
