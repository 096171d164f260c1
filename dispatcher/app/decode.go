package app

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts"
)

// DecodedPDU is one PDU as decode and trace print it. Offsets count octets
// from the start of the input: one line of hexadecimal digits, one capture.
type DecodedPDU struct {
	Time      *time.Time `json:"time,omitempty"`      // trace: when it was read or handed to a write
	Direction string     `json:"direction,omitempty"` // trace: sent or received
	Route     string     `json:"route,omitempty"`     // trace
	Bind      string     `json:"bind,omitempty"`      // trace: acme/1
	Masked    bool       `json:"masked,omitempty"`    // trace: numbers and text are hidden

	Command   string         `json:"command,omitempty"`
	CommandID string         `json:"command_id,omitempty"` // 0x80000004
	Length    uint32         `json:"command_length,omitempty"`
	Status    *DecodedStatus `json:"status,omitempty"`
	Sequence  *uint32        `json:"sequence,omitempty"`
	Fields    smpp.Fields    `json:"fields,omitempty"` // in wire order; octets as hexadecimal digits
	TLVs      []DecodedTLV   `json:"tlvs,omitempty"`   // in wire order

	Encoding string           `json:"encoding,omitempty"` // gsm7, ascii, latin1, ucs2 or binary
	Text     *string          `json:"text,omitempty"`     // without its header
	UDH      []DecodedElement `json:"udh,omitempty"`
	Concat   *DecodedConcat   `json:"concatenation,omitempty"`
	Receipt  *DecodedReceipt  `json:"receipt,omitempty"`

	Warnings []DecodedFault `json:"warnings,omitempty"` // wrong, and read all the same
	Dropped  int            `json:"dropped,omitempty"`  // trace: PDUs that went missing before this one
	Hex      string         `json:"hex,omitempty"`      // trace, unmasked: the PDU
	Error    string         `json:"error,omitempty"`    // why nothing more could be read
	Offset   *int           `json:"offset,omitempty"`   // of Error
	Line     int            `json:"line,omitempty"`     // of Error, in what was read

}

// DecodedStatus is a command_status. Class is what it means for a job, or in
// the response to a bind what it means for the bind.
type DecodedStatus struct {
	Code    uint32 `json:"code"`
	Hex     string `json:"hex"` // 0x00000058
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
	Class   string `json:"class"`
}

// DecodedTLV is an optional parameter.
type DecodedTLV struct {
	Tag    string `json:"tag"` // 0x0427
	Name   string `json:"name"`
	Length int    `json:"length"`
	Value  any    `json:"value"`
}

// DecodedElement is one information element of a user data header.
type DecodedElement struct {
	ID   string `json:"id"` // 0x00
	Data string `json:"data,omitempty"`
}

// DecodedConcat says which part of which message this is.
type DecodedConcat struct {
	By     string `json:"by"` // udh8, udh16 or sar
	Ref    uint16 `json:"ref"`
	Total  uint8  `json:"total"`
	Number uint8  `json:"number"`
}

// DecodedReceipt is a parsed receipt. What it does not say is null.
type DecodedReceipt struct {
	Kind         receipts.Kind `json:"kind"`
	MessageID    *string       `json:"message_id"`
	Candidates   []string      `json:"candidates"` // ids in the order they are tried
	State        sms.State     `json:"state"`
	Final        bool          `json:"final"`
	ErrorCode    *string       `json:"error_code"`
	NetworkError *string       `json:"network_error"`
	SubmitDate   *string       `json:"submit_date"` // RFC 3339, UTC
	DoneDate     *string       `json:"done_date"`   // RFC 3339, UTC
	Sub          *string       `json:"sub"`
	Dlvrd        *string       `json:"dlvrd"`
	Stat         *string       `json:"stat"`
	Text         *string       `json:"text"`
	TextHex      string        `json:"text_hex,omitempty"` // of text that is no UTF-8, or has control characters
}

// DecodedFault is what is wrong and where.
type DecodedFault struct {
	Offset  int    `json:"offset"`
	Message string `json:"message"`
}

// Decoder decodes PDUs, by a route's rules if it has any.
type Decoder struct {
	route *RouteConfig // nil: the specification's
}

// NewDecoder returns a decoder by the rules of a route, or of none for nil.
func NewDecoder(route *RouteConfig) *Decoder { return &Decoder{route: route} }

// Ready reports whether Decode has nothing to gain from more octets at the end
// of stream.
func (d *Decoder) Ready(stream []byte) bool {
	_, _, err := smpp.CutPDU(stream)
	return !errors.Is(err, io.ErrUnexpectedEOF)
}

// Decode decodes the first PDU of stream, which begins at offset base of the
// input, and returns how many octets it took. It never fails: a fault is in
// Error, and what cannot be followed any more is taken whole.
func (d *Decoder) Decode(stream []byte, base int) (p DecodedPDU, n int) {
	pdu, rest, err := smpp.CutPDU(stream)
	if pdu == nil {
		p.fail(err, base)
		return p, len(stream)
	}
	desc, err := smpp.Describe(pdu)
	d.fill(&p, &desc, base)
	p.fail(err, base)
	return p, len(stream) - len(rest)
}

func (p *DecodedPDU) fail(err error, base int) {
	if err == nil {
		return
	}
	var at *smpp.OffsetError
	if errors.As(err, &at) {
		offset := base + at.Offset
		p.Offset, err = &offset, at.Err
	}
	p.Error = err.Error()
}

// fill turns a description into what is printed.
func (d *Decoder) fill(p *DecodedPDU, desc *smpp.Description, base int) {
	if desc.Command == "" {
		return // not even a header
	}
	p.Command, p.CommandID, p.Length = desc.Command, hex32(desc.CommandID), desc.Length
	p.Status, p.Sequence, p.Fields = d.status(desc), &desc.Sequence, desc.Fields
	for _, t := range desc.TLVs {
		p.TLVs = append(p.TLVs, DecodedTLV{Tag: fmt.Sprintf("0x%04x", t.Tag), Name: t.Name, Length: t.Length, Value: t.Value})
	}
	for _, f := range desc.Faults {
		p.warn(base+f.Offset, f.Reason)
	}
	if desc.Message != nil {
		d.message(p, desc, base)
	}
}

func (p *DecodedPDU) warn(offset int, reason string) {
	p.Warnings = append(p.Warnings, DecodedFault{Offset: offset, Message: reason})
}

func hex32(n uint32) string { return fmt.Sprintf("0x%08x", n) }

// status explains a command_status as the route takes it.
func (d *Decoder) status(desc *smpp.Description) *DecodedStatus {
	classes := d.classes()
	s := &DecodedStatus{
		Code: desc.Status, Hex: hex32(desc.Status), Name: binds.Name(desc.Status), Meaning: binds.Meaning(desc.Status),
		Class: classes.Classify(desc.Status).String(),
	}
	if strings.HasPrefix(desc.Command, "bind_") && desc.Status != smpp.StatusOK {
		s.Class = classes.AtBind(desc.Status)
	}
	return s
}

// message decodes user data.
func (d *Decoder) message(p *DecodedPDU, desc *smpp.Description, base int) {
	m := desc.Message
	u, err := smpp.ReadUserData(m)
	if err != nil {
		p.warn(base+int(desc.Length)-len(m.ShortMessage), err.Error())
	}
	for _, e := range u.Elements {
		p.UDH = append(p.UDH, DecodedElement{ID: fmt.Sprintf("0x%02x", e.ID), Data: hex.EncodeToString(e.Data)})
	}
	if u.Concat != nil {
		c := DecodedConcat(*u.Concat)
		p.Concat = &c
	}
	if desc.Command == "deliver_sm" || desc.Command == "data_sm" {
		rules := d.receiptRules()
		if r, ok := rules.Read(m); ok {
			p.Receipt = d.receipt(&r)
			// A receipt is ASCII, or plainly UTF-16, whatever data_coding says: ids with _ @ $ are no GSM 03.38.
			p.Text = &r.Body
			return
		}
	}
	_, payload := m.TLV(sms.TagMessagePayload)
	if desc.Fields.Get("short_message") == nil && !payload {
		return // cut short, or nothing that could be text
	}
	p.Encoding = d.encoding(m.DataCoding)
	if s, ok := d.alphabet().Decode(m.DataCoding, u.Body, u.Header); ok {
		p.Text = &s
	}
}

// receiptRules are how the route's receipts are read.
func (d *Decoder) receiptRules() receipts.ReceiptRules {
	if d.route == nil {
		return receipts.ReceiptRules{}
	}
	return d.route.desk().Receipts // as the worker has them
}

// receipt prints a receipt with the ids it would be looked up under.
func (d *Decoder) receipt(r *receipts.Reading) *DecodedReceipt {
	v := &DecodedReceipt{
		Kind: r.Kind, State: r.State, Final: r.Final() && r.Kind == receipts.KindReceipt,
		ErrorCode: r.ErrorCode, NetworkError: orNull(r.NetworkError), SubmitDate: instant(r.SubmitDate), DoneDate: instant(r.DoneDate),
		Sub: r.Sub, Dlvrd: r.Dlvrd, Stat: r.Stat, Text: r.Text, TextHex: hex.EncodeToString(r.TextOctets),
	}
	if d.route == nil {
		v.MessageID, v.Candidates = orNull(r.MessageID()), receipts.AnyNotation(r.Parsed)
	} else {
		rules := d.route.desk().IDs // as the worker has them
		v.MessageID, v.Candidates = orNull(rules.ShownID(r.Parsed)), rules.IDs(r.Parsed)
	}
	if v.Candidates == nil {
		v.Candidates = []string{}
	}
	return v
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func instant(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}
