package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

const (
	headerMsgID = "Nats-Msg-Id"
	// expiry is how often publishes that are overdue or given up are looked for.
	expiry = 100 * time.Millisecond
	// Pauses between attempts of one publish, jittered by half.
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// publisher sends messages and matches their PubAcks. All answers come to one
// wildcard inbox; the last token of the reply subject names the attempt, and
// is never used twice: a late answer must not stand for another message.
type publisher struct {
	nc      *nats.Conn
	log     *slog.Logger
	timeout time.Duration
	inbox   string // with its trailing dot
	outbox  *outbox[outgoing]
	repeats sync.WaitGroup         // promises whose first attempt failed
	trouble atomic.Bool            // a publish is being repeated
	fault   atomic.Pointer[string] // why; written before trouble is set

	mu       sync.Mutex
	calls    []*call       // by slot; guarded by mu
	free     []*call       // those whose answer was read; guarded by mu
	pending  int           // calls that are open, and promises that are repeated; guarded by mu
	restored chan struct{} // closed at a reconnect, then replaced; guarded by mu
	closed   error         // guarded by mu
}

// call is an attempt to publish, and afterwards another.
type call struct {
	slot    uint64          // in publisher.calls
	round   uint64          // which attempt it is; guarded by publisher.mu
	open    bool            // not answered; guarded by publisher.mu
	ctx     context.Context // of who waits, for expire to look at: a select in every wait costs more than the wait; guarded by publisher.mu
	since   time.Time       // guarded by publisher.mu
	answer  chan answer     // capacity 1; written by whoever closes the call, read by attempt
	promise promise         // when nobody reads answer; guarded by publisher.mu
}

// promise is a publish that nobody waits for: done hears how it ended.
type promise struct {
	msg  *nats.Msg
	done func(error)
}

// slotBits of a token are the call's slot, the others its round.
const slotBits = 24

// outgoing is a message on its way to the server. It is a copy: the caller may
// have given up on the attempt and made another of the same message.
type outgoing struct {
	msg   nats.Msg
	token uint64
}

// answer is the server's word on one attempt.
type answer struct {
	duplicate bool // it had the message already
	err       error
}

func newPublisher(nc *nats.Conn, timeout time.Duration, log *slog.Logger) (*publisher, error) {
	p := &publisher{
		nc: nc, log: log, timeout: timeout,
		inbox:    nc.NewInbox() + ".",
		restored: make(chan struct{}),
	}
	p.outbox = newOutbox(p.hand)
	sub, err := nc.Subscribe(p.inbox+"*", p.onAnswer)
	if err != nil {
		return nil, fmt.Errorf("subscribe for publish acks: %w", err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribe for publish acks: %w", err)
	}
	return p, nil
}

// durable publishes until the server has stored the message, through
// disconnections, restarts and full streams, until ctx ends. msg carries a
// Nats-Msg-Id, so that repeats are dropped by the server. Errors that no
// repeat can mend are returned at once.
func (p *publisher) durable(ctx context.Context, msg *nats.Msg) error {
	_, err := p.attempt(ctx, msg)
	return p.insist(ctx, msg, err)
}

// promise publishes like durable and returns at once. done is called once, not
// always on another goroutine, and must not block.
func (p *publisher) promise(ctx context.Context, msg *nats.Msg, done func(error)) {
	if err := p.send(ctx, msg, promise{msg, done}); err != nil {
		p.keep(ctx, promise{msg, done}, err)
	}
}

// keep ends a promise after its first attempt, or goes on with it.
func (p *publisher) keep(ctx context.Context, of promise, err error) {
	if err == nil || ctx.Err() != nil || !passing(err) {
		of.done(p.insist(ctx, of.msg, err)) // which does not wait
		return
	}
	p.addPending(1)
	p.repeats.Go(func() {
		defer p.addPending(-1)
		of.done(p.insist(ctx, of.msg, err))
	})
}

// insist repeats a publish, whose first attempt ended with err, as durable says.
func (p *publisher) insist(ctx context.Context, msg *nats.Msg, err error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if err == nil {
			if p.trouble.Load() && p.trouble.Swap(false) {
				p.log.Info("publishing works again")
			}
			return nil
		}
		if ctx.Err() != nil || !passing(err) {
			return fmt.Errorf("publish to %s: %w", msg.Subject, err)
		}
		p.fault.Store(new(err.Error()))
		if !p.trouble.Swap(true) {
			p.log.Warn("publish is repeated until it succeeds", "subject", msg.Subject, "err", err)
		}
		if waitErr := p.pause(ctx, pause); waitErr != nil {
			return fmt.Errorf("publish to %s: %w; last attempt: %w", msg.Subject, waitErr, err)
		}
		_, err = p.attempt(ctx, msg)
	}
}

// pause waits before the next attempt: a jittered d, or less when the
// connection comes back.
func (p *publisher) pause(ctx context.Context, d time.Duration) error {
	if p.nc.IsConnected() {
		return sleep(ctx, d/2+jitter(d))
	}
	p.mu.Lock()
	restored := p.restored
	p.mu.Unlock()
	if p.nc.IsConnected() { // meanwhile: restored is the next one already
		return nil
	}
	t := time.NewTimer(longestPause)
	defer t.Stop()
	select {
	case <-restored:
	case <-t.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// attempt publishes once and waits for the answer, or until expire sees that
// ctx has ended. errUnanswered means that the message may or may not be stored.
func (p *publisher) attempt(ctx context.Context, msg *nats.Msg) (answer, error) {
	c, err := p.begin(ctx, msg)
	if err != nil {
		return answer{}, err
	}
	a := p.end(c)
	return a, a.err
}

// begin publishes without waiting for the answer: several of one goroutine are
// stored in the order in which they began. Each is ended.
func (p *publisher) begin(ctx context.Context, msg *nats.Msg) (*call, error) {
	c, token, err := p.register(ctx, promise{})
	if err != nil {
		return nil, err
	}
	p.post(msg, token)
	return c, nil
}

// send is begin for a promise.
func (p *publisher) send(ctx context.Context, msg *nats.Msg, of promise) error {
	_, token, err := p.register(ctx, of)
	if err == nil {
		p.post(msg, token)
	}
	return err
}

func (p *publisher) post(msg *nats.Msg, token uint64) {
	out := outgoing{*msg, token}
	out.msg.Reply = p.reply(token)
	p.outbox.send(out)
}

// end waits for the answer.
func (p *publisher) end(c *call) answer {
	a := <-c.answer
	p.release(c)
	return a
}

// hand gives a message to nats.go; a refusal is its answer.
func (p *publisher) hand(o *outgoing) {
	err := p.nc.PublishMsg(&o.msg)
	if err == nil {
		return
	}
	p.answered(o.token, answer{err: sendFault(err)})
}

// register opens a call and makes its token.
func (p *publisher) register(ctx context.Context, of promise) (*call, uint64, error) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return nil, 0, p.closed
	}
	var c *call
	if n := len(p.free); n > 0 {
		c, p.free = p.free[n-1], p.free[:n-1]
	} else {
		c = &call{slot: uint64(len(p.calls)), answer: make(chan answer, 1)}
		p.calls = append(p.calls, c)
	}
	c.round++
	c.open, c.ctx, c.since, c.promise = true, ctx, now, of
	p.pending++
	return c, c.round<<slotBits | c.slot, nil
}

// release makes a call whose answer was read ready for another attempt.
func (p *publisher) release(c *call) {
	p.mu.Lock()
	p.free = append(p.free, c)
	p.mu.Unlock()
}

func (p *publisher) reply(token uint64) string {
	var buf [64]byte
	return string(strconv.AppendUint(append(buf[:0], p.inbox...), token, 36))
}

// answered closes an attempt, unless somebody else has, and answers it.
func (p *publisher) answered(token uint64, a answer) {
	slot, round := token&(1<<slotBits-1), token>>slotBits
	p.mu.Lock()
	if slot >= uint64(len(p.calls)) || !p.calls[slot].open || p.calls[slot].round != round {
		p.mu.Unlock()
		return
	}
	ctx, of := p.close(p.calls[slot], a)
	p.mu.Unlock()
	if of.done != nil {
		p.keep(ctx, of, a.err)
	}
}

// close answers an open call, or returns the promise that the caller has to
// keep once it has given mu, which it holds, back.
func (p *publisher) close(c *call, a answer) (context.Context, promise) {
	ctx, of := c.ctx, c.promise
	c.open, c.ctx, c.promise = false, nil, promise{}
	p.pending--
	if of.done == nil {
		c.answer <- a // does not block: an open call has no answer yet
	} else {
		p.free = append(p.free, c)
	}
	return ctx, of
}

// onAnswer takes a PubAck, or the server's word that nobody listens.
func (p *publisher) onAnswer(msg *nats.Msg) {
	token, err := strconv.ParseUint(msg.Subject[len(p.inbox):], 36, 64)
	if err != nil {
		return
	}
	p.answered(token, readPubAck(msg))
}

// readPubAck reads a PubAck without decoding it when it is a positive one: the
// server begins those with the stream's name, and negative ones with an error
// (nats-server, JSPubAckResponse).
func readPubAck(msg *nats.Msg) answer {
	if bytes.HasPrefix(msg.Data, []byte(`{"stream":`)) && !bytes.Contains(msg.Data, []byte(`"error":`)) {
		return answer{duplicate: bytes.Contains(msg.Data, []byte(`"duplicate"`))}
	}
	if len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
		return answer{err: ErrNoStream}
	}
	var ack struct {
		Error     *natsjs.APIError `json:"error"`
		Stream    string           `json:"stream"`
		Duplicate bool             `json:"duplicate"`
	}
	if err := json.Unmarshal(msg.Data, &ack); err != nil {
		return answer{err: fmt.Errorf("%w: %w", errNotAck, err)}
	}
	switch {
	case ack.Error != nil:
		return answer{err: refusal(ack.Error)}
	case ack.Stream == "":
		return answer{err: errNotAck}
	}
	return answer{duplicate: ack.Duplicate}
}

// keepTime calls expire until stop is closed. Nothing in it waits for the
// network: the end of a ctx must be seen however that is.
func (p *publisher) keepTime(stop <-chan struct{}) {
	t := time.NewTicker(expiry)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-t.C:
			p.expire(now)
		}
	}
}

// expire gives up on attempts that were not answered in time, and on those
// that nobody waits for any more.
func (p *publisher) expire(now time.Time) {
	p.fail(func(c *call) error {
		switch {
		case c.ctx.Err() != nil:
			return fmt.Errorf("%w: %w", errUnanswered, context.Cause(c.ctx))
		case now.Sub(c.since) > p.timeout:
			return errUnanswered
		}
		return nil
	})
}

// reconnected has every attempt repeated: its PubAck went down with the
// connection, whether or not the message did.
func (p *publisher) reconnected() {
	p.mu.Lock()
	close(p.restored)
	p.restored = make(chan struct{})
	p.mu.Unlock()
	p.fail(func(*call) error { return errUnanswered })
}

// abandon fails what is pending and all that comes.
func (p *publisher) abandon(err error) {
	p.mu.Lock()
	p.closed = err
	p.mu.Unlock()
	p.fail(func(*call) error { return err })
}

// fail answers the open calls with the error that verdict, called with mu
// held, has for them.
func (p *publisher) fail(verdict func(*call) error) {
	type failed struct {
		ctx context.Context
		of  promise
		err error
	}
	var promises []failed
	p.mu.Lock()
	for _, c := range p.calls {
		if !c.open {
			continue
		}
		if err := verdict(c); err != nil {
			if ctx, of := p.close(c, answer{err: err}); of.done != nil {
				promises = append(promises, failed{ctx, of, err})
			}
		}
	}
	p.mu.Unlock()
	for _, f := range promises {
		p.keep(f.ctx, f.of, f.err)
	}
}

func (p *publisher) addPending(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending += n
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending
}
