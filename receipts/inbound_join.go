package receipts

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	// maxGenerations is how many messages of one sender with one reference
	// are told apart, those included that were published a short time ago.
	maxGenerations = 32
	// maxJoining is how many messages of a route wait for parts, about
	// 400 octets each with one part in. Further parts are published by themselves.
	maxJoining = 100_000
	// digestLen is the size of a part's digest in characters: 12 octets.
	digestLen = 16
)

// What the scripts answer.
const (
	joinClose  = "close"
	joinRepeat = "repeat"
	joinFull   = "full"
)

// join keeps a part in Redis and publishes the message when it was the last.
// From then on the part is durable: should the message not be published here,
// a sweeper will, as it does when parts do not come. It is not kept when there
// are too many already.
//
// A part is told from a repeat by its octets. So these are lost or mixed up:
// parts of two texts that one sender sends at the same time, to the same
// number and with the same reference and number of parts; and a text that is
// sent again like that, octet for octet, within JoinTimeout of the first.
func (d *Desk) join(ctx context.Context, route string, c concat, p *inboundPart) (kept bool, err error) {
	value, err := json.Marshal(p)
	if err != nil {
		return false, fmt.Errorf("encode part of an inbound message: %w", err)
	}
	r, set := d.route(route), joinSet(c, p)
	now, window := time.Now(), r.JoinTimeout.Milliseconds()
	cmds, err := d.store.many(ctx, "keep part of an inbound message", func() []redis.Cmder {
		return []redis.Cmder{
			redis.NewIntCmd(ctx, "sadd", d.keys.routes, route),
			call(ctx, addPartScript, []string{d.keys.joining(route, set), d.keys.joinDue(route)},
				c.number, c.total, digest(p), value, now.UnixMilli(), now.UnixMilli()+window, now.Add(d.republishAfter()).UnixMilli(),
				window+unparkedGrace.Milliseconds(), window, set, maxGenerations, maxJoining),
		}
	})
	if err != nil {
		return false, err
	}
	a, err := readJoinAnswer(cmds[1].(*redis.Cmd))
	if err != nil {
		return false, err
	}
	switch a.what {
	case joinFull:
		return false, nil
	case joinRepeat:
		r.counters.repeats.Add(1)
	case joinClose:
		if err := d.publishJoined(ctx, route, set, a); err != nil {
			d.log.Warn("inbound message left to a sweeper", "route", route, "err", err, traceOf(err))
		}
	}
	return true, nil
}

// republishAfter is how long who closed a message has to publish it.
func (d *Desk) republishAfter() time.Duration { return 2 * d.cfg.DeliverTimeout }

// joinSet names what belongs together. It is a hash, since numbers stay out of
// keys. Some SMSCs write the plus of a number on one bind and not on another.
func joinSet(c concat, p *inboundPart) string {
	b := make([]byte, 0, 64)
	for _, s := range [...]string{strings.TrimPrefix(p.From, "+"), strings.TrimPrefix(p.To, "+")} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = append(b, c.scheme, byte(c.reference>>8), byte(c.reference), byte(c.total))
	return hashed(b, 16)
}

// digest is the same for a part that the SMSC repeats.
func digest(p *inboundPart) string {
	return hashed(append([]byte{p.DataCoding, p.ESMClass & 0x40}, p.Data...), digestLen*3/4)
}

func hashed(b []byte, octets int) string {
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:octets])
}

// joinAnswer is what a script says: what to do, and of a message that is to be
// published its generation, when that began and its parts.
type joinAnswer struct {
	what       string
	generation int64
	began      string // Unix ms
	total      int
	values     map[int]string // digest and part, by number
}

func readJoinAnswer(cmd *redis.Cmd) (a joinAnswer, err error) {
	reply, err := cmd.Slice()
	if err != nil {
		return a, fmt.Errorf("join inbound message: %w", err)
	}
	a.what, _ = reply[0].(string)
	if a.what != joinClose {
		return a, nil
	}
	if len(reply) != 5 {
		return a, fmt.Errorf("join inbound message: answer of %d", len(reply))
	}
	a.generation, _ = reply[1].(int64)
	a.began, _ = reply[2].(string)
	total, _ := reply[3].(int64)
	a.total, a.values = int(total), make(map[int]string)
	parts, _ := reply[4].([]any)
	for i, v := range parts {
		if s, ok := v.(string); ok && len(s) > digestLen {
			a.values[i+1] = s
		}
	}
	if len(a.values) == 0 {
		return a, errors.New("join inbound message: no parts")
	}
	return a, nil
}

// publishJoined publishes a closed message. Whoever does so makes the same of
// it: it takes no more parts.
func (d *Desk) publishJoined(ctx context.Context, route, set string, a joinAnswer) error {
	came := make(map[int]*inboundPart, len(a.values))
	identity := []byte(route + " " + set + " " + a.began)
	for n := range a.total {
		value, ok := a.values[n+1]
		if !ok {
			continue
		}
		p := new(inboundPart)
		if err := json.Unmarshal([]byte(value[digestLen:]), p); err != nil {
			return fmt.Errorf("decode part of an inbound message: %w", err)
		}
		came[n+1] = p
		identity = append(append(identity, byte(n+1)), value[:digestLen]...)
	}
	began, err := strconv.ParseInt(a.began, 10, 64)
	if err != nil {
		return fmt.Errorf("join inbound message: %w", err)
	}
	in := assemble(route, d.route(route).Alphabet, a.total, came)
	in.ID, in.Time = "i."+hashed(identity, 16), time.UnixMilli(began).UTC()
	if err := d.publishInbound(ctx, in); err != nil {
		return err
	}
	_, err = one(ctx, d.store, "note published inbound message", func() *redis.Cmd {
		return call(ctx, publishedScript, []string{d.keys.joining(route, set), d.keys.joinDue(route)},
			a.generation, a.began, time.Now().UnixMilli(), d.window(route), joinName(set, a.generation), digestLen)
	})
	return err
}

// window is how long a message is remembered to tell its repeats, in ms. A
// route that does not join any more may still have some.
func (d *Desk) window(route string) int64 {
	return max(d.route(route).JoinTimeout, time.Minute).Milliseconds()
}

// joinName names a message in the due index.
func joinName(set string, generation int64) string {
	return set + " " + strconv.FormatInt(generation, 10)
}

// sweepJoining publishes the messages of a route whose parts did not come in
// time, and those that were complete when their worker died.
func (d *Desk) sweepJoining(ctx context.Context, route string) error {
	for {
		asOf := time.Now().UnixMilli()
		cmd, err := one(ctx, d.store, "list due inbound messages", func() *redis.StringSliceCmd {
			return redis.NewStringSliceCmd(ctx, "zrangebyscore", d.keys.joinDue(route),
				"-inf", strconv.FormatInt(asOf, 10), "limit", 0, sweepBatch)
		})
		if err != nil {
			return err
		}
		var g errgroup.Group
		for _, name := range cmd.Val() {
			g.Go(func() error { return d.sweepJoined(ctx, route, name, asOf) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if len(cmd.Val()) < sweepBatch {
			return nil
		}
	}
}

// sweepJoined publishes a message that was due at asOf, in Unix milliseconds.
func (d *Desk) sweepJoined(ctx context.Context, route, name string, asOf int64) error {
	set, generation, _ := strings.Cut(name, " ")
	cmd, err := one(ctx, d.store, "close due inbound message", func() *redis.Cmd {
		return call(ctx, closeScript, []string{d.keys.joining(route, set), d.keys.joinDue(route)},
			generation, asOf, time.Now().Add(d.republishAfter()).UnixMilli(), d.window(route), name)
	})
	if err != nil {
		return err
	}
	a, err := readJoinAnswer(cmd)
	switch {
	case err != nil:
		return err
	case a.what == joinRepeat:
		d.route(route).counters.repeats.Add(1)
	case a.what == joinClose:
		if err := d.publishJoined(ctx, route, set, a); err != nil {
			if ctx.Err() != nil {
				return err
			}
			d.log.Error("inbound message cannot be published", "route", route, "err", err, traceOf(err)) // it is due again, and keeps no other waiting
		}
	}
	return nil
}
