package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const (
	pullExpires   = 5 * time.Second        // of one pull request
	pullHeartbeat = 500 * time.Millisecond // of the server while a pull is open and nothing comes
	silence       = 2 * pullHeartbeat      // after which a pull counts as lost
	watchInterval = 100 * time.Millisecond
	pingTimeout   = time.Second
	handOver      = 2 * time.Second // for messages on their way when consuming ends
	missingGrace  = 2 * time.Second // a stream must be missing for this long: servers restart
)

// Status codes of messages on a pull's inbox (NATS ADR-13, ADR-37).
const (
	statusHeartbeat = "100"
	statusTimeout   = "408" // the pull expired, Nats-Pending-Messages of it are left
)

// puller keeps pull requests open on one consumer so that at most limit
// messages are asked for, on their way or waiting for handle.
//
// It trusts nothing for longer than two heartbeats: when the server is silent
// though it owes messages, it makes sure that the connection is alive, by a
// round trip, and asks anew. Whatever comes beyond limit because the old pull
// was not lost after all is handed back at once.
type puller struct {
	client  *Client
	route   string
	lane    sms.Lane
	stream  string
	config  natsjs.ConsumerConfig
	limit   int
	queue   queue            // what the consumer delivers
	ready   chan<- *delivery // written by receive only; closed by Consume once no receive can run
	set     *unsettled
	subject string // of pull requests
	inbox   string
	mustAsk chan struct{} // capacity 1: wakes run

	mu      sync.Mutex
	held    int       // delivered, handle has not returned; guarded by mu
	asked   int       // asked for and not delivered; guarded by mu
	heard   time.Time // last message of any kind; guarded by mu
	ended   bool      // what still comes is handed back; guarded by mu
	suspect bool      // the consumer may be gone; guarded by mu
}

// queue is what a consumer of a lane delivers.
type queue int

const (
	newJobs    queue = iota
	dueRetries       // for another attempt
	turns            // new jobs that overtake others
)

func newPuller(c *Client, route string, lane sms.Lane, q queue, limit int, ready chan<- *delivery) *puller {
	of := c.jobsConsumer
	switch q {
	case dueRetries:
		of = c.dueConsumer
	case turns:
		of = c.turnConsumer
	}
	stream, config := of(route, lane, c.cfg.Consumers)
	p := &puller{
		client: c, route: route, lane: lane, stream: stream, config: config,
		limit: limit, queue: q, ready: ready,
		set:     c.unsettledOf(stream, config.Durable),
		subject: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + config.Durable,
		inbox:   c.in.NewInbox(),
		mustAsk: make(chan struct{}, 1),
	}
	p.set.mu.Lock()
	p.set.intake = p
	p.set.mu.Unlock()
	return p
}

// run pulls until ctx ends. When it returns, no receive is running or will.
func (p *puller) run(ctx context.Context) error {
	if err := p.attach(ctx); err != nil {
		return unlessDone(ctx, err)
	}
	sub, err := p.client.in.Subscribe(p.inbox, p.receive)
	if err != nil {
		return fmt.Errorf("subscribe for pulls: %w", err)
	}
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	// The bound is limit; nats.go must never drop on its own.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return fmt.Errorf("subscribe for pulls: %w", err)
	}
	err = p.supervise(ctx)

	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	// Drain ends the pulls at the server and still delivers what is under way.
	if drainErr := sub.Drain(); drainErr != nil {
		_ = sub.Unsubscribe()
	}
	select {
	case <-closed:
	case <-time.After(handOver):
		_ = sub.Unsubscribe()
		select {
		case <-closed:
		case <-time.After(handOver): // it was closed before the handler was set
		}
	}
	return unlessDone(ctx, err)
}

// unlessDone is err, or nil when it only says that ctx has ended.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// supervise asks whenever there is room and revives what fell silent.
func (p *puller) supervise(ctx context.Context) error {
	status := p.client.in.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer p.client.in.RemoveStatusListener(status)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()

	p.ask()
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-status:
			if s == nats.CLOSED {
				return nats.ErrConnectionClosed
			}
			p.forget() // pulls do not survive the connection
			p.ask()
		case <-p.mustAsk:
			p.ask()
		case <-tick.C:
			if err := p.watch(ctx); err != nil {
				return err
			}
		}
	}
}

// watch looks for a pull that was lost and a consumer that is gone.
func (p *puller) watch(ctx context.Context) error {
	if p.client.in.IsClosed() {
		return nats.ErrConnectionClosed
	}
	if !p.client.in.IsConnected() {
		return nil
	}
	p.mu.Lock()
	suspect, before := p.suspect, p.heard
	silent := p.asked > 0 && time.Since(before) >= silence
	p.mu.Unlock()

	if suspect {
		if err := p.attach(ctx); err != nil {
			return err
		}
		p.mu.Lock()
		p.suspect = false
		p.mu.Unlock()
		p.forget()
	}
	if silent && !suspect {
		// A stalled connection must not collect one pull for every second of
		// the stall: they would all be answered when it moves again.
		if err := p.client.in.FlushTimeout(pingTimeout); err != nil {
			return nil // looked at again at the next tick
		}
		p.mu.Lock()
		lost := p.heard.Equal(before)
		p.mu.Unlock()
		if lost {
			p.client.log.Debug("pull lost, asking again", "stream", p.stream, "consumer", p.config.Durable)
			p.forget()
		}
	}
	p.ask()
	return nil
}

// attach makes sure that the consumer exists, and learns its ack wait. It
// tries until ctx ends, except when the stream is missing.
func (p *puller) attach(ctx context.Context) error {
	var missingSince time.Time
	for try := 1; ; try++ {
		err := p.findConsumer(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || errors.Is(err, nats.ErrConnectionClosed):
			return err
		case !errors.Is(err, natsjs.ErrStreamNotFound):
			missingSince = time.Time{}
			if try == 1 {
				p.client.log.Warn("consumer not available, trying again", "stream", p.stream, "consumer", p.config.Durable, "err", err)
			}
		case missingSince.IsZero():
			missingSince = time.Now()
		case time.Since(missingSince) > missingGrace:
			return fmt.Errorf("stream %s: %w", p.stream, ErrMissing)
		}
		if err := sleep(ctx, min(reconnectDelay(try), time.Second)); err != nil {
			return err
		}
	}
}

// findConsumer looks the consumer up and creates it where it was deleted:
// unlike a stream it holds nothing that a worker could silently start without.
func (p *puller) findConsumer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	consumer, err := p.client.js.Consumer(ctx, p.stream, p.config.Durable)
	if errors.Is(err, natsjs.ErrConsumerNotFound) {
		consumer, err = p.client.js.CreateOrUpdateConsumer(ctx, p.stream, p.config)
		if err == nil {
			p.client.log.Warn("consumer was missing, created", "stream", p.stream, "consumer", p.config.Durable)
		}
	}
	if err != nil {
		return err
	}
	if wait := consumer.CachedInfo().Config.AckWait; wait > 0 {
		p.set.setAckWait(wait)
	}
	return nil
}

// ask opens a pull for the room there is, once that is half of limit, so that
// one request serves many messages.
func (p *puller) ask() {
	p.mu.Lock()
	room := p.limit - p.held - p.asked
	if p.ended || p.suspect || room < 1 || 2*room < p.limit || !p.client.in.IsConnected() {
		p.mu.Unlock()
		return
	}
	if p.asked == 0 {
		p.heard = time.Now() // silence counts from the question
	}
	p.asked += room
	p.mu.Unlock()

	request := fmt.Appendf(nil, `{"expires":%d,"batch":%d,"idle_heartbeat":%d}`, pullExpires, room, pullHeartbeat)
	if err := p.client.in.PublishRequest(p.subject, p.inbox, request); err != nil {
		p.forget() // not connected: asked again then
	}
}

// full reports whether the puller asks for no more: the lane's jobs wait at the
// server for want of room here.
func (p *puller) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.ended && p.asked == 0 && 2*(p.limit-p.held) < p.limit
}

// forget gives up on everything that was asked for.
func (p *puller) forget() {
	p.mu.Lock()
	p.asked = 0
	p.mu.Unlock()
}

// returned notes that handle has returned.
func (p *puller) returned() {
	p.mu.Lock()
	p.held--
	wake := 2*(p.limit-p.held-p.asked) >= p.limit
	p.mu.Unlock()
	if wake {
		p.wake()
	}
}

func (p *puller) wake() {
	select {
	case p.mustAsk <- struct{}{}:
	default:
	}
}

// receive takes one message from the inbox. nats.go calls it one at a time.
func (p *puller) receive(msg *nats.Msg) {
	now := time.Now()
	if !strings.HasPrefix(msg.Reply, "$JS.ACK.") {
		p.status(msg, now)
		return
	}
	p.mu.Lock()
	p.heard = now
	p.asked = max(p.asked-1, 0)
	keep := !p.ended && p.held < p.limit
	if keep {
		p.held++
	}
	p.mu.Unlock()

	if !keep {
		_ = p.client.in.Publish(msg.Reply, ackNak) // redelivered after the ack wait at the latest
		return
	}
	d := &delivery{msg: msg, from: p, set: p.set, attempt: 1}
	var err error
	if d.origin, err = p.client.subjects.ParseOrigin(msg.Subject); err != nil {
		d.origin = sms.Origin{Route: p.route, Lane: p.lane} // dispatch refuses it
	}
	d.readRetry()
	p.set.add(d, now)
	p.ready <- d // never blocks: its capacity is the sum of the limits
}

// status takes the server's word on a pull.
func (p *puller) status(msg *nats.Msg, now time.Time) {
	code := msg.Header.Get("Status")
	left, err := strconv.Atoi(msg.Header.Get("Nats-Pending-Messages"))
	p.mu.Lock()
	p.heard = now
	switch {
	case code == statusHeartbeat:
		p.mu.Unlock()
		return
	case err == nil: // one pull is over; others may be open
		p.asked = max(p.asked-left, 0)
	default:
		p.asked = 0
	}
	// Deleted, leadership moved, limits, no responders: worth a look at the
	// consumer before the next pull.
	if code != statusTimeout && err != nil {
		p.suspect = true
	}
	p.mu.Unlock()
	if code == statusTimeout {
		p.wake()
	}
}
