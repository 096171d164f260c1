package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const (
	// ackWait is how long a result may wait here, behind the others that were
	// fetched with it, and be handled, before it comes again. Where handle takes
	// longer than ackWait/fetched, take one up or the other down: what comes
	// again may come to another program of the same name.
	ackWait = 2 * time.Minute
	fetched = 100
	// remembered is how many ids of results are kept. Workers publish a result
	// again within seconds, or when its job is redelivered, and JetStream drops
	// most of those; this is for the rest.
	remembered = 100_000
	// after a fault of handle
	tryAgain = time.Second
)

// Consumer reads the results of one producer.
type Consumer struct {
	Producer string
	Durable  string       // the server keeps under this name what was read
	Subjects sms.Subjects // of the deployment; zero unless nats.subject_prefix is set
	seen     *recent
}

// Run calls handle for each result, one at a time, until ctx ends. A result is
// acked after handle returned nil, so none is lost when the program dies; one
// whose handle failed comes again. Repeats of a result are dropped by its id.
func (c *Consumer) Run(ctx context.Context, nc *nats.Conn, handle func(context.Context, *sms.Result) error) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	durable, err := js.CreateOrUpdateConsumer(ctx, c.Subjects.StreamResults(), jetstream.ConsumerConfig{
		Durable:       c.Durable,
		FilterSubject: c.Subjects.ResultsFilter(c.Producer, "", ""),
		DeliverPolicy: jetstream.DeliverAllPolicy, // of what the stream still has, the first time
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
	})
	if err != nil {
		return fmt.Errorf("create durable consumer %s: %w", c.Durable, err)
	}
	messages, err := durable.Messages(jetstream.PullMaxMessages(fetched))
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	defer handBack(messages)
	c.seen = newRecent(remembered)
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			continue // the server is away; nats.go asks it again
		case err != nil:
			return fmt.Errorf("read results: %w", err)
		case ctx.Err() != nil: // Next chooses at random when there is both
			return msg.Nak()
		}
		if err := c.take(ctx, msg, handle); err != nil {
			slog.Warn("result not acked, it will come again", "subject", msg.Subject(), "err", err)
		}
	}
}

// handBack gives what was fetched and not read to whoever is next, at once;
// else it would wait for ackWait.
func handBack(messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		msg, err := messages.Next()
		if err != nil {
			return
		}
		if err := msg.Nak(); err != nil {
			return
		}
	}
}

func (c *Consumer) take(ctx context.Context, msg jetstream.Msg, handle func(context.Context, *sms.Result) error) error {
	var r sms.Result
	if err := json.Unmarshal(msg.Data(), &r); err != nil {
		// It will be no better the next time. Unknown fields are no fault.
		return errors.Join(fmt.Errorf("not readable, given up: %w", err), msg.Term())
	}
	if c.seen.has(r.ID) {
		return msg.Ack()
	}
	if err := handle(ctx, &r); err != nil {
		return errors.Join(err, msg.NakWithDelay(tryAgain))
	}
	c.seen.add(r.ID)
	return msg.Ack()
}

// recent remembers the last so many ids.
type recent struct {
	ids  map[string]bool
	ring []string // in the order they came
	next int      // where the oldest is, once the ring is full
}

func newRecent(n int) *recent {
	return &recent{ids: make(map[string]bool), ring: make([]string, 0, n)}
}

func (s *recent) has(id string) bool { return s.ids[id] }

func (s *recent) add(id string) {
	if s.ids[id] {
		return
	}
	s.ids[id] = true
	if len(s.ring) < cap(s.ring) {
		s.ring = append(s.ring, id)
		return
	}
	delete(s.ids, s.ring[s.next])
	s.ring[s.next] = id
	s.next = (s.next + 1) % len(s.ring)
}
