package receipts

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Matching says how many receipts of a route found their job of late, over
// five to ten minutes, and when many do not, what seems to be the cause.
type Matching struct {
	Matched   int64
	Unmatched int64
	Hint      string // empty when they match, or when nothing is known
}

// Rate is the share of receipts that found their job, false when there was none.
func (m Matching) Rate() (rate float64, ok bool) {
	all := m.Matched + m.Unmatched
	return float64(m.Matched) / float64(max(1, all)), all > 0
}

const (
	matchWindow = 5 * time.Minute
	goodRate    = 0.9                    // at which nothing is said
	enoughPairs = 3                      // unmatched receipts that show the same cause
	idsKept     = 1024                   // of recent submits
	idSpacing   = 100 * time.Millisecond // between two of them once so many are kept
	maxLooked   = 200                    // receipts that are looked into per second
	shortestCut = 6                      // characters of a cut id that cannot be chance
)

// cause is why a receipt does not find the job whose id it seems to have, the
// likeliest first.
type cause int

const (
	causeSame       cause = iota // both write the same
	causeZeros                   // leading zeros
	causeDecimal                 // the response is hexadecimal, the receipt decimal
	causeHex                     // the response is decimal, the receipt hexadecimal
	causeCutReceipt              // the receipt has a part of the id
	causeCutSubmit               // the response has
	causeNoID                    // the receipt has no id
	causes
	causeUnknown = causes
)

// matching watches whether the receipts of a route find their jobs. It keeps
// ids of recent submits, and compares with them those of unmatched receipts.
type matching struct {
	kept       atomic.Int64 // ids noted so far
	nextID     atomic.Int64 // Unix nanoseconds from which on another id is kept
	mu         sync.Mutex
	ids        []string  // guarded by mu; a ring, in lower case
	at         int       // guarded by mu; where the next id goes
	second     time.Time // guarded by mu; when looked was 0
	looked     int       // guarded by mu; receipts looked into since
	now, last  window    // guarded by mu
	warned     string    // guarded by mu; the last hint that was logged
	cutLen     int       // guarded by mu; length of the last cut id
	zerosInHex bool      // guarded by mu; ids that differ in zeros have letters
}

// window is what was counted in some minutes.
type window struct {
	began              time.Time
	matched, unmatched int64 // counters at its begin
	pairs              [causes]int
}

// submitted notes an id as submit_sm_resp has it. Most calls at a high rate end
// after two loads: the ids kept are to be spread over the parking time.
func (m *matching) submitted(id string, at time.Time, parking time.Duration) {
	if id == "" {
		return
	}
	if now := at.UnixNano(); m.kept.Load() >= idsKept {
		next := m.nextID.Load()
		if now < next || !m.nextID.CompareAndSwap(next, now+int64(max(idSpacing, 2*parking/idsKept))) {
			return
		}
	}
	m.kept.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	id = strings.ToLower(trim(id))
	if len(m.ids) < idsKept {
		m.ids = append(m.ids, id)
		return
	}
	m.ids[m.at] = id
	m.at = (m.at + 1) % idsKept
}

// unmatchedReceipt looks into a receipt that is published without a job. It answers a
// hint that should be logged, empty when there is none or it was before.
func (c *routeCounters) unmatchedReceipt(res *sms.Result, rules IDRules, now time.Time) (hint string) {
	m := &c.matching
	m.mu.Lock()
	defer m.mu.Unlock()
	c.rotate(now)
	if now.Sub(m.second) >= time.Second {
		m.second, m.looked = now, 0
	}
	if m.looked++; m.looked > maxLooked {
		return ""
	}
	p := Parse(&sms.Message{ShortMessage: []byte(res.Raw)})
	id := p.TextID
	if id == "" {
		id = res.MessageID
	}
	if why := m.find(strings.ToLower(id)); why != causeUnknown {
		m.now.pairs[why]++
	}
	if hint = c.match(rules).Hint; hint == m.warned {
		return ""
	}
	m.warned = hint
	return hint
}

// find compares the id of a receipt with those of recent submits. Numbers that
// have digits only in both notations are left out: any two may meet by chance.
func (m *matching) find(id string) cause {
	if id == "" {
		return causeNoID
	}
	stripped := withoutZeros(id)
	hex, isSure := inHex(id)
	if !isSure {
		hex = ""
	}
	decimal, isSure := inDecimal(id)
	if !isSure {
		decimal = ""
	}
	best := causeUnknown
	for _, submitted := range m.ids {
		why := causeUnknown
		switch {
		case submitted == id:
			return causeSame
		case withoutZeros(submitted) == stripped:
			why = causeZeros
			m.zerosInHex = !isDigits(stripped)
		case hex != "" && withoutZeros(submitted) == hex:
			why = causeDecimal
		case decimal != "" && withoutZeros(submitted) == decimal:
			why = causeHex
		case isCut(id, submitted):
			why, m.cutLen = causeCutReceipt, len(id)
		case isCut(submitted, id):
			why, m.cutLen = causeCutSubmit, len(submitted)
		}
		best = min(best, why)
	}
	return best
}

// isCut reports whether part is the beginning or the end of whole.
func isCut(part, whole string) bool {
	return len(part) >= shortestCut && len(part) < len(whole) && (strings.HasPrefix(whole, part) || strings.HasSuffix(whole, part))
}

// rotate begins a new window when the present one is over. The caller holds mu.
func (c *routeCounters) rotate(now time.Time) {
	m := &c.matching
	if !m.now.began.IsZero() && now.Sub(m.now.began) < matchWindow {
		return
	}
	m.last = m.now
	m.now = window{began: now}
	if !m.last.began.IsZero() { // else from the beginning
		m.now.matched, m.now.unmatched = c.matched.Load(), c.unmatched.Load()
	}
}

// match sums the present window and the last. The caller holds mu.
func (c *routeCounters) match(rules IDRules) Matching {
	m := &c.matching
	found := Matching{Matched: c.matched.Load() - m.last.matched, Unmatched: c.unmatched.Load() - m.last.unmatched}
	if rate, ok := found.Rate(); !ok || rate >= goodRate {
		return found
	}
	best, most := causeUnknown, enoughPairs-1
	for why := range causes {
		if n := m.now.pairs[why] + m.last.pairs[why]; n > most {
			best, most = why, n
		}
	}
	found.Hint = m.hint(best, rules)
	return found
}

// hint says what to do about a cause. The caller holds mu.
func (m *matching) hint(why cause, rules IDRules) string {
	switch why {
	case causeSame:
		return change("receipts write ids as responses do", rules, IDRules{IDAsIs, IDAsIs})
	case causeZeros:
		want := IDRules{IDDecimal, IDDecimal}
		if m.zerosInHex {
			want = IDRules{IDAuto, IDAuto}
		}
		return change("ids of responses and receipts differ in leading zeros", rules, want)
	case causeDecimal:
		return change("resp ids look hexadecimal, receipts decimal", rules, IDRules{IDHex, IDDecimal})
	case causeHex:
		return change("resp ids look decimal, receipts hexadecimal", rules, IDRules{IDDecimal, IDHex})
	case causeCutReceipt:
		return fmt.Sprintf("receipts have only %d characters of longer ids: ask the SMSC for whole ids, or for receipted_message_id", m.cutLen)
	case causeCutSubmit:
		return fmt.Sprintf("responses have only %d characters of longer ids: ask the SMSC for whole ids; interface_version 3.3 may be the cause", m.cutLen)
	case causeNoID:
		return "receipts have no message id: ask the SMSC for one in the text, or in receipted_message_id"
	}
	return ""
}

// change says which rules to change. When they are as they should be, or auto,
// the ids were written so that their receipts would meet them.
func change(seen string, have, want IDRules) string {
	var set []string
	if have.Submit != want.Submit {
		set = append(set, "message_id.submit: "+string(want.Submit))
	}
	if have.Receipt != want.Receipt {
		set = append(set, "message_id.receipt: "+string(want.Receipt))
	}
	if have.Submit == IDAuto || len(set) == 0 {
		return "ids of receipts are those of jobs sent by this worker, and Redis does not know them: has it lost its data?"
	}
	return seen + ": set " + strings.Join(set, ", ")
}

// Matching says whether the receipts of a route find their jobs.
func (d *Desk) Matching(route string) Matching {
	r, ok := (*d.routes.Load())[route]
	if !ok {
		return Matching{}
	}
	m := &r.counters.matching
	m.mu.Lock()
	defer m.mu.Unlock()
	r.counters.rotate(time.Now())
	return r.counters.match(r.IDs)
}

// noteUnmatched logs once what seems to keep receipts from their jobs.
func (d *Desk) noteUnmatched(res *sms.Result) {
	r := d.route(res.Route)
	hint := r.counters.unmatchedReceipt(res, r.IDs, time.Now())
	if hint != "" {
		d.log.Warn("receipts do not find their jobs", "route", res.Route, "hint", hint)
	}
}
