package smsctest

import (
	"context"
	"maps"
	"time"
)

// Stats counts what the simulator saw and did since New.
type Stats struct {
	Submits         uint64            `json:"submits"`              // submit_sm read
	Accepted        uint64            `json:"accepted"`             // taken in, answered or not
	Refused         map[string]uint64 `json:"refused"`              // by name of the status, answered or not
	RefusedByStatus map[uint32]uint64 `json:"-"`                    // the same by status
	Unanswered      uint64            `json:"unanswered"`           // never answered: dropped, or the connection closed instead
	Unique          uint64            `json:"unique"`               // different messages among the accepted, by addresses and content
	Duplicate       uint64            `json:"duplicate"`            // accepted that had been accepted before
	Faulty          uint64            `json:"faulty"`               // with Submit.Fault, or not readable
	Held            int               `json:"held"`                 // waiting for ReleaseHeld
	MaxRate         uint64            `json:"max_submits_per_s"`    // most submit_sm in any second, by steps of 10 ms
	MaxWindow       int64             `json:"max_outstanding"`      // most unanswered submit_sm of one bind
	Writes          uint64            `json:"writes"`               // write calls, all connections
	Reads           uint64            `json:"reads"`                // read calls, all connections
	Receipts        DeliveryStats     `json:"receipts"`             // final and intermediate
	MOs             DeliveryStats     `json:"mos"`                  // DeliverMO
	Binds           int               `json:"binds"`                // bound now
	BindsTotal      uint64            `json:"binds_total"`          // binds accepted
	BindsNo         map[string]uint64 `json:"binds_refused"`        // by name of the status
	Unbinds         uint64            `json:"unbinds"`              // unbind requests seen
	UnbindResp      uint64            `json:"unbind_resps"`         // answers to the simulator's own unbind
	Lost            uint64            `json:"lost_binds"`           // ended without unbind from either side
	Enquiries       uint64            `json:"enquire_links"`        // seen
	Alive           uint64            `json:"enquire_link_resps"`   // seen
	Nacks           uint64            `json:"generic_nacks"`        // seen
	Unknown         uint64            `json:"unexpected_responses"` // deliver_sm_resp and data_sm_resp for nothing in flight
}

// DeliveryStats counts deliver_sm and data_sm of one kind.
type DeliveryStats struct {
	Due     uint64 `json:"due"`     // made
	Sent    uint64 `json:"sent"`    // put on the wire, repeats included
	Acked   uint64 `json:"acked"`   // answered ESME_ROK
	Refused uint64 `json:"refused"` // given up after a permanent error
	Retried uint64 `json:"retried"` // temporary errors, timeouts and lost binds
}

// Pending is how many are neither acknowledged nor given up.
func (d DeliveryStats) Pending() uint64 { return d.Due - d.Acked - d.Refused }

// Stats returns the counters of this moment.
func (s *SMSC) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.RefusedByStatus = maps.Clone(s.stats.RefusedByStatus)
	out.Refused = make(map[string]uint64, len(out.RefusedByStatus))
	for status, n := range out.RefusedByStatus {
		out.Refused[StatusName(status)] = n
	}
	out.BindsNo = maps.Clone(s.stats.BindsNo)
	out.MaxRate = s.rate.max
	out.Held = len(s.held)
	return out
}

// WaitFor returns when ok holds of the counters, or with the context's error.
// It looks after every change.
func (s *SMSC) WaitFor(ctx context.Context, ok func(Stats) bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		if changed == nil {
			changed = make(chan struct{})
			s.changed = changed
		}
		s.mu.Unlock()
		if ok(s.Stats()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count changes the counters and wakes WaitFor.
func (s *SMSC) count(change func(*Stats)) {
	s.mu.Lock()
	change(&s.stats)
	s.notifyLocked()
	s.mu.Unlock()
}

func (s *SMSC) notifyLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// delivered changes the counters of receipts or of MOs.
func (s *SMSC) delivered(kind Kind, change func(*DeliveryStats)) {
	s.count(func(st *Stats) {
		if kind == KindMO {
			change(&st.MOs)
		} else {
			change(&st.Receipts)
		}
	})
}

const (
	rateStep  = 10 * time.Millisecond
	rateSteps = int64(time.Second / rateStep)
)

// rateMeter finds the most events in any second, in steps of 10 ms.
type rateMeter struct {
	steps [rateSteps]uint64
	now   int64 // the step that is being filled
	sum   uint64
	max   uint64
}

func (r *rateMeter) add(at time.Duration, n uint64) {
	step := int64(at / rateStep)
	if step-r.now >= rateSteps {
		r.steps, r.sum, r.now = [rateSteps]uint64{}, 0, step
	}
	for r.now < step {
		r.now++
		r.sum -= r.steps[r.now%rateSteps]
		r.steps[r.now%rateSteps] = 0
	}
	r.steps[r.now%rateSteps] += n
	r.sum += n
	r.max = max(r.max, r.sum)
}

// tokenBucket is Config.Rate for one system_id.
type tokenBucket struct {
	tokens float64
	last   time.Time
}

func (b *tokenBucket) take(now time.Time, rate float64, burst int) bool {
	if b.last.IsZero() {
		b.tokens = float64(burst)
	} else {
		b.tokens = min(float64(burst), b.tokens+now.Sub(b.last).Seconds()*rate)
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
