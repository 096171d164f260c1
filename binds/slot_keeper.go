package binds

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	slotCallTimeout = time.Second            // then a renewal is given up
	slotRetry       = 250 * time.Millisecond // between failed ones
	slotGap         = 20 * time.Millisecond  // between others, however much happens
)

var errLate = errors.New("the answer came after the end of the lease")

// slotKeeper renews a pool's leases. It belongs to the goroutine of run.
type slotKeeper struct {
	pool   *Pool
	calls  sync.WaitGroup
	answer chan slotAnswer // of the call under way, capacity 1; nil when there is none
	news   bool            // came while a call was under way
	until  time.Time       // the lease ends; zero before the first

	next     *time.Timer // the next call
	patience *time.Timer // the call under way is given up
	lapse    *time.Timer // units begin to leave
	end      *time.Timer // of the lease
}

// slotAnswer is how a renewal ended.
type slotAnswer struct {
	use   SlotUse
	grant SlotGrant
	err   error
}

func newSlotKeeper(p *Pool) *slotKeeper {
	never := func() *time.Timer { t := time.NewTimer(time.Hour); t.Stop(); return t }
	return &slotKeeper{pool: p, next: time.NewTimer(0), patience: never(), lapse: never(), end: never()}
}

// keepSlots renews leases and hands out what is granted, until ended ends;
// then it gives back what there is.
func (p *Pool) keepSlots(intake, ended context.Context) {
	k := newSlotKeeper(p)
	k.run(intake, ended)
	k.calls.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ended), slotCallTimeout)
	defer cancel()
	if _, err := p.deps.Slots.Renew(ctx, SlotUse{}); err != nil {
		p.deps.Logger.Warn("bind slots not given back, they expire", "route", p.config().Route, "error", err)
	}
}

func (k *slotKeeper) run(intake, ended context.Context) {
	draining := intake.Done()
	for {
		select {
		case <-ended.Done():
			return
		case <-draining:
			draining = nil
			k.pool.endTenancy()
		case <-k.pool.tenancy.news:
			if k.news = k.answer != nil; !k.news {
				k.next.Reset(slotGap)
			}
		case <-k.next.C:
			k.call(ended)
		case <-k.patience.C: // what still comes of this call is not heard
			k.failed(context.DeadlineExceeded)
		case a := <-k.answer:
			k.answered(a)
		case <-k.lapse.C:
			k.pool.lapse()
		case <-k.end.C:
			k.pool.cutSlots()
		}
	}
}

// call begins a renewal. What a lease that is over was for is not claimed:
// another worker may have it, and Redis takes a worker's word.
func (k *slotKeeper) call(ended context.Context) {
	over := k.over()
	if over { // this process stood still, and its timers with it
		k.pool.lapse()
		k.pool.cutSlots()
	}
	use, answer := k.pool.slotUse(), make(chan slotAnswer, 1)
	if over {
		use.Held, use.Bound = 0, 0
	}
	k.answer, k.news = answer, false
	k.patience.Reset(slotCallTimeout)
	k.calls.Go(func() {
		ctx, cancel := context.WithTimeout(ended, slotCallTimeout)
		defer cancel()
		grant, err := k.pool.deps.Slots.Renew(ctx, use)
		answer <- slotAnswer{use, grant, err}
	})
}

// over reports whether no unit may have a connection.
func (k *slotKeeper) over() bool { return !time.Now().Before(k.until) }

func (k *slotKeeper) failed(err error) {
	k.answer = nil
	k.pool.unanswered(err)
	k.next.Reset(slotRetry)
}

func (k *slotKeeper) answered(a slotAnswer) {
	k.patience.Stop()
	left := time.Until(a.grant.Until)
	switch {
	case a.err != nil:
		k.failed(a.err)
		return
	case left <= 0, a.use.Held > 0 && k.over(): // it grants what the worker had claimed
		k.failed(errLate)
		return
	}
	k.answer, k.until = nil, a.grant.Until
	k.lapse.Reset(left - lapseLead)
	k.end.Reset(left)
	if k.next.Reset(a.grant.Again); k.news {
		k.next.Reset(slotGap)
	}
	k.pool.settle(a)
}
