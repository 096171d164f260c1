package main

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// tally is the demo's own ledger: what was published, and what the result
// stream said about it. It knows nothing of the worker's counters.
type tally struct {
	heard func() // called with each result

	mu        sync.Mutex
	orders    map[string]order             // by job id; guarded by mu
	outcomes  map[string]map[string]string // job id → result id → kind; guarded by mu
	accepted  map[string]bool              // message id → has its final receipt; guarded by mu
	early     map[string]bool              // final receipts seen before their outcome; guarded by mu
	kinds     map[sms.Kind]int             // guarded by mu
	states    map[sms.State]int            // guarded by mu
	faults    map[sms.Code]int             // guarded by mu
	latencies []time.Duration              // submit_sm to submit_sm_resp; guarded by mu
	receipts  int                          // guarded by mu
	repeated  int                          // outcomes that came again; guarded by mu
	first     time.Time                    // guarded by mu
	last      time.Time                    // guarded by mu
}

func newTally(orders []order, heard func()) *tally {
	t := &tally{
		heard:    heard,
		orders:   make(map[string]order, len(orders)),
		outcomes: make(map[string]map[string]string),
		accepted: make(map[string]bool),
		early:    make(map[string]bool),
		kinds:    make(map[sms.Kind]int),
		states:   make(map[sms.State]int),
		faults:   make(map[sms.Code]int),
	}
	for _, o := range orders {
		t.orders[o.id] = o
	}
	return t
}

// add takes in one result.
func (t *tally) add(r *sms.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first.IsZero() {
		t.first = time.Now()
	}
	t.last = time.Now()
	t.heard()
	if r.Kind == sms.KindReceipt {
		t.receipts++
		t.states[r.State]++
		if r.Final {
			t.settleReceipt(r.MessageID)
		}
		return
	}
	if t.outcomes[r.JobID] == nil {
		t.outcomes[r.JobID] = make(map[string]string)
	}
	if _, again := t.outcomes[r.JobID][r.ID]; again {
		t.repeated++
		return
	}
	t.outcomes[r.JobID][r.ID] = string(r.Kind)
	t.kinds[r.Kind]++
	if r.Code != "" {
		t.faults[r.Code]++
	}
	if r.LatencyMS > 0 {
		t.latencies = append(t.latencies, time.Duration(r.LatencyMS*float64(time.Millisecond)))
	}
	for _, p := range r.Parts {
		if p.MessageID != "" {
			t.accepted[p.MessageID] = t.early[p.MessageID]
		}
	}
}

// settleReceipt marks a part as receipted. Called with mu held.
func (t *tally) settleReceipt(messageID string) {
	if _, known := t.accepted[messageID]; known {
		t.accepted[messageID] = true
		return
	}
	t.early[messageID] = true // receipts and outcomes are published independently
}

// done reports whether every job has its outcome and every part its receipt.
func (t *tally) done() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.outcomes) < len(t.orders) {
		return false
	}
	for _, receipted := range t.accepted {
		if !receipted {
			return false
		}
	}
	return true
}

// progress is one line for the terminal.
func (t *tally) progress(throttled uint64, limit string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf("%5d of %d jobs settled · %5d submitted · %2d failed · %d expired · %5d receipts · %d throttled answers · limited by %s",
		len(t.outcomes), len(t.orders), t.kinds[sms.KindSubmitted], t.kinds[sms.KindFailed], t.kinds[sms.KindExpired],
		t.receipts, throttled, limit)
	if since := time.Since(t.last); !t.last.IsZero() && since > 5*time.Second {
		line += fmt.Sprintf(" · nothing new for %.0fs", since.Seconds())
	}
	return line
}

// findings holds the tally against the simulator's record and lists every
// disagreement; none is what the demo promises.
func (t *tally) findings(smsc *smsctest.SMSC) (faults []string, lost, duplicates int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, o := range t.orders {
		switch got := t.outcomes[id]; {
		case len(got) == 0:
			lost++
			faults = append(faults, id+": no outcome")
		case len(got) > 1:
			duplicates++
			faults = append(faults, fmt.Sprintf("%s: %d outcomes", id, len(got)))
		default:
			for _, kind := range got {
				if kind != string(o.want) {
					faults = append(faults, fmt.Sprintf("%s: outcome %s, want %s", id, kind, o.want))
				}
			}
		}
	}
	for id, receipted := range t.accepted {
		if !receipted {
			lost++
			faults = append(faults, "message "+id+": no final receipt")
		}
	}
	// The simulator's record: what it accepted is what was reported, once.
	wanted, seen := 0, 0
	for _, o := range t.orders {
		wanted += o.parts
	}
	for _, m := range smsc.Submits() {
		if m.Status != smsctest.ROK {
			continue
		}
		seen++
		if _, reported := t.accepted[m.MessageID]; !reported {
			faults = append(faults, "message "+m.MessageID+": accepted by the SMSC, in no result")
		}
	}
	if seen > wanted {
		duplicates += seen - wanted
	}
	if seen != wanted {
		faults = append(faults, fmt.Sprintf("the SMSC accepted %d messages, the jobs have %d parts", seen, wanted))
	}
	slices.Sort(faults)
	return faults, lost, duplicates
}

// percentile of the submit latencies. Called with mu held.
func (t *tally) percentile(p float64) time.Duration {
	if len(t.latencies) == 0 {
		return 0
	}
	slices.SortFunc(t.latencies, func(a, b time.Duration) int { return cmp.Compare(a, b) })
	return t.latencies[min(len(t.latencies)-1, int(p*float64(len(t.latencies))))]
}
