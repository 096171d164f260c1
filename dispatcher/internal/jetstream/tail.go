package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// tailBatch is how many messages a tail has on their way.
const tailBatch = 500

// Filter chooses results. Empty fields match any.
type Filter struct {
	Producer string
	Route    string
	Kind     sms.Kind
	JobID    string
	Since    time.Time // stored at or after it, by the server's clock; zero means from now on; time.Unix(0, 0) means all
}

// Tail calls fn for each matching result, in the order they were stored, until
// fn returns false or ctx ends; both return nil. It goes on through
// disconnections without gaps or repeats.
func (c *Client) Tail(ctx context.Context, f Filter, fn func(*sms.Result) bool) error {
	subject := c.subjects.ResultsFilter(f.Producer, f.Route, f.Kind)
	return c.tail(ctx, c.subjects.StreamResults(), subject, f.Since, func(msg natsjs.Msg) bool {
		var r sms.Result
		if err := json.Unmarshal(msg.Data(), &r); err != nil {
			c.log.Warn("result not readable, skipped", "subject", msg.Subject(), "err", err)
			return true
		}
		return f.JobID != "" && r.JobID != f.JobID || fn(&r)
	})
}

// Dead is a job that could not be handled, as it was buried.
type Dead struct {
	Seq       uint64 // in SMS_DEAD
	Subject   string // where the job was published
	JobID     string // empty when the job does not name itself
	Code      sms.Code
	Reason    string
	Attempts  int
	Status    uint32 // last command_status, 0 when none
	Time      time.Time
	Truncated int         // original size in octets when Data is cut, else 0
	Header    nats.Header // all of it, the producer's own included
	Data      []byte      // the original bytes
}

// TailDead calls fn for each dead letter of a route, or of any when route is
// empty. Since and the ends are those of Tail.
func (c *Client) TailDead(ctx context.Context, route string, since time.Time, fn func(*Dead) bool) error {
	return c.tail(ctx, c.subjects.StreamDead(), c.subjects.DeadFilter(route), since, func(msg natsjs.Msg) bool {
		return fn(readDead(msg))
	})
}

func readDead(msg natsjs.Msg) *Dead {
	h := msg.Headers()
	d := &Dead{
		Subject: h.Get(headerSubject), JobID: h.Get(headerJobID),
		Code: sms.Code(h.Get(headerCode)), Reason: h.Get(headerReason),
		Header: h, Data: msg.Data(),
	}
	d.Attempts, _ = strconv.Atoi(h.Get(headerAttempts))
	d.Truncated, _ = strconv.Atoi(h.Get(headerTruncated))
	if status, err := strconv.ParseUint(h.Get(headerStatus), 0, 32); err == nil {
		d.Status = uint32(status)
	}
	d.Time, _ = time.Parse(time.RFC3339Nano, h.Get(headerTime))
	if m, err := msg.Metadata(); err == nil {
		d.Seq = m.Sequence.Stream
	}
	return d
}

// tail follows a stream through an ordered consumer. nats.go gives up on one
// that it could not recreate; then a new one goes on after the last message.
func (c *Client) tail(ctx context.Context, stream, subject string, since time.Time, fn func(natsjs.Msg) bool) error {
	s, err := c.js.Stream(ctx, stream)
	switch {
	case errors.Is(err, natsjs.ErrStreamNotFound):
		return fmt.Errorf("tail %s: %w", stream, ErrMissing)
	case err != nil:
		return fmt.Errorf("tail %s: %w", stream, err)
	}
	from := natsjs.OrderedConsumerConfig{FilterSubjects: []string{subject}}
	if since.IsZero() {
		// Not "new": that would skip what is stored while a tail is interrupted.
		from.DeliverPolicy, from.OptStartSeq = natsjs.DeliverByStartSequencePolicy, s.CachedInfo().State.LastSeq+1
	} else {
		from.DeliverPolicy, from.OptStartTime = natsjs.DeliverByStartTimePolicy, &since
	}
	for try := 1; ; try++ {
		more, err := c.follow(ctx, stream, &from, func(msg natsjs.Msg) bool {
			try = 0
			return fn(msg)
		})
		switch {
		case ctx.Err() != nil || !more:
			return nil
		case c.in.IsClosed():
			return fmt.Errorf("tail %s: %w", stream, nats.ErrConnectionClosed)
		}
		c.log.Debug("tail interrupted, trying again", "stream", stream, "err", err)
		if sleep(ctx, min(reconnectDelay(try), time.Second)) != nil {
			return nil
		}
	}
}

// follow reads until fn is done (more is false) or the iterator fails, and
// moves from past each message that fn saw.
func (c *Client) follow(ctx context.Context, stream string, from *natsjs.OrderedConsumerConfig, fn func(natsjs.Msg) bool) (more bool, err error) {
	consumer, err := c.js.OrderedConsumer(ctx, stream, *from)
	if err != nil {
		return true, err
	}
	messages, err := consumer.Messages(natsjs.PullMaxMessages(tailBatch), natsjs.PullExpiry(pullExpires), natsjs.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return true, err
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(natsjs.NextContext(ctx))
		if err != nil {
			return true, err
		}
		m, err := msg.Metadata()
		if err != nil {
			return true, fmt.Errorf("read position: %w", err)
		}
		from.DeliverPolicy, from.OptStartSeq, from.OptStartTime = natsjs.DeliverByStartSequencePolicy, m.Sequence.Stream+1, nil
		if !fn(msg) {
			return false, nil
		}
	}
}
