package load

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// paceStep is how often Pace looks what is due.
	paceStep = time.Millisecond
	// paceAhead is how many publishes may wait for their acknowledgement: as
	// many as come in seconds, since whoever waits here is no open loop.
	paceAhead = 1 << 17
)

// Pace publishes the jobs at an even rate, so many per second (0: all at once),
// whether or not anybody keeps up. published hears of each job, in order, when
// it was due and when it was handed to the connection. Pace returns once
// the server has acknowledged all; a publish that failed is not repeated.
func Pace(ctx context.Context, nc *nats.Conn, jobs iter.Seq[Job], perSecond float64, published func(due, at time.Time)) error {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(paceAhead), jetstream.WithPublishAsyncTimeout(20*time.Second))
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	futures := make(chan jetstream.PubAckFuture, paceAhead)
	answered := make(chan error, 1)
	go func() { answered <- answers(ctx, futures) }() // ends with futures, which is closed below
	err = pace(ctx, js, jobs, perSecond, published, futures)
	close(futures)
	if err = errors.Join(err, <-answered); err != nil {
		return fmt.Errorf("publish jobs: %w", err)
	}
	return nil
}

func pace(ctx context.Context, js jetstream.JetStream, jobs iter.Seq[Job], perSecond float64, published func(due, at time.Time), futures chan<- jetstream.PubAckFuture) error {
	began, n := time.Now(), 0
	for j := range jobs {
		due := began
		if perSecond > 0 {
			due = began.Add(time.Duration(float64(n) / perSecond * float64(time.Second)))
			if wait := time.Until(due); wait > 0 {
				if err := Pause(ctx, max(wait, paceStep)); err != nil {
					return err
				}
			}
		}
		msg := j.Message()
		published(due, time.Now())
		f, err := js.PublishMsgAsync(msg)
		if err != nil {
			return err
		}
		futures <- f
		n++
	}
	return ctx.Err()
}

// answers waits for every acknowledgement and returns the first refusal.
func answers(ctx context.Context, futures <-chan jetstream.PubAckFuture) error {
	var first error
	for f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			if first == nil {
				first = err
			}
		case <-ctx.Done():
			if first == nil {
				first = context.Cause(ctx)
			}
		}
	}
	return first
}
