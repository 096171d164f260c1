package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// source is how jobs of a lane come: Source.Consume or Source.Overtake.
type source func(ctx context.Context, route string, lane sms.Lane, prefetch int, handle func(Delivery)) error

// overtake is the source of jobs that go before others.
func (d *Dispatcher) overtake(ctx context.Context, route string, lane sms.Lane, prefetch int, handle func(Delivery)) error {
	return d.deps.Source.Overtake(ctx, route, lane, prefetch, func(del Delivery) {
		d.stats.overtaken.Add(1)
		handle(del)
	})
}

// consumeLane takes the jobs of one lane until intake ends, except while it is
// off duty. When it is to take more or fewer at a time it begins anew: the
// server takes back at once what was fetched and not begun.
func (d *Dispatcher) consumeLane(intake, work context.Context, lane sms.Lane, hands *hands, from source) error {
	s := &shift{intake: intake, work: work, hands: hands}
	for intake.Err() == nil {
		d.duty.wait(intake)
		pass, end := context.WithCancelCause(intake)
		limit := hands.until(func() { end(errResized) })
		leave := d.duty.until(func() { end(errStandby) })
		err := d.consume(pass, s, lane, func(handle func(Delivery)) error {
			return from(pass, d.route, lane, min(limit, d.config().Prefetch), handle)
		})
		hands.until(nil)
		leave()
		end(nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// errResized ends a pass of consumeLane.
var errResized = errors.New("the number of jobs in hand changes")

// consume begins each job of one lane as hands come free. It returns when
// pass, a part of the shift's intake, ends; the jobs end later.
func (d *Dispatcher) consume(pass context.Context, s *shift, lane sms.Lane, deliver func(handle func(Delivery)) error) error {
	err := deliver(func(del Delivery) {
		if err := s.hands.take(pass); err != nil {
			del.HandBack(0)
			return
		}
		d.handle(s, del)
	})
	if err != nil && pass.Err() == nil {
		return fmt.Errorf("consume %s/%s: %w", d.route, lane, err)
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
	limit atomic.Int64
	busy  atomic.Int64  // jobs in hand that do not wait for the SMSC
	all   atomic.Int64  // jobs in hand
	freed chan struct{} // capacity 1: written when busy falls below limit, read by take

	mu      sync.Mutex
	resized func() // guarded by mu; called when limit changes, may be nil
}

func newHands(limit int) *hands {
	h := &hands{freed: make(chan struct{}, 1)}
	h.limit.Store(int64(limit))
	return h
}

// until has resized called at the next change of the limit, and returns the limit.
func (h *hands) until(resized func()) (limit int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resized = resized
	return int(h.limit.Load())
}

// resize changes the limit; jobs beyond a lower one end first.
func (h *hands) resize(limit int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.limit.Swap(int64(limit)) != int64(limit) && h.resized != nil {
		h.resized()
	}
}

// take waits for a free hand. One goroutine calls it.
func (h *hands) take(ctx context.Context) error {
	for h.busy.Load() >= h.limit.Load() {
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
	if h.busy.Add(-1) == h.limit.Load()-1 {
		select {
		case h.freed <- struct{}{}:
		default:
		}
	}
}

// back notes that the SMSC has answered; the hand may be one too many for a while.
func (h *hands) back() { h.busy.Add(1) }
