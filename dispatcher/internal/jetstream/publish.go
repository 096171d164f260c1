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
	outbox  outbox[outgoing]
	trouble atomic.Bool            // a publish is being repeated
	fault   atomic.Pointer[string] // why; written before trouble is set

	mu       sync.Mutex
	calls    []*call       // by slot; guarded by mu
	free     []*call       // those whose answer was read; guarded by mu
	pending  int           // calls that are open; guarded by mu
	restored chan struct{} // closed at a reconnect, then replaced; guarded by mu
	closed   error         // guarded by mu
}

// call is an attempt to publish, and afterwards another.
type call struct {
	slot   uint64          // in publisher.calls
	round  uint64          // which attempt it is; guarded by publisher.mu
	open   bool            // not answered; guarded by publisher.mu
	ctx    context.Context // of who waits, for expire to look at: a select in every wait costs more than the wait; guarded by publisher.mu
	since  time.Time       // guarded by publisher.mu
	answer chan answer     // capacity 1; written by whoever closes the call, read by attempt
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
	p.outbox.publish = p.hand
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
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		_, err := p.attempt(ctx, msg)
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
	c, token, err := p.register(ctx)
	if err != nil {
		return nil, err
	}
	out := outgoing{*msg, token}
	out.msg.Reply = p.reply(token)
	p.outbox.send(out)
	return c, nil
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
	if c := p.take(o.token); c != nil {
		c.answer <- answer{err: sendFault(err)}
	}
}

// register opens a call and makes its token.
func (p *publisher) register(ctx context.Context) (*call, uint64, error) {
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
	c.open, c.ctx, c.since = true, ctx, now
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

// take closes an attempt, to answer it. It returns nil when somebody else has.
func (p *publisher) take(token uint64) *call {
	slot, round := token&(1<<slotBits-1), token>>slotBits
	p.mu.Lock()
	defer p.mu.Unlock()
	if slot >= uint64(len(p.calls)) {
		return nil
	}
	c := p.calls[slot]
	if !c.open || c.round != round {
		return nil
	}
	p.close(c)
	return c
}

// close is called with mu held.
func (p *publisher) close(c *call) {
	c.open, c.ctx = false, nil
	p.pending--
}

// onAnswer takes a PubAck, or the server's word that nobody listens.
func (p *publisher) onAnswer(msg *nats.Msg) {
	token, err := strconv.ParseUint(msg.Subject[len(p.inbox):], 36, 64)
	if err != nil {
		return
	}
	if c := p.take(token); c != nil {
		c.answer <- readPubAck(msg)
	}
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
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if !c.open {
			continue
		}
		if err := verdict(c); err != nil {
			p.close(c)
			c.answer <- answer{err: err} // does not block: an open call has no answer yet
		}
	}
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending
}
