package binds

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var (
	errNotSent   = errors.New("not sent before the context ended")
	errAbandoned = errors.New("no response before the context ended")
)

// Reservation is window slots on one bind. Exactly one of Send and Release
// must be called, once.
type Reservation struct {
	bind    *bind
	session *smpp.Session
	slots   int

	// What follows is Send's, and belongs to its one goroutine.
	ref    sms.JobRef
	msgs   []*sms.Message // not yet written
	bursts []*smpp.Burst
	first  [1]*smpp.Burst // room for the common case
	done   chan *smpp.Call
	open   int   // written and not yet come out of done
	ended  error // why the rest of msgs cannot be written
}

// reserve takes slots for a message of n parts on this bind.
func (b *bind) reserve(n, slots int) (*Reservation, Shortage) {
	s := b.session.Load()
	if s == nil {
		return nil, Shortage{Reason: ShortBind}
	}
	if b.limiter != nil && s.Free() >= slots {
		// Tokens first: giving slots back would announce them for nothing.
		if wait := b.limiter.Take(n); wait > 0 {
			return nil, Shortage{Reason: ShortRate, Wait: wait}
		}
	}
	if !s.TryAcquire(slots) {
		return nil, Shortage{Reason: ShortWindow}
	}
	return &Reservation{bind: b, session: s, slots: slots}, Shortage{}
}

// Bind returns the name of the bind.
func (r *Reservation) Bind() string { return r.bind.name }

// Release gives the slots back unused.
func (r *Reservation) Release() { r.session.Release(r.slots) }

// Send writes the messages of one job, at most as many as were reserved, and
// yields one reply for each in the order of arrival. It begins at once, not
// with the first iteration. Slots come free as replies arrive. When ctx
// ends, or the consumer stops, messages without an answer are uncertain, and an
// acceptance that still comes goes to Deps.Late; what was not handed to the
// session is unavailable.
func (r *Reservation) Send(ctx context.Context, ref sms.JobRef, msgs []*sms.Message) iter.Seq[sms.Reply] {
	if len(msgs) < r.slots {
		r.session.Release(r.slots - len(msgs))
	}
	r.ref, r.msgs, r.done = ref, msgs, make(chan *smpp.Call, len(msgs))
	if n := min(len(msgs), r.slots); n > 0 {
		r.write(ctx, n)
	}
	return func(yield func(sms.Reply) bool) { r.replies(ctx, yield) }
}

// write hands the next n messages to the session. Their slots are taken.
func (r *Reservation) write(ctx context.Context, n int) {
	if err := ctx.Err(); err != nil {
		r.session.Release(n)
		r.ended = &sms.Error{Op: "submit_sm", Code: sms.CodeUnavailable, Err: errors.Join(errNotSent, err)}
		return
	}
	b, err := r.session.Go(r.ref, r.msgs[:n], r.done)
	if err != nil {
		r.ended = err
		return
	}
	if r.bursts == nil {
		r.bursts = r.first[:0]
	}
	r.bursts = append(r.bursts, b)
	r.msgs = r.msgs[n:]
	r.open += n
}

func (r *Reservation) replies(ctx context.Context, yield func(sms.Reply) bool) {
	for r.open > 0 || len(r.msgs) > 0 {
		r.writeMore(ctx)
		if r.open == 0 {
			r.rest(yield)
			return
		}
		select {
		case c := <-r.done:
			r.open--
			if !yield(r.reply(c)) {
				r.abandon(ctx, nil)
				return
			}
		case <-ctx.Done():
			r.abandon(ctx, yield)
			return
		}
	}
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

// abandon ends the interest in what is still open and yields its replies. A
// nil yield means that nobody listens: then what was accepted goes to Deps.Late.
func (r *Reservation) abandon(ctx context.Context, yield func(sms.Reply) bool) {
	tell := func(reply sms.Reply) {
		if yield != nil && !yield(reply) {
			yield = nil
		}
	}
	for _, b := range r.bursts {
		for _, c := range r.session.Abandon(b) {
			r.open--
			err := &sms.Error{Op: "submit_sm", Code: sms.CodeUncertain, Err: errAbandoned}
			tell(sms.Reply{Part: c.Part, Bind: r.bind.name, Err: err})
		}
	}
	// The others have been answered and are on their way.
	for ; r.open > 0; r.open-- {
		c := <-r.done
		reply := r.reply(c)
		if yield == nil && reply.Err == nil {
			r.bind.pool.late(ctx, r.ref, sms.Accepted{Part: c.Part, PartsTotal: c.PartsTotal, RawMessageID: c.MessageID, At: time.Now()})
		}
		tell(reply)
	}
	if yield != nil {
		r.rest(yield)
	}
}

// rest yields unavailable for what was never written.
func (r *Reservation) rest(yield func(sms.Reply) bool) {
	err := r.ended
	if err == nil {
		err = &sms.Error{Op: "submit_sm", Code: sms.CodeUnavailable, Err: errNotSent}
	}
	for len(r.msgs) > 0 {
		m := r.msgs[0]
		r.msgs = r.msgs[1:]
		if !yield(sms.Reply{Part: m.Part, Bind: r.bind.name, Err: err}) {
			return
		}
	}
}

// reply turns an ended call into its reply.
func (r *Reservation) reply(c *smpp.Call) sms.Reply {
	reply := sms.Reply{Part: c.Part, Bind: r.bind.name, Latency: c.Latency, Err: c.Err}
	switch {
	case c.Err != nil:
	case c.Status == smpp.StatusOK:
		reply.RawMessageID = c.MessageID
	default:
		e := StatusError("submit_sm", c.Status)
		reply.Err = e
		if Classify(c.Status) == ClassSession {
			r.bind.sessionRefused(r.session, e)
		}
	}
	return reply
}
