package jetstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const (
	lookInterval  = 500 * time.Millisecond // between looks at a lane that has no room here, jittered by half
	busyInterval  = 50 * time.Millisecond  // after one that found something
	firstFault    = time.Second            // after one that failed, doubled with each
	longestFault  = 30 * time.Second       //
	lookTimeout   = 10 * time.Second       // of one look
	mostProducers = 64                     // that are served by one look
)

// Overtake implements dispatcher.Source: it has jobs of producers that have
// few in hand taken out of the queue, and delivers those that were.
func (c *Client) Overtake(ctx context.Context, route string, lane sms.Lane, prefetch int, handle func(dispatcher.Delivery)) error {
	prefetch = max(prefetch, 1)
	ready := make(chan *delivery, prefetch)
	o := newOvertaker(c, route, lane, prefetch)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return c.deliver(ctx, ready, handle, newPuller(c, route, lane, turns, prefetch, ready))
	})
	g.Go(func() error {
		o.run(ctx)
		return nil
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("overtake %s/%s: %w", route, lane, err)
	}
	return nil
}

// overtaker lets producers of few jobs overtake those of many. A consumer
// delivers in the order of the stream: behind a million jobs of one producer,
// another's ten would wait for all of them. So while a lane has more jobs than
// its worker has room for, the worker looks which producers have jobs that were
// not delivered yet, and moves the oldest of those who have little in hand to
// SMS_RETRY, whence the lane's turn consumer delivers them.
//
// A move is a publish and, once it is acknowledged, a delete: a job is never
// nowhere. Between the two it is in both places, and may be delivered from
// both, as it may when its producer sends it twice; the ledger makes one of
// them. Workers that move the same job at once publish it under the same id,
// so that the stream keeps one copy, and so does who finds a job that was
// moved and not deleted.
type overtaker struct {
	client *Client
	route  string
	lane   sms.Lane
	jobs   consumer
	turns  consumer
	intake *unsettled    // deliveries of jobs in this process
	most   int           // moved jobs that wait for a worker
	stream natsjs.Stream // of jobs; nil before the first look
	failed bool          // the last look; it was logged
}

func newOvertaker(c *Client, route string, lane sms.Lane, most int) *overtaker {
	o := &overtaker{client: c, route: route, lane: lane, most: most}
	o.jobs.stream, o.jobs.config = c.jobsConsumer(route, lane, c.cfg.Consumers)
	o.turns.stream, o.turns.config = c.turnConsumer(route, lane, c.cfg.Consumers)
	o.intake = c.unsettledOf(o.jobs.stream, o.jobs.config.Durable)
	return o
}

// run looks until ctx ends.
func (o *overtaker) run(ctx context.Context) {
	for wait := lookInterval; sleep(ctx, wait/2+jitter(wait)) == nil; {
		moved, err := o.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			o.fault(err)
			wait = min(max(2*wait, firstFault), longestFault)
		case moved > 0:
			wait = busyInterval
		default:
			wait = lookInterval
		}
		if err == nil {
			o.failed = false
		}
	}
}

// fault logs the first of several failures. Without overtaking the lane's jobs
// go in the order of the stream.
func (o *overtaker) fault(err error) {
	if !o.failed && o.client.in.IsConnected() {
		o.client.log.Warn("jobs of different producers go in the order of the stream", "route", o.route, "lane", o.lane, "err", err)
	}
	o.failed = true
}

// look moves what should overtake, and returns how many jobs that was.
func (o *overtaker) look(ctx context.Context) (moved int, err error) {
	if !o.intake.full() || !o.client.Connected() {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	info, err := o.info(ctx, o.jobs)
	if err != nil || info.NumPending == 0 {
		return 0, err
	}
	behind, err := o.behind(ctx)
	if err != nil || len(behind) == 0 {
		return 0, err
	}
	waiting, err := o.info(ctx, o.turns)
	if err != nil {
		return 0, err
	}
	room := o.most - int(waiting.NumPending)
	if 2*room < o.most {
		return 0, nil // none of the fleet needs more
	}
	behind = behind[:min(len(behind), mostProducers, room)]
	for _, producer := range behind {
		origin := sms.Origin{Route: o.route, Lane: o.lane, Producer: producer}
		// What the consumer has delivered is somebody's already.
		found, err := o.client.peek(ctx, o.jobs.stream, o.client.subjects.Jobs(origin), info.Delivered.Stream+1, room/len(behind))
		if err != nil {
			return moved, fmt.Errorf("read jobs behind others: %w", err)
		}
		n, err := o.move(ctx, origin, found)
		moved += n
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

func (o *overtaker) info(ctx context.Context, of consumer) (*natsjs.ConsumerInfo, error) {
	found, err := o.client.js.Consumer(ctx, of.stream, of.config.Durable)
	if err != nil {
		return nil, fmt.Errorf("look at consumer %s/%s: %w", of.stream, of.config.Durable, err)
	}
	return found.CachedInfo(), nil
}

// behind returns the producers that have jobs in the lane's queue and less
// than half their share of what this worker has in hand, in random order.
func (o *overtaker) behind(ctx context.Context) ([]string, error) {
	if o.stream == nil {
		stream, err := o.client.js.Stream(ctx, o.jobs.stream)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s: %w", o.jobs.stream, err)
		}
		o.stream = stream
	}
	info, err := o.stream.Info(ctx, natsjs.WithSubjectFilter(o.jobs.config.FilterSubject))
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", o.jobs.stream, err)
	}
	queued := info.State.Subjects
	if len(queued) < 2 {
		return nil, nil
	}
	inHand, all := o.intake.byProducer()
	var behind []string
	for subject, n := range queued {
		origin, err := o.client.subjects.ParseOrigin(subject)
		if err != nil {
			continue // refused when it is delivered
		}
		here := inHand[origin.Producer]
		if int(n) > here && 2*here*len(queued) < all {
			behind = append(behind, origin.Producer)
		}
	}
	rand.Shuffle(len(behind), func(i, j int) { behind[i], behind[j] = behind[j], behind[i] })
	return behind, nil
}

// move moves jobs of one producer, in their order, and returns how many.
func (o *overtaker) move(ctx context.Context, origin sms.Origin, jobs []queued) (moved int, err error) {
	c, subject := o.client, o.client.subjects.RetryTurn(origin)
	var sent []*call
	var copied []queued // one for each of sent
	for _, job := range jobs {
		h, alive := job.turnHeader(time.Now())
		if !alive {
			continue
		}
		h[headerMsgID] = []string{fmt.Sprintf("turn.%s.%d.%d", o.jobs.stream, job.seq, job.stored.UnixNano())}
		var call *call
		if call, err = c.pub.begin(ctx, &nats.Msg{Subject: subject, Header: h, Data: job.data}); err != nil {
			break
		}
		sent, copied = append(sent, call), append(copied, job)
	}
	var deletes errgroup.Group
	for i, call := range sent {
		a := c.pub.end(call)
		switch {
		case errors.Is(a.err, ErrTooLarge): // with our headers: it stays in the queue
			continue
		case a.err != nil:
			err = fmt.Errorf("move job: %w", a.err)
			continue // it is in the queue still
		}
		moved++
		deletes.Go(func() error { return c.deleteJob(ctx, o.jobs.stream, copied[i].seq) })
	}
	return moved, errors.Join(err, deletes.Wait())
}

// deleteJob deletes a job that was moved. It may be gone: acked, or deleted by
// another worker.
func (c *Client) deleteJob(ctx context.Context, stream string, seq uint64) error {
	request := fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, seq)
	if _, err := c.in.RequestWithContext(ctx, "$JS.API.STREAM.MSG.DELETE."+stream, request); err != nil {
		return fmt.Errorf("delete job that was moved: %w", err)
	}
	return nil
}

// queued is a job in the queue.
type queued struct {
	seq    uint64
	stored time.Time
	header nats.Header // the producer's
	data   []byte
}

const (
	headerTTL      = "Nats-TTL"
	headerSequence = "Nats-Sequence" // of a message that was read, in its stream
)

// turnHeader is the header of the moved job: what the producer sent along, and
// what is left of the message's time to live. A job that is about to go is not
// moved.
func (q *queued) turnHeader(now time.Time) (h nats.Header, alive bool) {
	h = make(nats.Header, len(q.header)+1)
	for k, v := range q.header {
		if !hasPrefixFold(k, "Nats-") {
			h[k] = v
		}
	}
	text := q.header.Get(headerTTL)
	if text == "" || text == "never" {
		return h, true
	}
	ttl, err := time.ParseDuration(text)
	if seconds, noDuration := strconv.ParseInt(text, 10, 64); noDuration == nil {
		ttl, err = time.Duration(seconds)*time.Second, nil
	}
	left := q.stored.Add(ttl).Sub(now).Truncate(time.Second)
	if err != nil || left < time.Second {
		return nil, false
	}
	h[headerTTL] = []string{left.String()}
	return h, true
}

// errNoDirect says that a stream cannot be read without its consumers.
var errNoDirect = errors.New("the stream does not allow direct access (run shortwire setup --config F)")

// peek reads up to n messages of a subject from sequence from on, without
// delivering them (NATS ADR-31).
func (c *Client) peek(ctx context.Context, stream, subject string, from uint64, n int) ([]queued, error) {
	n = max(n, 1)
	inbox, answers := c.in.NewInbox(), make(chan *nats.Msg, n+1) // the last says that there are no more
	sub, err := c.in.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	request := fmt.Appendf(nil, `{"seq":%d,"next_by_subj":%q,"batch":%d}`, from, subject, n)
	if err := c.in.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, request); err != nil {
		return nil, err
	}
	var found []queued
	for {
		var msg *nats.Msg
		select {
		case msg = <-answers:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if len(msg.Header[headerSequence]) == 0 { // no job: those may have any Status of their producer's
			switch status := msg.Header.Get("Status"); status {
			case "204", "404": // end of batch, nothing there
				return found, nil
			case "503":
				return nil, errNoDirect
			default:
				return nil, fmt.Errorf("direct get: %s %s", status, msg.Header.Get("Description"))
			}
		}
		q := queued{header: msg.Header, data: msg.Data}
		q.seq, err = strconv.ParseUint(lastOf(msg.Header, headerSequence), 10, 64)
		if err == nil {
			q.stored, err = time.Parse(time.RFC3339Nano, lastOf(msg.Header, "Nats-Time-Stamp"))
		}
		if err != nil {
			return nil, fmt.Errorf("direct get: %w", err)
		}
		found = append(found, q)
	}
}

// lastOf returns the value that the server wrote: it adds its own behind what
// the producer sent.
func lastOf(h nats.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// full reports whether the intake of the deliveries has no room for more.
func (u *unsettled) full() bool {
	u.mu.Lock()
	p := u.intake
	u.mu.Unlock()
	return p != nil && p.full()
}

// byProducer counts the deliveries by producer.
func (u *unsettled) byProducer() (count map[string]int, all int) {
	count = make(map[string]int)
	u.mu.Lock()
	defer u.mu.Unlock()
	for d := u.root.next; d != &u.root; {
		producer, n := d.origin.Producer, 0
		for ; d != &u.root && d.origin.Producer == producer; d = d.next {
			n++
		}
		count[producer] += n
		all += n
	}
	return count, all
}
