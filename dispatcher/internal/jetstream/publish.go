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
	calls   sync.Pool
	outbox  outbox[outgoing]
	trouble atomic.Bool // a publish is being repeated

	mu       sync.Mutex
	next     uint64           // guarded by mu
	pending  map[uint64]*call // guarded by mu
	restored chan struct{}    // closed at a reconnect, then replaced; guarded by mu
	closed   error            // guarded by mu
}

// call is one attempt to publish.
type call struct {
	since  time.Time
	answer chan answer // capacity 1; written by whoever takes the call out of pending, read by attempt
}

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
		pending:  make(map[uint64]*call),
		restored: make(chan struct{}),
	}
	p.outbox.publish = p.hand
	p.calls.New = func() any { return &call{answer: make(chan answer, 1)} }
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

// attempt publishes once and waits for the answer. errUnanswered means that
// the message may or may not be stored.
func (p *publisher) attempt(ctx context.Context, msg *nats.Msg) (answer, error) {
	c := p.calls.Get().(*call)
	token, err := p.register(c)
	if err != nil {
		return answer{}, err
	}
	out := outgoing{*msg, token}
	out.msg.Reply = p.reply(token)
	p.outbox.send(out)
	select {
	case a := <-c.answer:
		p.calls.Put(c)
		return a, a.err
	case <-ctx.Done():
		if p.take(token) == nil {
			// Answered at the last moment: the answer is worth more.
			a := <-c.answer
			p.calls.Put(c)
			return a, a.err
		}
		p.calls.Put(c)
		return answer{}, fmt.Errorf("%w: %w", errUnanswered, context.Cause(ctx))
	}
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

func (p *publisher) register(c *call) (uint64, error) {
	c.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return 0, p.closed
	}
	p.next++
	p.pending[p.next] = c
	return p.next, nil
}

func (p *publisher) reply(token uint64) string {
	var buf [64]byte
	return string(strconv.AppendUint(append(buf[:0], p.inbox...), token, 36))
}

// take takes an attempt out, to answer it or to give it up. It returns nil
// when somebody else has: then its answer is written, or about to be.
func (p *publisher) take(token uint64) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.pending[token]
	delete(p.pending, token)
	return c
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

// expire gives up on attempts that were not answered in time.
func (p *publisher) expire(now time.Time) {
	p.mu.Lock()
	var overdue []*call
	for token, c := range p.pending {
		if now.Sub(c.since) > p.timeout {
			delete(p.pending, token)
			overdue = append(overdue, c)
		}
	}
	p.mu.Unlock()
	for _, c := range overdue {
		c.answer <- answer{err: errUnanswered}
	}
}

// reconnected has every attempt repeated: its PubAck went down with the
// connection, whether or not the message did.
func (p *publisher) reconnected() {
	p.mu.Lock()
	close(p.restored)
	p.restored = make(chan struct{})
	p.mu.Unlock()
	p.fail(errUnanswered)
}

// abandon fails what is pending and all that comes.
func (p *publisher) abandon(err error) {
	p.mu.Lock()
	p.closed = err
	p.mu.Unlock()
	p.fail(err)
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	all := p.pending
	p.pending = make(map[uint64]*call)
	p.mu.Unlock()
	for _, c := range all {
		c.answer <- answer{err: err}
	}
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pending)
}
