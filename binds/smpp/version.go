package smpp

import (
	"encoding/binary"
	"errors"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Interface versions (§5.2.4; 5.0 §4.7.13), as they stand in a bind request.
const (
	Version33 uint8 = 0x33 // no optional parameters
	Version34 uint8 = 0x34
	Version50 uint8 = 0x50
)

// ErrClosedUnanswered reports a connection that the peer closed before it had
// sent a single octet: often it knows the bind's address or port for no customer's.
var ErrClosedUnanswered = errors.New("no PDU came")

var errNeedsTLVs = errors.New("needs message_payload or sar_*, which interface_version 3.3 lacks")

// plain returns m as interface version 3.3 can carry it: without optional
// parameters. User data that needs one is refused: it would arrive empty, or as
// a part of nothing.
func plain(m *sms.Message) (*sms.Message, error) {
	if len(m.ShortMessage) > maxShortMessageOctets {
		return m, errNeedsTLVs
	}
	if len(m.TLVs) == 0 {
		return m, nil
	}
	for _, t := range m.TLVs {
		switch t.Tag {
		case sms.TagMessagePayload, sms.TagSarMsgRefNum, sms.TagSarTotalSegs, sms.TagSarSegmentSeq:
			return m, errNeedsTLVs
		}
	}
	bare := *m
	bare.TLVs = nil
	return &bare, nil
}

const tagCongestionState = 0x0428

// congestion reads congestion_state (5.0 §4.8.4.18) from the body of a
// submit_sm_resp or data_sm_resp: message_id, then TLVs. ok is false when it is
// absent, not one octet, or beyond 100.
func congestion(body []byte) (state uint8, ok bool) {
	r := reader{b: body}
	r.cString()
	for len(r.b) >= 4 {
		tag, n := binary.BigEndian.Uint16(r.b), int(binary.BigEndian.Uint16(r.b[2:]))
		r.b = r.b[4:]
		if v := r.take(n); tag == tagCongestionState && len(v) == 1 && v[0] <= 100 {
			return v[0], true
		}
	}
	return 0, false
}

// heed passes on what a response of an SMSC bound as 5.0 says of its load.
func (s *Session) heed(body []byte) {
	if s.cfg.Congestion == nil || s.cfg.InterfaceVersion < Version50 {
		return
	}
	if state, ok := congestion(body); ok {
		s.cfg.Congestion(state)
	}
}
