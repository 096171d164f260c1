package receipts

import "sync/atomic"

// Stats are counts since the Desk was made.
type Stats struct {
	Receipts      int64 // receipts that Deliver was given
	Matched       int64 // published with their job, from Deliver or from parking
	Parked        int64 // parked because their job was not known
	Unmatched     int64 // published without a job
	Inbound       int64 // mobile-originated messages published
	PublishErrors int64 // not published in time; the SMSC was asked to try again, or the sweeper will
	Refused       int64 // answered ESME_RX_T_APPN
	IDClashes     int64 // message ids that the SMSC had given to another message before

	ClaimsFresh   int64
	ClaimsResumed int64
	ClaimsInDoubt int64
	ClaimsBusy    int64
	ClaimsSettled int64
	ClaimsLost    int64 // claims that another worker had taken over when their outcome was recorded
	LateResponses int64
}

type deskCounters struct {
	receipts, matched, parked, unmatched, inbound, publishErrors, refused, clashes atomic.Int64
}

type ledgerCounters struct {
	fresh, resumed, inDoubt, busy, settled, lost, late atomic.Int64
}

// Stats returns the counts.
func (d *Desk) Stats() Stats {
	l := &d.ledger.counters
	return Stats{
		Receipts: d.counters.receipts.Load(), Matched: d.counters.matched.Load(), Parked: d.counters.parked.Load(),
		Unmatched: d.counters.unmatched.Load(), Inbound: d.counters.inbound.Load(),
		PublishErrors: d.counters.publishErrors.Load(), Refused: d.counters.refused.Load(), IDClashes: d.counters.clashes.Load(),
		ClaimsFresh: l.fresh.Load(), ClaimsResumed: l.resumed.Load(), ClaimsInDoubt: l.inDoubt.Load(),
		ClaimsBusy: l.busy.Load(), ClaimsSettled: l.settled.Load(), ClaimsLost: l.lost.Load(), LateResponses: l.late.Load(),
	}
}
