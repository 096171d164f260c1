package jetstream

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var _ dispatcher.Source = (*Client)(nil)

// Consume implements dispatcher.Source. It pulls new jobs and due retries side
// by side and calls handle from one goroutine. An eighth of prefetch is for
// retries; a prefetch below 2 counts as 2, one for each.
//
// It returns nil when ctx has ended and everything that was fetched and not
// handled is handed back; ErrMissing when the stream does not exist; and an
// error when the client was closed.
func (c *Client) Consume(ctx context.Context, route string, lane sms.Lane, prefetch int, handle func(dispatcher.Delivery)) error {
	forRetries := max(1, prefetch/8)
	forJobs := max(1, prefetch-forRetries)
	ready := make(chan *delivery, forJobs+forRetries)
	err := c.deliver(ctx, ready, handle,
		newPuller(c, route, lane, newJobs, forJobs, ready),
		newPuller(c, route, lane, dueRetries, forRetries, ready))
	if err != nil {
		return fmt.Errorf("consume %s/%s: %w", route, lane, err)
	}
	return nil
}

// deliver runs the pullers and hands what they put into ready to handle.
func (c *Client) deliver(ctx context.Context, ready chan *delivery, handle func(dispatcher.Delivery), pullers ...*puller) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(ready)
		pulling, ctx := errgroup.WithContext(ctx)
		for _, p := range pullers {
			pulling.Go(func() error { return p.run(ctx) })
		}
		return pulling.Wait()
	})
	g.Go(func() error {
		c.dispatch(ctx, ready, handle)
		return nil
	})
	g.Go(func() error {
		// handle may be blocked: what waits behind it goes back without it.
		<-ctx.Done()
		for d := range ready {
			d.HandBack(0)
		}
		return nil
	})
	return g.Wait()
}

// dispatch hands deliveries to handle until ready is closed.
func (c *Client) dispatch(ctx context.Context, ready <-chan *delivery, handle func(dispatcher.Delivery)) {
	for d := range ready {
		switch {
		case ctx.Err() != nil:
			d.HandBack(0)
		case d.origin.Producer == "":
			c.refuse(ctx, d)
		default:
			handle(d)
		}
		d.from.returned()
	}
}

// refuse buries a job whose subject names no valid producer: nobody could be
// told its outcome.
func (c *Client) refuse(ctx context.Context, d *delivery) {
	err := c.Bury(ctx, dispatcher.DeadLetter{
		Of: d,
		Outcome: &sms.Result{
			Kind: sms.KindFailed, Code: sms.CodeInvalid,
			Reason: "the subject must end in <route>.<lane>.<producer>, a producer is 1..32 of A-Z a-z 0-9 _ -",
		},
	})
	if err != nil {
		d.HandBack(0)
		if !errors.Is(err, context.Cause(ctx)) {
			c.log.Error("job with an invalid subject not buried", "err", err)
		}
		return
	}
	c.log.Warn("job with an invalid subject buried", "subject", d.msg.Subject)
	d.Ack()
}
