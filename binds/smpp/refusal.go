package smpp

import (
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Refusal says why a PDU that the SMSC sent was not taken, from a closed set.
type Refusal uint8

// Refusals, and what the SMSC is told.
const (
	RefusedBusy      Refusal = iota // a message, and no handler was free: ESME_RX_T_APPN
	RefusedByHandler                // a message whose handler returned an error status: that
	RefusedTruncated                // a message that ends inside a mandatory field: ESME_RINVCMDLEN
	RefusedCommand                  // a request that is unknown, or none to an ESME: generic_nack, ESME_RINVCMDID
	RefusedResponse                 // a response to nothing that is open, or of an unknown kind: nothing
	RefusedNack                     // a generic_nack of nothing that is open: nothing
	RefusedLength                   // a command_length that cannot be true: generic_nack, ESME_RINVCMDLEN, and the end
	RefusedStalled                  // a PDU that began and did not go on: the end
	refusalKinds     int     = iota
)

var refusalNames = [refusalKinds]string{
	RefusedBusy:      "busy",
	RefusedByHandler: "handler",
	RefusedTruncated: "truncated",
	RefusedCommand:   "unknown_command",
	RefusedResponse:  "unmatched_response",
	RefusedNack:      "unmatched_nack",
	RefusedLength:    "bad_length",
	RefusedStalled:   "stalled",
}

// String returns the reason's name, safe as a metric label.
func (r Refusal) String() string {
	if int(r) < len(refusalNames) {
		return refusalNames[r]
	}
	return "unknown"
}

// Refusals counts PDUs that were not taken, indexed by [Refusal].
type Refusals [refusalKinds]uint64

// Plus returns the sum of both.
func (r Refusals) Plus(o Refusals) Refusals {
	for i, n := range o {
		r[i] += n
	}
	return r
}

// refuse counts a PDU that was not taken and logs it: the first for each
// reason as a warning, each with its masked octets at debug. A peer that
// repeats itself must not fill the log.
func (s *Session) refuse(why Refusal, f frame) {
	attrs := []any{"reason", why.String(), "command_id", fmt.Sprintf("0x%08X", f.command), "sequence", f.sequence, "status", f.status}
	if s.stats.refusals[why].Add(1) == 1 {
		s.log.Warn("pdu refused, further ones for this reason at debug level", attrs...)
	}
	s.log.Debug("pdu refused", append(attrs, "pdu", maskedPDU(f))...)
}

// maskedPDU logs a PDU in hexadecimal without what could be a number or a text.
type maskedPDU frame

// maskedOctets of the body are logged.
const maskedOctets = 512

// LogValue implements slog.LogValuer. It is called only when the record is written.
func (p maskedPDU) LogValue() slog.Value {
	b := appendHeader(nil, p.command, p.status, p.sequence)
	out := hex.AppendEncode(nil, b[4:]) // command_length is told by the octets that follow
	out = append(out, ' ')
	for _, o := range p.body[:min(len(p.body), maskedOctets)] {
		if o >= ' ' {
			out = append(out, "xx"...)
			continue
		}
		out = hex.AppendEncode(out, []byte{o})
	}
	return slog.StringValue(fmt.Sprintf("%s (%d octets)", out, headerOctets+len(p.body)))
}
