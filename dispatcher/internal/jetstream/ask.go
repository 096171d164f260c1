package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Trouble is why no publish gets through for now, empty when they do: the
// connection is lost, or a stream refuses what it is given.
func (c *Client) Trouble() string {
	if !c.Connected() {
		return "disconnected"
	}
	if why := c.pub.fault.Load(); why != nil && c.pub.trouble.Load() {
		return *why
	}
	return ""
}

// Publishing is how many publishes have no answer yet.
func (c *Client) Publishing() int { return c.pub.count() }

// Backlog is the jobs of one lane that are at the server.
type Backlog struct {
	Pending int // that no worker has
	Held    int // that workers have, of the whole fleet
}

// asksAtOnce bounds how many consumers are asked for at a time.
const asksAtOnce = 8

// Backlog asks the server for the jobs of a route, by lane: those that are new,
// whose retry is due, or whose turn has come.
func (c *Client) Backlog(ctx context.Context, route string) (map[sms.Lane]Backlog, error) {
	all := c.consumersOf([]string{route}, c.cfg.Consumers)
	found := make([]Backlog, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(asksAtOnce)
	for i, one := range all {
		g.Go(func() error {
			consumer, err := c.js.Consumer(ctx, one.stream, one.config.Durable)
			if err != nil {
				return fmt.Errorf("ask for consumer %s of %s: %w", one.config.Durable, one.stream, err)
			}
			info := consumer.CachedInfo()
			found[i] = Backlog{Pending: int(info.NumPending), Held: info.NumAckPending}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	by := make(map[sms.Lane]Backlog)
	perLane := len(all) / len(sms.Lanes())
	for i, b := range found {
		lane := sms.Lanes()[i/perLane]
		sum := by[lane]
		by[lane] = Backlog{sum.Pending + b.Pending, sum.Held + b.Held}
	}
	return by, nil
}

// statusSubject is where workers are asked how they are.
func (c *Client) statusSubject() string { return c.subjects.StatusAsk() }

// AnswerStatus answers whoever asks this worker how it is, until ctx ends.
// What answer returns is not kept.
func (c *Client) AnswerStatus(ctx context.Context, answer func() []byte) error {
	sub, err := c.in.Subscribe(c.statusSubject(), func(m *nats.Msg) {
		if m.Reply != "" {
			_ = m.Respond(answer()) // who asked will see that somebody is missing
		}
	})
	if err != nil {
		return fmt.Errorf("answer for status: %w", err)
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // fails only when the connection is gone
	return nil
}

// AskStatus asks all workers how they are, and returns what was answered
// within wait.
func (c *Client) AskStatus(ctx context.Context, wait time.Duration) (answers [][]byte, err error) {
	inbox := c.in.NewInbox()
	sub, err := c.in.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("ask for status: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.in.PublishRequest(c.statusSubject(), inbox, nil); err != nil {
		return nil, fmt.Errorf("ask for status: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoResponders):
			return answers, nil
		case err != nil:
			return answers, fmt.Errorf("ask for status: %w", err)
		case len(m.Data) > 0:
			answers = append(answers, m.Data)
		}
	}
}
