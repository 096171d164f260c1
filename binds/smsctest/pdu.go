package smsctest

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/linxGnu/gosmpp/data"
)

// The command ids that the simulator speaks (SMPP 3.4 §5.1.2.1).
const (
	GenericNack         uint32 = 0x80000000
	BindReceiver        uint32 = 0x00000001
	BindReceiverResp    uint32 = 0x80000001
	BindTransmitter     uint32 = 0x00000002
	BindTransmitterResp uint32 = 0x80000002
	SubmitSM            uint32 = 0x00000004
	SubmitSMResp        uint32 = 0x80000004
	DeliverSM           uint32 = 0x00000005
	DeliverSMResp       uint32 = 0x80000005
	Unbind              uint32 = 0x00000006
	UnbindResp          uint32 = 0x80000006
	BindTransceiver     uint32 = 0x00000009
	BindTransceiverResp uint32 = 0x80000009
	EnquireLink         uint32 = 0x00000015
	EnquireLinkResp     uint32 = 0x80000015
	DataSM              uint32 = 0x00000103
	DataSMResp          uint32 = 0x80000103

	respBit uint32 = 0x80000000
)

// The command_status values that tests name most (SMPP 3.4 §5.1.3). Any other
// uint32 is as good wherever a status is asked for.
const (
	ROK         uint32 = 0x00
	RINVMSGLEN  uint32 = 0x01
	RINVCMDLEN  uint32 = 0x02
	RINVCMDID   uint32 = 0x03
	RINVBNDSTS  uint32 = 0x04
	RALYNBD     uint32 = 0x05
	RSYSERR     uint32 = 0x08
	RINVSRCADR  uint32 = 0x0A
	RINVDSTADR  uint32 = 0x0B
	RBINDFAIL   uint32 = 0x0D
	RINVPASWD   uint32 = 0x0E
	RINVSYSID   uint32 = 0x0F
	RMSGQFUL    uint32 = 0x14
	RSUBMITFAIL uint32 = 0x45
	RTHROTTLED  uint32 = 0x58
	RXTAPPN     uint32 = 0x64
	RXPAPPN     uint32 = 0x65
	RXRAPPN     uint32 = 0x66
)

// The optional parameters that the simulator itself writes or reads
// (SMPP 3.4 §5.3.2).
const (
	TagReceiptedMessageID uint16 = 0x001E
	TagSCInterfaceVersion uint16 = 0x0210
	TagNetworkErrorCode   uint16 = 0x0423
	TagMessagePayload     uint16 = 0x0424
	TagSarMsgRefNum       uint16 = 0x020C
	TagSarTotalSegments   uint16 = 0x020E
	TagSarSegmentSeqnum   uint16 = 0x020F
	TagMessageState       uint16 = 0x0427
)

const (
	headerOctets = 16
	// maxOctets bounds a PDU: a 64 KiB message_payload and room for the rest.
	maxOctets = 128 << 10
)

// StatusName returns the specification's name of a command_status,
// "ESME_RTHROTTLED", or "0x00000400" for one that it does not name.
func StatusName(status uint32) string {
	name := data.CommandStatusType(status).String()
	if len(name) < 5 || name[:5] != "ESME_" {
		return fmt.Sprintf("0x%08X", status)
	}
	return name
}

// PDU is a frame: header fields and the octets that follow them.
type PDU struct {
	CommandID uint32
	Status    uint32
	Sequence  uint32
	Body      []byte
}

// Append appends the frame to b, with the command_length that fits.
func (p PDU) Append(b []byte) []byte {
	b = appendHeader(b, headerOctets+len(p.Body), p.CommandID, p.Status, p.Sequence)
	return append(b, p.Body...)
}

// ReadPDU reads one frame. It returns io.EOF at a clean end, and an error for
// a command_length below 16 or above 128 KiB.
func ReadPDU(r io.Reader) (PDU, error) {
	var h [headerOctets]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return PDU{}, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < headerOctets || n > maxOctets {
		return PDU{}, fmt.Errorf("smsctest: command_length %d out of range", n)
	}
	p := parseHeader(h[:])
	p.Body = make([]byte, n-headerOctets)
	if _, err := io.ReadFull(r, p.Body); err != nil {
		return PDU{}, fmt.Errorf("smsctest: read body: %w", err)
	}
	return p, nil
}

func parseHeader(b []byte) PDU {
	return PDU{
		CommandID: binary.BigEndian.Uint32(b[4:]),
		Status:    binary.BigEndian.Uint32(b[8:]),
		Sequence:  binary.BigEndian.Uint32(b[12:]),
	}
}

func appendHeader(b []byte, octets int, id, status, seq uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(octets))
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, status)
	return binary.BigEndian.AppendUint32(b, seq)
}

// TLV is an optional parameter as it stood in the PDU, in its order.
type TLV struct {
	Tag   uint16 `json:"tag"`
	Value Octets `json:"value"`
}

// Octets are octets that stand in JSON as hexadecimal digits.
type Octets []byte

// MarshalText implements encoding.TextMarshaler.
func (o Octets) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, o), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.AppendDecode(nil, text)
	return err
}

// AppendTLV appends tag, length and value to b.
func AppendTLV(b []byte, tag uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, tag)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// AppendCString appends s and its NUL to b.
func AppendCString(b []byte, s string) []byte {
	b = append(b, s...)
	return append(b, 0)
}

var errShort = errors.New("body ends inside a mandatory parameter")

// cursor reads mandatory parameters from a body. The same octets are there
// twice: text is sliced from s without a copy.
type cursor struct {
	b   []byte
	s   string
	off int
	err error
}

func (c *cursor) octet() byte {
	if c.off >= len(c.b) {
		c.err = errShort
		return 0
	}
	c.off++
	return c.b[c.off-1]
}

func (c *cursor) cString() string {
	for i := c.off; i < len(c.b); i++ {
		if c.b[i] == 0 {
			s := c.s[c.off:i]
			c.off = i + 1
			return s
		}
	}
	c.err = errShort
	return ""
}

func (c *cursor) octets(n int) []byte {
	if c.off+n > len(c.b) {
		c.err = errShort
		return nil
	}
	v := c.b[c.off : c.off+n : c.off+n]
	c.off += n
	return v
}

func (c *cursor) tlvs() ([]TLV, error) {
	var out []TLV
	for c.off < len(c.b) {
		if c.off+4 > len(c.b) {
			return out, errors.New("octets left over after the optional parameters")
		}
		tag := binary.BigEndian.Uint16(c.b[c.off:])
		n := int(binary.BigEndian.Uint16(c.b[c.off+2:]))
		c.off += 4
		if c.off+n > len(c.b) {
			return out, fmt.Errorf("optional parameter 0x%04X longer than the PDU", tag)
		}
		out = append(out, TLV{Tag: tag, Value: c.b[c.off : c.off+n : c.off+n]})
		c.off += n
	}
	return out, nil
}
