package receipts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// sweepBatch is how many due receipts are looked at in one go.
const sweepBatch = 100

// park keeps a receipt until its job turns up under one of the keys, or until
// it is due. When the job turned up meanwhile it is read into owner instead.
//
// It is indexed after it is parked: a sweeper that looked between the two
// would drop the index and leave the receipt. Should this process die between
// the two, the SMSC had no answer and delivers it again.
func (d *Desk) park(ctx context.Context, route string, keys []string, res *sms.Result, owner *correlation) (known bool, err error) {
	payload, err := json.Marshal(&parkedReceipt{Keys: slices.Clone(keys), Result: res}) // keys may be on the stack
	if err != nil {
		return false, fmt.Errorf("encode receipt for parking: %w", err)
	}
	ttl := d.route(route).ParkingTTL
	kept := (ttl + unparkedGrace).Milliseconds()
	cmds, err := d.store.many(ctx, "park receipt", func() []redis.Cmder {
		all := make([]redis.Cmder, 0, len(keys))
		for _, key := range keys {
			all = append(all, call(ctx, parkScript, []string{d.keys.id(route, key), d.keys.parking(route, key)}, payload, kept, correlationVersions))
		}
		return all
	})
	if err != nil {
		return false, err
	}
	for i, cmd := range cmds {
		if value, ok := cmd.(*redis.Cmd).Val().(string); ok {
			return d.foundWhileParking(ctx, route, keys, keys[i], res, string(payload), value, owner)
		}
	}
	failpoint.Hit("receipt-parked")
	due := time.Now().Add(ttl).UnixMilli()
	_, err = d.store.many(ctx, "index parked receipt", func() []redis.Cmder {
		args := []any{2 * kept} // longer than what it leads to
		for _, key := range keys {
			args = append(args, due, dueMember(res.ID, key))
		}
		return []redis.Cmder{
			redis.NewIntCmd(ctx, "sadd", d.keys.routes, route),
			call(ctx, dueScript, []string{d.keys.dueIndex(route)}, args...),
		}
	})
	if err != nil {
		return false, err
	}
	failpoint.Hit("receipt-indexed")
	d.route(route).counters.parked.Add(1)
	return false, nil
}

// foundWhileParking takes back what was parked under the other keys. It leaves
// the due index alone, where this receipt is not yet, but an equal one that the
// SMSC had an answer to may be.
func (d *Desk) foundWhileParking(ctx context.Context, route string, keys []string, found string, res *sms.Result, payload, value string, owner *correlation) (known bool, err error) {
	_, err = d.store.many(ctx, "take back parked receipt", func() []redis.Cmder {
		all := make([]redis.Cmder, 0, len(keys)+1)
		for _, key := range keys {
			all = append(all, redis.NewIntCmd(ctx, "lrem", d.keys.parking(route, key), 0, payload))
		}
		return d.appendShorten(ctx, all, route, found, res.Final)
	})
	if err != nil {
		return false, err
	}
	if owner.decode(value) != nil { // ours by its version and yet unreadable: no worker ever will
		return false, d.publishUnmatched(ctx, res)
	}
	return true, nil
}

// appendShorten appends what lookUp does to an id that a final receipt has met.
func (d *Desk) appendShorten(ctx context.Context, cmds []redis.Cmder, route, key string, final bool) []redis.Cmder {
	if !final {
		return cmds
	}
	return append(cmds, redis.NewStringCmd(ctx, "getex", d.keys.id(route, key), "px", d.route(route).finalTTL))
}

// dueMember names a parked receipt in the due index. A result id has no blank.
func dueMember(resultID, key string) string { return resultID + " " + key }

// unpark removes a receipt that was published for the id met, under all its keys:
// under another it would meet another job, should the SMSC give that id out.
func (d *Desk) unpark(ctx context.Context, route, met string, p *parkedReceipt, payload string) error {
	_, err := d.store.many(ctx, "remove parked receipt", func() []redis.Cmder {
		all := make([]redis.Cmder, 0, 2*len(p.Keys)+1)
		for _, key := range p.Keys {
			all = append(all,
				redis.NewIntCmd(ctx, "lrem", d.keys.parking(route, key), 0, payload),
				redis.NewIntCmd(ctx, "zrem", d.keys.dueIndex(route), dueMember(p.Result.ID, key)))
		}
		return d.appendShorten(ctx, all, route, met, p.Result.Final)
	})
	return err
}

func decodeParked(payload string) (*parkedReceipt, error) {
	p := new(parkedReceipt)
	if err := json.Unmarshal([]byte(payload), p); err != nil {
		return nil, fmt.Errorf("decode parked receipt: %w", err)
	}
	if p.Result == nil || p.Result.Receipt == nil {
		return nil, fmt.Errorf("decode parked receipt: no receipt in it")
	}
	return p, nil
}

// sweepUntil looks over parked receipts until ctx ends, at its own pace so
// that the workers do not all sweep at once.
func (d *Desk) sweepUntil(ctx context.Context) {
	for {
		wait := d.cfg.SweepEvery/2 + rand.N(d.cfg.SweepEvery)
		if pause(ctx, wait) != nil {
			return
		}
		if err := d.sweep(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("parked receipts not swept", "err", err)
		}
	}
}

// sweep publishes every parked receipt that is due. Several workers may do so
// at once: the results have the same ids.
func (d *Desk) sweep(ctx context.Context) error {
	cmd, err := one(ctx, d.store, "list parking routes", func() *redis.StringSliceCmd {
		return redis.NewStringSliceCmd(ctx, "smembers", d.keys.routes)
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, route := range cmd.Val() {
		if err := errors.Join(d.sweepRoute(ctx, route), d.sweepJoining(ctx, route)); err != nil {
			errs = append(errs, fmt.Errorf("route %s: %w", route, err))
		}
	}
	return errors.Join(errs...)
}

func (d *Desk) sweepRoute(ctx context.Context, route string) error {
	for {
		asOf := time.Now().UnixMilli()
		cmd, err := one(ctx, d.store, "list due receipts", func() *redis.StringSliceCmd {
			return redis.NewStringSliceCmd(ctx, "zrangebyscore", d.keys.dueIndex(route),
				"-inf", strconv.FormatInt(asOf, 10), "limit", 0, sweepBatch)
		})
		if err != nil {
			return err
		}
		members := cmd.Val()
		// Side by side: after Redis has lost its data nothing matches, and
		// every receipt comes this way.
		var g errgroup.Group
		for _, member := range members {
			g.Go(func() error { return d.sweepOne(ctx, route, member, asOf) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if len(members) < sweepBatch {
			return nil
		}
	}
}

// sweepOne publishes the receipts behind one member of the due index that was
// due at asOf, in Unix milliseconds, and then removes them.
func (d *Desk) sweepOne(ctx context.Context, route, member string, asOf int64) error {
	resultID, key, _ := strings.Cut(member, " ")
	cmd, err := one(ctx, d.store, "read parked receipts", func() *redis.StringSliceCmd {
		return redis.NewStringSliceCmd(ctx, "lrange", d.keys.parking(route, key), 0, -1)
	})
	if err != nil {
		return err
	}
	stays := false
	for _, payload := range cmd.Val() {
		p, err := decodeParked(payload)
		if err != nil {
			d.log.Error("parked receipt left to a worker that can read it", "route", route, "err", err)
			stays = true
			continue
		}
		if p.Result.ID != resultID {
			continue
		}
		if err := d.publishDue(ctx, route, p); err != nil {
			if ctx.Err() != nil {
				return err
			}
			d.log.Error("parked receipt cannot be published", "route", route, "err", err)
			stays = true
			continue
		}
		failpoint.Hit("due-published")
		_, err = one(ctx, d.store, "remove due receipt", func() *redis.IntCmd {
			return redis.NewIntCmd(ctx, "lrem", d.keys.parking(route, key), 0, payload)
		})
		if err != nil {
			return err
		}
	}
	if stays {
		return d.postpone(ctx, route, member)
	}
	_, err = one(ctx, d.store, "forget due receipt", func() *redis.Cmd {
		return call(ctx, forgetScript, []string{d.keys.dueIndex(route)}, member, asOf)
	})
	return err
}

// publishDue publishes a parked receipt, with its job if that turned up under
// any key. When the job turns up just now the verdict says which way.
func (d *Desk) publishDue(ctx context.Context, route string, p *parkedReceipt) error {
	var owner correlation
	known, err := d.lookUp(ctx, route, p.Keys, p.Result.Final, &owner)
	if err != nil {
		return err
	}
	matched, err := d.decide(ctx, p.Result, known)
	if err != nil {
		return err
	}
	failpoint.Hit("due-decided")
	if matched && !known { // whoever decided so had written the id before
		if known, err = d.lookUp(ctx, route, p.Keys, p.Result.Final, &owner); err != nil {
			return err
		}
	}
	if matched && known {
		return d.publishMatched(ctx, &owner, p.Result)
	}
	return d.publishUnmatched(ctx, p.Result)
}

// decide answers whether a parked receipt is published with its job or
// without; ours is what is published unless others decided before.
func (d *Desk) decide(ctx context.Context, res *sms.Result, ours bool) (matched bool, err error) {
	verdict := "u"
	if ours {
		verdict = "m"
	}
	kept := (d.route(res.Route).ParkingTTL + unparkedGrace).Milliseconds()
	cmd, err := one(ctx, d.store, "decide on parked receipt", func() *redis.Cmd {
		return call(ctx, decideScript, []string{d.keys.decision(res.Route, res.ID)}, verdict, res.Time.UnixMilli(), kept)
	})
	if err != nil {
		return false, err
	}
	decided, err := cmd.Text()
	return decided == "m", err
}

// postpone leaves a parked receipt for another parking time, so that it keeps
// no other from being published.
func (d *Desk) postpone(ctx context.Context, route, member string) error {
	_, err := one(ctx, d.store, "postpone due receipt", func() *redis.IntCmd {
		due := time.Now().Add(d.route(route).ParkingTTL).UnixMilli()
		return redis.NewIntCmd(ctx, "zadd", d.keys.dueIndex(route), "xx", due, member)
	})
	return err
}
