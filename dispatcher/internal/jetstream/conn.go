package jetstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// housekeeping is how often keep-alives are looked after.
const housekeeping = 250 * time.Millisecond

// Config says where the server is. Zero values mean defaults.
type Config struct {
	URL            string        // one or more, comma-separated. Default nats://127.0.0.1:4222
	CredsFile      string        // user JWT and seed, read at each connect; empty means none
	NKeySeed       string        // or a user's seed, as a file has it; empty means none
	InboxPrefix    string        // first tokens of the subjects that answers come to. Default _INBOX
	Name           string        // shown in the server's connection list. Default "shortwire"
	Prefix         string        // first tokens of every subject. Default "sms"
	ConnectTimeout time.Duration // of one attempt to connect. Default 5s
	ConnectWait    time.Duration // how long Dial goes on trying while no server answers. Default 0: one attempt
	AckTimeout     time.Duration // until an unanswered publish is repeated. Default 5s
	Consumers      ConsumerConfig
	Logger         *slog.Logger // Default: nothing is logged

	User func() (user, password string) // asked at each connect; nil means none
	TLS  *TLS                           // nil: as the URL says, by the system's authorities
}

// TLS is how the server is known, and the client to the server.
type TLS struct {
	ServerName  string                          // in SNI and verification. Default the host of the URL
	Roots       func() (*x509.CertPool, error)  // asked at each connect; nil, and a nil pool, are the system's
	Certificate func() (tls.Certificate, error) // of the client, asked at each connect; nil means none
}

func (c Config) withDefaults() Config {
	if c.URL == "" {
		c.URL = nats.DefaultURL
	}
	if c.Name == "" {
		c.Name = "shortwire"
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if c.AckTimeout == 0 {
		c.AckTimeout = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Consumers = c.Consumers.withDefaults()
	return c
}

// Client is two connections to NATS: one pulls and acks, the other publishes,
// so that a burst of deliveries cannot hold up acknowledgements of results.
type Client struct {
	cfg      Config
	log      *slog.Logger
	subjects sms.Subjects
	account  []nats.Option // who we are, and how the server is known
	in       *nats.Conn    // pulls, acks, administration
	out      *nats.Conn    // publishes
	js       natsjs.JetStream
	pub      *publisher
	acks     *outbox[verdict] // on in
	outcomes sync.Pool        // of *resultMsg
	receipts sync.Pool        // of *resultMsg

	closing  atomic.Bool
	ackLost  atomic.Bool   // an ack could not be written since the last reconnect
	stop     chan struct{} // closed by Close; read by keepHouse and keepTime
	stopOnce sync.Once
	done     sync.WaitGroup

	mu        sync.Mutex
	unsettled map[string]*unsettled // by stream/consumer; guarded by mu
}

// Dial connects. It fails when no server answers within ConnectWait, and
// reconnects for ever once it has returned. The caller calls Close.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	c := &Client{
		cfg:       cfg,
		log:       cfg.Logger,
		subjects:  sms.Subjects{Prefix: cfg.Prefix},
		stop:      make(chan struct{}),
		unsettled: make(map[string]*unsettled),
	}
	c.acks = newOutbox(c.tell)
	c.outcomes.New, c.receipts.New = newResultMsg, newResultMsg
	if err := c.subjects.Validate(); err != nil {
		return nil, err
	}
	var err error
	if c.account, err = cfg.account(); err != nil {
		return nil, err
	}
	if c.in, err = c.connect(ctx, cfg.Name+" in", nats.ReconnectHandler(func(nc *nats.Conn) {
		c.ackLost.Store(false)
		c.restored(nc)
	})); err != nil {
		return nil, err
	}
	// Publishes are repeated here after a reconnect, so nats.go need not keep them.
	if c.out, err = c.connect(ctx, cfg.Name+" out", nats.ReconnectBufSize(-1), nats.ReconnectHandler(func(nc *nats.Conn) {
		c.restored(nc)
		c.pub.reconnected()
	})); err != nil {
		c.in.Close()
		return nil, err
	}
	if c.js, err = natsjs.New(c.in); err == nil {
		c.pub, err = newPublisher(c.out, cfg.AckTimeout, c.log)
	}
	if err != nil {
		c.in.Close()
		c.out.Close()
		return nil, err
	}
	c.done.Go(c.keepHouse)
	c.done.Go(func() { c.pub.keepTime(c.stop) })
	c.done.Go(func() { c.pub.outbox.run(c.stop) })
	c.done.Go(func() { c.acks.run(c.stop) })
	return c, nil
}

// connect dials one connection, for up to ConnectWait.
func (c *Client) connect(ctx context.Context, name string, extra ...nats.Option) (*nats.Conn, error) {
	opts := slices.Concat([]nats.Option{
		nats.Name(name),
		nats.Timeout(c.cfg.ConnectTimeout),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.IgnoreAuthErrorAbort(), // credentials may be rotated on the server's side first
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(c.lost),
		nats.ErrorHandler(c.complaint),
		nats.ClosedHandler(c.closed),
	}, c.account, extra)
	deadline := time.Now().Add(c.cfg.ConnectWait)
	for tries := 1; ; tries++ {
		nc, err := nats.Connect(c.cfg.URL, opts...)
		if err == nil {
			return nc, nil
		}
		pause := reconnectDelay(tries)
		if ctx.Err() != nil || time.Now().Add(pause).After(deadline) {
			return nil, connectFault(c.cfg.URL, err)
		}
		if tries == 1 {
			c.log.Warn("nats not reachable yet", "err", err)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, connectFault(c.cfg.URL, err)
		}
	}
}

// reconnectDelay is the pause before the n-th attempt: from 50–150 ms up to
// 1–3 s, jittered so that a fleet does not come back in step.
func reconnectDelay(n int) time.Duration {
	base := min(100*time.Millisecond<<min(n, 10), 2*time.Second)
	if n <= 1 {
		base = 100 * time.Millisecond
	}
	return base/2 + jitter(base)
}

func jitter(d time.Duration) time.Duration { return rand.N(d) }

// sleep pauses for d; its error is ctx's.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// JetStream gives access for administration, on the pulling connection.
func (c *Client) JetStream() natsjs.JetStream { return c.js }

// Conn is the connection that pulls, for what else a command asks the server.
func (c *Client) Conn() *nats.Conn { return c.in }

// Subjects returns the subject scheme that the client uses.
func (c *Client) Subjects() sms.Subjects { return c.subjects }

// Connected reports whether both connections are up.
func (c *Client) Connected() bool { return c.in.IsConnected() && c.out.IsConnected() }

// Drain waits until every delivery is settled and every publish answered, and
// has the server confirm the acks, so that finished work is not redelivered.
// Call it after every Consume has returned and before Close. When ctx ends
// first, the error says what was left; that will be delivered again.
func (c *Client) Drain(ctx context.Context) error {
	for {
		held, publishing := c.heldCount(), c.pub.count()
		if held == 0 && publishing == 0 {
			break
		}
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return errors.Join(
				fmt.Errorf("drain: %d jobs unsettled, %d publishes unanswered: %w", held, publishing, err),
				c.in.FlushTimeout(time.Second))
		}
	}
	for _, u := range c.consumers() {
		if err := u.confirm(ctx); err != nil {
			return fmt.Errorf("drain: confirm acks: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	if err := c.in.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("drain: flush acks: %w", err)
	}
	return nil
}

// Close closes both connections and waits for what Dial started. Calls that
// are blocked in Publish, Schedule or Bury fail.
func (c *Client) Close() {
	c.stopOnce.Do(func() {
		c.closing.Store(true)
		close(c.stop)
		c.in.Close()
		c.out.Close()
		c.pub.abandon(nats.ErrConnectionClosed)
	})
	c.done.Wait()
	c.pub.repeats.Wait()
}

// keepHouse keeps unsettled deliveries from being redelivered: one ticker, no
// timer per message.
func (c *Client) keepHouse() {
	t := time.NewTicker(housekeeping)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case now := <-t.C:
			if !c.in.IsConnected() {
				continue
			}
			for _, u := range c.consumers() {
				u.keepAlive(now)
			}
		}
	}
}

func (c *Client) consumers() []*unsettled {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*unsettled, 0, len(c.unsettled))
	for _, u := range c.unsettled {
		all = append(all, u)
	}
	return all
}

func (c *Client) heldCount() int {
	n := 0
	for _, u := range c.consumers() {
		n += u.count()
	}
	return n
}

// unsettledOf returns the deliveries of one consumer. There is one list for
// each, however often it is consumed.
func (c *Client) unsettledOf(stream, consumer string) *unsettled {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := stream + "/" + consumer
	u := c.unsettled[key]
	if u == nil {
		u = newUnsettled(c)
		c.unsettled[key] = u
	}
	return u
}

func (c *Client) lost(nc *nats.Conn, err error) {
	if err != nil && !c.closing.Load() {
		c.log.Warn("nats connection lost", "conn", nc.Opts.Name, "err", err)
	}
}

func (c *Client) restored(nc *nats.Conn) {
	c.log.Info("nats connection restored", "conn", nc.Opts.Name, "server", nc.ConnectedUrlRedacted())
}

func (c *Client) complaint(nc *nats.Conn, sub *nats.Subscription, err error) {
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	c.log.Warn("nats error", "conn", nc.Opts.Name, "subject", subject, "err", err)
}

func (c *Client) closed(nc *nats.Conn) {
	if !c.closing.Load() {
		c.log.Error("nats connection closed for good", "conn", nc.Opts.Name, "err", nc.LastError())
	}
}
