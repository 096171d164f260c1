package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
	"github.com/shortwire-sms/shortwire/ratelimit"
	"github.com/shortwire-sms/shortwire/receipts"
)

// What the pipeline asks for, and who answers.
var (
	_ dispatcher.Source       = (*jetstream.Client)(nil)
	_ dispatcher.Publisher    = (*jetstream.Client)(nil)
	_ dispatcher.Retrier      = (*jetstream.Client)(nil)
	_ dispatcher.Morgue       = (*jetstream.Client)(nil)
	_ dispatcher.Ledger       = (*receipts.Ledger)(nil)
	_ dispatcher.FleetLimiter = (*ratelimit.Fleet)(nil)
	_ dispatcher.SharedBinds  = poolPort{}
	_ receipts.Publisher      = (*jetstream.Client)(nil)

	_ binds.CongestionLimiter = (*bindLimit)(nil)
)

// route is one route's parts.
type route struct {
	cfg        atomic.Pointer[RouteConfig] // replaced as a whole by change
	log        *slog.Logger
	pool       *binds.Pool
	limit      *ratelimit.Fleet
	bindLimits bindLimits
	dispatcher *dispatcher.Dispatcher
	slots      *slotPort // nil without max_binds
	used       rateMeter
	submits    lately                  // of look
	receipts   lately                  // of look
	spreads    atomic.Pointer[spreads] // of the last look; nil before
	tracer     smpp.Tracer

	life        life            // of start
	gone        chan struct{}   // closed when dispatcher and binds have ended
	ending      atomic.Bool     // it was removed from the configuration
	secure      *tls.Config     // TLS in force, nil for none; of whoever changes the route
	pausesNoted []OperatorPause // of pauseBoard.tell
}

// config is what is in force now.
func (r *route) config() *RouteConfig { return r.cfg.Load() }

// lateTimeout bounds what is done for a response that came after its timeout.
const lateTimeout = 30 * time.Second

func newRoute(cfg *RouteConfig, drain time.Duration, p *parts, log *slog.Logger) (*route, error) {
	r := &route{log: log, gone: make(chan struct{}), limit: ratelimit.NewFleet(ratelimit.FleetConfig{Route: cfg.Name, Limits: cfg.rateLimits()}, p.redis)}
	r.cfg.Store(cfg)
	r.slots = cfg.newSlots(p.redis, p.worker)
	r.bindLimits.set(cfg.BindRate)
	var err error
	if r.secure, err = cfg.TLS.client(); err != nil {
		return nil, fmt.Errorf("route %s: %w", cfg.Name, err)
	}
	r.pool, err = binds.New(cfg.pool(r.secure, drain), binds.Deps{
		Logger: log,
		Tracer: &r.tracer,
		Deliver: func(ctx context.Context, bind string, burst []*smpp.Inbound) {
			all := make([]receipts.Delivery, len(burst))
			for i, in := range burst {
				all[i] = in
			}
			p.desk.DeliverAll(ctx, cfg.Name, bind, all)
		},
		Late: func(ctx context.Context, ref sms.JobRef, a sms.Accepted) {
			ctx, cancel := context.WithTimeout(ctx, lateTimeout)
			defer cancel()
			if err := p.desk.Ledger().Late(ctx, ref, a); err != nil {
				log.Warn("late response not recorded, its receipts will be unmatched", "route", cfg.Name, "job_id", ref.JobID, "err", err, ref.Trace.Attr())
			}
		},
		Limiter: func(string) binds.Limiter { return r.bindLimits.add(r.limit) },
		Slots:   r.slots.port(),
	})
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", cfg.Name, err)
	}
	tracer, _ := p.tracers()
	r.dispatcher, err = dispatcher.New(cfg.pipeline(), dispatcher.Deps{
		Source: p.nats, Publisher: p.nats, Retrier: p.nats, Morgue: p.nats,
		InHand: &p.inHand, Routes: &p.taking, Ledger: p.desk.Ledger(), Binds: poolPort{r.pool}, Limiter: r.limit, Tracer: tracer, Logger: log, Mask: p.mask,
	})
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", cfg.Name, err)
	}
	return r, nil
}

// bound counts the binds that take messages.
func (r *route) bound() int { return r.pool.Bound() }

// bindBucket is the limit of one bind, as bursty as a tenth of a second.
func (c *RouteConfig) bindBucket() *ratelimit.Bucket { return ratelimit.NewBucket(c.BindRate, 0) }

// rateLimits is the limit of the route over all workers.
func (c *RouteConfig) rateLimits() ratelimit.Limits {
	return ratelimit.Limits{Rate: c.Rate, Burst: c.Burst, Floor: c.RateFloor, WithoutRedis: c.RateWithoutRedis}
}

// partsAtOnce is how many parts of a job one bind can be asked to take.
func (c *RouteConfig) partsAtOnce() int {
	if burst := c.bindBucket().Burst(); burst > 0 {
		return min(c.Window, burst)
	}
	return c.Window
}

// pipeline is the dispatcher's part of the configuration.
func (c *RouteConfig) pipeline() dispatcher.Config {
	return dispatcher.Config{
		Route:    c.Name,
		Message:  c.messageRules(),
		Lanes:    c.Lanes.Weights(),
		Held:     c.held(),
		Prefetch: c.prefetch(),
		Window:   c.partsAtOnce(),
		Retry:    dispatcher.RetryPolicy{MaxAttempts: c.Retry.MaxAttempts, Initial: c.Retry.Initial, Max: c.Retry.Max},
		Probe:    dispatcher.ProbePolicy{Initial: c.AccountProbe.Initial, Max: c.AccountProbe.Max},

		Fallback: dispatcher.FallbackPolicy{Route: c.Fallback, After: c.FallbackAfter},
	}
}

// inHand is how many jobs of a lane are taken before they are at the SMSC. That
// many keep every stage busy over some ten milliseconds to Redis and NATS; they
// cost little, since those that wait for these have no goroutine.
const inHand = 1024

// fetched is how many more are fetched at most: the way to NATS takes less than
// they do, and all of them are in memory.
const fetched = 256

// atTheRate is how many of them a route with a rate takes that is no faster
// than eight times as much a second: they wait for their tokens, each in a
// goroutine.
const atTheRate = 256

// held is inHand, or less for a route with a rate: an eighth of a second's
// worth or atTheRate, whatever is more, and never more than two seconds' worth.
// A job in hand is one that no other worker can take.
func (c *RouteConfig) held() int {
	if c.Rate > 0 {
		return min(inHand, max(min(int(2*c.Rate), atTheRate), int(c.Rate/8), c.Burst, 16))
	}
	return inHand
}

// prefetch is how many jobs of a lane are fetched beyond those in hand: a
// quarter of a second's worth, which bridges the way to NATS. What waits there
// waits in the order of the stream.
func (c *RouteConfig) prefetch() int {
	if c.Rate > 0 {
		return min(fetched, c.held(), max(int(c.Rate/4), 16))
	}
	return fetched
}

// pool is the binds' part of the configuration. drain is worker.drain_timeout:
// App ends the drain in time, and is the bound.
func (c *RouteConfig) pool(secure *tls.Config, drain time.Duration) binds.Config {
	return binds.Config{
		DrainTimeout:     drain,
		Route:            c.Name,
		Endpoints:        c.Endpoints,
		TLS:              secure,
		SystemID:         c.SystemID,
		Password:         string(c.Password),
		SystemType:       c.SystemType,
		InterfaceVersion: interfaceVersion(c.InterfaceVersion),
		Pair:             c.BindType == BindTransmitterReceiver,
		AddrTON:          c.AddrTON,
		AddrNPI:          c.AddrNPI,
		AddressRange:     c.AddressRange,
		Ordered:          c.Failover == FailoverOrdered,
		ReturnAfter:      orNever(c.ReturnAfter),
		KeepAlive:        orNever(c.TCP.KeepAlive),
		UserTimeout:      orNever(c.TCP.UserTimeout),
		Backoff:          c.Backoff.backoff(),
		Binds:            c.Binds,
		Window:           c.Window,
		EnquireLink:      c.EnquireLink,
		ResponseTimeout:  c.ResponseTimeout,
		BindTimeout:      c.BindTimeout,
		DialTimeout:      c.BindTimeout,
		Status:           c.overrides(),
	}
}

// interfaceVersion is "3.4" as SMPP writes it, 0x34.
func interfaceVersion(s string) uint8 {
	n, err := strconv.ParseUint(strings.ReplaceAll(s, ".", ""), 16, 8)
	if err != nil {
		return 0 // the default; the configuration was checked
	}
	return uint8(n)
}

// desk is the receipts' part of the configuration.
func (c *RouteConfig) desk() receipts.Route {
	return receipts.Route{
		IDs:            receipts.IDRules{Submit: receipts.IDRule(c.MessageID.Submit), Receipt: receipts.IDRule(c.MessageID.Receipt)},
		Receipts:       c.Receipts.rules(),
		Alphabet:       text.Alphabet(c.Message.Alphabet),
		CorrelationTTL: c.CorrelationTTL,
		LedgerTTL:      c.LedgerTTL,
		ParkingTTL:     c.ParkingTime,
		JoinTimeout:    c.Inbound.joinTimeout(),
	}
}

// client makes the TLS settings towards the SMSC, nil when it is off.
func (c *TLSConfig) client() (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	secure := &tls.Config{MinVersion: tlsVersions[c.MinVersion], ServerName: c.ServerName}
	if c.CAFile != "" {
		var err error
		if secure.RootCAs, err = authorities(c.CAFile); err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		secure.Certificates = []tls.Certificate{cert}
	}
	return secure, nil
}

// poolPort is a pool as the pipeline sees it.
type poolPort struct{ *binds.Pool }

// Reserve implements dispatcher.Binds.
func (p poolPort) Reserve(n int) (dispatcher.Reservation, dispatcher.Shortage) {
	r, short := p.TryReserve(n)
	if r != nil {
		return r, dispatcher.Shortage{}
	}
	limit := dispatcher.LimitWindow
	switch short.Reason {
	case binds.ShortBind:
		limit = dispatcher.LimitNoBind
	case binds.ShortRate:
		limit = dispatcher.LimitRate
	}
	return nil, dispatcher.Shortage{Reason: limit, Wait: short.Wait}
}
