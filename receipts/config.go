package receipts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// Config sets up a Desk. Zero fields take their default.
type Config struct {
	WorkerID       string           // names this worker among all on the same Redis, [A-Za-z0-9._-]{1,64}. Required.
	Prefix         string           // of every Redis key. Default "sw".
	LeaseTTL       time.Duration    // a worker that Redis has not heard of for so long is dead; at least 3 s in production. Default 15s.
	RenewEvery     time.Duration    // how often the lease is renewed; below half of LeaseTTL. Default a quarter of LeaseTTL.
	DeliverTimeout time.Duration    // what Deliver may take; SMSCs wait for deliver_sm_resp little longer. Default 5s.
	SweepEvery     time.Duration    // how often parked receipts are looked over. Default 5s.
	Routes         map[string]Route // by name; a route that is not here has every default
}

// Route is what a Desk needs to know of one route. Zero fields take their default.
type Route struct {
	IDs                 IDRules       // how the SMSC writes message ids. Default as-is on both sides.
	Receipts            ReceiptRules  // how the SMSC writes receipts
	Alphabet            text.Alphabet // behind data_coding 0 of inbound messages. Default GSM 03.38.
	JoinTimeout         time.Duration // how long parts of an inbound message wait for the others, and how long it is remembered to drop repeats; below 0 they do not wait. Default 10m.
	CorrelationTTL      time.Duration // how long message ids are remembered. Default 192h.
	CorrelationTTLFinal time.Duration // how long after a final receipt, which may repeat. Default 24h, at most half of CorrelationTTL.
	LedgerTTL           time.Duration // how long a job id is remembered. Default 24h.
	ParkingTTL          time.Duration // how long a receipt waits for its job before it is published as unmatched. Default 5m.
}

// Deps are what a Desk works with.
type Deps struct {
	Redis     redis.UniversalClient // not closed by the Desk; see Connect for the options that suit it
	Publisher Publisher
	Tracer    Tracer       // nil: receipts hand on the trace of their job's submit, messages from handsets have none
	Log       *slog.Logger // nil: slog.Default
}

// Publisher makes results durable. Both methods return once the server has
// acknowledged, and fail only when ctx ends.
type Publisher interface {
	Publish(ctx context.Context, r *sms.Result) error
	// PublishThen is Publish that does not wait; done must not block.
	PublishThen(ctx context.Context, r *sms.Result, done func(error))
	PublishInbound(ctx context.Context, m *sms.Inbound) error
}

// unparkedGrace is how much longer a parked receipt stays in Redis than it is
// due: long enough for all workers to be gone for a while.
const unparkedGrace = 24 * time.Hour

// defaultPrefix is that of every Redis key.
const defaultPrefix = "sw"

var validWorkerID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// withDefaults fills zero fields and reports everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	c.Prefix = cmp.Or(c.Prefix, defaultPrefix)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 15*time.Second)
	c.RenewEvery = cmp.Or(c.RenewEvery, c.LeaseTTL/4)
	c.DeliverTimeout = cmp.Or(c.DeliverTimeout, 5*time.Second)
	c.SweepEvery = cmp.Or(c.SweepEvery, 5*time.Second)
	var errs []error
	if !validWorkerID.MatchString(c.WorkerID) {
		errs = append(errs, fmt.Errorf("worker id: must be 1..64 of A-Z a-z 0-9 . _ -, is %q", c.WorkerID))
	}
	if c.RenewEvery < 0 || 2*c.RenewEvery > c.LeaseTTL {
		errs = append(errs, fmt.Errorf("renew every: must be at most half of the lease's %v, is %v", c.LeaseTTL, c.RenewEvery))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"lease ttl", c.LeaseTTL}, {"deliver timeout", c.DeliverTimeout}, {"sweep every", c.SweepEvery}} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("%s: must be above 0, is %v", d.name, d.value))
		}
	}
	routes, err := routesWithDefaults(c.Routes)
	c.Routes = routes
	return c, errors.Join(append(errs, err)...)
}

func routesWithDefaults(in map[string]Route) (map[string]Route, error) {
	out := make(map[string]Route, len(in))
	var errs []error
	for name, r := range in {
		r = r.withDefaults()
		if err := r.validate(); err != nil {
			errs = append(errs, fmt.Errorf("route %s: %w", name, err))
		}
		out[name] = r
	}
	return out, errors.Join(errs...)
}

func (r Route) withDefaults() Route {
	r.IDs.Submit = cmp.Or(r.IDs.Submit, IDAsIs)
	r.IDs.Receipt = cmp.Or(r.IDs.Receipt, IDAsIs)
	r.CorrelationTTL = cmp.Or(r.CorrelationTTL, 192*time.Hour)
	r.CorrelationTTLFinal = min(cmp.Or(r.CorrelationTTLFinal, 24*time.Hour), r.CorrelationTTL/2)
	r.LedgerTTL = cmp.Or(r.LedgerTTL, 24*time.Hour)
	r.ParkingTTL = cmp.Or(r.ParkingTTL, 5*time.Minute)
	r.JoinTimeout = cmp.Or(r.JoinTimeout, 10*time.Minute)
	return r
}

func (r Route) validate() error {
	var errs []error
	if err := r.IDs.validate(); err != nil {
		errs = append(errs, err)
	}
	if err := r.Receipts.validate(); err != nil {
		errs = append(errs, err)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"correlation ttl", r.CorrelationTTL}, {"correlation ttl after the final receipt", r.CorrelationTTLFinal},
		{"ledger ttl", r.LedgerTTL}, {"parking ttl", r.ParkingTTL},
	} {
		if d.value < time.Millisecond {
			errs = append(errs, fmt.Errorf("%s: must be at least 1ms, is %v", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}
