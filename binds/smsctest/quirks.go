package smsctest

import "time"

// Quirks are ways in which SMSCs in the field differ from the specification or
// stretch it. The zero value does neither. What concerns one submit_sm is in
// Action, what one PDU can do by itself goes through SMSC.Send.
type Quirks struct {
	// ChunkOctets cuts all that is written into writes of so many octets. 0 does not.
	ChunkOctets int
	// FirstSequence is the first sequence_number of the simulator's own requests
	// on each connection, which then run through all 32 bits, 0 included.
	// 0 means numbers from 1 to 0x7FFFFFFF.
	FirstSequence uint32

	// BeforeBound is sent ahead of each bind response.
	BeforeBound []PDU
	// BindDelay is the time from a bind request to its response.
	BindDelay time.Duration
	// BindBody is the body of a response that accepts a bind, in place of a
	// system_id and sc_interface_version 0x34; non-nil and empty for none.
	BindBody []byte
	// BindErrorBody is the body of a response that refuses one. Default none.
	BindErrorBody []byte
	// BindNack refuses binds by generic_nack.
	BindNack bool

	// EnquireLinkStatus is the status of enquire_link_resp.
	EnquireLinkStatus uint32
	// EnquireLinkNack answers enquire_link by generic_nack ESME_RINVCMDID.
	EnquireLinkNack bool
	// NoUnbindResp leaves unbind without an answer and the connection open.
	NoUnbindResp bool
	// WindowClose closes the connection on a submit_sm above Config.Window.
	WindowClose bool
}

// bindResponse returns the response to a bind request.
func (q *Quirks) bindResponse(request PDU, status uint32) []byte {
	p := PDU{CommandID: request.CommandID | respBit, Status: status, Sequence: request.Sequence}
	switch {
	case status != ROK && q.BindNack:
		p.CommandID = GenericNack
	case status != ROK:
		p.Body = q.BindErrorBody
	case q.BindBody != nil:
		p.Body = q.BindBody
	default:
		p.Body = AppendTLV(AppendCString(nil, "smsctest"), TagSCInterfaceVersion, []byte{0x34})
	}
	return p.Append(nil)
}

// appendEnquireLinkResp appends the answer to an enquire_link.
func (q *Quirks) appendEnquireLinkResp(b []byte, sequence uint32) []byte {
	if q.EnquireLinkNack {
		return appendHeader(b, headerOctets, GenericNack, RINVCMDID, sequence)
	}
	return appendHeader(b, headerOctets, EnquireLinkResp, q.EnquireLinkStatus, sequence)
}

// writeOut writes b, in pieces if the quirks say so.
func (c *conn) writeOut(b []byte) error {
	chunk := c.s.cfg.Quirks.ChunkOctets
	if chunk <= 0 {
		chunk = len(b)
	}
	for len(b) > 0 {
		n := min(chunk, len(b))
		if _, err := c.nc.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
