package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// handle is the life of a job: decode → encode and split → wait for lane and
// rate → claim → send each part, recording what is accepted → publish → ack.
//
// A job that need not wait for its turn, and with which all goes well, is not
// waited with either: see straight.go. All others have a goroutine, which
// begins here or takes over from there.
func (d *Dispatcher) handle(s *shift, del Delivery) {
	place := uint64(d.stats.received.Add(1))
	a, err := d.decode(del)
	a.place, a.shift = place, s
	switch {
	case err != nil:
		d.alone(a, func() (again bool) { d.refuse(s.work, a, err); return false })
	case !d.begin(a): // this process has the job in hand already
		d.alone(a, func() (again bool) { d.postpone(s.work, a); return false })
	case !d.goStraight(a):
		d.alone(a, func() (again bool) { return d.round(a) })
	}
}

// shift is a time in which jobs of a lane are taken.
type shift struct {
	intake context.Context // ends when a drain begins: jobs that were not begun are handed back
	work   context.Context // ends when the drain is out of time: nothing more is waited for
	hands  *hands          // that each job takes one of
}

// alone has a goroutine take the job to its end, round by round.
func (d *Dispatcher) alone(a *attempt, first func() (again bool)) {
	d.jobs.Go(func() {
		for again := first(); again; {
			again = d.round(a)
		}
		d.leave(a)
	})
}

// round is one turn of a job, and reports whether it needs another.
func (d *Dispatcher) round(a *attempt) (again bool) {
	turn, err := d.admit(a.shift.intake, a)
	a.late = errors.Is(err, errExpired)
	switch {
	case errors.Is(err, errNoWay):
		d.putOff(a.shift.work, a)
		return false
	case err != nil && !a.late:
		a.del.HandBack(0)
		return false
	}
	failpoint.Hit("before-claim")
	c, err := d.deps.Ledger.Claim(a.shift.work, a.ref)
	return d.goOn(a, turn, c, err)
}

// goOn is the rest of a round, after the claim.
func (d *Dispatcher) goOn(a *attempt, turn Reservation, c sms.Claim, err error) (again bool) {
	work, s := a.shift.work, proceed
	if err == nil {
		s, err = d.claimed(work, a, c)
	}
	a.journey.passed(StageClaim, err)
	if s == proceed && err == nil && !a.punctual(work) {
		s = elsewhere
	}
	if turn != nil && (s != proceed || err != nil) {
		turn.Release()
	}
	if s != elsewhere && s != proceed || err != nil {
		d.conclude(work, a, s, err)
		return false
	}
	failpoint.Hit("after-claim")
	if s == elsewhere {
		return d.unclaim(work, a)
	}
	if err := d.send(work, a, turn); err != nil {
		d.giveBack(work, a)
		return false
	}
	return d.sent(a)
}

// sent goes on after the answers to what was sent in one turn.
func (d *Dispatcher) sent(a *attempt) (again bool) {
	if len(a.todo) == 0 || !a.waits() {
		d.settle(a.shift.work, a)
		return false
	}
	return d.unclaim(a.shift.work, a)
}

// attempt is one attempt at one job.
type attempt struct {
	del     Delivery
	job     *sms.Job
	ref     sms.JobRef
	out     *Dispatcher    // by whose way out it goes: its route's, or a fallback's
	token   string         // names our claim in the ledger; empty when we hold none
	todo    []*sms.Message // not accepted yet
	parts   []sms.Part     // accepted, in this attempt or before; never changed, but replaced
	sole    [1]sms.Part    // the first of parts: most jobs have no other
	total   int
	turn    int        // how many messages of todo may go now
	until   time.Time  // when their tokens are too old to be spent; zero on an unlimited route
	refusal *sms.Error // the gravest answer
	bind    string     // that carried the last part
	latency time.Duration
	place   uint64      // in the order in which jobs came
	late    bool        // expires_at passed while it waited
	waited  bool        // it had its turn before
	tries   int8        // that were throttled
	outcome *sms.Result // once known
	lost    time.Time   // since when the ledger may have forgotten the job

	shift   *shift
	listed  bool // entered in InHand
	leaving bool // the outcome is on its way to where its end comes from
	flight  flight

	journey *Journey // nil: the job is not traced
}

var errExpired = errors.New("expires_at passed")

// decode reads the job and makes its messages.
func (d *Dispatcher) decode(del Delivery) (*attempt, error) {
	origin := del.Origin()
	a := &attempt{del: del, out: d, ref: sms.JobRef{
		Producer: origin.Producer, Route: origin.Route, Attempt: del.Attempt(), Doubt: del.Doubt(),
	}}
	before := del.Before()
	a.ref.Replay, a.ref.Stored = before.Replay, before.Stored
	d.traced(a)
	job, err := sms.DecodeJob(del.Data())
	if err != nil {
		a.ref.JobID = sms.JobID(del.Data())
		return a, err
	}
	a.job, a.ref.JobID, a.ref.Meta = job, job.ID, job.Meta
	if a.ref.Doubt || len(before.Parts) > 0 {
		d.resumeAt(a, before.Via)
	}
	if a.todo, err = a.out.config().Message.Encode(origin.Producer, job); err != nil {
		return a, err
	}
	a.total = len(a.todo)
	if n := len(before.Parts); n > 0 && n < a.total && before.Parts[n-1].Number <= a.total {
		for _, p := range before.Parts {
			a.accept(p)
		}
	}
	return a, nil
}

// admit waits until lane and rate let the next parts through, by the job's own
// route or by another that carries it.
func (d *Dispatcher) admit(intake context.Context, a *attempt) (Reservation, error) {
	if !a.job.ExpiresAt.IsZero() {
		var cancel context.CancelFunc
		intake, cancel = context.WithDeadlineCause(intake, a.job.ExpiresAt, errExpired)
		defer cancel()
	}
	for {
		if err := d.choose(a); err != nil {
			if intake.Err() != nil {
				err = context.Cause(intake)
			}
			return nil, err
		}
		a.journey.waits(a.out.turnstile)
		p, err := a.out.turnstile.waitFor(intake, a.del.Origin().Lane, a.ref.Producer, len(a.todo), caller{d, a.begun(), a.place, a.waited})
		a.journey.waited(a.out, err)
		if p.turn == nil && err == nil { // sent to choose again
			a.waited = true
			continue
		}
		a.turn, a.until, a.waited = p.parts, p.until, true
		if probe, tries := p.turn.(*probe); tries {
			probe.judge = a.judge
			a.until = time.Time{} // all others wait for this one
		}
		return p.turn, err
	}
}

// step is what follows a claim.
type step int

const (
	proceed   step = iota // the claim is ours: send
	settled               // the job has its outcome: publish it
	busy                  // another worker has it: look again later
	elsewhere             // another route has something of it, or its turn was over: wait for another turn
)

// claimed says what follows from the ledger's answer. The claim comes right
// before the first write, so that only what is on the wire can ever be in
// doubt. A job that expired is claimed too, but never goes on: it may have its
// outcome already, or be in doubt.
func (d *Dispatcher) claimed(work context.Context, a *attempt, c sms.Claim) (step, error) {
	switch c.State {
	case sms.ClaimSettled:
		a.outcome = c.Outcome
		return settled, nil
	case sms.ClaimBusy:
		return busy, nil
	}
	a.token = c.Token
	if !c.Lost.IsZero() && !a.begun() { // what is forgotten was more likely with its own route
		c.Via = ""
	}
	a.resume(c)
	moved := d.follow(a, c.Via)
	if len(a.parts) > 0 && c.Via != "" && c.Via != a.ref.Carrier() {
		a.outcome = a.stranded(c.Via)
		return settled, d.deps.Ledger.Settle(work, a.ref, a.token, a.outcome)
	}
	if len(a.todo) == 0 && a.out.route == a.ref.Carrier() { // late responses completed it
		a.outcome = a.result(sms.KindSubmitted, nil)
		return settled, d.deps.Ledger.Settle(work, a.ref, a.token, a.outcome)
	}
	a.ref.Doubt = a.ref.Doubt || c.State == sms.ClaimInDoubt
	if a.outcome = d.unsent(a); a.outcome != nil {
		return settled, d.deps.Ledger.Settle(work, a.ref, a.token, a.outcome)
	}
	if moved {
		return elsewhere, nil
	}
	return proceed, nil
}

// conclude ends an attempt that the ledger did not let through.
func (d *Dispatcher) conclude(work context.Context, a *attempt, s step, err error) {
	switch {
	case err != nil:
		d.giveBack(work, a)
	case s == settled:
		d.finish(work, a)
	default:
		d.postpone(work, a)
	}
}

// send hands the next parts to the reserved bind and records each that the
// SMSC accepts; the last one is recorded together with the job's outcome. The
// error is not nil when work ended before an answer could be recorded.
func (d *Dispatcher) send(work context.Context, a *attempt, turn Reservation) error {
	var lost error
	a.shift.hands.away()
	answered := false
	turn.Send(work, a.ref, a.todo[:min(len(a.todo), a.turn)])
	for reply, ok := turn.Next(work); ok; reply, ok = turn.Next(work) {
		if !answered {
			a.shift.hands.back()
			answered = true
		}
		if reply.Err != nil {
			a.refusedBy(&reply)
			continue
		}
		part, err := d.deps.Ledger.Accept(work, a.ref, a.token, a.acceptedBy(&reply), a.parts, a.outcome)
		a.journey.passed(StageRecord, err)
		if err != nil {
			lost = err
			continue
		}
		a.accept(part)
		failpoint.Hit("after-record")
	}
	if lost == nil && work.Err() != nil && a.outcome == nil {
		lost = context.Cause(work)
	}
	return lost
}

// refusedBy takes a reply that is no acceptance.
func (a *attempt) refusedBy(reply *sms.Reply) {
	a.journey.answered(a, reply)
	reply.Err = a.judge(reply.Err)
	a.note(reply.Err)
	a.out.heed(reply)
}

// acceptedBy takes an acceptance and returns what the ledger is to know of it.
// With the last part the job has its outcome.
func (a *attempt) acceptedBy(reply *sms.Reply) sms.Accepted {
	a.journey.answered(a, reply)
	a.carried(*reply)
	a.out.stats.latency.Add(reply.Latency)
	if len(a.parts)+1 == a.total {
		a.outcome = a.result(sms.KindSubmitted, nil)
	}
	failpoint.Hit("before-record")
	now := time.Now()
	if f := a.out.turnstile.fleet; f != nil {
		f.Accepted(now.Add(-reply.Latency))
	}
	return sms.Accepted{Part: reply.Part, PartsTotal: a.total, RawMessageID: reply.RawMessageID, At: now}
}

// unclaim gives the claim back before waiting for another turn: parts that
// were never written must not look in doubt if this process dies meanwhile. It
// reports whether that turn may come.
func (d *Dispatcher) unclaim(work context.Context, a *attempt) (again bool) {
	err := d.deps.Ledger.Release(work, a.ref, a.token, a.parts)
	a.token = ""
	if err != nil {
		d.giveBack(work, a)
	}
	return err == nil
}

// settle decides what the answers mean: done, another attempt, or the end.
func (d *Dispatcher) settle(work context.Context, a *attempt) {
	if a.outcome == nil {
		at, outcome := d.next(a)
		if outcome == nil {
			d.retry(work, a, at)
			return
		}
		a.outcome = outcome
		if err := d.record(work, a); err != nil {
			d.giveBack(work, a)
			return
		}
	}
	d.finish(work, a)
}

// record stores the outcome of an attempt that was not accepted. The dead
// letter comes first: a job that is settled is never buried again.
func (d *Dispatcher) record(work context.Context, a *attempt) error {
	if buried(a.outcome.Code) {
		if err := d.bury(work, a); err != nil {
			return err
		}
	}
	err := d.deps.Ledger.Settle(work, a.ref, a.token, a.outcome)
	a.journey.passed(StageRecord, err)
	failpoint.Hit("after-settle")
	return err
}

// giveBack returns a job that could not be brought to its end: at once when
// the drain is out of time, later when something that must be stored cannot be.
func (d *Dispatcher) giveBack(work context.Context, a *attempt) {
	if work.Err() != nil {
		a.del.HandBack(0)
		return
	}
	a.del.HandBack(lookAgain)
}

// finish publishes the outcome. Nobody waits for that: its end is the job's.
func (d *Dispatcher) finish(work context.Context, a *attempt) {
	a.leaving = true
	a.outcome.Trace = a.ref.Trace.Child(SpanPublish)
	d.jobs.Add(1)
	d.deps.Publisher.PublishThen(work, a.outcome, func(err error) {
		d.published(work, a, err)
		d.end(a)
		d.jobs.Done()
	})
}

// published acks the job once its outcome is durable.
func (d *Dispatcher) published(work context.Context, a *attempt, err error) {
	a.journey.passed(StagePublish, err)
	if err != nil {
		d.log.Warn("result not published, job handed back", "job_id", a.ref.JobID, "err", err, a.ref.Trace.Attr())
		d.giveBack(work, a)
		return
	}
	failpoint.Hit("after-publish")
	d.stats.settled(a)
	d.failed(a)
	a.del.Ack()
	failpoint.Hit("after-ack")
}

// leave ends the job unless that follows; see finish.
func (d *Dispatcher) leave(a *attempt) {
	if !a.leaving {
		d.end(a)
	}
}
