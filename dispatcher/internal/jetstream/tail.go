package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
