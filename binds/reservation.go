package binds

import (
	"context"
	"errors"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var (
	errNotSent   = errors.New("not sent before the context ended")
	errAbandoned = errors.New("no response before the context ended")
)

// Reservation is window slots on one bind. Exactly one of Send, SendThen and
// Release must be called, once. It is used again for other jobs, and no longer
// the caller's after Release, once Next has returned false, or SendThen's
// function has returned.
type Reservation struct {
	bind    *bind
	session *smpp.Session
	slots   int
	tokens  int // of the bind's limiter

	// What follows is Send's, and belongs to its one goroutine.
	burst     smpp.Burst
	msgs      []*sms.Message // not yet written
	open      int            // written and not yet come out of burst.Done
	ended     error          // why the rest of msgs cannot be written
	over      bool           // ctx ended
	abandoned []*smpp.Call   // written, unanswered when ctx ended, and not yet told
	kept      bool           // the session may still know calls of the burst

	// What follows is SendThen's.
	then  func(sms.Reply)
	sole  [1]*sms.Message
	onEnd func(*smpp.Call) // end, made once
}

// recycle makes the reservation available to others, unless the session may
// still refer to one of its calls.
func (r *Reservation) recycle() {
	if r.kept {
		return
	}
	pool := r.bind.pool
	*r = Reservation{burst: smpp.Burst{Done: r.burst.Done}, onEnd: r.onEnd}
	pool.reservations.Put(r)
}

// reserve takes slots for a message of n parts on this bind.
func (b *bind) reserve(n, slots int) (*Reservation, Shortage) {
	s := b.session.Load()
	if s == nil {
		return nil, Shortage{Reason: ShortBind}
	}
	slots = min(slots, s.Window())
	taken := b.limiter != nil && s.Free() >= slots
	if taken {
		// Tokens first: giving slots back would announce them for nothing.
		if wait := b.limiter.Take(n); wait > 0 {
			return nil, Shortage{Reason: ShortRate, Wait: wait}
		}
	}
	if !s.TryAcquire(slots) {
		if taken {
			b.limiter.Return(n)
		}
		return nil, Shortage{Reason: ShortWindow}
	}
	r, ok := b.pool.reservations.Get().(*Reservation)
	if !ok {
		r = new(Reservation)
	}
	r.bind, r.session, r.slots, r.tokens = b, s, slots, 0
	if taken {
		r.tokens = n
	}
	return r, Shortage{}
}

// Bind returns the name of the bind.
func (r *Reservation) Bind() string { return r.bind.name }

// Release gives the slots back unused, and with them the tokens of the bind:
// most turns at a route's limit end here.
func (r *Reservation) Release() {
	if r.tokens > 0 {
		r.bind.limiter.Return(r.tokens)
	}
	r.session.Release(r.slots)
	r.recycle()
}

// Send writes the messages of one job, at most as many as were reserved, and
// does not wait for their replies, which Next returns. Slots come free as
// replies arrive.
func (r *Reservation) Send(ctx context.Context, ref sms.JobRef, msgs []*sms.Message) {
	if len(msgs) < r.slots {
		r.session.Release(r.slots - len(msgs))
	}
	r.msgs, r.burst.Ref = msgs, ref
	if cap(r.burst.Done) < len(msgs) {
		r.burst.Done = make(chan *smpp.Call, len(msgs))
	}
	if n := min(len(msgs), r.slots); n > 0 {
		r.write(ctx, n)
	}
}

// SendThen writes a message of one part and returns at once. answered is
// called with its reply where that is found, possibly within SendThen; it must
// not block. Slots come free when it has returned.
func (r *Reservation) SendThen(ref *sms.JobRef, m *sms.Message, answered func(sms.Reply)) {
	if r.slots > 1 {
		r.session.Release(r.slots - 1)
	}
	if r.onEnd == nil {
		r.onEnd = r.end
	}
	r.burst.Ref, r.burst.Then = *ref, r.onEnd
	r.then, r.sole[0] = answered, m
	r.open = 1
	if err := r.session.Go(&r.burst, r.sole[:]); err != nil {
		answered(r.fate(m.Part, err))
		r.recycle()
	}
}

// end is that of a message that SendThen wrote.
func (r *Reservation) end(c *smpp.Call) {
	r.then(r.reply(c))
	r.recycle()
}

// Abandon ends the interest in a message that SendThen wrote and whose function
// was not called yet. It reports whether it will not be: the message is
// uncertain then, and an acceptance that still comes goes to Deps.Late.
func (r *Reservation) Abandon() bool { return len(r.session.Abandon(&r.burst)) > 0 }

// Next waits for the next reply, in the order of arrival. It returns false
// when there has been one for each message, and must be called until then.
// When ctx ends, messages without an answer are uncertain, and an acceptance
// that still comes goes to Deps.Late; what was not handed to the session is
// unavailable.
func (r *Reservation) Next(ctx context.Context) (sms.Reply, bool) {
	r.writeMore(ctx)
	if r.open > 0 && !r.over {
		select {
		case c := <-r.burst.Done:
			return r.reply(c), true
		case <-ctx.Done():
			r.abandon()
		}
	}
	switch {
	case len(r.abandoned) > 0:
		c := r.abandoned[0]
		r.abandoned = r.abandoned[1:]
		return r.fate(c.Part, &sms.Error{Op: "submit_sm", Code: sms.CodeUncertain, Err: errAbandoned}), true
	case r.open > 0: // answered, and on its way
		return r.reply(<-r.burst.Done), true
	case len(r.msgs) > 0:
		m := r.msgs[0]
		r.msgs = r.msgs[1:]
		return r.fate(m.Part, r.ended), true
	}
	r.recycle()
	return sms.Reply{}, false
}

// write hands the next n messages to the session. Their slots are taken.
func (r *Reservation) write(ctx context.Context, n int) {
	if err := ctx.Err(); err != nil {
		r.session.Release(n)
		r.ended = &sms.Error{Op: "submit_sm", Code: sms.CodeUnavailable, Err: errors.Join(errNotSent, err)}
		return
	}
	if err := r.session.Go(&r.burst, r.msgs[:n]); err != nil {
		r.ended = err
		return
	}
	r.msgs = r.msgs[n:]
	r.open += n
}

// writeMore writes what did not fit the reservation, as far as slots are
// free, waiting for one only when nothing else is left to wait for.
func (r *Reservation) writeMore(ctx context.Context) {
	for len(r.msgs) > 0 && r.ended == nil {
		if !r.session.TryAcquire(1) {
			if r.open > 0 {
				return
			}
			if err := r.session.Acquire(ctx); err != nil {
				r.ended = err
				return
			}
		}
		r.write(ctx, 1)
	}
}

// abandon ends the interest in what is still open, and in what was not written.
func (r *Reservation) abandon() {
	r.over, r.kept = true, true
	r.abandoned = r.session.Abandon(&r.burst)
	r.open -= len(r.abandoned)
	if r.ended == nil {
		r.ended = &sms.Error{Op: "submit_sm", Code: sms.CodeUnavailable, Err: errNotSent}
	}
}

// reply turns an ended call into its reply.
func (r *Reservation) reply(c *smpp.Call) sms.Reply {
	r.open--
	r.session.Taken()
	reply := r.fate(c.Part, c.Err)
	reply.Latency = c.Latency
	switch {
	case c.Err != nil:
		r.kept = true
	case c.Status == smpp.StatusOK:
		reply.RawMessageID = c.MessageID
	default:
		own := r.bind.pool.config().Status
		e := own.Error("submit_sm", c.Status)
		reply.Err = e
		switch own.Classify(c.Status) {
		case ClassSession:
			r.bind.sessionRefused(r.session, e)
		case ClassRetryOnce:
			if r.session.Crowded() { // not this message's fault, so it may happen to it again
				e.Tries = 0
			}
		}
	}
	return reply
}

func (r *Reservation) fate(part int, err error) sms.Reply {
	return sms.Reply{Part: part, Bind: r.bind.name, Err: err}
}
