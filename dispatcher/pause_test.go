package dispatcher

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// answering is a Reservation whose one message is answered at once.
type answering struct {
	*held
	err  error
	told bool
}

func (a *answering) Send(context.Context, sms.JobRef, []*sms.Message) {}

func (a *answering) Next(context.Context) (sms.Reply, bool) {
	if a.told {
		a.Release()
		return sms.Reply{}, false
	}
	a.told = true
	return sms.Reply{Part: 1, Err: a.err}, true
}

// answers is slots whose reservations are answered with err.
type answers struct {
	*slots
	err error
}

func (a *answers) Reserve(n int) (Reservation, Shortage) {
	r, short := a.slots.Reserve(n)
	if r == nil {
		return nil, short
	}
	return &answering{held: r.(*held), err: a.err}, short
}

var refusal = &sms.Error{Code: sms.CodeAccount, Status: 0x101, StatusName: "ESME_RPROHIBITED"}

// pausable returns a turnstile whose jobs the SMSC answers with binds.err.
func pausable() (*turnstile, *answers, *bytes.Buffer) {
	b := &answers{slots: &slots{free: 10}}
	ts := newTurnstile(b, tokens{}, map[sms.Lane]int{sms.LaneNormal: 1})
	log := new(bytes.Buffer)
	ts.account.policy = ProbePolicy{Initial: 10 * time.Second, Max: time.Minute}
	ts.account.log = slog.New(slog.NewTextHandler(log, nil))
	b.Notify(ts.turn)
	return ts, b, log
}

// try takes a job through the turnstile and says how long that took.
func try(t *testing.T, ts *turnstile) (waited time.Duration, err error) {
	t.Helper()
	start := time.Now()
	res, _, err := ts.wait(t.Context(), sms.LaneNormal, "shop", 1)
	if err != nil {
		t.Fatal(err)
	}
	waited = time.Since(start)
	reply, _ := res.Next(t.Context())
	res.Next(t.Context())
	return waited, reply.Err
}

func TestWhileTheAccountIsRefusedOneJobTriesAtGrowingIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, binds, log := pausable()
		defer ts.stop()
		ts.barred(refusal, time.Now())
		ts.barred(refusal, time.Now()) // another that was in flight
		binds.err = refusal
		var waits []time.Duration
		for range 5 {
			waited, _ := try(t, ts)
			waits = append(waits, waited/time.Second)
		}
		if diff := cmp.Diff([]time.Duration{10, 20, 40, 60, 60}, waits); diff != "" {
			t.Errorf("seconds between tries (-want +got):\n%s", diff)
		}
		if limit, _ := ts.limits(); limit != LimitAccount || ts.paused() == nil || ts.paused().Status != 0x101 {
			t.Errorf("limited by %s, paused %+v", limit, ts.paused())
		}
		binds.err = nil
		if waited, _ := try(t, ts); waited != time.Minute {
			t.Errorf("the last try came after %v", waited)
		}
		for range 3 {
			if waited, _ := try(t, ts); waited != 0 {
				t.Errorf("a job waited %v after the pause", waited)
			}
		}
		if limit, spent := ts.limits(); limit != LimitNone || ts.paused() != nil || spent[LimitAccount] != 250*time.Second {
			t.Errorf("limited by %s, paused %+v, account %v", limit, ts.paused(), spent[LimitAccount])
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors logged, want 1:\n%s", n, log)
		}
	})
}

func TestOnlyTheAnswerToATryEndsAPause(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		ends bool
	}{
		"accepted":                  {nil, true},
		"refused for its own sake":  {&sms.Error{Code: sms.CodeRejected}, true},
		"refused for the account's": {refusal, false},
		"throttled":                 {&sms.Error{Code: sms.CodeThrottled}, false},
		"not answered":              {&sms.Error{Code: sms.CodeUncertain}, false},
		"not written":               {&sms.Error{Code: sms.CodeUnavailable}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ts, binds, _ := pausable()
				defer ts.stop()
				ts.barred(refusal, time.Now())
				binds.err = c.err
				try(t, ts)
				if ended := ts.paused() == nil; ended != c.ends {
					t.Errorf("the pause ended: %t, want %t", ended, c.ends)
				}
			})
		})
	}
}

func TestATryWhoseOwnServiceTypeIsRefusedEndsAPause(t *testing.T) {
	for serviceType, ends := range map[string]bool{"": false, "OTP": true} {
		synctest.Test(t, func(t *testing.T) {
			ts, binds, _ := pausable()
			defer ts.stop()
			ts.barred(refusal, time.Now())
			binds.err = &sms.Error{Code: sms.CodeAccount, Status: statusServiceTypeDenied}
			d := &Dispatcher{turnstile: ts}
			job := &attempt{
				del: delivery{}, out: d, job: &sms.Job{ServiceType: serviceType, ExpiresAt: time.Now().Add(time.Hour)}, todo: make([]*sms.Message, 1),
			}
			res, err := d.admit(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			res.Next(t.Context())
			res.Next(t.Context())
			if ended := ts.paused() == nil; ended != ends {
				t.Errorf("service_type %q: the pause ended: %t, want %t", serviceType, ended, ends)
			}
		})
	}
}

// delivery is a Delivery of which only the origin is asked for.
type delivery struct{ Delivery }

func (delivery) Origin() sms.Origin { return sms.Origin{Lane: sms.LaneNormal} }

func TestATurnThatIsGivenBackGoesToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, _, _ := pausable()
		defer ts.stop()
		ts.barred(refusal, time.Now())
		first, _, err := ts.wait(t.Context(), sms.LaneNormal, "shop", 1)
		if err != nil {
			t.Fatal(err)
		}
		passed := make(chan struct{})
		go func() {
			defer close(passed)
			try(t, ts)
		}()
		time.Sleep(time.Minute)
		select {
		case <-passed:
			t.Fatal("two jobs try at once")
		default:
		}
		first.Release()
		<-passed
		if ts.paused() != nil {
			t.Error("the try had no effect")
		}
	})
}

func TestARefusalFromBeforeTheEndOfAPauseBeginsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts, _, _ := pausable()
		defer ts.stop()
		sent := time.Now()
		ts.barred(refusal, sent)
		try(t, ts)
		ts.barred(refusal, sent)
		if ts.paused() != nil {
			t.Error("the route is paused again by an answer to what was sent before")
		}
		time.Sleep(time.Second)
		ts.barred(refusal, time.Now())
		if ts.paused() == nil {
			t.Error("the route is not paused")
		}
	})
}
