package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// fickle is the ports of jobs that go straight. Each answers after a while,
// some not as hoped for, and some within the call.
type fickle struct {
	Ledger
	Retrier
	end func()     // of the drain's time
	rng *rand.Rand // guarded by mu
	mu  sync.Mutex
}

func (f *fickle) draw(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rng.IntN(n)
}

// soon calls answer now or within 20 ms.
func (f *fickle) soon(answer func()) {
	if f.draw(8) == 0 {
		answer()
		return
	}
	time.AfterFunc(time.Duration(f.draw(20))*time.Millisecond, answer)
}

// fault is ctx's, or now and then another.
func (f *fickle) fault(ctx context.Context) error {
	if f.draw(8) == 0 {
		return errors.New("fickle")
	}
	return ctx.Err()
}

func (f *fickle) Claim(ctx context.Context, _ sms.JobRef) (sms.Claim, error) {
	states := []sms.ClaimState{sms.ClaimFresh, sms.ClaimResumed, sms.ClaimInDoubt, sms.ClaimBusy}
	return sms.Claim{State: states[max(0, f.draw(12)-8)], Token: "t"}, f.fault(ctx)
}

func (f *fickle) ClaimThen(ctx context.Context, ref *sms.JobRef, answered func(sms.Claim, error)) {
	f.soon(func() { answered(f.Claim(ctx, *ref)) })
}

func (f *fickle) Accept(ctx context.Context, _ sms.JobRef, _ string, a sms.Accepted, _ []sms.Part, _ *sms.Result) (sms.Part, error) {
	return sms.Part{Number: a.Part, MessageID: "m"}, f.fault(ctx)
}

func (f *fickle) AcceptThen(ctx context.Context, ref *sms.JobRef, token string, a sms.Accepted, parts []sms.Part, outcome *sms.Result, recorded func(sms.Part, error)) {
	f.soon(func() { recorded(f.Accept(ctx, *ref, token, a, parts, outcome)) })
}

func (f *fickle) Settle(ctx context.Context, _ sms.JobRef, _ string, _ *sms.Result) error {
	return ctx.Err()
}

func (f *fickle) Release(ctx context.Context, _ sms.JobRef, _ string, _ []sms.Part) error {
	return ctx.Err()
}

func (f *fickle) Schedule(ctx context.Context, _ Retry) error { return ctx.Err() }

func (f *fickle) Bury(ctx context.Context, _ DeadLetter) error { return ctx.Err() }

func (f *fickle) PublishThen(ctx context.Context, _ *sms.Result, done func(error)) {
	f.soon(func() { done(f.fault(ctx)) })
}

func (f *fickle) Bound() int { return 1 }

func (f *fickle) Notify(func()) {}

func (f *fickle) Reserve(int) (Reservation, Shortage) { return &fickleTurn{of: f}, Shortage{} }

// fickleTurn answers its message, or leaves it open.
type fickleTurn struct {
	of     *fickle
	part   int
	mu     sync.Mutex
	closed bool // guarded by mu: answered or abandoned
}

func (r *fickleTurn) reply() sms.Reply {
	refusals := []sms.Code{"", sms.CodeTemporary, sms.CodeRejected, sms.CodeThrottled, sms.CodeUncertain, sms.CodeUnavailable}
	reply := sms.Reply{Part: r.part, RawMessageID: "m", Bind: "acme/1"}
	if c := refusals[max(0, r.of.draw(20)-14)]; c != "" {
		reply.Err = &sms.Error{Code: c}
	}
	return reply
}

func (r *fickleTurn) SendThen(_ *sms.JobRef, m *sms.Message, answered func(sms.Reply)) {
	r.part = m.Part
	switch r.of.draw(50) {
	case 0: // the drain is out of time right now
		if r.of.draw(4) == 0 {
			r.of.end()
			time.Sleep(time.Millisecond)
		}
		return
	case 1, 2, 3, 4, 5, 6, 7, 8:
		return // open until it is abandoned
	}
	r.of.soon(func() {
		r.mu.Lock()
		over := r.closed
		r.closed = true
		r.mu.Unlock()
		if !over {
			answered(r.reply())
		}
	})
}

func (r *fickleTurn) Abandon() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	over := r.closed
	r.closed = true
	return !over
}

func (r *fickleTurn) Send(_ context.Context, _ sms.JobRef, msgs []*sms.Message) {
	r.part = msgs[0].Part
}

func (r *fickleTurn) Next(context.Context) (sms.Reply, bool) {
	reply := r.reply()
	r.part = 0
	return reply, reply.Part > 0
}

func (r *fickleTurn) Release() {}

// ended counts how a delivery ended.
type ended struct {
	handed
	mu     sync.Mutex
	acks   int // guarded by mu
	nacks  int // guarded by mu
	expiry string
}

func (e *ended) Data() []byte {
	return fmt.Appendf(nil, `{"id":%q,"to":"447700900123","text":"Your code is 123456"%s}`, e.id, e.expiry)
}

func (e *ended) Stored() time.Time { return time.Now() }

func (e *ended) Ack() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.acks++
}

func (e *ended) HandBack(time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nacks++
}

// TestWhatGoesStraightEndsOnceWhateverIsAnswered draws answers, and a moment
// at which the drain is out of time.
func TestWhatGoesStraightEndsOnceWhateverIsAnswered(t *testing.T) {
	t.Parallel()
	for range 50 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			f := &fickle{rng: rand.New(rand.NewPCG(seed, 1))}
			held := new(InHand)
			d, err := New(Config{Route: "acme"}, Deps{
				Ledger: f, Publisher: f, Retrier: f, Morgue: f, Binds: f, Limiter: tokens{}, InHand: held,
				Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			work, end := context.WithCancel(t.Context())
			defer end()
			f.end = end
			time.AfterFunc(time.Duration(f.draw(60))*time.Millisecond, end)
			stop := context.AfterFunc(work, d.leaveOpen)
			defer stop()
			s := &shift{intake: t.Context(), work: work, hands: newHands(300)}
			var all []*ended
			for i := range 200 {
				e := &ended{handed: handed{id: fmt.Sprintf("j-%d", i)}}
				if i%10 == 0 {
					e.expiry = fmt.Sprintf(`,"expires_at":%q`, time.Now().Add(15*time.Millisecond).UTC().Format(time.RFC3339Nano))
				}
				all = append(all, e)
				if err := s.hands.take(t.Context()); err != nil {
					t.Fatal(err)
				}
				d.handle(s, e)
				if i%20 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			d.jobs.Wait()
			for _, e := range all {
				if e.acks+e.nacks != 1 {
					t.Errorf("seed %d: job %s was acknowledged %d times and handed back %d times", seed, e.id, e.acks, e.nacks)
				}
			}
			if n := len(held.jobs); n > 0 || s.hands.all.Load() != 0 || s.hands.busy.Load() != 0 || d.flights.first != nil {
				t.Errorf("seed %d: %d jobs in hand, hands %d and %d, flights %v", seed, n, s.hands.all.Load(), s.hands.busy.Load(), d.flights.first)
			}
			d.turnstile.stop()
		})
	}
}

func TestNobodyPassesAtOnceWhoHasToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := rate.NewLimiter(1, 2)
		ts, binds := newTestTurnstile(3, limit)
		passes := func() bool {
			p, ok := ts.passAtOnce(1)
			if ok {
				p.turn.Release()
			}
			return ok
		}
		for range 2 {
			if !passes() {
				t.Error("did not pass though slot and token were there")
			}
		}
		if passes() || binds.free != 3 {
			t.Errorf("passed without a token, or kept its slot: %d free", binds.free)
		}
		time.Sleep(time.Second) // for one token, which is the waiter's
		done := make(chan error, 1)
		binds.free = 0
		go func() {
			_, _, err := ts.wait(t.Context(), sms.LaneBulk, "shop", 1)
			done <- err
		}()
		synctest.Wait()
		binds.free = 1
		if passes() {
			t.Error("passed before one who waits")
		}
		ts.turn()
		if err := <-done; err != nil {
			t.Error(err)
		}
		binds.free = 3
		time.Sleep(5 * time.Second)
		for name, bar := range map[string]*bool{"paused lane": &ts.closed[1], "standby": &ts.away, "refused account": &ts.account.on} {
			*bar = true
			if passes() {
				t.Errorf("%s: passed", name)
			}
			*bar = false
		}
		ts.closed[0] = true
		if !passes() {
			t.Error("another lane's pause holds it up")
		}
		ts.stop()
	})
}
