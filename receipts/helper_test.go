package receipts

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

const patience = 10 * time.Second

// results is a Publisher that keeps what it was given. While down it answers
// nobody, as a client does whose server is away.
type results struct {
	mu      sync.Mutex
	all     []*sms.Result  // guarded by mu
	inbound []*sms.Inbound // guarded by mu
	down    chan struct{}  // guarded by mu; closed when up again
}

func (p *results) Publish(ctx context.Context, r *sms.Result) error {
	if err := p.await(ctx); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := *r
	p.all = append(p.all, &kept)
	return nil
}

func (p *results) PublishInbound(ctx context.Context, m *sms.Inbound) error {
	if err := p.await(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inbound = append(p.inbound, m)
	return nil
}

func (p *results) await(ctx context.Context) error {
	p.mu.Lock()
	down := p.down
	p.mu.Unlock()
	if down == nil {
		return nil
	}
	select {
	case <-down:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *results) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if down {
		p.down = make(chan struct{})
		return
	}
	close(p.down)
	p.down = nil
}

func (p *results) list() []*sms.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*sms.Result(nil), p.all...)
}

// client connects to the server, and notices quickly when it does not answer.
func client(tb testing.TB, addr string) redis.UniversalClient {
	tb.Helper()
	quieten()
	c := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: 1, DialTimeout: 300 * time.Millisecond, DialerRetries: 1,
		ReadTimeout: 300 * time.Millisecond, WriteTimeout: 300 * time.Millisecond,
	})
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

var deskNumber atomic.Int64

// newDesk makes a desk with a worker id and a Redis client of its own.
func newDesk(tb testing.TB, addr string, change func(*Config)) (*Desk, *results) {
	tb.Helper()
	pub := new(results)
	cfg := Config{WorkerID: "worker-" + strconv.FormatInt(deskNumber.Add(1), 10)}
	if change != nil {
		change(&cfg)
	}
	d, err := New(cfg, Deps{Redis: client(tb, addr), Publisher: pub, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		tb.Fatal(err)
	}
	return d, pub
}

// withRoute sets the one route that the tests use.
func withRoute(r Route) func(*Config) {
	return func(c *Config) { c.Routes = map[string]Route{"acme": r} }
}

func start(t *testing.T) *redistest.Server {
	t.Helper()
	return redistest.Start(t)
}

func jobRef(id string) sms.JobRef {
	return sms.JobRef{Producer: "shop", JobID: id, Route: "acme", Meta: []byte(`{"order":7}`), Attempt: 1}
}

func outcomeOf(ref sms.JobRef) *sms.Result {
	return &sms.Result{
		ID: sms.OutcomeID(ref.Producer, ref.JobID), Kind: sms.KindSubmitted, JobID: ref.JobID, Producer: ref.Producer,
		Route: ref.Route, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Meta: ref.Meta, Attempt: ref.Attempt,
		PossibleDuplicate: ref.Doubt, Bind: "acme/1", LatencyMS: 1.5,
	}
}

func accepted(part, total int, id string) sms.Accepted {
	return sms.Accepted{Part: part, PartsTotal: total, RawMessageID: id, At: time.Now()}
}

// deliverReceipt is a deliver_sm with a receipt in the form of Appendix B.
func deliverReceipt(id, stat string) *sms.Message {
	return &sms.Message{
		ESMClass: sms.ESMClassReceipt,
		ShortMessage: []byte("id:" + id + " sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:" +
			stat + " err:000 text:hello"),
	}
}

func must[T any](v T, err error) func(tb testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// claimThen is Ledger.Claim by way of ClaimThen.
func claimThen(ctx context.Context, l *Ledger, ref sms.JobRef) (c sms.Claim, err error) {
	answered := make(chan struct{})
	l.ClaimThen(ctx, &ref, func(claim sms.Claim, fault error) {
		c, err = claim, fault
		close(answered)
	})
	<-answered
	return c, err
}

// acceptThen is Ledger.Accept by way of AcceptThen.
func acceptThen(ctx context.Context, l *Ledger, ref sms.JobRef, token string, a sms.Accepted, parts []sms.Part, outcome *sms.Result) (p sms.Part, err error) {
	recorded := make(chan struct{})
	l.AcceptThen(ctx, &ref, token, a, parts, outcome, func(part sms.Part, fault error) {
		p, err = part, fault
		close(recorded)
	})
	<-recorded
	return p, err
}

// claim claims, as most jobs do, and checks the state.
func claim(tb testing.TB, d *Desk, ref sms.JobRef, want sms.ClaimState) sms.Claim {
	tb.Helper()
	c, err := claimThen(tb.Context(), d.Ledger(), ref)
	if err != nil {
		tb.Fatal(err)
	}
	if c.State != want {
		tb.Fatalf("claim of %s: state %d, want %d", ref.JobID, c.State, want)
	}
	return c
}

// submit claims a job and records its parts as accepted, with an outcome. A
// sole part is recorded as most are.
func submit(tb testing.TB, d *Desk, ref sms.JobRef, ids ...string) *sms.Result {
	tb.Helper()
	c := claim(tb, d, ref, sms.ClaimFresh)
	outcome := outcomeOf(ref)
	var parts []sms.Part
	for i, id := range ids {
		var last *sms.Result
		if i == len(ids)-1 {
			last = outcome
		}
		accept := d.Ledger().Accept
		if len(ids) == 1 {
			accept = func(ctx context.Context, ref sms.JobRef, token string, a sms.Accepted, parts []sms.Part, outcome *sms.Result) (sms.Part, error) {
				return acceptThen(ctx, d.Ledger(), ref, token, a, parts, outcome)
			}
		}
		part, err := accept(tb.Context(), ref, c.Token, accepted(i+1, len(ids), id), parts, last)
		if err != nil {
			tb.Fatal(err)
		}
		parts = append(parts, part)
	}
	return outcome
}

// until waits for a condition that something else brings about.
func until(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("not after %v: %s", patience, what)
		}
	}
}

// relay forwards connections to a Redis server and can lose an answer.
type relay struct {
	addr string
	lose atomic.Int32 // so many answers are lost, each with its connection
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			closeBoth := func() { _ = in.Close(); _ = out.Close() }
			t.Cleanup(closeBoth)
			wg.Go(func() { defer closeBoth(); _, _ = io.Copy(out, in) })
			wg.Go(func() { defer closeBoth(); r.answers(in, out) })
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return r
}

func (r *relay) answers(to io.Writer, from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if r.lose.Load() > 0 && r.lose.Add(-1) >= 0 {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *results) PublishThen(ctx context.Context, r *sms.Result, done func(error)) {
	go func() { done(p.Publish(ctx, r)) }()
}
