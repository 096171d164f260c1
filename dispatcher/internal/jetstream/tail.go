package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/sms/publish"
)

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

// tail follows one of our streams.
func (c *Client) tail(ctx context.Context, stream, subject string, since time.Time, fn func(natsjs.Msg) bool) error {
	err := publish.Follow(ctx, c.js, publish.Source{Stream: stream, Subject: subject, Since: since}, fn)
	if errors.Is(err, natsjs.ErrStreamNotFound) {
		err = fmt.Errorf("tail %s: %w", stream, ErrMissing)
	}
	return err
}
