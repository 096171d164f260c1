package dispatcher

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// consume takes the jobs of one lane and runs each in a goroutine. Goroutines
// are kept for the next job: their stacks have grown to what a job needs.
func (d *Dispatcher) consume(intake, work context.Context, lane sms.Lane) error {
	hands := d.hands[laneIndex(lane)]
	next := make(chan Delivery) // written by Consume's handle, read by idle goroutines
	defer close(next)
	err := d.deps.Source.Consume(intake, d.cfg.Route, lane, min(d.cfg.Held, maxPrefetch), func(del Delivery) {
		if err := hands.take(intake); err != nil {
			del.HandBack(0)
			return
		}
		select {
		case next <- del:
		default:
			d.jobs.Go(func() {
				for ok := true; ok; del, ok = <-next {
					d.handle(intake, work, del)
					hands.put()
				}
			})
		}
	})
	if err != nil && intake.Err() == nil {
		return fmt.Errorf("consume %s/%s: %w", d.cfg.Route, lane, err)
	}
	return nil
}

// maxPrefetch bounds what waits in the source's buffer; more than this gains nothing.
const maxPrefetch = 500

// hands bounds the jobs of a lane that the process has in hand and that do not
// wait for the SMSC. Those that do are bounded by the windows; the others only
// queue for Redis, NATS and the processor, where more of them make nothing
// faster and every stack colder.
type hands struct {
	limit int64
	busy  atomic.Int64  // jobs in hand that do not wait for the SMSC
	all   atomic.Int64  // jobs in hand
	freed chan struct{} // capacity 1: written when busy falls below limit, read by take
}

func newHands(limit int) *hands {
	return &hands{limit: int64(limit), freed: make(chan struct{}, 1)}
}

// take waits for a free hand. One goroutine calls it.
func (h *hands) take(ctx context.Context) error {
	for h.busy.Load() >= h.limit {
		select {
		case <-h.freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h.busy.Add(1)
	h.all.Add(1)
	return nil
}

// put ends a job.
func (h *hands) put() {
	h.all.Add(-1)
	h.away()
}

// away notes that a job waits for the SMSC now.
func (h *hands) away() {
	if h.busy.Add(-1) == h.limit-1 {
		select {
		case h.freed <- struct{}{}:
		default:
		}
	}
}

// back notes that the SMSC has answered; the hand may be one too many for a while.
func (h *hands) back() { h.busy.Add(1) }
