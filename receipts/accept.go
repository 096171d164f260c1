package receipts

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Accept records an accepted part: the message id, and the job's progress or,
// with outcome, its end. It publishes receipts that came before it. The part
// comes back with its id by the route's rule and is added to outcome.
//
// The id is written before parked receipts are looked for; see parkScript.
// In Redis Cluster the record lies elsewhere than the id; both are repeated
// until both are written.
func (l *Ledger) Accept(ctx context.Context, ref sms.JobRef, token string, a sms.Accepted, parts []sms.Part, outcome *sms.Result) (sms.Part, error) {
	x, err := l.acceptance(&ref, token, a, parts, outcome)
	if err != nil {
		return x.part, err
	}
	return x.part, x.record(ctx)
}

// AcceptThen is Accept, and returns at once: recorded must not block.
func (l *Ledger) AcceptThen(ctx context.Context, ref *sms.JobRef, token string, a sms.Accepted, parts []sms.Part, outcome *sms.Result, recorded func(sms.Part, error)) {
	x, err := l.acceptance(ref, token, a, parts, outcome)
	if err != nil {
		recorded(x.part, err)
		return
	}
	l.desk.store.group.then(ctx, func(err error) {
		if err == nil {
			l.desk.store.answered()
		}
		switch {
		case err == nil && x.plain():
			recorded(x.part, x.finish(ctx))
		case err == nil:
			go func() { recorded(x.part, x.finish(ctx)) }()
		case ctx.Err() != nil: // the commands may still be on their way
			recorded(x.part, fmt.Errorf("record accepted part: %w", context.Cause(ctx)))
		default:
			go func() { recorded(x.part, x.record(ctx)) }()
		}
	}, x.commands(ctx)...)
}

// acceptance is an accepted part on its way into the ledger.
type acceptance struct {
	part  sms.Part
	id    messageID
	guard guard
	step  [3]redis.Cmder
}

func (l *Ledger) acceptance(ref *sms.JobRef, token string, a sms.Accepted, parts []sms.Part, outcome *sms.Result) (*acceptance, error) {
	route := l.desk.route(ref.Carrier())
	x := &acceptance{part: sms.Part{Number: a.Part, MessageID: route.IDs.Submit.ID(a.RawMessageID), RawMessageID: a.RawMessageID}}
	rec := record{state: recordClaimed, token: token, worker: l.desk.lease.name, attempt: ref.Attempt, carrier: ref.Carrier(), doubt: ref.Doubt, replay: ref.Replay}
	rec.parts = withPart(parts, x.part)
	if outcome != nil {
		outcome.Parts = rec.parts
		rec.state, rec.outcome, rec.carrier = recordSettled, outcome, ""
	}
	var err error
	if x.guard, err = l.guard(ref, token, &rec); err != nil {
		return x, fmt.Errorf("record accepted part: %w", err)
	}
	x.id = l.desk.newMessageID(ref, a, x.part)
	return x, nil
}

func (x *acceptance) commands(ctx context.Context) []redis.Cmder {
	return append(x.id.commands(x.step[:0]), x.guard.command(ctx))
}

// record writes what there is to write, however often that takes.
func (x *acceptance) record(ctx context.Context) error {
	_, err := x.guard.ledger.desk.store.many(ctx, "record accepted part", func() []redis.Cmder { return x.commands(ctx) })
	if err != nil {
		return err
	}
	return x.finish(ctx)
}

// plain reports whether the answers are those of nearly every part, with
// which finish does not wait for anything.
func (x *acceptance) plain() bool { return x.guard.plainly() && x.id.plainly() }

// finish looks at the answers.
func (x *acceptance) finish(ctx context.Context) error {
	err := x.guard.check(ctx)
	x.guard.ledger.desk.meet(ctx, &x.id)
	return err
}

// withPart returns parts with p, in the order of their numbers.
func withPart(parts []sms.Part, p sms.Part) []sms.Part {
	all := make([]sms.Part, 0, len(parts)+1)
	for _, old := range parts {
		if old.Number != p.Number {
			all = append(all, old)
		}
	}
	all = append(all, p)
	slices.SortFunc(all, func(a, b sms.Part) int { return cmp.Compare(a.Number, b.Number) })
	return all
}
