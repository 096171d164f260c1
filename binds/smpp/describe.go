package smpp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Description is one PDU taken apart for people and tools.
type Description struct {
	Command   string // "deliver_sm", "generic_nack"; "unknown" for an id that neither 3.4 nor 5.0 has
	CommandID uint32
	Length    uint32 // command_length
	Status    uint32 // command_status
	Sequence  uint32 // sequence_number
	Fields    Fields // mandatory parameters, in wire order; those that the body lacks are left out
	TLVs      []DescribedTLV
	Faults    []Fault // what is wrong and was read all the same
	// Message is what a PDU that carries user data says as a message, nil for
	// all others. A submit_multi has its first destination in it.
	Message *sms.Message
}

// DescribedTLV is an optional parameter with its name and its value by type.
type DescribedTLV struct {
	Tag    uint16
	Name   string // "message_state"; "vendor_0x1454" or "unknown_0x0e01" for what 5.0 does not have
	Length int    // octets of the value; fewer than declared when the PDU ends before
	Value  any    // uint64, string, Octets, Fields (network_error_code) or bool (true: present, without a value)
	Class  Sensitivity
}

// Fault is one thing that is wrong with a PDU and does not keep it from being read.
type Fault struct {
	Offset int // octets from the start of the PDU
	Reason string
}

// OffsetError says where in a PDU nothing more could be read.
type OffsetError struct {
	Offset int // octets from the start of the PDU
	Err    error
}

// Error implements error: "at octet 16: body ends before source_addr_ton".
func (e *OffsetError) Error() string { return fmt.Sprintf("at octet %d: %v", e.Offset, e.Err) }

// Unwrap returns the cause.
func (e *OffsetError) Unwrap() error { return e.Err }

// CutPDU takes the first PDU off a stream of octets. The error is an
// *OffsetError: ErrOutOfStep when command_length cannot be true, so that
// nothing after it can be trusted, and io.ErrUnexpectedEOF when stream ends
// inside the PDU, which pdu then holds as far as it goes.
func CutPDU(stream []byte) (pdu, rest []byte, err error) {
	if len(stream) < 4 {
		return stream, nil, &OffsetError{len(stream), fmt.Errorf("%d octets are no PDU: %w", len(stream), io.ErrUnexpectedEOF)}
	}
	length := binary.BigEndian.Uint32(stream)
	if length < headerOctets || length > maxPDUOctets {
		return nil, nil, &OffsetError{0, fmt.Errorf("%w: %d, must be %d..%d", ErrOutOfStep, length, headerOctets, maxPDUOctets)}
	}
	if int(length) > len(stream) {
		return stream, nil, &OffsetError{len(stream), fmt.Errorf("command_length is %d, %d octets are there: %w", length, len(stream), io.ErrUnexpectedEOF)}
	}
	return stream[:length], stream[length:], nil
}

// Describe reads any PDU of SMPP 3.4 and 5.0. It is as tolerant as a session:
// error responses without a body, strings without their NUL, lengths beyond
// the end and unknown TLVs are read and noted in Faults. The error is an
// *OffsetError, beside which Description has what came before the fault.
func Describe(pdu []byte) (Description, error) {
	whole, rest, err := CutPDU(bytes.Clone(pdu))
	if len(whole) < headerOctets {
		var d Description
		if err == nil || whole != nil {
			err = &OffsetError{len(whole), fmt.Errorf("header of %d octets, must be %d: %w", len(whole), headerOctets, io.ErrUnexpectedEOF)}
		}
		return d, err
	}
	d := Description{
		Length:    binary.BigEndian.Uint32(whole),
		CommandID: binary.BigEndian.Uint32(whole[4:]),
		Status:    binary.BigEndian.Uint32(whole[8:]),
		Sequence:  binary.BigEndian.Uint32(whole[12:]),
	}
	r := describer{reader: reader{b: whole[headerOctets:]}, end: len(whole), d: &d}
	bodyErr := r.body()
	if len(rest) > 0 {
		r.fault(len(whole), "%d octets follow the PDU", len(rest))
	}
	if err == nil && bodyErr != nil {
		err = bodyErr
	}
	return d, err
}

// describer reads a body by its command's layout.
type describer struct {
	reader
	end      int // octets of the PDU
	smLength int // the last sm_length
	d        *Description
}

func (r *describer) offset() int { return r.end - len(r.b) }

func (r *describer) fault(offset int, format string, args ...any) {
	r.d.Faults = append(r.d.Faults, Fault{offset, fmt.Sprintf(format, args...)})
}

// body reads mandatory parameters, then TLVs.
func (r *describer) body() error {
	l, known := layouts[r.d.CommandID]
	r.d.Command = l.name
	if !known {
		r.d.Command = "unknown"
		r.fault(4, "no command has the id 0x%08x", r.d.CommandID)
	}
	if len(l.fields) == 0 {
		if len(r.b) > 0 {
			if known {
				r.fault(r.offset(), "%s has no body, %d octets are there", r.d.Command, len(r.b))
			}
			r.d.Fields = append(r.d.Fields, Field{"body", Octets(r.take(len(r.b))), Content})
		}
		return nil
	}
	if l.message {
		r.d.Message = new(sms.Message)
	}
	if r.d.CommandID&responseBit != 0 && len(r.b) == 0 {
		if r.d.Status == StatusOK {
			r.fault(r.offset(), "no body: %s is missing", l.fields[0].name)
		}
		return nil
	}
	for i, f := range l.fields {
		if f.kind != fieldShortMessage && len(r.b) == 0 {
			err := fmt.Errorf("body ends before %s", f.name)
			if i < l.need {
				return &OffsetError{r.offset(), err}
			}
			r.fault(r.offset(), "%v", err)
			return nil
		}
		if err := r.field(f, i < l.need); err != nil {
			return err
		}
	}
	r.optional()
	return nil
}

// field reads one mandatory parameter. What is cut short fails when the
// parameter is needed to make sense of the PDU.
func (r *describer) field(f fieldSpec, needed bool) error {
	at := r.offset()
	var value any
	r.short = false
	switch f.kind {
	case fieldOctet:
		n := r.octet()
		value = uint64(n)
		if f.name == "sm_length" {
			r.smLength = int(n)
		}
	case fieldString:
		value = r.cString()
	case fieldShortMessage:
		value = Octets(r.take(r.smLength))
		if r.short {
			r.fault(at-1, "sm_length is %d, %d octets are left", r.smLength, len(value.(Octets)))
			r.short = false
		}
	case fieldDestinations:
		value = r.destinations()
	case fieldUnsuccess:
		value = r.unsuccess()
	}
	if m := r.d.Message; m != nil {
		setMessage(m, f.name, value)
	}
	if b, ok := value.([]byte); ok {
		value = Printable(b)
	}
	r.d.Fields = append(r.d.Fields, Field{f.name, value, f.class})
	if !r.short {
		return nil
	}
	err := fmt.Errorf("%s is cut short", f.name)
	if f.kind == fieldString {
		err = fmt.Errorf("%s has no closing NUL", f.name)
	}
	if needed {
		return &OffsetError{r.offset(), err}
	}
	r.fault(at, "%v", err)
	return nil
}

// destinations reads the dest_address list of submit_multi (§4.5.1.1).
func (r *describer) destinations() []Fields {
	list := []Fields{}
	for n := r.octet(); n > 0 && !r.short; n-- {
		flag := r.octet()
		e := Fields{{"dest_flag", uint64(flag), Public}}
		switch flag {
		case 1: // SME address
			a := r.address()
			e = append(e, Field{"dest_addr_ton", uint64(a.TON), Public}, Field{"dest_addr_npi", uint64(a.NPI), Public},
				Field{"destination_addr", Printable([]byte(a.Addr)), Number})
		case 2: // distribution list
			e = append(e, Field{"dl_name", Printable(r.cString()), Public})
		default:
			r.fault(r.offset()-1, "dest_flag is %d, must be 1 or 2", flag)
			r.short = true // its length is not known, so nothing after it is
		}
		list = append(list, e)
	}
	return list
}

// unsuccess reads the unsuccess_sme list of submit_multi_resp (§4.5.2.1).
func (r *describer) unsuccess() []Fields {
	list := []Fields{}
	for n := r.octet(); n > 0 && !r.short; n-- {
		a := r.address()
		var status [4]byte
		copy(status[:], r.take(4))
		list = append(list, Fields{
			{"dest_addr_ton", uint64(a.TON), Public}, {"dest_addr_npi", uint64(a.NPI), Public},
			{"destination_addr", Printable([]byte(a.Addr)), Number},
			{"error_status_code", uint64(binary.BigEndian.Uint32(status[:])), Public},
		})
	}
	return list
}

// optional reads what is left as TLVs.
func (r *describer) optional() {
	for len(r.b) >= 4 {
		at := r.offset()
		tag, n := binary.BigEndian.Uint16(r.b), int(binary.BigEndian.Uint16(r.b[2:]))
		r.b = r.b[4:]
		v := r.take(n)
		t := describeTLV(tag, v)
		if len(v) < n {
			r.fault(at+2, "%s declares %d octets, %d are left", t.Name, n, len(v))
		} else if want := tlvSpecs[tag].octets; want != 0 && want != n {
			r.fault(at+2, "%s has %d octets, should have %d", t.Name, n, want)
		}
		r.d.TLVs = append(r.d.TLVs, t)
		if r.d.Message != nil {
			r.d.Message.TLVs = append(r.d.Message.TLVs, sms.TLV{Tag: tag, Value: v})
		}
	}
	if len(r.b) > 0 {
		r.fault(r.offset(), "%d octets after the last parameter are too few for a TLV", len(r.b))
	}
}

// setMessage puts a parameter where a message has it.
func setMessage(m *sms.Message, name string, value any) {
	switch v := value.(type) {
	case uint64:
		n := uint8(v)
		switch name {
		case "source_addr_ton":
			m.Source.TON = n
		case "source_addr_npi":
			m.Source.NPI = n
		case "dest_addr_ton":
			m.Destination.TON = n
		case "dest_addr_npi":
			m.Destination.NPI = n
		case "esm_class":
			m.ESMClass = n
		case "data_coding":
			m.DataCoding = n
		}
	case []byte:
		switch name {
		case "source_addr":
			m.Source.Addr = string(v)
		case "destination_addr":
			m.Destination.Addr = string(v)
		}
	case Octets:
		m.ShortMessage = v
	case []Fields:
		if len(v) > 0 && len(v[0]) == 4 && name == "dest_address" {
			m.Destination.Addr, _ = v[0][3].Value.(string)
		}
	}
}
