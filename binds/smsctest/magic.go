package smsctest

import (
	"strings"
	"sync"
	"time"
)

// MagicNumber is a destination ending and what it does with Config.Magic.
// The endings can be reached from the numbers that Ofcom reserves for fiction,
// 447700900000 to 447700900999.
type MagicNumber struct {
	Ending string
	Effect string
	action Action
	times  int // how often the same message meets it; 0 always
}

// MagicNumbers lists the destinations that Config.Magic makes special.
func MagicNumbers() []MagicNumber {
	return []MagicNumber{
		{Ending: "900400", Effect: "not taken in and never answered", action: Action{Status: RSYSERR, Drop: true}},
		{Ending: "900401", Effect: "taken in, its receipt sent, but never answered", action: Action{Drop: true}},
		{Ending: "900404", Effect: "ESME_RINVDSTADR", action: Action{Status: RINVDSTADR}},
		{Ending: "900408", Effect: "ESME_RSYSERR, the first time", action: Action{Status: RSYSERR}, times: 1},
		{Ending: "900410", Effect: "ESME_RINVSRCADR", action: Action{Status: RINVSRCADR}},
		{Ending: "900414", Effect: "ESME_RMSGQFUL, the first time", action: Action{Status: RMSGQFUL}, times: 1},
		{Ending: "900445", Effect: "ESME_RSUBMITFAIL", action: Action{Status: RSUBMITFAIL}},
		{Ending: "900458", Effect: "ESME_RTHROTTLED, the first two times", action: Action{Status: RTHROTTLED}, times: 2},
		{Ending: "900466", Effect: "generic_nack ESME_RX_R_APPN", action: Action{Status: RXRAPPN, Nack: true}},
		{Ending: "900470", Effect: "answered 2 s late", action: Action{Delay: 2 * time.Second}},
		{Ending: "900499", Effect: "connection closed before it is taken in, the first time", action: Action{Status: RSYSERR, Close: true}, times: 1},
		{Ending: "900501", Effect: "receipt UNDELIV", action: Action{Receipts: []Receipt{{State: "UNDELIV"}}}},
		{Ending: "900502", Effect: "receipt EXPIRED", action: Action{Receipts: []Receipt{{State: "EXPIRED"}}}},
		{Ending: "900503", Effect: "receipt REJECTD", action: Action{Receipts: []Receipt{{State: "REJECTD"}}}},
		{Ending: "900504", Effect: "no receipt", action: Action{NoReceipt: true}},
		{Ending: "900505", Effect: "receipt before the response", action: Action{Receipts: []Receipt{{Before: true}}}},
		{Ending: "900506", Effect: "two receipts", action: Action{Receipts: []Receipt{{}, {}}}},
		{Ending: "900507", Effect: "ENROUTE, then DELIVRD a second later", action: Action{Receipts: []Receipt{{State: "ENROUTE", Intermediate: true}, {Delay: time.Second}}}},
		{Ending: "900508", Effect: "response sent twice", action: Action{Duplicate: true}},
	}
}

type magicTable struct {
	byEnding map[string]MagicNumber
	mu       sync.Mutex
	met      map[uint64]int // guarded by mu; message key to how often it came
}

func newMagicTable() *magicTable {
	t := &magicTable{byEnding: map[string]MagicNumber{}, met: map[uint64]int{}}
	for _, n := range MagicNumbers() {
		n.action.ifAsked = true
		t.byEnding[n.Ending] = n
	}
	return t
}

func (t *magicTable) decide(m *Submit) (Action, bool) {
	to := strings.TrimPrefix(m.Destination, "+")
	if len(to) < 6 {
		return Action{}, false
	}
	n, ok := t.byEnding[to[len(to)-6:]]
	if !ok {
		return Action{}, false
	}
	if n.times > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		key := m.key()
		if t.met[key] >= n.times {
			return Action{}, false
		}
		t.met[key]++
	}
	return n.action, true
}
