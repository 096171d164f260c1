package binds

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a pool that runs against a simulator, in a bubble.
type rig struct {
	*Pool
	smsc *smsctest.SMSC
	logs *logs
	// drain ends intake and waits for Run; abort ends work.
	drain func()
	abort context.CancelFunc
}

// bubble runs test with a simulator and a running pool, over in-memory pipes
// and under fake time. The pool's binds have had their first attempt.
func bubble(t *testing.T, sim smsctest.Config, cfg Config, deps Deps, test func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		smsc := smsctest.New(sim)
		defer func() { _ = smsc.Close() }()
		if cfg.Route == "" {
			cfg.Route = "acme"
		}
		if cfg.Endpoints == nil {
			cfg.Endpoints = []string{"smsc.example.net:2775"}
		}
		if cfg.SystemID == "" {
			cfg.SystemID = "acme"
		}
		if deps.Dial == nil {
			deps.Dial = smsc.DialContext
		}
		l := &logs{}
		deps.Logger = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
		p, err := New(cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		intake, stop := context.WithCancel(context.Background())
		work, abort := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Run(intake, work) }()
		drain := sync.OnceFunc(func() {
			stop()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v", err)
			}
		})
		defer func() { l.checkTransitions(t) }()
		defer abort()
		defer drain()
		synctest.Wait()
		test(t, &rig{Pool: p, smsc: smsc, logs: l, drain: drain, abort: abort})
	})
}

// logs keeps log lines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// count returns how many lines contain all the words.
func (l *logs) count(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// parts returns a message of n parts.
func parts(n int, to string) []*sms.Message {
	var msgs []*sms.Message
	for i := range n {
		msgs = append(msgs, &sms.Message{
			Source:       sms.Address{TON: 5, Addr: "ACME"},
			Destination:  sms.Address{TON: 1, NPI: 1, Addr: to},
			ShortMessage: []byte("Your code is 1234"),
			Part:         i + 1,
			PartsTotal:   n,
		})
	}
	return msgs
}

// reserve reserves or fails.
func (r *rig) reserve(t *testing.T, n int) *Reservation {
	t.Helper()
	res, short := r.TryReserve(n)
	if res == nil {
		t.Fatalf("nothing to reserve: %+v", short)
	}
	return res
}

// exchange sends messages at once and yields their replies.
func exchange(ctx context.Context, res *Reservation, ref sms.JobRef, msgs []*sms.Message) iter.Seq[sms.Reply] {
	res.Send(ctx, ref, msgs)
	return func(yield func(sms.Reply) bool) {
		for reply, ok := res.Next(ctx); ok; reply, ok = res.Next(ctx) {
			if !yield(reply) {
				panic("replies must be taken to the end")
			}
		}
	}
}

// send sends a message of n parts and returns its replies.
func (r *rig) send(t *testing.T, n int) []sms.Reply {
	t.Helper()
	return slices.Collect(exchange(t.Context(), r.reserve(t, n), sms.JobRef{JobID: "job"}, parts(n, "447700900123")))
}

// free returns the free slots over all bound sessions.
func (r *rig) free() (n int) {
	for _, b := range r.members().binds {
		if s := b.session.Load(); s != nil {
			n += s.Free()
		}
	}
	return n
}

func code(err error) sms.Code {
	var e *sms.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return sms.Code(err.Error())
	}
	return ""
}

// codes returns the codes of replies by part, "" for accepted ones.
func codes(replies []sms.Reply) []sms.Code {
	out := make([]sms.Code, len(replies))
	for _, r := range replies {
		out[r.Part-1] = code(r.Err)
	}
	return out
}

// each makes a Deps.Deliver of one that takes a single message.
func each(handle func(ctx context.Context, bind string, in *smpp.Inbound) (status uint32)) func(ctx context.Context, bind string, burst []*smpp.Inbound) {
	return func(ctx context.Context, bind string, burst []*smpp.Inbound) {
		for _, in := range burst {
			in.Answer(handle(ctx, bind, in))
		}
	}
}
