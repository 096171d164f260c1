package smpp

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what a recording keeps for a reader that is behind. Beyond them
// the oldest PDUs go, and are counted.
const (
	maxHeldPDUs   = 4096
	maxHeldOctets = 4 << 20
)

// Tracer lets somebody watch the PDUs of a route's sessions. Its sessions pay
// one atomic load for each PDU read and each write while nobody does. A nil
// Tracer is one that nobody can watch.
type Tracer struct {
	recording atomic.Pointer[Recording] // nil while nobody watches
}

// TracedPDU is one PDU, or the failure of a read.
type TracedPDU struct {
	At     time.Time // read, or about to be handed to a write
	Sent   bool      // by us
	Bind   string    // Config.Name
	Octets []byte    // empty when Fault says why nothing could be read
	Fault  string
}

// Recording is what a Tracer records between Start and Stop. One goroutine
// reads it.
type Recording struct {
	tracer *Tracer
	until  time.Time
	wake   chan struct{} // capacity 1

	mu      sync.Mutex
	left    int         // guarded by mu; PDUs until it ends by itself
	held    []TracedPDU // guarded by mu; not read yet, oldest first
	octets  int         // guarded by mu; of held
	dropped int         // guarded by mu; since the last Next
	ended   bool        // guarded by mu
}

// Start begins a recording that ends after limit PDUs, at a time, or by Stop.
// It is not ok while there is another one.
func (t *Tracer) Start(limit int, until time.Time) (*Recording, bool) {
	r := &Recording{tracer: t, until: until, left: limit, wake: make(chan struct{}, 1)}
	return r, t.recording.CompareAndSwap(nil, r)
}

// Stop ends the recording that is going on, if any, and reports whether there
// was one.
func (t *Tracer) Stop() bool {
	r := t.watched()
	if r != nil {
		r.Stop()
	}
	return r != nil
}

// Watched reports whether a recording is going on.
func (t *Tracer) Watched() bool { return t.watched() != nil }

// watched returns the recording to add to, nil when nobody watches.
func (t *Tracer) watched() *Recording {
	if t == nil {
		return nil
	}
	return t.recording.Load()
}

// Stop ends the recording; what it holds can still be read.
func (r *Recording) Stop() {
	r.tracer.recording.CompareAndSwap(r, nil)
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.notify()
}

func (r *Recording) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Next waits for the next PDU. dropped says how many went missing before it
// because the reader was too slow. The error is io.EOF when the recording has
// ended, also by its time, or that of ctx.
func (r *Recording) Next(ctx context.Context) (p TracedPDU, dropped int, err error) {
	timer := time.NewTimer(time.Until(r.until))
	defer timer.Stop()
	for {
		r.mu.Lock()
		dropped, r.dropped = r.dropped, 0
		if len(r.held) > 0 {
			p = r.held[0]
			r.held[0] = TracedPDU{}
			r.held = r.held[1:]
			r.octets -= len(p.Octets)
			r.mu.Unlock()
			return p, dropped, nil
		}
		r.dropped = dropped
		ended := r.ended
		r.mu.Unlock()
		if ended {
			return TracedPDU{}, dropped, io.EOF
		}
		select {
		case <-r.wake:
		case <-timer.C:
			r.Stop()
		case <-ctx.Done():
			return TracedPDU{}, dropped, ctx.Err()
		}
	}
}

// received adds a PDU that was read, or why nothing more can be.
func (r *Recording) received(bind string, f frame, err error) {
	p := TracedPDU{At: time.Now(), Bind: bind}
	if err != nil {
		p.Fault = err.Error()
	} else {
		p.Octets = binary.BigEndian.AppendUint32(make([]byte, 0, headerOctets+len(f.body)), uint32(headerOctets+len(f.body)))
		p.Octets = binary.BigEndian.AppendUint32(p.Octets, f.command)
		p.Octets = binary.BigEndian.AppendUint32(p.Octets, f.status)
		p.Octets = binary.BigEndian.AppendUint32(p.Octets, f.sequence)
		p.Octets = append(p.Octets, f.body...)
	}
	r.add(p)
}

// sent adds the PDUs of a write.
func (r *Recording) sent(bind string, pdus []byte) {
	now := time.Now()
	for len(pdus) > 0 {
		pdu, rest, err := CutPDU(pdus)
		if err != nil {
			return // what we encode is whole
		}
		r.add(TracedPDU{At: now, Sent: true, Bind: bind, Octets: append([]byte(nil), pdu...)})
		pdus = rest
	}
}

func (r *Recording) add(p TracedPDU) {
	r.mu.Lock()
	if r.ended || p.At.After(r.until) {
		r.mu.Unlock()
		r.Stop()
		return
	}
	for len(r.held) > 0 && (len(r.held) >= maxHeldPDUs || r.octets+len(p.Octets) > maxHeldOctets) {
		r.octets -= len(r.held[0].Octets)
		r.held[0] = TracedPDU{}
		r.held = r.held[1:]
		r.dropped++
	}
	r.held = append(r.held, p)
	r.octets += len(p.Octets)
	r.left--
	last := r.left <= 0
	r.mu.Unlock()
	if last {
		r.Stop()
		return
	}
	r.notify()
}
