package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Headers that travel with a scheduled retry.
const (
	headerAttempt = "Shortwire-Attempt" // 1-based number of the attempt to come
	headerDoubt   = "Shortwire-Doubt"   // "true": an earlier attempt may have reached the SMSC
	headerStored  = "Shortwire-Stored"  // Unix ms: when the job was stored that a worker had in hand when this was scheduled
)

// confirmTimeout bounds the wait for the answer to an ack.
const confirmTimeout = 2 * time.Second

// Acknowledgements (NATS ADR-2).
var (
	ackAck      = []byte("+ACK")
	ackNak      = []byte("-NAK")
	ackProgress = []byte("+WPI")
)

// delivery implements dispatcher.Delivery.
type delivery struct {
	msg     *nats.Msg
	origin  sms.Origin
	from    *puller
	set     *unsettled
	attempt int
	doubt   bool

	prev, next *delivery // in set's list; guarded by set.mu; next is nil once settled
	touched    time.Time // delivered or kept alive; guarded by set.mu
}

var _ dispatcher.Delivery = (*delivery)(nil)

func (d *delivery) Origin() sms.Origin       { return d.origin }
func (d *delivery) Data() []byte             { return d.msg.Data }
func (d *delivery) Header(key string) string { return d.msg.Header.Get(key) }
func (d *delivery) Attempt() int             { return d.attempt }
func (d *delivery) Doubt() bool              { return d.doubt }
func (d *delivery) Ack()                     { d.set.settle(d, ackAck) }

// Before implements dispatcher.Delivery.
func (d *delivery) Before() dispatcher.Before {
	var b dispatcher.Before
	if d.informed() {
		b = readBefore(d.msg.Header)
	}
	switch {
	case d.from.queue == dueRetries && len(d.msg.Header[headerStored]) > 0:
		b.Stored, _ = strconv.ParseInt(d.msg.Header.Get(headerStored), 10, 64)
	case d.from.queue == turns, !firstDelivery(d.msg.Reply):
		b.Stored = d.stored() // it may have been delivered from the queue too, right before it was moved
	}
	return b
}

// Stored implements dispatcher.Delivery.
func (d *delivery) Stored() time.Time {
	m, err := d.msg.Metadata()
	if err != nil {
		return time.Time{}
	}
	return m.Timestamp
}

// stored is when the server stored the message, in Unix ms; 0 when that is not known.
func (d *delivery) stored() int64 { return max(d.Stored().UnixMilli(), 0) }

// informed reports whether the headers tell of attempts before this one.
func (d *delivery) informed() bool {
	return d.from.queue == dueRetries || len(d.msg.Header[headerReplay]) > 0
}

// firstDelivery reads the count in the reply subject of a delivery:
// $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<count>.<seq>.<seq>.<time>.<pending>[.<random>]
func firstDelivery(reply string) bool {
	skip := 4
	if strings.Count(reply, ".") > 8 {
		skip = 5
	}
	for range skip {
		reply = reply[:max(strings.LastIndexByte(reply, '.'), 0)]
	}
	return strings.HasSuffix(reply, ".1")
}

// HandBack implements dispatcher.Delivery. A delayed one holds its place among
// the consumer's pending deliveries meanwhile.
func (d *delivery) HandBack(after time.Duration) {
	answer := ackNak
	if after > 0 {
		answer = fmt.Appendf(nil, `-NAK {"delay": %d}`, after)
	}
	d.set.settle(d, answer)
}

// readRetry takes attempt and doubt from the headers of a due retry. On a job
// stream the headers are the producer's: only doubt is believed there, and
// that of a replay.
func (d *delivery) readRetry() {
	if d.from.queue != dueRetries {
		d.doubt = len(d.msg.Header[headerReplay]) > 0 && d.msg.Header.Get(headerDoubt) == "true"
		return
	}
	if n, err := strconv.Atoi(d.msg.Header.Get(headerAttempt)); err == nil && n > 1 {
		d.attempt = n
	}
	d.doubt = d.msg.Header.Get(headerDoubt) == "true"
}

// unsettled is the deliveries of one consumer that were neither acked nor
// handed back, the longest untouched first.
type unsettled struct {
	client *Client

	mu      sync.Mutex
	root    delivery      // sentinel of a ring; guarded by mu
	n       int           // guarded by mu
	ackWait time.Duration // of the consumer on the server; guarded by mu
	lastAck string        // reply subject of the last ack; guarded by mu
	intake  *puller       // that delivers them, the last one; guarded by mu
}

func newUnsettled(c *Client) *unsettled {
	u := &unsettled{client: c, ackWait: c.cfg.Consumers.AckWait}
	u.root.prev, u.root.next = &u.root, &u.root
	return u
}

func (u *unsettled) add(d *delivery, now time.Time) {
	u.mu.Lock()
	u.push(d, now)
	u.n++
	u.mu.Unlock()
}

// push puts d at the end. Called with mu held.
func (u *unsettled) push(d *delivery, now time.Time) {
	d.touched = now
	d.prev, d.next = u.root.prev, &u.root
	d.prev.next, d.next.prev = d, d
}

// unlink takes d out. Called with mu held.
func (u *unsettled) unlink(d *delivery) {
	d.prev.next, d.next.prev = d.next, d.prev
	d.prev, d.next = nil, nil
}

// verdict is the answer to a delivery on its way to the server.
type verdict struct {
	set    *unsettled
	reply  string
	answer []byte
}

// settle answers a delivery, once. An answer that cannot be written is lost:
// the message comes again and the ledger knows it.
func (u *unsettled) settle(d *delivery, answer []byte) {
	u.mu.Lock()
	if d.next == nil {
		u.mu.Unlock()
		return
	}
	u.unlink(d)
	u.mu.Unlock()
	u.client.acks.send(verdict{u, d.msg.Reply, answer})
}

// tell writes an answer.
func (c *Client) tell(v *verdict) {
	err := c.in.Publish(v.reply, v.answer)

	// Counted only now, so that Drain does not overtake the answer.
	v.set.mu.Lock()
	v.set.n--
	if v.answer[0] == '+' {
		v.set.lastAck = v.reply
	}
	v.set.mu.Unlock()
	if err != nil && !c.ackLost.Swap(true) {
		c.log.Warn("acks cannot be written, their jobs will come again", "err", err)
	}
}

// keepAlive tells the server of every delivery that was not touched for a
// third of the ack wait that it is still worked on.
func (u *unsettled) keepAlive(now time.Time) {
	u.mu.Lock()
	var due []string
	for d := u.root.next; d != &u.root && now.Sub(d.touched) >= u.ackWait/3; d = u.root.next {
		due = append(due, d.msg.Reply)
		u.unlink(d)
		u.push(d, now)
	}
	u.mu.Unlock()
	for _, reply := range due {
		_ = u.client.in.Publish(reply, ackProgress) // repeated at the next third
	}
}

// confirm has the server answer the last ack: acks of a consumer are handled
// in order, so its answer stands for all of them.
func (u *unsettled) confirm(ctx context.Context) error {
	u.mu.Lock()
	last := u.lastAck
	u.mu.Unlock()
	if last == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	_, err := u.client.in.RequestWithContext(ctx, last, ackAck)
	if err != nil && !errors.Is(err, nats.ErrNoResponders) { // none: the consumer is gone
		return fmt.Errorf("ack of %s: %w", last, err)
	}
	u.mu.Lock()
	u.lastAck = ""
	u.mu.Unlock()
	return nil
}

func (u *unsettled) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.n
}

func (u *unsettled) setAckWait(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ackWait = d
}
