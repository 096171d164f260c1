package receipts

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Delivery is a deliver_sm or data_sm that waits for its response.
type Delivery interface {
	Content() *sms.Message
	Answer(status uint32) // the command_status of the response, once; it does not wait
}

// glance is a receipt of a burst on its way.
type glance struct {
	arrival
	of       Delivery
	lookup   *command
	owner    correlation
	counters *routeCounters
}

// DeliverAll takes what came together on a bind of a route, and answers each
// message, possibly after it has returned: ESME_ROK once what it carried is
// durable, else ESME_RX_T_APPN, after DeliverTimeout at most.
//
// What most receipts need is done together: one step in Redis for all, another
// for those of jobs of several parts, and nobody waits until they are
// published. What needs more, or fails, goes on alone.
func (d *Desk) DeliverAll(ctx context.Context, route, bind string, burst []Delivery) {
	ctx = d.terms.join(ctx, time.Now(), d.cfg.DeliverTimeout)
	r := d.route(route)
	all := make([]glance, 0, len(burst))
	lookups := make([]redis.Cmder, 0, len(burst))
	for _, of := range burst {
		m := of.Content()
		if !r.Receipts.IsReceipt(m) {
			d.alone(route, bind, of, func() error { return d.inbound(ctx, route, bind, m) })
			continue
		}
		all = append(all, glance{of: of, counters: r.counters})
		g := &all[len(all)-1]
		r.read(&g.arrival, route, m)
		if len(g.keys) == 0 {
			orphan := g.result
			d.alone(route, bind, of, func() error { return d.publishUnmatched(ctx, orphan) })
			all = all[:len(all)-1]
			continue
		}
		g.lookup = d.lookup(route, g.keys[0], g.result.Final)
		lookups = append(lookups, g.lookup)
	}
	if len(all) == 0 {
		return
	}
	err := d.store.group.run(ctx, lookups...)
	if err == nil {
		d.store.answered()
	}
	var parts []*glance
	for i := range all {
		if d.goOn(ctx, route, bind, &all[i], err) {
			parts = append(parts, &all[i])
		}
	}
	d.goOnWithParts(ctx, route, bind, parts)
}

// alone has a message dealt with by a goroutine of its own; it ends before the
// session that waits for the answer.
func (d *Desk) alone(route, bind string, of Delivery, do func() error) {
	go func() { of.Answer(d.status(route, bind, do())) }()
}

// goOn takes a receipt further whose first key was looked up, or could not be.
// It reports whether what the receipt means for its job is still to be noted.
func (d *Desk) goOn(ctx context.Context, route, bind string, g *glance, err error) (ofParts bool) {
	if err != nil { // whichever of the burst failed, this one may still be in flight
		d.alone(route, bind, g.of, func() error { return d.receipt(ctx, route, &g.arrival, g.keys) })
		return false
	}
	known := d.known(route, g.lookup.Val(), &g.owner)
	d.store.done(g.lookup)
	switch {
	case !known:
		d.alone(route, bind, g.of, func() error { return d.receipt(ctx, route, &g.arrival, g.keys[1:]) })
	case g.owner.single() || !g.result.Final:
		failpoint.Hit("receipt-looked-up")
		d.publishSoon(ctx, route, bind, g, g.owner.soleState(g.result))
	default:
		return true
	}
	return false
}

// goOnWithParts notes final states in one step.
func (d *Desk) goOnWithParts(ctx context.Context, route, bind string, all []*glance) {
	if len(all) == 0 {
		return
	}
	failpoint.Hit("receipt-looked-up")
	notes := make([]redis.Cmder, len(all))
	for i, g := range all {
		notes[i] = d.noteFinal(ctx, &g.owner, g.result)
	}
	err := d.store.group.run(ctx, notes...)
	for i, g := range all {
		state, fault := sms.State(""), err
		if err == nil {
			state, fault = worstIn(notes[i].(*redis.Cmd))
		}
		if fault != nil {
			d.alone(route, bind, g.of, func() error { return d.conclude(ctx, route, &g.arrival, true, &g.owner) })
			continue
		}
		d.publishSoon(ctx, route, bind, g, state)
	}
}

// publishSoon publishes a receipt whose job is known and has it answered then.
func (d *Desk) publishSoon(ctx context.Context, route, bind string, g *glance, jobState sms.State) {
	d.learn(route, &g.arrival, &g.owner)
	g.owner.address(g.result, jobState)
	failpoint.Hit("receipt-counted")
	v := d.follow(&g.owner, g.result)
	d.pub.PublishThen(ctx, g.result, func(err error) {
		g.of.Answer(d.status(route, bind, g.counters.published(&g.owner, g.result, d.visited(v, g.result, err))))
	})
}
