package dispatcher

import (
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/latency"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// stats are the counters of one route since the process began.
type stats struct {
	received    atomic.Int64
	overtaken   atomic.Int64
	retries     atomic.Int64
	deadLetters atomic.Int64
	diverted    atomic.Int64
	latency     latency.Histogram // from submit_sm to its response
	exemplars   exemplars
	kinds       [4]atomic.Int64 // by position in terminalKinds
	codes       [8]atomic.Int64 // by position in sms.Codes
}

var (
	terminalKinds = [...]sms.Kind{sms.KindSubmitted, sms.KindFailed, sms.KindExpired, sms.KindUncertain}
	allCodes      = sms.Codes()
)

func (s *stats) settled(a *attempt) {
	a.journey.settled(a.outcome)
	for i, k := range terminalKinds {
		if a.outcome.Kind == k {
			s.kinds[i].Add(1)
		}
	}
	if a.outcome.Via != "" && a.outcome.Kind == sms.KindSubmitted {
		s.diverted.Add(1)
	}
	if a.outcome.Code == "" {
		return
	}
	for i, c := range allCodes {
		if a.outcome.Code == c {
			s.codes[i].Add(1)
		}
	}
}

// Snapshot is the state of a route's pipeline at one moment.
type Snapshot struct {
	Received    int64                   // deliveries taken, repeats included
	Overtaken   int64                   // of these, jobs that went before another producer's
	Retries     int64                   // attempts scheduled
	DeadLetters int64                   // jobs buried
	Diverted    int64                   // jobs submitted by another route
	Outcomes    map[sms.Kind]int64      // outcomes published
	Codes       map[sms.Code]int64      // their codes
	InHand      map[sms.Lane]int        // jobs taken and not yet settled
	Waiting     map[sms.Lane]int        // of these, waiting for their turn
	Producers   map[sms.Lane]int        // whose these are
	Limit       Limit                   // what limits the route now
	Limited     map[Limit]time.Duration // how long each limit held so far
	Diversion   *Diversion              // nil unless jobs go by another route
	Paused      *Pause                  // nil unless the SMSC refuses the account
}

// Snapshot reads the counters.
func (d *Dispatcher) Snapshot() Snapshot {
	s := Snapshot{
		Received:    d.stats.received.Load(),
		Overtaken:   d.stats.overtaken.Load(),
		Retries:     d.stats.retries.Load(),
		DeadLetters: d.stats.deadLetters.Load(),
		Diverted:    d.stats.diverted.Load(),
		Diversion:   d.detours.Load().diversion(),
		Outcomes:    make(map[sms.Kind]int64, len(terminalKinds)),
		Codes:       make(map[sms.Code]int64),
		InHand:      make(map[sms.Lane]int, laneCount),
		Waiting:     d.turnstile.waiting(),
		Producers:   d.turnstile.producers(),
	}
	for i, lane := range sms.Lanes() {
		s.InHand[lane] = int(d.hands[i].all.Load() + d.ahead[i].all.Load())
	}
	s.Limit, s.Limited = d.turnstile.limits()
	s.Paused = d.turnstile.paused()
	for i, k := range terminalKinds {
		s.Outcomes[k] = d.stats.kinds[i].Load()
	}
	for i, c := range allCodes {
		if n := d.stats.codes[i].Load(); n > 0 {
			s.Codes[c] = n
		}
	}
	return s
}
