package jetstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var (
	_ dispatcher.Publisher = (*Client)(nil)
	_ dispatcher.Retrier   = (*Client)(nil)
	_ dispatcher.Morgue    = (*Client)(nil)
)

// Headers of a schedule (nats-server 2.12, ADR-51). When it fires, the server
// stores the message under the target without them and without Nats-Msg-Id,
// and removes the schedule.
const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
)

// usualResult is room for most results, in octets; longer ones grow.
const usualResult = 1024

// Publish implements dispatcher.Publisher and waits. It looks at ctx ten times
// a second.
func (c *Client) Publish(ctx context.Context, r *sms.Result) error {
	published := make(chan error, 1)
	c.PublishThen(ctx, r, func(err error) { published <- err })
	return <-published
}

// PublishThen implements dispatcher.Publisher.
func (c *Client) PublishThen(ctx context.Context, r *sms.Result, done func(error)) {
	pool := &c.outcomes
	if r.Kind == sms.KindReceipt {
		pool = &c.receipts // of another subject
	}
	m := pool.Get().(*resultMsg)
	data, err := r.AppendJSON(m.msg.Data[:0])
	if err != nil {
		done(fmt.Errorf("encode result: %w", err))
		return
	}
	if m.producer != r.Producer || m.route != r.Route || m.kind != r.Kind {
		m.producer, m.route, m.kind = r.Producer, r.Route, r.Kind
		m.msg.Subject = c.subjects.Results(r.Producer, r.Route, r.Kind)
	}
	m.msg.Data, m.id[0] = data, r.ID
	m.pool, m.done = pool, done
	m.msg.Header = m.header
	if r.Trace != nil {
		m.msg.Header = tracedHeader(r.ID, r.Trace)
	}
	c.pub.promise(ctx, &m.msg, m.published)
}

// resultMsg is what a published result leaves for the next: a quarter of all
// that a worker allocated.
type resultMsg struct {
	msg       nats.Msg // its subject is of results of that producer, route and kind
	id        []string // the one value in header
	header    nats.Header
	producer  string
	route     string
	kind      sms.Kind
	published func(error) // ends this use
	pool      *sync.Pool
	done      func(error)
}

func newResultMsg() any {
	m := &resultMsg{id: []string{""}}
	m.msg.Data, m.header = make([]byte, 0, usualResult), nats.Header{headerMsgID: m.id}
	m.published = func(err error) {
		done := m.done
		m.done = nil
		if err == nil {
			// Stored, so nothing of it is left in the outbox, which is first in,
			// first out. After a failure that is not known.
			m.pool.Put(m)
		}
		done(err)
	}
	return m
}

// tracedHeader is that of a message that goes with a trace.
func tracedHeader(id string, t *sms.Trace) nats.Header {
	h := nats.Header{headerMsgID: {id}, sms.HeaderTraceParent: {t.Parent()}}
	if t.State != "" {
		h[sms.HeaderTraceState] = []string{t.State}
	}
	return h
}

// PublishInbound stores a mobile-originated message, like Publish.
func (c *Client) PublishInbound(ctx context.Context, in *sms.Inbound) error {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode inbound message: %w", err)
	}
	id := in.ID
	if id == "" {
		id = nuid.Next()
	}
	header := nats.Header{headerMsgID: {id}}
	if in.Trace != nil {
		header = tracedHeader(id, in.Trace)
	}
	return c.pub.durable(ctx, &nats.Msg{Subject: c.subjects.Inbound(in.Route), Header: header, Data: data})
}

// Schedule implements dispatcher.Retrier. The server looks for due schedules at
// most every 250 ms (nats-server 2.15, scheduler.go), so a retry may come that
// much after At, or later while the stream has no leader.
//
// Every call has a subject and an id of its own. The subject, because there is
// one schedule for each and a later one would replace it; the id, because the
// same job may be scheduled again with the same attempt number, and a schedule
// that was dropped as a duplicate would be a lost job.
func (c *Client) Schedule(ctx context.Context, r dispatcher.Retry) error {
	origin, id := r.Of.Origin(), nuid.Next()
	if now := time.Now(); r.At.Before(now) {
		r.At = now // a zero time is none to the server
	}
	h := userHeaders(r.Of)
	h[headerMsgID] = []string{id}
	h[headerSchedule] = []string{"@at " + r.At.UTC().Format(time.RFC3339Nano)}
	h[headerScheduleTarget] = []string{c.subjects.RetryDue(origin)}
	h[headerAttempt] = []string{strconv.Itoa(r.Attempt)}
	if r.Doubt {
		h[headerDoubt] = []string{"true"}
	}
	if d, ours := r.Of.(*delivery); ours && r.InHand {
		h[headerStored] = []string{strconv.FormatInt(cmp.Or(d.Before().Stored, d.stored()), 10)}
	}
	if err := setParts(h, r.Parts, r.Via); err != nil {
		return fmt.Errorf("schedule retry: %w", err)
	}
	if r.Trace != nil && h[sms.HeaderTraceParent] == nil {
		h[sms.HeaderTraceParent] = []string{r.Trace.Parent()}
	}
	err := c.pub.durable(ctx, &nats.Msg{
		Subject: c.subjects.RetryAt(origin.Route, sms.JobKey(origin.Producer, r.JobID)+"."+id),
		Header:  h,
		Data:    r.Of.Data(),
	})
	if err != nil {
		return fmt.Errorf("schedule retry: %w", err)
	}
	return nil
}

// enqueue stores a message in a job stream. duplicate says that the stream had
// one of its Nats-Msg-Id within the dedup window and dropped this one; it is
// false when the answer to an earlier attempt of this call was lost, since that
// may be the message it had. It does not wait for room: the error is
// ErrStreamFull when the producer's share of the lane, or the stream, is full,
// and ErrNoStream when route or lane are unknown to the server.
func (c *Client) enqueue(ctx context.Context, msg *nats.Msg) (duplicate bool, err error) {
	for first := true; ; first = false {
		a, err := c.pub.attempt(ctx, msg)
		switch {
		case err == nil:
			return a.duplicate && first, nil
		case ctx.Err() == nil && passing(err) && !errors.Is(err, ErrNoStream) && !errors.Is(err, ErrStreamFull):
			if err := c.pub.pause(ctx, firstPause); err != nil {
				return false, fmt.Errorf("publish job to %s: %w", msg.Subject, err)
			}
			continue
		}
		hint := ""
		switch {
		case errors.Is(err, ErrNoStream):
			hint = "; is the route configured and set up (shortwire setup --config F)?"
		case errors.Is(err, ErrStreamFull):
			hint = "; try again when the workers have caught up"
		}
		return false, fmt.Errorf("publish job to %s: %w%s", msg.Subject, err, hint)
	}
}

// userHeaders copies what the producer sent along, traceparent among it, and
// what a replay knows. Other headers of NATS and our own are about one
// delivery only.
func userHeaders(of dispatcher.Delivery) nats.Header {
	if d, ours := of.(*delivery); ours {
		h := producerHeaders(d.msg.Header)
		if v := d.msg.Header[headerReplay]; v != nil {
			h[headerReplay] = v
		}
		if v := d.msg.Header[headerParts]; v != nil && d.informed() {
			h[headerParts] = v
			if via := d.msg.Header[headerVia]; via != nil {
				h[headerVia] = via
			}
		}
		return h
	}
	h := make(nats.Header, 10)
	if v := of.Header(sms.HeaderTraceParent); v != "" {
		h[sms.HeaderTraceParent] = []string{v}
	}
	return h
}

// producerHeaders copies those that are neither of NATS nor our own.
func producerHeaders(from nats.Header) nats.Header {
	h := make(nats.Header, 10)
	for k, v := range from {
		if !hasPrefixFold(k, "Nats-") && !hasPrefixFold(k, "Shortwire-") {
			h[k] = v
		}
	}
	return h
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
