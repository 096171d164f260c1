package receipts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Ledger remembers which jobs were begun, which parts the SMSC has, and how
// jobs ended. Its calls wait while Redis is away, and fail only when ctx ends,
// with ErrWorkerID or with ErrClaimLost.
//
// A claim is this worker's as long as its lease lives. A worker that was held
// up for longer than that may have lost the claim to another, and must not
// overwrite what that one recorded: see guard.
type Ledger struct {
	desk     *Desk
	claims   atomic.Uint64 // numbers the tokens
	counters ledgerCounters
}

// ErrClaimLost says that another worker took the job over. What the SMSC
// accepted is known by its message id all the same; the outcome is the other's
// to tell, since that one knows what it sent again.
var ErrClaimLost = errors.New("receipts: the claim was lost to another worker")

// Claim asks for the job in one round trip when nobody has begun it. Asked
// again after a lost answer it recognises its own claim by the token.
func (l *Ledger) Claim(ctx context.Context, ref sms.JobRef) (sms.Claim, error) {
	return l.claimAs(ctx, ref, l.token())
}

// ClaimThen is Claim for a job that nobody has begun, most likely, and returns
// at once: answered must not block, and may be called before. A job that was
// begun, or a Redis that is away, takes longer.
func (l *Ledger) ClaimThen(ctx context.Context, ref *sms.JobRef, answered func(sms.Claim, error)) {
	token := l.token()
	inTurn := func() {
		answered(l.claimAs(ctx, *ref, token))
	}
	if ref.Stored != 0 || !l.desk.lease.held() {
		go inTurn()
		return
	}
	cmd, err := l.claimCommand(ref, token)
	if err != nil {
		answered(sms.Claim{}, err)
		return
	}
	l.desk.store.group.then(ctx, func(err error) {
		if err != nil || cmd.Val() != "" {
			go inTurn()
			return
		}
		l.desk.store.answered()
		l.desk.store.done(cmd)
		l.counters.fresh.Add(1)
		answered(sms.Claim{State: sms.ClaimFresh, Token: token, Doubt: ref.Doubt, Via: ref.Via}, nil)
	}, cmd)
}

// claimAs is Claim under a token that may have been written already.
func (l *Ledger) claimAs(ctx context.Context, ref sms.JobRef, token string) (sms.Claim, error) {
	if err := l.desk.lease.ensure(ctx); err != nil {
		return sms.Claim{}, err
	}
	for {
		found, err := l.claim(ctx, ref, token)
		if err != nil {
			return sms.Claim{}, err
		}
		if found == "" || heldBy(found, token) {
			lost, err := l.forgotten(ctx, ref)
			switch {
			case err != nil:
				return sms.Claim{}, err
			case !lost.IsZero():
				l.counters.inDoubt.Add(1)
				return sms.Claim{State: sms.ClaimInDoubt, Token: token, Doubt: true, Via: ref.Via, Lost: lost}, nil
			}
			l.counters.fresh.Add(1)
			return sms.Claim{State: sms.ClaimFresh, Token: token, Doubt: ref.Doubt, Via: ref.Via}, nil
		}
		claim, err := l.judge(ctx, l.desk.keys.job(ref.Producer, ref.JobID), found, ref, token)
		if claim != nil || err != nil {
			return *cmp.Or(claim, &sms.Claim{}), err
		}
	}
}

// claim writes our claim unless the job has a record, and answers that.
func (l *Ledger) claim(ctx context.Context, ref sms.JobRef, token string) (found string, err error) {
	cmd, err := l.claimCommand(&ref, token)
	if err != nil {
		return "", err
	}
	if _, err = one(ctx, l.desk.store, "claim job", cmd.again); err != nil {
		return "", err
	}
	found = cmd.Val()
	l.desk.store.done(cmd)
	return found, nil
}

func (l *Ledger) claimCommand(ref *sms.JobRef, token string) (*command, error) {
	mine := record{state: recordClaimed, token: token, worker: l.desk.lease.name, attempt: ref.Attempt, carrier: ref.Carrier(), doubt: ref.Doubt, replay: ref.Replay}
	cmd := l.desk.store.command()
	cmd.key = l.desk.keys.appendJob(cmd.key, ref.Producer, ref.JobID)
	var err error
	cmd.value, err = mine.append(cmd.value)
	return cmd.setIfAbsent(l.desk.route(ref.Route).ledgerTTL), err
}

// token names one claim among all of all workers.
func (l *Ledger) token() string {
	b := append(make([]byte, 0, 32), l.desk.lease.incarnation...)
	return string(strconv.AppendUint(append(b, '-'), l.claims.Add(1), 36))
}

// judge answers a claim for a job that has a record, and takes it over where
// that is right. It answers nil when the record is gone meanwhile.
func (l *Ledger) judge(ctx context.Context, key string, found string, ref sms.JobRef, token string) (*sms.Claim, error) {
	for found != "" {
		old, err := decodeRecord(found)
		if err != nil {
			// A later version may have settled it: hands off.
			l.desk.log.Error("job left alone, its ledger record cannot be read", "job_id", ref.JobID, "producer", ref.Producer, "err", err, ref.Trace.Attr())
			return l.busy(), nil
		}
		claim := &sms.Claim{Token: token, Attempt: old.attempt, Doubt: old.doubt || ref.Doubt, Replay: max(old.replay, ref.Replay), Parts: old.parts}
		begun := old.carrier
		next := &record{
			state: recordClaimed, token: token, worker: l.desk.lease.name,
			attempt: max(old.attempt, ref.Attempt), replay: claim.Replay, parts: old.parts,
		}
		switch old.state {
		case recordSettled:
			if !reopens(old, ref) {
				l.counters.settled.Add(1)
				return &sms.Claim{
					State: sms.ClaimSettled, Attempt: old.attempt, Doubt: old.doubt, Replay: old.replay,
					Parts: old.outcome.Parts, Outcome: old.outcome,
				}, nil
			}
			claim.State, claim.Attempt, claim.Parts = sms.ClaimResumed, 0, old.outcome.Parts
			next.attempt, next.parts, begun = ref.Attempt, old.outcome.Parts, cmp.Or(old.outcome.Via, old.outcome.Route)
		case recordReleased:
			claim.State = sms.ClaimResumed
		case recordClaimed:
			dead := old.worker == l.desk.lease.name // the caller has it not in hand, or it would not ask
			if !dead {
				if dead, err = l.desk.lease.dead(ctx, old.worker); err != nil {
					return nil, err
				}
			}
			if !dead {
				return l.busy(), nil
			}
			claim.State, claim.Doubt = sms.ClaimInDoubt, true
			next.attempt = max(old.attempt+1, ref.Attempt)
		}
		next.doubt = claim.Doubt
		if claim.Via = ref.Via; old.doubt || claim.State == sms.ClaimInDoubt || len(claim.Parts) > 0 {
			if claim.Via = begun; begun == ref.Route {
				claim.Via = ""
			}
		}
		next.carrier = cmp.Or(claim.Via, ref.Route)
		var swapped bool
		if found, swapped, err = l.swap(ctx, key, found, next, ref.Route); err != nil {
			return nil, err
		}
		if swapped {
			l.countTaken(claim.State)
			return claim, nil
		}
	}
	return nil, nil
}

// reopens reports whether a settled job may be tried again: it failed, and is
// replayed more often than the record knows. So a replay that is delivered
// twice counts once, and what was submitted or may have been stays as it is.
func reopens(old *record, ref sms.JobRef) bool {
	return ref.Replay > old.replay && old.outcome.Kind == sms.KindFailed
}

func (l *Ledger) busy() *sms.Claim {
	l.counters.busy.Add(1)
	return &sms.Claim{State: sms.ClaimBusy}
}

func (l *Ledger) countTaken(state sms.ClaimState) {
	if state == sms.ClaimInDoubt {
		l.counters.inDoubt.Add(1)
		return
	}
	l.counters.resumed.Add(1)
}

// swap replaces the record if it is still old; else it answers what the record
// is instead, empty when it is gone.
func (l *Ledger) swap(ctx context.Context, key, old string, next *record, route string) (now string, swapped bool, err error) {
	value, err := next.append(nil)
	if err != nil {
		return "", false, err
	}
	ttl := l.desk.route(route).ledgerTTL
	cmd, err := one(ctx, l.desk.store, "take over job", func() *redis.Cmd {
		return call(ctx, casScript, []string{key}, old, value, ttl)
	})
	if err != nil {
		return "", false, err
	}
	now, other := cmd.Val().(string)
	return now, !other, nil
}

// Settle records the outcome of a job.
func (l *Ledger) Settle(ctx context.Context, ref sms.JobRef, token string, outcome *sms.Result) error {
	rec := record{
		state: recordSettled, token: token, worker: l.desk.lease.name, attempt: ref.Attempt, doubt: ref.Doubt, replay: ref.Replay, outcome: outcome,
	}
	guard, err := l.guard(&ref, token, &rec)
	if err != nil {
		return fmt.Errorf("settle job: %w", err)
	}
	if _, err = one(ctx, l.desk.store, "settle job", func() redis.Cmder { return guard.command(ctx) }); err != nil {
		return err
	}
	return guard.check(ctx)
}

// Release hands a claim back: the next Claim answers Resumed with these parts,
// and with those that late responses added meanwhile.
func (l *Ledger) Release(ctx context.Context, ref sms.JobRef, token string, parts []sms.Part) error {
	rec := &record{state: recordReleased, token: token, worker: l.desk.lease.name, attempt: ref.Attempt, carrier: ref.Carrier(), doubt: ref.Doubt, replay: ref.Replay}
	key := l.desk.keys.job(ref.Producer, ref.JobID)
	ttl := l.desk.route(ref.Route).ledgerTTL
	cmd, err := one(ctx, l.desk.store, "release job", func() *redis.Cmd {
		return call(ctx, releaseScript, []string{key}, token, rec.appendHead(nil), encodeParts(parts), ttl)
	})
	if err != nil {
		return err
	}
	if cmd.Val() != nil {
		return l.lost(&ref)
	}
	return nil
}

// Late records a part whose response came after its timeout: receipts will
// find the job, and while the job has no outcome the part will not be sent
// again. A worker that records further parts of the job at this moment may not
// see it; then the part is sent again as a possible duplicate, as it would
// have been without its response.
func (l *Ledger) Late(ctx context.Context, ref sms.JobRef, a sms.Accepted) error {
	ref.Doubt = true // a further copy may be at the SMSC, or follow: see jobState
	route := l.desk.route(ref.Carrier())
	part := sms.Part{Number: a.Part, MessageID: route.IDs.Submit.ID(a.RawMessageID), RawMessageID: a.RawMessageID}
	id := l.desk.newMessageID(&ref, a, part)
	text := encodeParts([]sms.Part{part})
	text = text[1 : len(text)-1]
	key := l.desk.keys.job(ref.Producer, ref.JobID)
	_, err := l.desk.store.many(ctx, "record late response", func() []redis.Cmder {
		return append(id.commands(nil), call(ctx, lateScript, []string{key}, text, part.Number))
	})
	if err != nil {
		return err
	}
	l.counters.late.Add(1)
	l.desk.meet(ctx, &id)
	return nil
}

// Healthy reports whether Redis answered when it was last asked.
func (l *Ledger) Healthy() bool { return l.desk.store.healthy() }

// guard writes the record of a claim so that another's is not overwritten.
//
// While our lease is alive nobody can have taken the claim over, and a plain
// SET does: a script costs half as much again, and this runs for every part.
// The SET still answers what it replaced; should this process have been held
// up between the look at the lease and the write for longer than the rest of
// the lease, what was overwritten is put back. Without a live lease the
// comparison is made in Redis.
type guard struct {
	ledger *Ledger
	ref    *sms.JobRef
	token  string
	ttl    any        // ms
	plain  *command   // has key and value in any case
	script *redis.Cmd // nil when the last command was plain
}

// guard fails only when the outcome's Meta is no JSON.
func (l *Ledger) guard(ref *sms.JobRef, token string, rec *record) (guard, error) {
	cmd := l.desk.store.command()
	cmd.key = l.desk.keys.appendJob(cmd.key, ref.Producer, ref.JobID)
	var err error
	cmd.value, err = rec.append(cmd.value)
	return guard{ledger: l, ref: ref, token: token, ttl: l.desk.route(ref.Route).ledgerTTL, plain: cmd}, err
}

func (g *guard) command(ctx context.Context) redis.Cmder {
	if g.ledger.desk.lease.held() {
		g.script = nil
		return g.plain.replace(g.ttl)
	}
	g.script = call(ctx, writeScript, []string{string(g.plain.key)}, g.token, []byte(g.plain.value), g.ttl)
	return g.script
}

// plainly reports whether check will neither fail nor wait.
func (g *guard) plainly() bool {
	found := g.plain.Val()
	return g.script == nil && (found == "" || heldBy(found, g.token))
}

// check looks at the answer. It fails with ErrClaimLost when the record is
// another claim's, and leaves it so.
func (g *guard) check(ctx context.Context) (err error) {
	found := g.plain.Val()
	if g.script != nil {
		found, _ = g.script.Val().(string)
	}
	if found != "" && !heldBy(found, g.token) {
		err = g.ledger.lost(g.ref)
		if g.script == nil {
			if unmended := g.putBack(ctx, found); unmended != nil {
				return unmended
			}
		}
	}
	g.ledger.desk.store.done(g.plain)
	return err
}

func (g *guard) putBack(ctx context.Context, found string) error {
	key, value := string(g.plain.key), []byte(g.plain.value)
	_, err := one(ctx, g.ledger.desk.store, "put record back", func() *redis.Cmd {
		return call(ctx, casScript, []string{key}, value, found, g.ttl)
	})
	return err
}

// lost counts a lost claim.
func (l *Ledger) lost(ref *sms.JobRef) error {
	l.counters.lost.Add(1)
	l.desk.log.Warn("claim was lost to another worker", "job_id", ref.JobID, "producer", ref.Producer, "route", ref.Route, ref.Trace.Attr())
	return ErrClaimLost
}
