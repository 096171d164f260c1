package smsctest

import (
	"bufio"
	"encoding/json"
	"io"
	"sync"
	"time"
)

const recordFlush = 200 * time.Millisecond

// commit enters a burst into counters and record.
func (s *SMSC) commit(c *conn, b *burst) {
	s.mu.Lock()
	st := &s.stats
	st.Reads += b.reads
	st.Enquiries += b.enquiry
	st.Alive += b.alive
	st.Nacks += b.nacks
	st.MaxWindow = max(st.MaxWindow, b.deepest)
	if len(b.submits) > 0 {
		s.rate.add(b.now.Sub(s.sched.epoch), uint64(len(b.submits)))
		if c.bind != nil {
			c.bind.Submits += uint64(len(b.submits))
			c.bind.MaxOutstanding = max(c.bind.MaxOutstanding, b.deepest)
		}
	}
	for _, m := range b.submits {
		s.countSubmit(m)
	}
	for _, d := range b.made {
		s.made(d)
	}
	if s.cfg.Keep >= 0 {
		s.submits = keep(s.submits, b.submits, s.cfg.Keep)
	}
	s.notifyLocked()
	s.mu.Unlock()
	if s.times != nil {
		s.times.submits(b.submits)
	}
	if s.rec != nil {
		for _, m := range b.submits {
			s.rec.write(submitLine{Event: "submit", Submit: m, Text: m.Text()})
		}
	}
}

// countSubmit is called with s.mu held.
func (s *SMSC) countSubmit(m *Submit) {
	st := &s.stats
	st.Submits++
	if m.Fault != "" {
		st.Faulty++
	}
	if m.Answer == AnswerNone || m.Answer == AnswerClose {
		st.Unanswered++
	}
	if m.Status != ROK {
		st.RefusedByStatus[m.Status]++
		return
	}
	st.Accepted++
	key := m.key()
	if _, again := s.seen[key]; again {
		st.Duplicate++
		return
	}
	s.seen[key] = struct{}{}
	st.Unique++
}

// made enters a delivery; it is called with s.mu held.
func (s *SMSC) made(d *delivery) {
	if d.rec.Kind == KindMO {
		s.stats.MOs.Due++
	} else {
		s.stats.Receipts.Due++
	}
	if s.cfg.Keep >= 0 {
		s.deliver = keep(s.deliver, []*delivery{d}, s.cfg.Keep)
	}
}

// keep appends and, over twice the bound, forgets all but the last.
func keep[T any](all, more []T, bound int) []T {
	all = append(all, more...)
	if bound > 0 && len(all) > 2*bound {
		n := copy(all, all[len(all)-bound:])
		clear(all[n:])
		all = all[:n]
	}
	return all
}

// Submits returns the submits in the record, in the order in which they were
// decided. The octets are shared and must not be changed.
func (s *SMSC) Submits() []Submit {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Submit, len(s.submits))
	for i, m := range s.submits {
		out[i] = *m
	}
	return out
}

// Receipts returns the final and intermediate receipts in the record, in the
// order in which they were made.
func (s *SMSC) Receipts() []Delivery {
	return s.deliveries(func(k Kind) bool { return k != KindMO })
}

// MOs returns the mobile-originated messages in the record.
func (s *SMSC) MOs() []Delivery {
	return s.deliveries(func(k Kind) bool { return k == KindMO })
}

func (s *SMSC) deliveries(want func(Kind) bool) []Delivery {
	s.mu.Lock()
	all := append([]*delivery(nil), s.deliver...)
	s.mu.Unlock()
	var out []Delivery
	for _, d := range all {
		if !want(d.rec.Kind) { // never changes
			continue
		}
		d.acct.mu.Lock()
		rec := d.rec
		rec.Attempts = append([]Attempt(nil), d.rec.Attempts...)
		d.acct.mu.Unlock()
		out = append(out, rec)
	}
	return out
}

type submitLine struct {
	Event string `json:"ev"`
	*Submit
	Text string `json:"text"` // decoded by data_coding
}

type deliverLine struct {
	Event string `json:"ev"`
	Delivery
	Attempt Attempt `json:"attempt"`
}

func (s *SMSC) recordBind(event string, r *BindRequest, status uint32) {
	if s.rec == nil {
		return
	}
	s.rec.write(struct {
		Event    string    `json:"ev"`
		Time     time.Time `json:"time"`
		Bind     uint64    `json:"bind"`
		SystemID string    `json:"system_id"`
		Command  uint32    `json:"command_id"`
		Remote   string    `json:"remote"`
		Status   uint32    `json:"status"`
	}{event, time.Now(), r.Bind, r.SystemID, r.CommandID, r.Remote, status})
}

// recorder writes JSON lines.
type recorder struct {
	later func(flush func()) // schedules a flush

	mu    sync.Mutex
	w     *bufio.Writer // guarded by mu
	enc   *json.Encoder // guarded by mu; writes to w
	dirty bool          // guarded by mu; a flush is scheduled
	err   error         // guarded by mu; the first
}

func newRecorder(w io.Writer, later func(func())) *recorder {
	r := &recorder{later: later, w: bufio.NewWriterSize(w, 64<<10)}
	r.enc = json.NewEncoder(r.w)
	return r
}

func (r *recorder) write(line any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.enc.Encode(line); err != nil && r.err == nil {
		r.err = err
	}
	if !r.dirty {
		r.dirty = true
		r.later(func() { _ = r.flush() })
	}
}

// flush returns the first error that writing met.
func (r *recorder) flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirty = false
	if err := r.w.Flush(); err != nil && r.err == nil {
		r.err = err
	}
	return r.err
}
