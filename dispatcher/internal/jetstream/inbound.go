package jetstream

import (
	"context"
	"encoding/json"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// TailInbound calls fn for each mobile-originated message of a route, or of
// any when route is empty. Since and the ends are those of Tail.
func (c *Client) TailInbound(ctx context.Context, route string, since time.Time, fn func(*sms.Inbound) bool) error {
	return c.tail(ctx, c.subjects.StreamInbound(), c.subjects.InboundFilter(route), since, func(msg natsjs.Msg) bool {
		var in sms.Inbound
		if err := json.Unmarshal(msg.Data(), &in); err != nil {
			c.log.Warn("inbound message not readable, skipped", "subject", msg.Subject(), "err", err)
			return true
		}
		return fn(&in)
	})
}
