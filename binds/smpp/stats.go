package smpp

import "sync/atomic"

type counters struct {
	submits, responses, nacks, late, timeouts atomic.Uint64
	writes, bytesOut, inbound                 atomic.Uint64
	refusals                                  [refusalKinds]atomic.Uint64
}

// Stats is what a session has done so far.
type Stats struct {
	Submits   uint64 // submit_sm accepted for sending
	Responses uint64 // answered, by submit_sm_resp or generic_nack
	Timeouts  uint64 // not answered in time
	Late      uint64 // answered after their time, or when nobody waited any more
	Nacks     uint64 // generic_nack received
	Unmatched uint64 // responses to nothing that was sent
	Inbound   uint64 // PDUs of any kind received
	Refused   uint64 // messages the SMSC was told to keep because handlers were busy
	Writes    uint64 // writes to the connection
	BytesOut  uint64
	BytesIn   uint64
	InFlight  int      // slots taken: reserved or unanswered
	Refusals  Refusals // PDUs that were not taken, by reason
}

// Stats returns a snapshot. Its figures are not of one instant.
func (s *Session) Stats() Stats {
	var refusals Refusals
	for i := range refusals {
		refusals[i] = s.stats.refusals[i].Load()
	}
	return Stats{
		Submits:   s.stats.submits.Load(),
		Responses: s.stats.responses.Load(),
		Timeouts:  s.stats.timeouts.Load(),
		Late:      s.stats.late.Load(),
		Nacks:     s.stats.nacks.Load(),
		Unmatched: refusals[RefusedResponse] + refusals[RefusedNack],
		Inbound:   s.stats.inbound.Load(),
		Refused:   refusals[RefusedBusy],
		Writes:    s.stats.writes.Load(),
		BytesOut:  s.stats.bytesOut.Load(),
		BytesIn:   uint64(s.conn.octets.Load()),
		InFlight:  max(0, int(s.win.size.Load()-s.win.free.Load())),
		Refusals:  refusals,
	}
}
