package binds

import (
	"maps"

	"github.com/shortwire-sms/shortwire/binds/smpp"
)

// status returns a snapshot.
func (b *bind) status() Status {
	held := b.pool.heldFor(b.unit) > 0
	b.mu.Lock()
	defer b.mu.Unlock()
	st := Status{
		Bind: b.name, Type: b.kind, State: b.state, Since: b.since, Endpoint: b.endpoint, Held: held, Entered: maps.Clone(b.entered),
		Attempts: b.attempts, Sessions: b.sessions, LastErr: b.lastErr, Hint: b.hint, Congestion: int(b.congestion.Load()), Stats: b.total,
	}
	if b.kind != smpp.Receiver {
		st.Window = b.pool.config().Window
	}
	if b.current != nil {
		now, peer := b.current.Stats(), b.current.Peer()
		st.SMSC, st.InterfaceVersion = peer.SystemID, peer.InterfaceVersion
		st.InFlight, st.Stats = now.InFlight, addStats(b.total, now)
		if b.kind != smpp.Receiver {
			st.Window = b.current.Window()
		}
	}
	return st
}

func addStats(a, b smpp.Stats) smpp.Stats {
	a.Submits += b.Submits
	a.Responses += b.Responses
	a.Timeouts += b.Timeouts
	a.Late += b.Late
	a.Nacks += b.Nacks
	a.Unmatched += b.Unmatched
	a.Inbound += b.Inbound
	a.Refused += b.Refused
	a.Writes += b.Writes
	a.BytesOut += b.BytesOut
	a.BytesIn += b.BytesIn
	a.Refusals = a.Refusals.Plus(b.Refusals)
	a.InFlight = b.InFlight
	return a
}
