package receipts

import "sync/atomic"

// RouteStats are counts of one route since the Desk was made.
type RouteStats struct {
	Receipts      int64 // receipts that Deliver was given
	Matched       int64 // published with their job, from Deliver or from parking
	Parked        int64 // parked because their job was not known
	Unmatched     int64 // published without a job
	Inbound       int64 // mobile-originated messages published
	Incomplete    int64 // of those, with parts missing
	Repeats       int64 // joined inbound messages, or parts of them, that were published before and came again
	PublishErrors int64 // not published in time; the SMSC was asked to try again, or the sweeper will
	Refused       int64 // answered ESME_RX_T_APPN
	IDClashes     int64 // message ids that the SMSC had given to another message before
}

// Stats are counts since the Desk was made.
type Stats struct {
	RouteStats // of all routes

	ClaimsFresh   int64
	ClaimsResumed int64
	ClaimsInDoubt int64
	ClaimsBusy    int64
	ClaimsSettled int64
	ClaimsLost    int64 // claims that another worker had taken over when their outcome was recorded
	LateResponses int64
}

type ledgerCounters struct {
	fresh, resumed, inDoubt, busy, settled, lost, late atomic.Int64
}

// RouteStats returns the counts of one route, zeros when nothing is known of it.
func (d *Desk) RouteStats(route string) RouteStats {
	if r, ok := (*d.routes.Load())[route]; ok {
		return r.counters.stats()
	}
	return RouteStats{}
}

// Stats returns the counts.
func (d *Desk) Stats() Stats {
	l := &d.ledger.counters
	s := Stats{
		ClaimsFresh: l.fresh.Load(), ClaimsResumed: l.resumed.Load(), ClaimsInDoubt: l.inDoubt.Load(),
		ClaimsBusy: l.busy.Load(), ClaimsSettled: l.settled.Load(), ClaimsLost: l.lost.Load(), LateResponses: l.late.Load(),
	}
	for _, r := range *d.routes.Load() {
		s.add(r.counters.stats())
	}
	return s
}

func (c *routeCounters) stats() RouteStats {
	return RouteStats{
		Receipts: c.receipts.Load(), Matched: c.matched.Load(), Parked: c.parked.Load(), Unmatched: c.unmatched.Load(),
		Inbound: c.inbound.Load(), PublishErrors: c.publishErrors.Load(), Refused: c.refused.Load(), IDClashes: c.clashes.Load(),
		Incomplete: c.incomplete.Load(), Repeats: c.repeats.Load(),
	}
}

func (s *RouteStats) add(o RouteStats) {
	s.Receipts += o.Receipts
	s.Matched += o.Matched
	s.Parked += o.Parked
	s.Unmatched += o.Unmatched
	s.Inbound += o.Inbound
	s.PublishErrors += o.PublishErrors
	s.Refused += o.Refused
	s.IDClashes += o.IDClashes
	s.Incomplete += o.Incomplete
	s.Repeats += o.Repeats
}
