package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// lookAgain is how long a job waits that another worker has in hand. Longer
// than most submits take, shorter than a producer's patience.
const lookAgain = 5 * time.Second

// begin enters the job into this process's hand, or says that it is there.
func (d *Dispatcher) begin(a *attempt) bool {
	a.listed = d.deps.InHand.add(jobKey{a.ref.Producer, a.ref.JobID})
	return a.listed
}

// end is that of the job here.
func (d *Dispatcher) end(a *attempt) {
	if a.listed {
		d.deps.InHand.remove(jobKey{a.ref.Producer, a.ref.JobID})
	}
	a.shift.hands.put()
	d.traceEnds(a)
}

// jobKey names a job among all producers.
type jobKey struct{ producer, job string }

// resume takes over what earlier attempts achieved.
func (a *attempt) resume(c sms.Claim) {
	a.ref.Doubt = a.ref.Doubt || c.Doubt
	a.ref.Attempt = max(a.ref.Attempt, c.Attempt)
	a.ref.Replay = max(a.ref.Replay, c.Replay)
	a.lost = c.Lost
	if c.State == sms.ClaimInDoubt {
		a.ref.Attempt = max(a.ref.Attempt, c.Attempt+1)
	}
	for _, p := range c.Parts { // our own stay, even if the ledger lost them
		a.accept(p)
	}
}

// carried keeps which bind and how long, for the result.
func (a *attempt) carried(r sms.Reply) {
	a.bind = r.Bind
	a.latency = max(a.latency, r.Latency)
}

// accept moves a part from todo to parts.
func (a *attempt) accept(p sms.Part) {
	at, known := slices.BinarySearchFunc(a.parts, p.Number, func(x sms.Part, n int) int { return x.Number - n })
	if known {
		return
	}
	if len(a.parts) == 0 {
		a.sole[0] = p
		a.parts = a.sole[:]
	} else {
		a.parts = slices.Insert(slices.Clip(a.parts), at, p)
	}
	a.strike(p.Number)
	if a.outcome != nil {
		a.outcome.Parts = a.parts
	}
}

// strike takes a part out of todo. It makes a new slice: the reservation may
// still hold the old one.
func (a *attempt) strike(part int) {
	if len(a.todo) == 1 && a.todo[0].Part == part {
		a.todo = nil
		return
	}
	todo := make([]*sms.Message, 0, max(len(a.todo)-1, 0))
	for _, m := range a.todo {
		if m.Part != part {
			todo = append(todo, m)
		}
	}
	a.todo = todo
}

// note keeps the gravest refusal. A part that was never written is none: it
// stays in todo and goes out at the next turn.
func (a *attempt) note(err error) {
	e := asError(err)
	if e.Code == sms.CodeUnavailable {
		return
	}
	if e.Code == sms.CodeUncertain {
		a.ref.Doubt = true
	}
	if a.refusal == nil || gravity(e.Code) > gravity(a.refusal.Code) {
		a.refusal = e
	}
}

// asError returns err's *sms.Error; what has none is temporary.
func asError(err error) *sms.Error {
	if e, ok := errors.AsType[*sms.Error](err); ok || err == nil {
		return e
	}
	return &sms.Error{Code: sms.CodeTemporary, Err: err}
}

// Refusals of the account's for the sake of a service_type (SMPP 5.0 §4.7.6).
const (
	statusServiceTypeUnauthorised = 0x100
	statusServiceTypeDenied       = 0x103
)

// judge returns err, but a refusal of the service_type that the job itself
// names as one of the job: it says nothing about the others, and a job that
// waits with the route for good would keep it from them.
func (a *attempt) judge(err error) error {
	e := asError(err)
	if e == nil || e.Code != sms.CodeAccount || a.job.ServiceType == "" {
		return err
	}
	switch e.Status {
	case statusServiceTypeUnauthorised, statusServiceTypeDenied:
		own := *e
		own.Code = sms.CodeRejected
		return &own
	}
	return err
}

// heed passes on what a refusal means for the whole route.
func (d *Dispatcher) heed(reply *sms.Reply) {
	switch e := asError(reply.Err); e.Code {
	case sms.CodeAccount:
		d.turnstile.barred(e, time.Now().Add(-reply.Latency))
	case sms.CodeThrottled:
		if d.turnstile.fleet != nil {
			d.turnstile.fleet.Throttled(time.Now().Add(-reply.Latency))
		}
	}
}

// waits reports whether what is left of the job waits for another turn within
// this attempt: parts that were never written, and those that were refused for
// the account's sake or came too fast.
func (a *attempt) waits() bool {
	switch {
	case a.refusal == nil, a.refusal.Code == sms.CodeAccount:
	case a.refusal.Code == sms.CodeThrottled && a.tries < patience:
		a.tries++
	default:
		return false
	}
	a.refusal = nil
	return true
}

// patience is how often a job that was throttled goes back to its place in the
// line. One that has no better luck while others get through may be refused
// for a reason of its own, a recipient's full queue: it is tried again later.
const patience = 4

// gravity orders refusals of the parts of one job: what decides its fate wins.
func gravity(c sms.Code) int {
	switch c {
	case sms.CodeRejected, sms.CodeInvalid:
		return 4
	case sms.CodeUncertain:
		return 3
	case sms.CodeTemporary:
		return 2
	case sms.CodeThrottled:
		return 1
	}
	return 0
}

// retried reports whether another attempt may help.
func retried(c sms.Code) bool {
	switch c {
	case sms.CodeThrottled, sms.CodeTemporary, sms.CodeAccount, sms.CodeUnavailable, sms.CodeUncertain:
		return true
	}
	return false
}

// buried reports whether a job that failed with the code is also a dead
// letter: the operator may want to replay it. A refused number is not one.
func buried(c sms.Code) bool {
	return c == sms.CodeThrottled || c == sms.CodeTemporary || c == sms.CodeUnavailable
}

// next says when another attempt is due, or else how the job ends.
func (d *Dispatcher) next(a *attempt) (at time.Time, outcome *sms.Result) {
	if a.refusal == nil { // nothing left to send, though the ledger lost what was accepted
		return at, a.result(sms.KindSubmitted, nil)
	}
	at = time.Now().Add(d.config().Retry.pause(a.ref.Attempt, a.refusal.RetryAfter))
	spent := a.refusal.Code != sms.CodeThrottled && a.ref.Attempt >= d.config().Retry.MaxAttempts
	switch {
	case !retried(a.refusal.Code):
		return at, a.result(sms.KindFailed, a.refusal)
	case a.ref.Doubt && (a.job.Delivery == sms.AtMostOnce || spent):
		return at, a.result(sms.KindUncertain, a.refusal)
	case a.refusal.Tries > 0 && a.ref.Attempt >= a.refusal.Tries:
		final := *a.refusal
		final.Code = sms.CodeRejected
		return at, a.result(sms.KindFailed, &final)
	case spent:
		return at, a.result(sms.KindFailed, a.refusal)
	case !a.job.ExpiresAt.IsZero() && at.After(a.job.ExpiresAt):
		return at, a.overdue()
	}
	return at, nil
}

// pause doubles with each attempt; ± 20 % keeps jobs that failed together apart.
func (p RetryPolicy) pause(attempt int, atLeast time.Duration) time.Duration {
	pause := p.Initial
	for i := 1; i < attempt && pause < p.Max; i++ {
		pause *= 2
	}
	pause = max(min(pause, p.Max), atLeast+atLeast/4)
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
}

// unsent is the outcome of a job that must not be sent any more, else nil. A
// job that is in doubt because its workers died is tried as often as one that
// is refused: it may be why they died.
func (d *Dispatcher) unsent(a *attempt) *sms.Result {
	doubt := ""
	switch {
	case !a.lost.IsZero() && a.job.Delivery == sms.AtMostOnce:
		doubt = "the job was delivered before, and Redis has lost what it knew until " + a.lost.UTC().Format(time.RFC3339) + "; delivery is at_most_once"
	case a.ref.Doubt && a.job.Delivery == sms.AtMostOnce:
		doubt = "a worker died with the message in flight; delivery is at_most_once"
	case a.ref.Doubt && a.ref.Attempt > d.config().Retry.MaxAttempts:
		doubt = "a worker died with the message in flight; the attempts are spent"
	case a.expired():
		return a.overdue()
	default:
		return nil
	}
	return a.result(sms.KindUncertain, &sms.Error{Code: sms.CodeUncertain, Err: errors.New(doubt)})
}

// stranded is the outcome of a job of which a route has parts that runs here no
// more: those of another would not join them.
func (a *attempt) stranded(via string) *sms.Result {
	a.ref.Via = via
	return a.result(sms.KindUncertain, &sms.Error{Code: sms.CodeUncertain, Err: fmt.Errorf("route %s has parts of it, and is not configured any more", via)})
}

// retry hands the claim back and stores the job for its next attempt. Being
// throttled is not the job's fault and costs it none.
func (d *Dispatcher) retry(work context.Context, a *attempt, at time.Time) {
	if !d.unclaim(work, a) {
		return
	}
	failpoint.Hit("after-release")
	d.stats.retries.Add(1)
	d.refused(a, at)
	attempt := a.ref.Attempt
	if a.refusal.Code != sms.CodeThrottled {
		attempt++
	}
	d.schedule(work, a, Retry{At: at, Attempt: attempt})
}

// postpone looks at a job again later that somebody has in hand now.
func (d *Dispatcher) postpone(work context.Context, a *attempt) {
	d.schedule(work, a, Retry{At: time.Now().Add(lookAgain), Attempt: a.ref.Attempt, InHand: true})
}

func (d *Dispatcher) schedule(work context.Context, a *attempt, r Retry) {
	r.JobID, r.Doubt, r.Parts, r.Of, r.Trace = a.ref.JobID, a.ref.Doubt, a.parts, a.del, a.ref.Trace
	if a.begun() {
		r.Via = a.ref.Via
	}
	if err := d.deps.Retrier.Schedule(work, r); err != nil {
		d.giveBack(work, a)
		return
	}
	failpoint.Hit("after-schedule")
	a.journey.retried(r.At)
	a.del.Ack()
}

// refuse answers a job that cannot be handled: a dead letter with its bytes,
// and a failed result when it names itself.
func (d *Dispatcher) refuse(work context.Context, a *attempt, cause error) {
	e, ok := errors.AsType[*sms.Error](cause)
	if !ok {
		e = &sms.Error{Code: sms.CodeInvalid, Err: cause}
	}
	a.outcome = a.result(sms.KindFailed, e)
	if err := d.bury(work, a); err != nil {
		d.giveBack(work, a)
		return
	}
	if a.ref.JobID == "" {
		d.log.Warn("job without an id refused, see its dead letter", "producer", a.ref.Producer, "code", e.Code, a.ref.Trace.Attr())
		d.stats.settled(a)
		d.failed(a)
		a.del.Ack()
		return
	}
	// A corrected job may come under the same id: its outcome must not be
	// taken for a repeat of this one.
	h := fnv.New64a()
	h.Write(a.del.Data())
	a.outcome.ID = sms.ReplayID(a.ref.Producer, fmt.Sprintf("%s invalid %016x", a.ref.JobID, h.Sum64()), a.ref.Replay)
	d.finish(work, a)
}

func (d *Dispatcher) bury(work context.Context, a *attempt) error {
	d.stats.deadLetters.Add(1)
	err := d.deps.Morgue.Bury(work, DeadLetter{Of: a.del, Ref: a.ref, Outcome: a.outcome})
	failpoint.Hit("after-bury")
	return err
}

func (a *attempt) expired() bool {
	return a.late || !a.job.ExpiresAt.IsZero() && !time.Now().Before(a.job.ExpiresAt)
}

// overdue is the outcome of a job that ran out of time.
func (a *attempt) overdue() *sms.Result {
	e := &sms.Error{Code: sms.CodeExpired, Err: fmt.Errorf("not accepted before expires_at %s", a.job.ExpiresAt.UTC().Format(time.RFC3339))}
	if a.ref.Doubt {
		return a.result(sms.KindUncertain, e)
	}
	return a.result(sms.KindExpired, e)
}

// result fills what all outcomes share; cause is nil for submitted.
func (a *attempt) result(kind sms.Kind, cause *sms.Error) *sms.Result {
	r := &sms.Result{
		ID:                sms.ReplayID(a.ref.Producer, a.ref.JobID, a.ref.Replay),
		Kind:              kind,
		JobID:             a.ref.JobID,
		Producer:          a.ref.Producer,
		Route:             a.ref.Route,
		Via:               a.ref.Via,
		Time:              time.Now().UTC(),
		Meta:              a.ref.Meta,
		Attempt:           a.ref.Attempt,
		Replay:            a.ref.Replay,
		PossibleDuplicate: a.ref.Doubt,
		Parts:             a.parts,
		Bind:              a.bind,
		LatencyMS:         float64(a.latency.Microseconds()) / 1000,
	}
	if kind == sms.KindExpired && len(a.parts) == 0 { // nobody carried it
		r.Via = ""
	}
	if cause != nil {
		r.Code, r.Status, r.StatusName, r.Reason = cause.Code, cause.Status, cause.StatusName, cause.Error()
	}
	return r
}
