package receipts

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// messageID is a message id that the SMSC gave to a part, about to be written.
type messageID struct {
	route  *route
	key    string // by the route's rule; empty when the SMSC gave none
	owner  correlation
	write  *command // writes the owner; nil when the SMSC gave no id
	parked *list    // reads the receipts that were before it
}

func (d *Desk) newMessageID(ref *sms.JobRef, a sms.Accepted, part sms.Part) messageID {
	carrier := ref.Carrier()
	route := d.route(carrier)
	id := messageID{
		route: route, key: route.IDs.Submit.Key(a.RawMessageID),
		owner: correlation{JobRef: *ref, Part: a.Part, Total: a.PartsTotal, ID: part.MessageID},
	}
	id.owner.Trace = ref.Trace.Child(a.Part) // the span of its submit
	route.counters.matching.submitted(a.RawMessageID, a.At, route.ParkingTTL)
	if id.key != "" {
		route.counters.delays.accepted(&id.owner, a.At)
		id.write, id.parked = d.store.command(), d.store.list()
		id.write.key, id.write.value = d.keys.appendID(id.write.key, carrier, id.key), id.owner.append(id.write.value)
		id.parked.key = d.keys.appendParking(id.parked.key, carrier, id.key)
	}
	return id
}

// commands appends those that write the id, unless another message has it, and
// then look for receipts that are parked under it.
func (id *messageID) commands(cmds []redis.Cmder) []redis.Cmder {
	if id.key == "" {
		return cmds
	}
	return append(cmds, id.write.setIfAbsent(id.route.correlationTTL), id.parked.again())
}

// plainly reports whether meet will find nothing to do.
func (id *messageID) plainly() bool {
	if id.key == "" {
		return true
	}
	before := id.write.Val()
	return (before == "" || before == string(id.write.value)) && len(id.parked.Val()) == 0
}

// meet looks at the answers to commands: whether the id was another's, and
// which receipts waited for it. Those that cannot be published now stay parked.
func (d *Desk) meet(ctx context.Context, id *messageID) {
	if id.key == "" {
		return
	}
	owner := &id.owner
	if before := id.write.Val(); before != "" && before != string(id.write.value) {
		if old := new(correlation); old.decode(before) == nil && !old.sameMessage(owner) && !d.takeOver(ctx, id, before) {
			id.route.counters.clashes.Add(1)
			d.log.Warn("the SMSC gave out a message id twice, receipts go to the first", "route", owner.Carrier(),
				"first_job_id", old.JobID, "job_id", owner.JobID, owner.Trace.Attr())
			owner = old
		}
	}
	parked := id.parked.Val()
	d.store.done(id.write)
	d.store.doneList(id.parked)
	for _, payload := range parked {
		if err := d.meetParked(ctx, id, owner, payload); err != nil {
			d.log.Warn("parked receipt left to the sweeper", "route", id.owner.Carrier(), "err", err, owner.Trace.Attr())
		}
	}
}

// meetParked publishes a receipt that waited for the id, and removes it.
func (d *Desk) meetParked(ctx context.Context, id *messageID, owner *correlation, payload string) error {
	failpoint.Hit("parked-found")
	p, err := decodeParked(payload)
	if err != nil {
		return err
	}
	matched, err := d.decide(ctx, p.Result, true)
	if err != nil {
		return err
	}
	failpoint.Hit("parked-decided")
	if matched {
		err = d.publishMatched(ctx, owner, p.Result)
	} else { // a sweeper was faster, and may have ended before it published
		err = d.publishUnmatched(ctx, p.Result)
	}
	if err != nil {
		return err
	}
	return d.unpark(ctx, id.owner.Carrier(), id.key, p, payload)
}

// takeOver gives an id that the SMSC hands out again to the new part, if the
// part that had it has had its final receipt. A part that waited for one until
// its id was a CorrelationTTLFinal from being forgotten counts as if it had.
func (d *Desk) takeOver(ctx context.Context, id *messageID, before string) bool {
	key, ours := string(id.write.key), string(id.write.value)
	cmd, err := one(ctx, d.store, "take over message id", func() *redis.Cmd {
		return call(ctx, takeOverScript, []string{key}, before, ours, id.route.correlationTTL, id.route.finalTTL)
	})
	if err != nil {
		d.log.Warn("message id left to its first message", "route", id.owner.Carrier(), "err", err, id.owner.Trace.Attr())
		return false
	}
	n, _ := cmd.Int()
	return n == 1
}

// lookUp finds the part that has one of the keys, the first that is known, and
// reads it into owner. A final receipt shortens how long its id is remembered.
func (d *Desk) lookUp(ctx context.Context, route string, keys []string, final bool, owner *correlation) (known bool, err error) {
	cmd := d.lookup(route, keys[0], final)
	if _, err := one(ctx, d.store, "look up message id", cmd.again); err != nil {
		return false, err
	}
	value := cmd.Val()
	d.store.done(cmd)
	if value != "" || len(keys) == 1 {
		return d.known(route, value, owner), nil
	}
	cmds, err := d.store.many(ctx, "look up message ids", func() []redis.Cmder {
		all := make([]redis.Cmder, 0, len(keys)-1)
		for _, key := range keys[1:] {
			all = append(all, d.lookup(route, key, final))
		}
		return all
	})
	if err != nil {
		return false, err
	}
	for _, cmd := range cmds {
		if value := cmd.(*command).Val(); value != "" {
			return d.known(route, value, owner), nil
		}
	}
	return false, nil
}

// lookup is the command that finds a part by one key.
func (d *Desk) lookup(route, key string, final bool) *command {
	cmd := d.store.command()
	cmd.key = d.keys.appendID(cmd.key, route, key)
	if final {
		return cmd.getAndExpire(d.route(route).finalTTL)
	}
	return cmd.get()
}

// known reads what is kept under a message id. What cannot be read counts as
// not known: the receipt is parked, where a worker of the version that wrote
// it may find it, and is published as unmatched when none does. To refuse it
// instead would have the SMSC repeat it to workers of which none can read it.
func (d *Desk) known(route, value string, owner *correlation) bool {
	if value == "" {
		return false
	}
	if err := owner.decode(value); err != nil {
		d.log.Error("job of a receipt cannot be read", "route", route, "err", err)
		return false
	}
	return true
}

// worstFirst ranks states for job_state. Those from UNKNOWN on, DELIVERED
// apart, are there for routes that take them for final.
var worstFirst = []sms.State{
	sms.StateRejected, sms.StateUndeliverable, sms.StateExpired, sms.StateDeleted, sms.StateSkipped,
	sms.StateUnknown, sms.StateScheduled, sms.StateEnroute, sms.StateAccepted, sms.StateDelivered,
}

// jobState is the state of the whole job for the one receipt that completes
// it, and empty for every other: the worst of its parts, REJECTED before
// UNDELIVERABLE, EXPIRED, DELETED, SKIPPED and DELIVERED.
//
// The job is complete when every part has a final state. Up to then the later
// of two final states of a part counts; afterwards nothing changes, so that the
// receipt that completed the job says the same when it comes again. A job of
// one part, never in doubt, needs no such book-keeping: its receipt's state is
// the job's.
func (d *Desk) jobState(ctx context.Context, owner *correlation, res *sms.Result) (sms.State, error) {
	if !res.Final {
		return "", nil
	}
	if owner.single() {
		return owner.soleState(res), nil
	}
	cmd, err := one(ctx, d.store, "note final state", func() *redis.Cmd { return d.noteFinal(ctx, owner, res) })
	if err != nil {
		return "", err
	}
	return worstIn(cmd)
}

// noteFinal is the command that notes a part's final state. It may be repeated.
func (d *Desk) noteFinal(ctx context.Context, owner *correlation, res *sms.Result) *redis.Cmd {
	route := d.route(owner.Carrier()) // as long as its receipts may take
	return call(ctx, finalScript, []string{d.keys.jobFinals(owner.Producer, owner.JobID)},
		owner.Part, string(res.State), owner.Total, res.ID, route.correlationTTL, route.finalTTL)
}

// worstIn reads the answer to noteFinal.
func worstIn(cmd *redis.Cmd) (sms.State, error) {
	states, err := cmd.StringSlice()
	if err != nil {
		return "", fmt.Errorf("note final state: %w", err)
	}
	for _, s := range worstFirst {
		if slices.Contains(states, string(s)) {
			return s, nil
		}
	}
	return "", nil
}

// single reports whether the job is of one part, and was never in doubt.
func (c *correlation) single() bool { return c.Total <= 1 && !c.Doubt }

// soleState is the job's state after a receipt of its only part.
func (c *correlation) soleState(res *sms.Result) sms.State {
	if !res.Final {
		return ""
	}
	return res.State
}
