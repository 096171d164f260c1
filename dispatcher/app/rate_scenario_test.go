package app_test

import (
	"slices"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// judgeArrivals checks what the SMSC saw in every window of at least a second
// against a rate and a burst.
func (r *rig) judgeArrivals(rate float64, burst int) {
	r.t.Helper()
	var times []time.Time
	for _, m := range r.smsc.Submits() {
		times = append(times, m.Time)
	}
	slices.SortFunc(times, time.Time.Compare)
	for first := range times {
		for last := first + burst; last < len(times); last++ {
			d := times[last].Sub(times[first])
			if d < time.Second {
				continue
			}
			if n := last - first + 1; float64(n) > rate*d.Seconds()+float64(burst) {
				r.t.Fatalf("%d submit_sm in %v at a rate of %v and a burst of %d", n, d, rate, burst)
			}
		}
	}
}

func TestARateHoldsOverTwoWorkersThatComeAndGo(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "    rate: 200\n    burst: 100\n")
	const n = 1000
	r.Publish(apptest.Jobs(n, `{"id":"r-%d","to":"447700900123","text":"n %d"}`)...)
	stop := r.Worker("w1")
	apptest.Until(t, "the first is at work", func() bool { return r.accepted() > 100 })
	r.Worker("w2")
	apptest.Until(t, "the second is too", func() bool { return r.Route().Rate.Spent > 100 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.judgeFirstAttempts(n)
	r.judgeArrivals(200, 100)
	if s := r.Route().Rate; s.Reason != "configured" || s.Effective != 200 || s.Calls == 0 {
		t.Errorf("rate: %+v", s)
	}
}

func TestTwoWorkersFindALimitThatNobodyAnnounced(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Rate: 100, Burst: 20}, "    rate: 1000\n")
	const n = 1200
	r.Publish(apptest.Jobs(n, `{"id":"u-%d","to":"447700900123","text":"n %d"}`)...)
	r.Worker("w1")
	r.Worker("w2")
	apptest.Until(t, "the rate is near the limit", func() bool {
		s := r.Route().Rate
		return r.accepted() > n/3 && s.Reason == "throttled" && s.Effective < 130
	})
	before := r.smsc.Stats().RefusedByStatus[smsctest.RTHROTTLED]
	r.judgeFirstAttempts(n)
	if more := r.smsc.Stats().RefusedByStatus[smsctest.RTHROTTLED] - before; more > n/10 {
		t.Errorf("%d of the last %d messages were throttled", more, n*2/3)
	}
}

func TestALostRedisStopsTheRouteAndItsReturnBringsNoBurst(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "    rate: 200\n    burst: 100\n")
	const n = 600
	r.Publish(apptest.Jobs(n, `{"id":"l-%d","to":"447700900123","text":"n %d"}`)...)
	r.Worker("w1")
	apptest.Until(t, "it is at work", func() bool { return r.accepted() > 150 })
	r.Redis.Stop()
	apptest.Until(t, "it is held for want of Redis", func() bool {
		s := r.Route()
		return s.Limit == dispatcher.LimitRedis && s.Rate.Reason == "redis_away" && s.Rate.Effective == 0
	})
	r.Redis.Restart()
	r.judgeAcceptedOnce(n)
	r.judgeArrivals(200, 100)
}
