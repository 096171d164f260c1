package smpp

import (
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Call is one submit_sm on its way. The exported fields may be read once the
// call has come out of the done channel.
type Call struct {
	Part       int
	PartsTotal int
	// Status and MessageID are the SMSC's answer. They mean something only when Err is nil.
	Status    uint32
	MessageID string
	// Latency is the time from Go to the answer.
	Latency time.Duration
	// Err is nil when the SMSC answered, whatever it said. Else it is an
	// *sms.Error: invalid (cannot be encoded), unavailable (never written) or
	// uncertain (written and not answered).
	Err error

	burst     *Burst
	sibling   *Call // the next call of the burst
	sequence  uint32
	response  uint32        // command id that answers it, beside generic_nack
	position  uint64        // offset of the PDU in all that the session writes
	sentAt    time.Duration // by the session's clock
	prev      *Call         // guarded by Session.mu
	next      *Call         // guarded by Session.mu
	pending   bool          // guarded by Session.mu; in the table
	abandoned bool          // guarded by Session.mu; nobody reads done any more
}

// Burst is the calls of one job: messages that travel together. Ref, and one of
// Done and Then, are to be set before the first Go and left alone after it. A
// burst whose calls have all had their end without Err is forgotten by its
// session, so that its memory may be used again.
type Burst struct {
	Ref sms.JobRef
	// Done gets each call at its end. It needs room for all that are to come out of it.
	Done chan *Call
	// Then is called with each call at its end, where that is found: mostly on
	// the reader, also within Go. It must not block.
	Then func(*Call)

	first, last *Call // in the order of the messages, linked by sibling
	one         [1]Call
}

// add makes calls for further messages of the burst.
func (b *Burst) add(msgs []*sms.Message) []Call {
	calls := b.one[:]
	if b.first != nil || len(msgs) > 1 {
		calls = make([]Call, len(msgs))
	}
	for i, m := range msgs {
		c := &calls[i]
		c.burst, c.Part, c.PartsTotal = b, m.Part, m.PartsTotal
		if b.last == nil {
			b.first = c
		} else {
			b.last.sibling = c
		}
		b.last = c
	}
	return calls
}

// encode appends the request of the call and settles what may answer it.
func (c *Call) encode(b []byte, m *sms.Message) ([]byte, error) {
	if m.DataSM {
		c.response = cmdDataSMResp
		return appendDataSM(b, c.sequence, m)
	}
	c.response = cmdSubmitSMResp
	return appendSubmitSM(b, c.sequence, m)
}

// callTable holds the unanswered calls, by sequence number and in the order
// in which they were sent. Sequence numbers index it directly: it is at least
// twice as large as the window, and numbers whose place is taken are skipped.
type callTable struct {
	places []*Call // length is a power of two
	oldest *Call
	newest *Call
	n      int
}

func newCallTable(window int) callTable {
	size := 16
	for size < 2*window {
		size *= 2
	}
	return callTable{places: make([]*Call, size)}
}

// room is how many calls the table is made for.
func (t *callTable) room() int { return len(t.places) / 2 }

// fit makes room for a larger window.
func (t *callTable) fit(window int) {
	if window <= t.room() {
		return
	}
	t.places = newCallTable(window).places
	for c := t.oldest; c != nil; c = c.next { // their numbers differed in a smaller table, so they do here
		*t.place(c.sequence) = c
	}
}

func (t *callTable) place(sequence uint32) **Call {
	return &t.places[sequence&uint32(len(t.places)-1)]
}

func (t *callTable) get(sequence uint32) *Call {
	if c := *t.place(sequence); c != nil && c.sequence == sequence {
		return c
	}
	return nil
}

func (t *callTable) add(c *Call) {
	*t.place(c.sequence) = c
	c.prev, c.pending = t.newest, true
	if t.newest == nil {
		t.oldest = c
	} else {
		t.newest.next = c
	}
	t.newest = c
	t.n++
}

func (t *callTable) remove(c *Call) {
	*t.place(c.sequence) = nil
	if c.prev == nil {
		t.oldest = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		t.newest = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next, c.pending = nil, nil, false
	t.n--
}

// maxTombstones bounds the memory of calls whose answer came too late or not at all.
const maxTombstones = 16384

// tombstones remember timed-out calls, so that a late answer still names its job.
type tombstones struct {
	calls map[uint32]*Call
	order []uint32 // oldest first; may name sequences that are gone
}

func (t *tombstones) add(c *Call) {
	if t.calls == nil {
		t.calls = make(map[uint32]*Call)
	}
	if len(t.order) >= maxTombstones {
		delete(t.calls, t.order[0])
		t.order = t.order[1:]
	}
	t.calls[c.sequence] = c
	t.order = append(t.order, c.sequence)
}

// take removes and returns the call, or nil.
func (t *tombstones) take(sequence uint32) *Call {
	c := t.calls[sequence]
	if c != nil {
		delete(t.calls, sequence)
	}
	return c
}
