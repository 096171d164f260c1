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

// keepSlots renews leases and hands out what is granted, until ended ends;
// then it gives back what there is.
func (p *Pool) keepSlots(intake, ended context.Context) {
	never := func() *time.Timer { t := time.NewTimer(time.Hour); t.Stop(); return t }
	k := &slotKeeper{pool: p, next: time.NewTimer(0), patience: never(), lapse: never(), end: never()}
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

// call begins a renewal.
func (k *slotKeeper) call(ended context.Context) {
	use, answer := k.pool.slotUse(), make(chan slotAnswer, 1)
	k.answer, k.news = answer, false
	k.patience.Reset(slotCallTimeout)
	k.calls.Go(func() {
		ctx, cancel := context.WithTimeout(ended, slotCallTimeout)
		defer cancel()
		grant, err := k.pool.deps.Slots.Renew(ctx, use)
		answer <- slotAnswer{use, grant, err}
	})
}

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
	case left <= 0:
		k.failed(errLate)
		return
	}
	k.answer = nil
	k.lapse.Reset(left - lapseLead)
	k.end.Reset(left)
	if k.next.Reset(a.grant.Again); k.news {
		k.next.Reset(slotGap)
	}
	k.pool.settle(a)
}
