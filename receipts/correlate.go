package receipts

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// messageID is a message id that the SMSC gave to a part, about to be written.
type messageID struct {
	route  *route
	key    string // by the route's rule; empty when the SMSC gave none
	owner  correlation
	value  string // owner, encoded
	redis  string // key of the id in Redis
	parked string // key of the receipts that were before it
}

func (d *Desk) newMessageID(ref sms.JobRef, a sms.Accepted, part sms.Part) *messageID {
	route := d.route(ref.Route)
	id := &messageID{
		route: route, key: route.IDs.Submit.Key(a.RawMessageID),
		owner: correlation{JobRef: ref, Part: a.Part, Total: a.PartsTotal, ID: part.MessageID},
	}
	if id.key != "" {
		id.value = id.owner.encode()
		id.redis, id.parked = d.keys.id(ref.Route, id.key), d.keys.parking(ref.Route, id.key)
	}
	return id
}

// commands write the id, unless another message has it, and then look for
// receipts that are parked under it. Pointers, because they cost no allocation
// as arguments.
func (id *messageID) commands(ctx context.Context) []redis.Cmder {
	if id.key == "" {
		return make([]redis.Cmder, 0, 1)
	}
	return append(make([]redis.Cmder, 0, 3),
		redis.NewStringCmd(ctx, "set", &id.redis, &id.value, "nx", "get", "px", id.route.correlationTTL),
		redis.NewStringSliceCmd(ctx, "lrange", &id.parked, 0, -1))
}

// meet looks at the answers to commands: whether the id was another's, and
// which receipts waited for it. Those that cannot be published now stay parked.
func (d *Desk) meet(ctx context.Context, id *messageID, cmds []redis.Cmder) {
	if id.key == "" {
		return
	}
	owner := &id.owner
	if before := cmds[0].(*redis.StringCmd).Val(); before != "" && before != id.value {
		if old, err := decodeCorrelation(before); err == nil && !old.sameMessage(owner) {
			id.route.counters.clashes.Add(1)
			d.log.Warn("the SMSC gave out a message id twice, receipts go to the first", "route", owner.Route,
				"first_job_id", old.JobID, "job_id", owner.JobID)
			owner = old
		}
	}
	for _, payload := range cmds[1].(*redis.StringSliceCmd).Val() {
		p, err := decodeParked(payload)
		if err == nil {
			err = d.publishMatched(ctx, owner, p.Result)
		}
		if err == nil {
			err = d.unpark(ctx, id.owner.Route, id.key, p.Result.ID, payload)
		}
		if err != nil {
			d.log.Warn("parked receipt left to the sweeper", "route", id.owner.Route, "err", err)
		}
	}
}

// lookUp finds the part that has one of the keys, the first that is known. A
// final receipt shortens how long its id is remembered.
func (d *Desk) lookUp(ctx context.Context, route string, keys []string, final bool) (*correlation, error) {
	ttl := d.route(route).finalTTL
	get := func(key string) *redis.StringCmd {
		if final {
			return redis.NewStringCmd(ctx, "getex", d.keys.id(route, key), "px", ttl)
		}
		return getCmd(ctx, d.keys.id(route, key))
	}
	cmd, err := one(ctx, d.store, "look up message id", func() *redis.StringCmd { return get(keys[0]) })
	if err != nil {
		return nil, err
	}
	if value := cmd.Val(); value != "" || len(keys) == 1 {
		return d.known(route, value), nil
	}
	cmds, err := d.store.many(ctx, "look up message ids", func() []redis.Cmder {
		all := make([]redis.Cmder, 0, len(keys)-1)
		for _, key := range keys[1:] {
			all = append(all, get(key))
		}
		return all
	})
	if err != nil {
		return nil, err
	}
	for _, cmd := range cmds {
		if value := cmd.(*redis.StringCmd).Val(); value != "" {
			return d.known(route, value), nil
		}
	}
	return nil, nil
}

// known reads what is kept under a message id. What cannot be read counts as
// not known: the receipt is parked, where a worker of the version that wrote
// it may find it, and is published as unmatched when none does. To refuse it
// instead would have the SMSC repeat it to workers of which none can read it.
func (d *Desk) known(route, value string) *correlation {
	if value == "" {
		return nil
	}
	c, err := decodeCorrelation(value)
	if err != nil {
		d.log.Error("job of a receipt cannot be read", "route", route, "err", err)
		return nil
	}
	return c
}

// worstFirst ranks final states for job_state.
var worstFirst = []sms.State{
	sms.StateRejected, sms.StateUndeliverable, sms.StateExpired, sms.StateDeleted, sms.StateSkipped, sms.StateDelivered,
}

// jobState is the state of the whole job once every part has a final one,
// this receipt's included: REJECTED before UNDELIVERABLE, EXPIRED, DELETED,
// SKIPPED and DELIVERED. Of two final states of one part the later counts.
func (d *Desk) jobState(ctx context.Context, owner *correlation, res *sms.Result) (sms.State, error) {
	if !res.Final {
		return "", nil
	}
	if owner.Total <= 1 {
		return res.State, nil
	}
	ttl := d.route(owner.Route).correlationTTL
	cmd, err := one(ctx, d.store, "note final state", func() *redis.Cmd {
		return call(ctx, finalScript, []string{d.keys.jobFinals(owner.Producer, owner.JobID)},
			owner.Part, string(res.State), owner.Total, ttl)
	})
	if err != nil {
		return "", err
	}
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
