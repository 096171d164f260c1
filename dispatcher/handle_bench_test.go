package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// instant is ports that answer at once and allocate nothing of their own.
type instant struct {
	notify func()
	turn   instantTurn
}

type instantLedger struct{ Ledger }

type instantTurn struct{ part int }

type instantPublisher struct{}

func (b *instant) Bound() int      { return 1 }
func (b *instant) Notify(f func()) { b.notify = f }

func (b *instant) Reserve(int) (Reservation, Shortage) { return &b.turn, Shortage{} }

func (instantPublisher) PublishThen(_ context.Context, _ *sms.Result, done func(error)) { done(nil) }

func (t *instantTurn) Release() {}

func (t *instantTurn) Send(_ context.Context, _ sms.JobRef, m []*sms.Message) { t.part = m[0].Part }

func (t *instantTurn) SendThen(_ *sms.JobRef, m *sms.Message, answered func(sms.Reply)) {
	answered(sms.Reply{Part: m.Part, RawMessageID: "7f2a", Bind: "acme/1"})
}

func (*instantTurn) Abandon() bool { return false }

func (t *instantTurn) Next(context.Context) (sms.Reply, bool) {
	part := t.part
	t.part = 0
	return sms.Reply{Part: part, RawMessageID: "7f2a", Bind: "acme/1"}, part > 0
}

func (instantLedger) Claim(context.Context, sms.JobRef) (sms.Claim, error) {
	return sms.Claim{State: sms.ClaimFresh, Token: "t"}, nil
}

func (instantLedger) ClaimThen(_ context.Context, _ *sms.JobRef, answered func(sms.Claim, error)) {
	answered(sms.Claim{State: sms.ClaimFresh, Token: "t"}, nil)
}

func (instantLedger) AcceptThen(_ context.Context, _ *sms.JobRef, _ string, a sms.Accepted, _ []sms.Part, _ *sms.Result, recorded func(sms.Part, error)) {
	recorded(sms.Part{Number: a.Part}, nil)
}

func (instantLedger) Accept(_ context.Context, _ sms.JobRef, _ string, a sms.Accepted, _ []sms.Part, _ *sms.Result) (sms.Part, error) {
	return sms.Part{Number: a.Part}, nil
}

// arriving is one job that comes again and again, with some headers.
type arriving struct {
	handed
	data    []byte
	headers map[string]string
}

func (a *arriving) Data() []byte             { return a.data }
func (a *arriving) Header(key string) string { return a.headers[key] }

func (*arriving) Stored() time.Time { return time.Now() }

// followParent is a Tracer that keeps nothing.
type followParent struct{}

func (followParent) Sample(parent sms.Trace) *sms.Trace {
	if !parent.Sampled() {
		return nil
	}
	own := parent
	own.Ours = true
	return &own
}

func (followParent) Handled(*Journey) {}

func benchHandle(b *testing.B, deps Deps, delivery func(i int) Delivery) {
	b.Helper()
	deps.Ledger, deps.Publisher, deps.Binds, deps.Limiter = instantLedger{}, instantPublisher{}, new(instant), tokens{}
	deps.Logger = slog.New(slog.DiscardHandler)
	d, err := New(Config{Route: "acme"}, deps)
	if err != nil {
		b.Fatal(err)
	}
	defer d.turnstile.stop()
	shift := &shift{intake: b.Context(), work: b.Context(), hands: newHands(1)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		d.handle(shift, delivery(i))
		i++
	}
}

// BenchmarkHandle is the life of a job without Redis, NATS and the SMSC.
func BenchmarkHandle(b *testing.B) {
	data := fmt.Appendf(nil, `{"id":"9f86d081-2a","to":"447700900123","text":"Your code is 123456"}`)
	plain := &arriving{data: data}
	sampled := &arriving{data: data, headers: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	other := &arriving{data: data, headers: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}}
	oneInHundred := func(i int) Delivery {
		if i%100 == 0 {
			return sampled
		}
		return other
	}
	b.Run("plain", func(b *testing.B) { benchHandle(b, Deps{}, func(int) Delivery { return plain }) })
	b.Run("not sampled", func(b *testing.B) { benchHandle(b, Deps{}, func(int) Delivery { return other }) })
	b.Run("handed on", func(b *testing.B) { benchHandle(b, Deps{}, func(int) Delivery { return sampled }) })
	b.Run("traced, not sampled", func(b *testing.B) {
		benchHandle(b, Deps{Tracer: followParent{}}, func(int) Delivery { return other })
	})
	b.Run("traced, 1 percent", func(b *testing.B) { benchHandle(b, Deps{Tracer: followParent{}}, oneInHundred) })
	b.Run("traced, all", func(b *testing.B) {
		benchHandle(b, Deps{Tracer: followParent{}}, func(int) Delivery { return sampled })
	})
}
