package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// How far back results of a job are looked for: the clocks of this machine and
// of the server may differ, and a job that was dropped as a repeat has its
// outcome from within the job stream's dedup window of five minutes.
const (
	clockSkew   = time.Minute
	dedupWindow = 6 * time.Minute
)

// Of Follow: messages on their way, the length of a pull, and what the server
// says in between so that its silence shows.
const (
	followBatch     = 500
	followExpiry    = 5 * time.Second
	followHeartbeat = 500 * time.Millisecond
)

// Wait returns the outcome of a job: submitted, failed, expired or uncertain.
// When ctx ends first, the error is ErrNoOutcome.
func (p *Publisher) Wait(ctx context.Context, ack *Ack) (*sms.Result, error) {
	var outcome *sms.Result
	err := p.Results(ctx, ack, func(r *sms.Result) bool {
		if r.Kind.Terminal() {
			outcome = r
		}
		return outcome == nil
	})
	switch {
	case outcome != nil:
		return outcome, nil
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrNoOutcome, context.Cause(ctx))
}

// Results calls fn for each result of a job, its outcome and its receipts, in
// the order they were stored, until fn returns false or ctx ends; both return
// nil. It asks the server for a consumer, so it is for few jobs at a time.
func (p *Publisher) Results(ctx context.Context, ack *Ack, fn func(*sms.Result) bool) error {
	since := ack.began.Add(-clockSkew)
	if ack.Duplicate {
		since = since.Add(-dedupWindow)
	}
	s := p.cfg.Subjects
	source := Source{Stream: s.StreamResults(), Subject: s.ResultsFilter(ack.Origin.Producer, ack.Origin.Route, ""), Since: since}
	return Follow(ctx, p.js, source, func(m jetstream.Msg) bool {
		var r sms.Result
		if json.Unmarshal(m.Data(), &r) != nil || r.JobID != ack.JobID {
			return true
		}
		return fn(&r)
	})
}

// Source is what Follow reads.
type Source struct {
	Stream  string
	Subject string    // filter
	Since   time.Time // stored at or after it, by the server's clock; zero means from now on
}

// Follow calls fn for each message of a stream, in the order they were stored,
// until fn returns false or ctx ends; both return nil. It goes on through
// disconnections without gaps or repeats. The error wraps
// jetstream.ErrStreamNotFound when there is no such stream.
func Follow(ctx context.Context, js jetstream.JetStream, source Source, fn func(jetstream.Msg) bool) error {
	s, err := js.Stream(ctx, source.Stream)
	if err != nil {
		return fmt.Errorf("follow %s: %w", source.Stream, err)
	}
	from := jetstream.OrderedConsumerConfig{FilterSubjects: []string{source.Subject}}
	if source.Since.IsZero() {
		// Not "new": that would skip what is stored while it is interrupted.
		from.DeliverPolicy, from.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.CachedInfo().State.LastSeq+1
	} else {
		from.DeliverPolicy, from.OptStartTime = jetstream.DeliverByStartTimePolicy, &source.Since
	}
	// nats.go gives up on an ordered consumer that it could not recreate; then a
	// new one goes on after the last message.
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		more := read(ctx, js, source.Stream, &from, func(m jetstream.Msg) bool {
			pause = firstPause
			return fn(m)
		})
		switch {
		case ctx.Err() != nil || !more:
			return nil
		case js.Conn().IsClosed():
			return fmt.Errorf("follow %s: %w", source.Stream, nats.ErrConnectionClosed)
		}
		if !rest(ctx, pause) {
			return nil
		}
	}
}

// read reads until fn is done (more is false) or the iterator fails, and moves
// from past each message that fn saw.
func read(ctx context.Context, js jetstream.JetStream, stream string, from *jetstream.OrderedConsumerConfig, fn func(jetstream.Msg) bool) (more bool) {
	consumer, err := js.OrderedConsumer(ctx, stream, *from)
	if err != nil {
		return true
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(followBatch), jetstream.PullExpiry(followExpiry), jetstream.PullHeartbeat(followHeartbeat))
	if err != nil {
		return true
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return true
		}
		m, err := msg.Metadata()
		if err != nil {
			return true
		}
		from.DeliverPolicy, from.OptStartSeq, from.OptStartTime = jetstream.DeliverByStartSequencePolicy, m.Sequence.Stream+1, nil
		if !fn(msg) {
			return false
		}
	}
}
