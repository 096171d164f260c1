package dispatcher

import (
	"errors"
	"sync"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Most jobs wait for nothing but the ledger, the SMSC and the ledger again. A
// goroutine for each would be woken three times on a stack that has gone cold,
// which takes longer than what it then does. So these jobs go straight: every
// step is taken by whoever brings the answer to the one before. None of it
// blocks. Where a job is not of that kind, or ceases to be, a goroutine goes on
// with it, as in handle.go.

// goStraight begins a job that may go at once, and reports whether it does.
func (d *Dispatcher) goStraight(a *attempt) bool {
	if len(a.todo) != 1 || a.begun() || a.out != d || a.ref.Via != "" || a.expired() ||
		d.duty.off.Load() || !d.detours.Load().straight() {
		return false
	}
	a.journey.waits(d.turnstile)
	p, ok := d.turnstile.passAtOnce(laneIndex(a.del.Origin().Lane))
	if !ok {
		return false
	}
	a.journey.waited(d, nil)
	a.turn, a.until, a.waited = p.parts, p.until, true
	failpoint.Hit("before-claim")
	d.jobs.Add(1)
	d.deps.Ledger.ClaimThen(a.shift.work, &a.ref, func(c sms.Claim, err error) {
		defer d.jobs.Done()
		d.sendStraight(a, p.turn, c, err)
	})
	return true
}

// sendStraight sends a job that the ledger knows nothing of.
func (d *Dispatcher) sendStraight(a *attempt, turn Reservation, c sms.Claim, err error) {
	fresh := err == nil && c.State == sms.ClaimFresh && !c.Doubt && c.Via == ""
	if !fresh || overdue(a.until) || a.expired() || a.shift.work.Err() != nil {
		d.alone(a, func() (again bool) { return d.goOn(a, turn, c, err) })
		return
	}
	a.token = c.Token
	a.journey.passed(StageClaim, nil)
	failpoint.Hit("after-claim")
	a.shift.hands.away()
	d.jobs.Add(1)
	a.flight.turn = turn
	turn.SendThen(&a.ref, a.todo[0], func(reply sms.Reply) {
		defer d.jobs.Done()
		d.flights.landed(a)
		d.recordStraight(a, reply)
	})
	if d.flights.join(a) {
		d.leftOpen(a)
	}
}

// recordStraight has the ledger record the acceptance, and publishes then.
func (d *Dispatcher) recordStraight(a *attempt, reply sms.Reply) {
	a.shift.hands.back()
	if reply.Err != nil {
		d.alone(a, func() (again bool) {
			a.refusedBy(&reply)
			if a.shift.work.Err() != nil {
				d.giveBack(a.shift.work, a)
				return false
			}
			return d.sent(a)
		})
		return
	}
	d.jobs.Add(1)
	d.deps.Ledger.AcceptThen(a.shift.work, &a.ref, a.token, a.acceptedBy(&reply), nil, a.outcome, func(part sms.Part, err error) {
		defer d.jobs.Done()
		defer d.leave(a)
		a.journey.passed(StageRecord, err)
		if err != nil {
			d.giveBack(a.shift.work, a)
			return
		}
		a.accept(part)
		failpoint.Hit("after-record")
		d.finish(a.shift.work, a)
	})
}

// leaveOpen ends the wait for all answers.
func (d *Dispatcher) leaveOpen() {
	for _, a := range d.flights.end() {
		d.leftOpen(a)
	}
}

// leftOpen goes on with a job whose answer is not waited for any more.
func (d *Dispatcher) leftOpen(a *attempt) {
	defer d.jobs.Done()
	d.recordStraight(a, sms.Reply{Part: a.todo[0].Part, Err: &sms.Error{Op: "submit_sm", Code: sms.CodeUncertain, Err: errLeftOpen}})
}

var errLeftOpen = errors.New("no response before the drain was out of time")

// flights is the jobs that went straight and wait for the SMSC.
type flights struct {
	mu    sync.Mutex
	first *attempt // guarded by mu; linked by attempt.flight
	over  bool     // guarded by mu; none is waited for any more
}

// flight is a job's place among flights.
type flight struct {
	turn       Reservation
	prev, next *attempt // guarded by flights.mu
	listed     bool     // guarded by flights.mu
	landed     bool     // guarded by flights.mu; answered, or about to be
}

// join enters a job that was sent, unless it has its answer. It reports whether
// that will not come, since none is waited for any more.
func (f *flights) join(a *attempt) (left bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case a.flight.landed:
		return false
	case f.over:
		return a.flight.turn.Abandon()
	}
	a.flight.listed, a.flight.next = true, f.first
	if f.first != nil {
		f.first.flight.prev = a
	}
	f.first = a
	return false
}

// landed notes that a job has its answer. Only when it has returned may the
// job's reservation be used for another.
func (f *flights) landed(a *attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a.flight.landed = true
	if a.flight.listed {
		f.remove(a)
	}
}

// remove is called with mu held.
func (f *flights) remove(a *attempt) {
	next, prev := a.flight.next, a.flight.prev
	if prev == nil {
		f.first = next
	} else {
		prev.flight.next = next
	}
	if next != nil {
		next.flight.prev = prev
	}
	a.flight.prev, a.flight.next, a.flight.listed = nil, nil, false
}

// end has no answer waited for any more, and returns the jobs that have none.
func (f *flights) end() (left []*attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for a := f.first; a != nil; {
		next := a.flight.next
		if a.flight.turn.Abandon() {
			f.remove(a)
			left = append(left, a)
		}
		a = next
	}
	return left
}
