package sms

// Message is one short message as SMPP carries it: the fields that submit_sm,
// deliver_sm and data_sm share (SMPP 3.4 §4.4.1, §4.6.1, §4.7.1). A job becomes
// one Message, or several when its text is concatenated.
type Message struct {
	ServiceType          string
	Source               Address
	Destination          Address
	ESMClass             uint8
	ProtocolID           uint8
	PriorityFlag         uint8
	ScheduleDeliveryTime string // SMPP time format (§7.1.1), 16 octets or empty
	ValidityPeriod       string // SMPP time format (§7.1.1), 16 octets or empty
	RegisteredDelivery   uint8
	ReplaceIfPresent     uint8
	DataCoding           uint8
	DataSM               bool   // outbound: travels as data_sm, which has no place for the fields from ProtocolID to ValidityPeriod and ReplaceIfPresent
	ShortMessage         []byte // user data, with its UDH when ESMClass says so; ≤ 254 octets on the wire (larger goes to message_payload)
	TLVs                 []TLV  // order and repeats kept

	Part       int // 1-based number within the job, 1 when not concatenated
	PartsTotal int // 1..255
}

// Address is an SMPP address: type of number, numbering plan and digits
// (SMPP 3.4 §5.2.5, §5.2.6).
type Address struct {
	TON  uint8
	NPI  uint8
	Addr string // at most 20 octets on submit_sm; longer ones are accepted inbound
}

// TLV is an optional parameter (SMPP 3.4 §3.2.4).
type TLV struct {
	Tag   uint16
	Value []byte
}

// TLV returns the value of the first optional parameter with the tag.
func (m *Message) TLV(tag uint16) ([]byte, bool) {
	for _, t := range m.TLVs {
		if t.Tag == tag {
			return t.Value, true
		}
	}
	return nil, false
}

// ESM class bits (SMPP 3.4 §5.2.12).
const (
	ESMClassMask       = 0x3C // message type bits
	ESMClassReceipt    = 0x04 // SMSC delivery receipt
	ESMClassSMEAck     = 0x08 // SME delivery acknowledgement
	ESMClassManualAck  = 0x10 // SME manual/user acknowledgement
	ESMClassIntermed   = 0x20 // intermediate delivery notification
	ESMClassUDHI       = 0x40 // user data begins with a header
	ESMClassReplyPath  = 0x80
	TagMessagePayload  = 0x0424
	TagReceiptedMsgID  = 0x001E
	TagMessageState    = 0x0427
	TagNetworkError    = 0x0423
	TagSarMsgRefNum    = 0x020C
	TagSarTotalSegs    = 0x020E
	TagSarSegmentSeq   = 0x020F
	TagUserMessageRef  = 0x0204
	TagSourcePort      = 0x020A
	TagDestinationPort = 0x020B
)
