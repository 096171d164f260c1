// Package floor is the least that the job can cost: the same I/O as a worker,
// with no dispatcher. It pulls jobs from JetStream, claims each in Redis,
// submits it over SMPP, records the answer, publishes the result, acks the job,
// and does as much for its receipt: the same messages, Redis commands and
// PDUs as the worker, in the same order of durability, so that what the worker
// takes beyond it is what the dispatcher costs.
//
// It has no rate limits, no lanes, no retries, no redelivery, no
// reconnects, no validation: any fault ends it. Do not send messages with it.
//
// Per job: SET NX GET EX (claim) → submit_sm → submit_sm_resp → SET EX
// (correlation), SET EX (outcome), GETDEL (parked receipt) → publish
// submitted, PubAck → ack. Per receipt: deliver_sm → GET (correlation), EXPIRE
// (kept for a shorter time from now) → publish receipt, PubAck → deliver_sm_resp.
package floor

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// Config says where the peers are.
type Config struct {
	NATS   string // URL
	Redis  string // host:port
	SMSC   string // host:port
	Binds  int    // transceivers
	Window int    // outstanding submit_sm per bind
}

// floor is one running floor program. Work moves through it as the peers
// answer: each of their read loops begins the next step.
type floor struct {
	cfg     Config
	fail    context.CancelCauseFunc
	redis   *redis
	results *results
	binds   []*bind
	slots   chan struct{} // one token per job between its pull and its submit_sm_resp
	next    int           // bind to try first; owned by redis.readLoop
}

// job is one job in flight.
type job struct {
	msg      jetstream.Msg
	id       string
	to       string
	text     string
	producer string
	written  time.Time
	latency  time.Duration
	bind     int
	smsc     string // message id
}

// receipt is one deliver_sm in flight.
type receipt struct {
	bind     *bind
	seq      uint32
	id       string
	raw      string // user data
	looks    int    // how often its job was looked up
	producer string
	job      string
}

// Run works until ctx ends or anything fails.
func Run(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &floor{cfg: cfg, fail: cancel, slots: make(chan struct{}, cfg.Binds*cfg.Window)}
	intake, err := nats.Connect(cfg.NATS, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { cancel(fmt.Errorf("jobs: connection closed")) }))
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer intake.Close()
	if f.results, err = dialResults(cfg.NATS, f); err != nil {
		return err
	}
	defer f.results.nc.Close()
	if f.redis, err = dialRedis(ctx, cfg.Redis, f); err != nil {
		return err
	}
	defer f.redis.w.conn.Close()
	for i := range cfg.Binds {
		b, err := dialBind(ctx, cfg.SMSC, i, f)
		if err != nil {
			return err
		}
		defer b.w.conn.Close()
		f.binds = append(f.binds, b)
	}
	stop, err := f.consume(ctx, intake)
	if err != nil {
		return err
	}
	defer stop()
	return f.loops(ctx)
}

// loops runs the read and write loops of Redis and the binds until ctx ends.
func (f *floor) loops(ctx context.Context) error {
	conns := []net.Conn{f.redis.w.conn}
	g, loops := errgroup.WithContext(ctx)
	g.Go(func() error { return f.redis.w.run(loops) })
	g.Go(f.redis.readLoop)
	for _, b := range f.binds {
		conns = append(conns, b.w.conn)
		g.Go(func() error { return b.w.run(loops) })
		g.Go(b.readLoop)
	}
	g.Go(func() error {
		<-loops.Done()
		for _, c := range conns {
			c.Close()
		}
		return context.Cause(loops)
	})
	err := g.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx) // the loops only say that their connection was closed
	}
	return err
}

// consume pulls jobs with the options that a worker pulls with.
func (f *floor) consume(ctx context.Context, nc *nats.Conn) (stop func(), err error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	cons, err := load.LaneConsumer(ctx, js, load.Jobs, "sms.jobs."+load.Route+".normal.*", "floor")
	if err != nil {
		return nil, fmt.Errorf("find the consumer: %w", err)
	}
	cc, err := cons.Consume(func(m jetstream.Msg) { f.take(ctx, m) },
		jetstream.PullMaxMessages(1000), jetstream.PullHeartbeat(500*time.Millisecond), jetstream.PullExpiry(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("consume: %w", err)
	}
	return cc.Stop, nil
}

// take begins a job: it waits for window and claims.
func (f *floor) take(ctx context.Context, m jetstream.Msg) {
	j, err := parseJob(m)
	if err != nil {
		f.fail(err)
		return
	}
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	f.redis.claim(j)
}

// claimed submits a job that nobody has begun.
func (f *floor) claimed(j *job) {
	for range f.binds {
		b := f.binds[f.next]
		f.next = (f.next + 1) % len(f.binds)
		if b.submit(j) {
			return
		}
	}
	f.fail(fmt.Errorf("no window for job %s, though it holds a slot", j.id))
}

// settled drops a job that has been begun before: floor runs have no redelivery,
// so a producer sent it twice.
func (f *floor) settled(j *job) {
	<-f.slots
	if err := j.msg.Ack(); err != nil {
		f.fail(fmt.Errorf("ack: %w", err))
	}
}

// answered records a submit_sm_resp.
func (f *floor) answered(j *job) {
	<-f.slots
	f.redis.record(j)
}

// recorded publishes the outcome.
func (f *floor) recorded(j *job) { f.results.submitted(j) }

// parseCorrelation reads what record wrote: producer, space, job id.
func (r *receipt) parseCorrelation(v []byte) error {
	for i, c := range v {
		if c == ' ' {
			r.producer, r.job = string(v[:i]), string(v[i+1:])
			return nil
		}
	}
	return fmt.Errorf("correlation %s: no space in it", strconv.Quote(string(v)))
}
