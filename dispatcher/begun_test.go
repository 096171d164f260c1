package dispatcher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestABegunJobWaitsForItsRouteToRunAgainAsLongAsItHasAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ds, _ := chain(t, 9)
		ds[0].deps.Routes.remove(ds[1])
		ds[0].deps.Routes.add(&Dispatcher{route: "z"})
		a := ds[0].attemptOf(t, true)
		ds[0].resumeAt(a, "b")
		for a.ref.Attempt < 5 {
			before := a.ref.Attempt
			if err := ds[0].choose(a); !errors.Is(err, errNoWay) || a.ref.Via != "b" || a.ref.Attempt != before+1 {
				t.Fatalf("attempt %d: %v, via %q", a.ref.Attempt, err, a.ref.Via)
			}
		}
		ds[1].Announce()
		if err := ds[0].choose(a); err != nil || a.out != ds[1] {
			t.Errorf("at the last attempt, the route about to run: %v, by %s", err, a.out.route)
		}
		ds[0].deps.Routes.remove(ds[1])
		stranger := ds[0].attemptOf(t, true)
		ds[0].resumeAt(stranger, "z")
		if stranger.out != ds[0] || stranger.ref.Via != "" {
			t.Errorf("begun at %q, which is no fallback", stranger.ref.Via)
		}
		for range 2 { // the ledger says where it was begun, but it goes on
			if err := ds[0].choose(a); err != nil || a.out != ds[0] || a.ref.Via != "" {
				t.Errorf("after the last attempt %v, by %s via %q", err, a.out.route, a.ref.Via)
			}
			if ds[0].follow(a, "b") {
				t.Error("sent elsewhere after the last attempt")
			}
		}
	})
}

func TestABegunJobIsInHandOnlyWhileItsRouteMaySend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ds, lines := chain(t, 0)
		a := ds[0].attemptOf(t, true)
		ds[0].resumeAt(a, "b")
		put := make(chan error, 1)
		go func() { _, err := ds[0].admit(t.Context(), a); put <- err }()
		synctest.Wait()
		if n := ds[1].turnstile.waiting()[sms.LaneNormal]; n != 1 {
			t.Fatalf("%d jobs wait at the fallback, want the one", n)
		}
		ds[1].Pause(func(sms.Lane) bool { return true })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		select {
		case err := <-put:
			if !errors.Is(err, errNoWay) {
				t.Errorf("when the fallback is paused: %v", err)
			}
		default:
			t.Error("it waits in hand for a route that is paused")
			return
		}
		ds[1].Pause(func(sms.Lane) bool { return false })
		if err := ds[0].choose(a); err != nil || a.out != ds[1] {
			t.Errorf("when it is resumed: %v, by %s", err, a.out.route)
		}
		ds[0].Change(Config{}, 0, func() {})
		time.Sleep(2 * time.Second)
		for _, dead := range []bool{true, false} {
			lines[1].cut.Store(dead)
			if err := ds[0].choose(a); errors.Is(err, errNoWay) != dead || a.out != ds[1] {
				t.Errorf("no fallback any more, dead %t: %v, by %s", dead, err, a.out.route)
			}
		}
	})
}

func TestABegunJobThatItsRouteCannotWriteGoesNoOtherWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ds, _ := chain(t, 9)
		ds[1].Change(Config{Message: MessageRules{DataSM: true}}, 0, func() {}) // has no replace_if_present
		a := ds[0].attemptOf(t, false)
		a.job.Replace = true
		if !ds[0].follow(a, "b") { // as the ledger says
			t.Error("sent by its own route")
		}
		a.ref.Doubt = true
		if err := ds[0].choose(a); !errors.Is(err, errNoWay) || a.ref.Via != "b" {
			t.Errorf("%v, via %q", err, a.ref.Via)
		}
	})
}

func TestABegunJobTriesARefusedAccountWhereNoOthersDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ds, _ := chain(t, 9)
		ds[0].turnstile.barred(refusal, time.Now()) // again in 10 s
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := ds[0].way(t, true); got != "none" {
			t.Errorf("by %s while the account is refused", got)
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		for _, want := range []string{"a", "none"} {
			if got := ds[0].way(t, true); got != want {
				t.Errorf("by %s, want %s", got, want)
			}
		}
	})
}

// recalls is a Ledger that keeps the outcome.
type recalls struct {
	Ledger
	outcome *sms.Result
}

func (r *recalls) Settle(_ context.Context, _ sms.JobRef, _ string, outcome *sms.Result) error {
	r.outcome = outcome
	return nil
}

func TestPartsOfARouteThatIsGoneAreJoinedByNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ds, _ := chain(t, 9)
		l := new(recalls)
		c := sms.Claim{State: sms.ClaimResumed, Token: "t", Via: "b", Parts: []sms.Part{{Number: 1, MessageID: "A1"}}}
		ds[0].deps.Ledger = l
		ds[0].deps.Routes.remove(ds[1])
		for attempt, want := range map[int]step{1: elsewhere, 5: settled} {
			a := ds[0].attemptOf(t, false) // all of it is one part here
			a.ref.Attempt = attempt
			if got, err := ds[0].claimed(t.Context(), a, c); got != want || err != nil {
				t.Errorf("attempt %d: step %d, %v, want %d", attempt, got, err, want)
			}
		}
		if o := l.outcome; o == nil || o.Kind != sms.KindUncertain || o.Via != "b" || len(o.Parts) != 1 {
			t.Errorf("outcome %+v", o)
		}
	})
}
