package receipts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// What DeliverAll answers (SMPP 3.4 §5.1.3).
const (
	statusOK        uint32 = 0x00000000 // ESME_ROK
	statusTemporary uint32 = 0x00000064 // ESME_RX_T_APPN: the SMSC keeps the message and tries again
)

// Desk takes what SMSCs deliver, and holds the Ledger.
type Desk struct {
	cfg     Config
	keys    keys
	store   *store
	lease   *lease
	epoch   epoch
	masters masters
	pub     Publisher
	tracer  Tracer // may be nil
	log     *slog.Logger
	ledger  *Ledger
	terms   terms

	routesMu sync.Mutex                        // held by who replaces routes
	routes   atomic.Pointer[map[string]*route] // replaced as a whole
}

// New makes a Desk. It asks nothing of Redis; Run does.
func New(cfg Config, deps Deps) (*Desk, error) {
	cfg, err := cfg.withDefaults()
	if deps.Redis == nil || deps.Publisher == nil {
		err = errors.Join(err, errors.New("redis client and publisher must be given"))
	}
	if err != nil {
		return nil, fmt.Errorf("receipts: %w", err)
	}
	log := cmp.Or(deps.Log, slog.Default())
	d := &Desk{cfg: cfg, keys: newKeys(cfg.Prefix), pub: deps.Publisher, tracer: deps.Tracer, log: log, store: newStore(deps.Redis, log)}
	d.routes.Store(&map[string]*route{})
	d.replaceRoutes(cfg.Routes)
	d.lease = newLease(d.store, d.keys, cfg)
	d.epoch.store, d.epoch.key = d.store, d.keys.epoch
	d.masters.store, d.masters.key = d.store, d.keys.epoch
	d.ledger = &Ledger{desk: d}
	return d, nil
}

// Run keeps this worker's lease and looks over parked receipts until ctx ends;
// then it gives the lease up. It must outlive everything that uses the Ledger.
// It fails with ErrWorkerID when a newer process has the same worker id.
func (d *Desk) Run(ctx context.Context) error {
	sweeping := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(sweeping)
		d.sweepUntil(ctx)
	}()
	err := d.keepLease(ctx)
	cancel()
	<-sweeping
	if errors.Is(err, ErrWorkerID) {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := d.lease.end(last); err != nil {
		d.log.Warn("worker lease left to expire", "err", err)
	}
	_ = d.store.group.wait(last) // else what is on its way ends when the client is closed
	return nil
}

// keepLease renews the lease until ctx ends or another process has it.
func (d *Desk) keepLease(ctx context.Context) error {
	for {
		if err := d.lease.renew(ctx); err != nil {
			return err
		}
		if _, err := d.epoch.look(ctx); err != nil {
			return err
		}
		if err := d.masters.look(ctx); err != nil {
			return err
		}
		if err := pause(ctx, d.cfg.RenewEvery); err != nil {
			return err
		}
	}
}

// Ledger is the send side.
func (d *Desk) Ledger() *Ledger { return d.ledger }

// Healthy reports whether Redis answered when it was last asked.
func (d *Desk) Healthy() bool { return d.store.healthy() }

// SetRoutes replaces what is known of the routes, for all later calls.
func (d *Desk) SetRoutes(routes map[string]Route) error {
	complete, err := routesWithDefaults(routes)
	if err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	d.replaceRoutes(complete)
	return nil
}

// status is what the SMSC hears of a message.
func (d *Desk) status(route, bind string, err error) uint32 {
	if err != nil {
		d.route(route).counters.refused.Add(1)
		d.log.Warn("delivery refused for now", "route", route, "bind", bind, "err", err, traceOf(err))
		return statusTemporary
	}
	return statusOK
}

// arrival is a receipt that was read.
type arrival struct {
	parsed Parsed
	result *sms.Result // as it would be published without a job
	keys   []string    // under which its job may be known; none when it has no message id
	room   [4]string   // for keys
}

func (r *route) read(in *arrival, route string, m *sms.Message) {
	failpoint.Hit("receipt-received")
	r.counters.receipts.Add(1)
	p, rules := &in.parsed, r.IDs
	*p = r.Receipts.Parse(m)
	in.result = receiptResult(route, rules.shown(*p), p)
	in.keys = rules.appendCandidates(in.room[:0], p, notation(r.counters.seen.Load()))
	if len(in.keys) == 0 { // the same text may be of another mobile
		in.result.ID = sms.ReceiptID(route, " "+m.Source.Addr+" "+m.Destination.Addr+" "+p.Raw, p.State, p.ErrorCode, p.DoneDate)
	}
}

// receipt publishes a receipt with its job, which is looked for under keys, or
// parks it.
func (d *Desk) receipt(ctx context.Context, route string, in *arrival, keys []string) error {
	if len(in.keys) == 0 {
		return d.publishUnmatched(ctx, in.result)
	}
	var owner correlation
	known := false
	if len(keys) > 0 {
		var err error
		if known, err = d.lookUp(ctx, route, keys, in.result.Final, &owner); err != nil {
			return err
		}
	}
	return d.conclude(ctx, route, in, known, &owner)
}

// conclude goes on with a receipt that was looked up.
func (d *Desk) conclude(ctx context.Context, route string, in *arrival, known bool, owner *correlation) error {
	failpoint.Hit("receipt-looked-up")
	if known {
		d.learn(route, in, owner)
	} else {
		var err error
		if known, err = d.park(ctx, route, in.keys, in.result, owner); err != nil || !known {
			return err
		}
	}
	return d.publishMatched(ctx, owner, in.result)
}

// learn notes how the SMSC writes its message ids.
func (d *Desk) learn(route string, in *arrival, owner *correlation) {
	if r := d.route(route); r.IDs.Submit == IDAuto {
		learn(&r.counters.seen, &in.parsed, owner.ID)
	}
}

// receiptResult is the receipt as it would be published without a job.
func receiptResult(route, messageID string, p *Parsed) *sms.Result {
	identity := messageID
	if identity == "" {
		identity = " " + p.Raw // no id at all: only the text tells one from another
	}
	told := p.ErrorCode
	if p.State == sms.StateUnknown && p.Stat != "" {
		told += " " + p.Stat // the SMSC's own word, which may have changed
	}
	if p.Intermediate && (p.State.Final() || p.FinalByRule) {
		told += " intermediate" // the receipt proper says the same, and is final
	}
	whole := new(struct { // allocated together
		result  sms.Result
		receipt sms.Receipt
	})
	whole.receipt = sms.Receipt{
		MessageID:    messageID,
		State:        p.State,
		Final:        p.Final(),
		ErrorCode:    p.ErrorCode,
		NetworkError: p.NetworkError,
		SubmitDate:   p.SubmitDate,
		DoneDate:     p.DoneDate,
		Text:         p.Text,
		Raw:          p.Raw,
	}
	whole.result = sms.Result{
		ID:       sms.ReceiptID(route, identity, p.State, told, p.DoneDate),
		Kind:     sms.KindReceipt,
		Producer: sms.UnmatchedProducer,
		Route:    route,
		Time:     time.Now().UTC(),
		Receipt:  &whole.receipt,
	}
	return &whole.result
}

// publishMatched publishes a receipt with what its job says, under the job's
// route whichever brought it.
func (d *Desk) publishMatched(ctx context.Context, owner *correlation, res *sms.Result) error {
	state, err := d.jobState(ctx, owner, res)
	if err != nil {
		return err
	}
	counters := d.route(res.Route).counters
	owner.address(res, state)
	failpoint.Hit("receipt-counted")
	v := d.follow(owner, res)
	return counters.published(owner, res, d.visited(v, res, d.pub.Publish(ctx, res)))
}

// address gives a receipt what its job says.
func (c *correlation) address(res *sms.Result, jobState sms.State) {
	res.Producer, res.JobID, res.Meta = c.Producer, c.JobID, c.Meta
	res.Attempt, res.PossibleDuplicate = c.Attempt, c.Doubt
	res.Part, res.PartsTotal, res.MessageID = c.Part, c.Total, c.ID
	res.JobState = jobState
	if c.Route != res.Route {
		res.Route, res.Via = c.Route, res.Route
	}
}

// published counts a receipt that was published, or could not be.
func (c *routeCounters) published(owner *correlation, res *sms.Result, err error) error {
	if err != nil {
		c.publishErrors.Add(1)
		return fmt.Errorf("publish receipt: %w", err)
	}
	failpoint.Hit("receipt-published")
	c.matched.Add(1)
	if res.Final {
		c.delays.received(owner, res.Time)
	}
	return nil
}

// publishUnmatched publishes a receipt without a job. Its id differs from that
// of the matched result, which may still come when the SMSC repeats itself.
func (d *Desk) publishUnmatched(ctx context.Context, res *sms.Result) error {
	orphan := *res
	orphan.ID += ".unmatched"
	if err := d.pub.Publish(ctx, &orphan); err != nil {
		d.route(res.Route).counters.publishErrors.Add(1)
		return fmt.Errorf("publish unmatched receipt: %w", err)
	}
	d.route(res.Route).counters.unmatched.Add(1)
	d.noteUnmatched(res)
	return nil
}
