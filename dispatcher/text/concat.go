package text

import (
	"fmt"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Concat says how the parts of a long text are held together.
type Concat string

// Ways of concatenation.
const (
	UDH8    Concat = "udh8"    // user data header with an 8-bit reference: 153 septets, 134 octets, 67 UCS-2 characters per part
	UDH16   Concat = "udh16"   // user data header with a 16-bit reference: 152 septets, 133 octets, 66 UCS-2 characters
	SAR     Concat = "sar"     // sar_* TLVs; parts as with UDH8, since the SMSC writes such a header for the handset
	Payload Concat = "payload" // one PDU with message_payload, which the SMSC splits
)

// Information elements of concatenated messages (3GPP TS 23.040 §9.2.3.24.1,
// §9.2.3.24.8).
const (
	elementConcat8  = 0x00
	elementConcat16 = 0x08
)

func (c Concat) orDefault() Concat {
	if c == "" {
		return UDH8
	}
	return c
}

// septetsPerPart returns the most septets of a part, and what a route may ask
// for at most. Without a header of ours a part may fill the short message, for
// SMSCs that split it once more; what they need room for is theirs to say.
func (c Concat) septetsPerPart() (standard, most int) {
	switch c {
	case UDH16:
		return 152, 152
	case SAR:
		return 153, 160
	}
	return 153, 153
}

// minSeptetsPerPart leaves room for a surrogate pair and for an escape with
// what follows it.
const minSeptetsPerPart = 8

// CheckSeptetsPerPart says what is wrong with a part size; 0 is the default's.
func (c Concat) CheckSeptetsPerPart(n int) error {
	if n == 0 {
		return nil
	}
	if c == Payload {
		return fmt.Errorf("has no effect with %s: the SMSC splits", c)
	}
	if _, most := c.septetsPerPart(); n < minSeptetsPerPart || n > most {
		return fmt.Errorf("must be %d..%d with %s, is %d", minSeptetsPerPart, most, c.orDefault(), n)
	}
	return nil
}

// Reference derives the concatenation reference of a job, so that a part that
// is sent again joins the others, whoever sends it. Two long texts that reach
// one handset at the same time collide once in 256, or once in 65,536 with
// 16-bit references.
func Reference(producer, jobID string) uint16 {
	h := fnvString(fnvOffset, producer)
	h = fnvString((h^0xFF)*fnvPrime, jobID) // 0xFF ends the producer: it is in no UTF-8 text
	return uint16(h ^ h>>16)                // folded, as the low octet alone is the reference when it is 8 bits wide
}

// FNV-1a, 32 bits, here because hash/fnv allocates.
const (
	fnvOffset uint32 = 2166136261
	fnvPrime  uint32 = 16777619
)

func fnvString(h uint32, s string) uint32 {
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * fnvPrime
	}
	return h
}

// headerOctets is the size of the concatenation header with its length octet.
func (c Concat) headerOctets() int {
	switch c {
	case UDH16:
		return 7
	case SAR, Payload:
		return 0
	}
	return 6
}

func (c Concat) appendHeader(b []byte, ref uint16, total, number int) []byte {
	switch c {
	case UDH16:
		return append(b, 6, elementConcat16, 4, byte(ref>>8), byte(ref), byte(total), byte(number))
	case SAR, Payload:
		return b
	}
	return append(b, 5, elementConcat8, 3, byte(ref), byte(total), byte(number))
}

// sarTLVs are the parameters that stand in for a header (SMPP 3.4 §5.3.2.22,
// §5.3.2.23, §5.3.2.24).
func sarTLVs(ref uint16, total, number int) []sms.TLV {
	v := []byte{byte(ref >> 8), byte(ref), byte(total), byte(number)}
	return []sms.TLV{
		{Tag: sms.TagSarMsgRefNum, Value: v[0:2:2]},
		{Tag: sms.TagSarTotalSegs, Value: v[2:3:3]},
		{Tag: sms.TagSarSegmentSeq, Value: v[3:4:4]},
	}
}
