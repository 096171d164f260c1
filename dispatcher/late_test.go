package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// stalling is a Ledger that answers claims after a while and now and then stands
// still, to answer all at once then.
type stalling struct {
	Ledger
	takes  time.Duration
	stalls [][2]time.Time // from, to; in order
}

func (s *stalling) Claim(context.Context, sms.JobRef) (sms.Claim, error) {
	time.Sleep(s.takes)
	now := time.Now()
	for _, stall := range s.stalls {
		if now.After(stall[0]) && now.Before(stall[1]) {
			time.Sleep(stall[1].Sub(now))
		}
	}
	return sms.Claim{State: sms.ClaimFresh, Token: "t"}, nil
}

func (s *stalling) ClaimThen(ctx context.Context, ref *sms.JobRef, answered func(sms.Claim, error)) {
	go func() { answered(s.Claim(ctx, *ref)) }()
}

func (s *stalling) AcceptThen(_ context.Context, _ *sms.JobRef, _ string, a sms.Accepted, _ []sms.Part, _ *sms.Result, recorded func(sms.Part, error)) {
	recorded(sms.Part{Number: a.Part}, nil)
}

func (s *stalling) Accept(_ context.Context, _ sms.JobRef, _ string, a sms.Accepted, _ []sms.Part, _ *sms.Result) (sms.Part, error) {
	return sms.Part{Number: a.Part}, nil
}

func (s *stalling) Release(context.Context, sms.JobRef, string, []sms.Part) error { return nil }

// wire is Binds that writes down when parts were written, and answers them after
// a while.
type wire struct {
	slots
	answers time.Duration

	mu      sync.Mutex
	written []time.Time // guarded by mu
}

func (w *wire) Reserve(n int) (Reservation, Shortage) {
	r, short := w.slots.Reserve(n)
	if r == nil {
		return nil, short
	}
	return &onWire{Reservation: r, wire: w}, short
}

type onWire struct {
	Reservation
	wire *wire
	open []*sms.Message
}

func (r *onWire) Send(_ context.Context, _ sms.JobRef, msgs []*sms.Message) {
	r.wire.mu.Lock()
	defer r.wire.mu.Unlock()
	for range msgs {
		r.wire.written = append(r.wire.written, time.Now())
	}
	r.open = msgs
}

func (r *onWire) SendThen(ref *sms.JobRef, m *sms.Message, answered func(sms.Reply)) {
	r.Send(context.Background(), *ref, []*sms.Message{m})
	go func() {
		reply, _ := r.Next(context.Background())
		answered(reply)
		r.Release()
	}()
}

func (r *onWire) Next(context.Context) (sms.Reply, bool) {
	if len(r.open) == 0 {
		r.Release()
		return sms.Reply{}, false
	}
	time.Sleep(r.wire.answers)
	part := r.open[0].Part
	r.open = r.open[1:]
	return sms.Reply{Part: part, RawMessageID: "m"}, true
}

// published counts results.
type published struct {
	Publisher
	mu sync.Mutex
	n  map[sms.Kind]int // guarded by mu
}

func (p *published) PublishThen(_ context.Context, r *sms.Result, done func(error)) {
	p.mu.Lock()
	p.n[r.Kind]++
	p.mu.Unlock()
	done(nil)
}

// handed is a delivery of a job of some parts.
type handed struct {
	Delivery
	id    string
	parts int
}

func (h handed) Origin() sms.Origin {
	return sms.Origin{Route: "acme", Lane: sms.LaneNormal, Producer: "shop"}
}

func (h handed) Data() []byte {
	text := make([]byte, 150*h.parts)
	for i := range text {
		text[i] = 'x'
	}
	return fmt.Appendf(nil, `{"id":%q,"to":"447700900123","text":%q}`, h.id, text)
}

func (handed) Attempt() int             { return 1 }
func (handed) Doubt() bool              { return false }
func (handed) Before() Before           { return Before{} }
func (handed) Header(string) string     { return "" }
func (handed) Ack()                     {}
func (h handed) HandBack(time.Duration) { panic("job " + h.id + " handed back") }

// through has a route of 100/s and a burst of 5 work off jobs while its ledger
// stalls, and returns when their parts were written.
func through(t *testing.T, jobs, parts int, l *stalling) []time.Time {
	t.Helper()
	w := &wire{slots: slots{free: 200}, answers: 20 * time.Millisecond}
	p := &published{n: make(map[sms.Kind]int)}
	d, err := New(Config{Route: "acme"}, Deps{
		Ledger: l, Publisher: p, Binds: w, Limiter: tokens{rate.NewLimiter(100, 5)}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Notify(d.turnstile.turn)
	defer d.turnstile.stop()
	shift := &shift{intake: t.Context(), work: t.Context(), hands: newHands(jobs)}
	for i := range jobs {
		d.handle(shift, handed{id: fmt.Sprintf("j-%d", i), parts: 1 + i%parts})
	}
	d.jobs.Wait()
	if got := p.n[sms.KindSubmitted]; got != jobs || len(p.n) != 1 {
		t.Errorf("results %v, want %d submitted", p.n, jobs)
	}
	return w.written
}

// TestTokensOfLongAgoAreNotSpentTogether draws times in which the ledger stands
// still, often one soon after the other.
func TestTokensOfLongAgoAreNotSpentTogether(t *testing.T) {
	t.Parallel()
	for range 20 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			within := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
			l := &stalling{takes: time.Millisecond}
			for at, end := time.Now(), time.Now().Add(6*time.Second); at.Before(end); {
				to := at.Add(within(1500 * time.Millisecond))
				l.stalls = append(l.stalls, [2]time.Time{at, to})
				at = to.Add(within(300 * time.Millisecond))
			}
			written := through(t, 400, 3, l)
			slices.SortFunc(written, time.Time.Compare)
			for first := range written {
				for last := first; last < len(written); last++ {
					// Others may have been under way for as long as a turn lasts.
					d := written[last].Sub(written[first]) + turnLasts
					if n := last - first + 1; float64(n) > 100*d.Seconds()+5+1e-6 {
						t.Fatalf("seed %d: %d parts in %v at 100/s and a burst of 5", seed, n, written[last].Sub(written[first]))
					}
				}
			}
		})
	}
}

func TestALedgerThatIsAlwaysSlowLetsJobsThroughAtHalfTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		written := through(t, 300, 1, &stalling{takes: 3 * turnLasts})
		if took := written[len(written)-1].Sub(began); took > 7*time.Second {
			t.Errorf("300 parts took %v, want 6 s: each takes tokens twice", took)
		}
	})
}

func TestALateJobThatFindsNoTokensGivesUpItsClaimForAnotherTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := rate.NewLimiter(1, 1)
		d := changeable(t, limit)
		a := &attempt{out: d, todo: []*sms.Message{{}}, turn: 1, until: time.Now().Add(-turnLasts)}
		limit.AllowN(time.Now(), 1)
		limit.SetLimit(0.1)
		if a.punctual(t.Context()) {
			t.Fatal("it goes without tokens")
		}
		if n, _ := d.turnstile.demand(); n != 0 {
			t.Errorf("it still asks for %d tokens", n)
		}
		limit.SetLimit(rate.Inf)
		if n := gone(turned(t, d.turnstile, sms.LaneNormal, 1)); n != 1 {
			t.Errorf("%d parts of another job went, want 1", n)
		}
	})
}
