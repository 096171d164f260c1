package smsctest

import (
	"slices"
	"sync"
	"time"
)

// Kind says what a deliver_sm carries.
type Kind string

// The kinds.
const (
	KindReceipt      Kind = "receipt"      // final state
	KindIntermediate Kind = "intermediate" // intermediate notification
	KindMO           Kind = "mo"           // mobile-originated message
)

// Delivery is a deliver_sm or data_sm that the simulator had to deliver, with
// every time that it tried.
type Delivery struct {
	Kind        Kind      `json:"kind"`
	MessageID   string    `json:"message_id,omitempty"` // as submit_sm_resp said it
	SystemID    string    `json:"system_id"`
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	State       string    `json:"state,omitempty"`
	Created     time.Time `json:"created"`
	Outcome     Outcome   `json:"outcome"`
	Attempts    []Attempt `json:"attempts,omitempty"`
}

// Outcome is what became of a Delivery.
type Outcome string

// The outcomes.
const (
	Pending Outcome = ""        // neither acknowledged nor given up
	Acked   Outcome = "acked"   // answered ESME_ROK
	Refused Outcome = "refused" // given up after a permanent error
)

// Attempt is one time that a Delivery was put on the wire.
type Attempt struct {
	Bind     uint64    `json:"bind"`
	Sequence uint32    `json:"seq"`
	Sent     time.Time `json:"sent"`
	Answered time.Time `json:"answered,omitzero"` // zero: no answer
	Status   uint32    `json:"status"`
}

type delivery struct {
	rec       Delivery // guarded by acct.mu
	acct      *account
	from      *conn // the submitter; nil for an MO
	commandID uint32
	body      []byte
}

// account is a system_id with its receiving binds and what waits for them.
type account struct {
	s        *SMSC
	systemID string

	mu     sync.Mutex
	queue  []*delivery // guarded by mu; ready to be sent
	binds  []*conn     // guarded by mu; those that can receive
	next   int         // guarded by mu; round robin
	bucket tokenBucket // guarded by mu
}

// flight is a delivery that is on the wire.
type flight struct {
	d    *delivery
	sent time.Time
	try  int // index of its Attempt
}

// enqueue makes deliveries ready and sends what the binds can carry.
func (a *account) enqueue(ds ...*delivery) {
	a.mu.Lock()
	a.queue = append(a.queue, ds...)
	a.pumpLocked()
	a.mu.Unlock()
}

func (a *account) attach(c *conn) {
	a.mu.Lock()
	a.binds = append(a.binds, c)
	a.pumpLocked()
	a.mu.Unlock()
}

// detach ends deliveries to c; what is in flight there stays in flight.
func (a *account) detach(c *conn) {
	a.mu.Lock()
	a.binds = slices.DeleteFunc(a.binds, func(x *conn) bool { return x == c })
	a.pumpLocked()
	a.mu.Unlock()
}

// lost takes back what was in flight on c.
func (a *account) lost(c *conn) {
	a.mu.Lock()
	a.binds = slices.DeleteFunc(a.binds, func(x *conn) bool { return x == c })
	a.takeBackLocked(c, func(flight) bool { return true })
	a.pumpLocked()
	a.mu.Unlock()
}

// takeBackLocked puts flights of c back at the head of the queue, in the
// order in which they were sent.
func (a *account) takeBackLocked(c *conn, which func(flight) bool) {
	var back []uint32
	for seq, f := range c.flights {
		if which(f) {
			back = append(back, seq)
		}
	}
	if len(back) == 0 {
		return
	}
	slices.SortFunc(back, func(x, y uint32) int { return c.flights[x].sent.Compare(c.flights[y].sent) })
	ds := make([]*delivery, 0, len(back)+len(a.queue))
	for _, seq := range back {
		d := c.flights[seq].d
		delete(c.flights, seq)
		ds = append(ds, d)
		a.s.delivered(d.rec.Kind, func(st *DeliveryStats) { st.Retried++ })
	}
	a.queue = append(ds, a.queue...)
}

// pumpLocked sends from the head of the queue while a bind has room.
func (a *account) pumpLocked() {
	if len(a.queue) == 0 || len(a.binds) == 0 || a.s.holding.Load() {
		return
	}
	now := time.Now()
	n := 0
	var mos, receipts uint64
	var touched []*conn
	for ; n < len(a.queue); n++ {
		d := a.queue[n]
		c := a.pick(d)
		if c == nil {
			break
		}
		a.sendLocked(c, d, now)
		if d.rec.Kind == KindMO {
			mos++
		} else {
			receipts++
		}
		if !slices.Contains(touched, c) {
			touched = append(touched, c)
		}
		if a.s.times != nil {
			a.s.times.delivery(now, d.rec.MessageID)
		}
		a.queue[n] = nil
	}
	a.queue = a.queue[n:]
	if n > 0 {
		a.s.count(func(st *Stats) { st.MOs.Sent += mos; st.Receipts.Sent += receipts })
	}
	for _, c := range touched {
		c.wake()
	}
}

// pick returns the bind for d, nil when those that may carry it have no room.
func (a *account) pick(d *delivery) *conn {
	cfg := &a.s.cfg.Receipts
	if cfg.Via == ViaSubmitter && d.from != nil && slices.Contains(a.binds, d.from) && len(d.from.flights) < cfg.Window {
		return d.from
	}
	for range a.binds {
		a.next = (a.next + 1) % len(a.binds)
		c := a.binds[a.next]
		if len(c.flights) >= cfg.Window || cfg.Via == ViaOther && c == d.from && len(a.binds) > 1 {
			continue
		}
		return c
	}
	return nil
}

func (a *account) sendLocked(c *conn, d *delivery, now time.Time) {
	seq := c.sequence()
	c.flights[seq] = flight{d: d, sent: now, try: len(d.rec.Attempts)}
	d.rec.Attempts = append(d.rec.Attempts, Attempt{Bind: c.id, Sequence: seq, Sent: now})
	c.mu.Lock()
	c.out = appendHeader(c.out, headerOctets+len(d.body), d.commandID, 0, seq)
	c.out = append(c.out, d.body...)
	c.mu.Unlock()
	if !c.sweeping {
		c.sweeping = true
		a.s.sched.after(a.s.cfg.Receipts.AckTimeout, event{call: func() { a.sweep(c) }})
	}
}

// sweep sends again what c has not answered for too long.
func (a *account) sweep(c *conn) {
	timeout := a.s.cfg.Receipts.AckTimeout
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.takeBackLocked(c, func(f flight) bool { return now.Sub(f.sent) >= timeout })
	c.sweeping = len(c.flights) > 0
	if c.sweeping {
		oldest := now
		for _, f := range c.flights {
			if f.sent.Before(oldest) {
				oldest = f.sent
			}
		}
		a.s.sched.after(oldest.Add(timeout).Sub(now), event{call: func() { a.sweep(c) }})
	}
	a.pumpLocked()
}

// ack is a deliver_sm_resp or data_sm_resp.
type ack struct{ id, seq, status uint32 }

// acked settles what c answered and sends what there is room for now.
func (a *account) acked(c *conn, acks []ack) {
	now := time.Now()
	var sum Stats
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range acks {
		f, ok := c.flights[k.seq]
		if !ok || f.d.commandID|respBit != k.id {
			sum.Unknown++
			continue
		}
		delete(c.flights, k.seq)
		a.settleLocked(f, k.status, now, &sum)
	}
	a.s.count(func(st *Stats) {
		st.Unknown += sum.Unknown
		st.Receipts.add(sum.Receipts)
		st.MOs.add(sum.MOs)
	})
	a.pumpLocked()
}

func (a *account) settleLocked(f flight, status uint32, now time.Time, sum *Stats) {
	d := f.d
	try := &d.rec.Attempts[f.try]
	try.Answered, try.Status = now, status
	st := &sum.Receipts
	if d.rec.Kind == KindMO {
		st = &sum.MOs
	}
	switch {
	case status == ROK:
		d.rec.Outcome = Acked
		st.Acked++
	case slices.Contains(a.s.cfg.Receipts.Permanent, status):
		d.rec.Outcome = Refused
		st.Refused++
	default:
		st.Retried++
		a.s.sched.after(a.s.cfg.Receipts.RetryDelay, event{d: d})
	}
	if a.s.rec != nil {
		line := deliverLine{Event: "deliver", Delivery: d.rec, Attempt: *try}
		line.Attempts = nil
		a.s.rec.write(line)
	}
}

func (d *DeliveryStats) add(o DeliveryStats) {
	d.Due += o.Due
	d.Sent += o.Sent
	d.Acked += o.Acked
	d.Refused += o.Refused
	d.Retried += o.Retried
}
