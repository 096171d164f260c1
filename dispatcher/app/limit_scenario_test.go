package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// awaitLimit waits until the route is limited so, and its reason and advice
// have these words; no advice is no words.
func (r *rig) awaitLimit(l dispatcher.Limit, why, advice string) {
	r.t.Helper()
	var last app.RouteStatus
	defer func() {
		if r.t.Failed() {
			r.t.Logf("limit %s: %s; %s", last.Limit, last.LimitWhy, last.LimitAdvice)
		}
	}()
	apptest.Until(r.t, "the limit is "+string(l), func() bool {
		last = r.Route()
		return last.Limit == l && strings.Contains(last.LimitWhy, why) && strings.Contains(last.LimitAdvice, advice) && (advice == "") == (last.LimitAdvice == "")
	})
}

// Not parallel: it needs all processors.
func TestProcessorsThatAreUsedUpAreWhatLimits(t *testing.T) {
	r := newRig(t, smsctest.Config{Latency: 100 * time.Millisecond}, "    rate: 5000\n")
	r.Worker("w1")
	var stop atomic.Bool
	var burners, feeder sync.WaitGroup
	defer burners.Wait()
	defer stop.Store(true)
	for range runtime.GOMAXPROCS(0) {
		burners.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if n%1000 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	feeder.Go(func() { // some job is always in hand
		for i := 0; !stop.Load(); i++ {
			r.Publish(apptest.Jobs(20, `{"id":"c-`+string(rune('a'+i%26))+string(rune('a'+i/26%26))+`-%d","to":"447700900123","text":"n %d"}`)...)
		}
	})
	defer feeder.Wait()
	defer stop.Store(true)
	r.awaitLimit(dispatcher.LimitCPU, " processors", "processors")
	stop.Store(true)
	apptest.Until(t, "the limit is another", func() bool { return r.Route().Limit != dispatcher.LimitCPU })
}

func TestNATSThatIsAwayOrRefusesIsWhatLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	r.Worker("w1")
	r.awaitLimit(dispatcher.LimitNone, "no job waits", "")
	js, err := natsjs.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	results, err := js.Stream(t.Context(), sms.Subjects{}.StreamResults())
	if err != nil {
		t.Fatal(err)
	}
	full := results.CachedInfo().Config
	full.MaxMsgs, full.Discard = 1, natsjs.DiscardNew
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	r.Publish(apptest.Jobs(20, `{"id":"f-%d","to":"447700900123","text":"n %d"}`)...)
	r.awaitLimit(dispatcher.LimitNATS, "the stream is full", "streams' limits")
	full.MaxMsgs = -1
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	r.judgeFirstAttempts(20)
	r.awaitLimit(dispatcher.LimitNone, "no job waits", "")

	start := r.StopNATS()
	r.awaitLimit(dispatcher.LimitNATS, "disconnected", "check the server")
	start()
	r.awaitLimit(dispatcher.LimitNone, "no job waits", "")
	if s := r.Route(); s.LimitedFor["nats"] == 0 {
		t.Errorf("limited for %v", s.LimitedFor)
	}
}

func TestRedisThatIsAwayIsWhatLimitsARouteWithoutARate(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	r.Worker("w1")
	r.awaitLimit(dispatcher.LimitNone, "no job waits", "")
	r.Redis.Stop()
	r.awaitLimit(dispatcher.LimitRedis, "nothing new is submitted", "check the server")
	r.Redis.Restart()
	r.awaitLimit(dispatcher.LimitNone, "no job waits", "")
}

func TestRedisThatIsSlowIsWhatLimitsAndNotTheWindowsItKeeps(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	r.Worker("w1")
	r.awaitLimit(dispatcher.LimitNone, "no job waits", "")
	client := redis.NewClient(&redis.Options{Addr: r.Redis.Addr})
	defer client.Close()
	if err := client.Do(t.Context(), "client", "pause", 2800, "all").Err(); err != nil { // less than a command may take
		t.Skipf("skip: needs redis-server, the stand-in has no CLIENT PAUSE: %v", err)
	}
	r.Publish(apptest.Jobs(600, `{"id":"s-%d","to":"447700900123","text":"n %d"}`)...)
	r.awaitLimit(dispatcher.LimitRedis, " commands wait for Redis; ", "appendfsync")
	r.judgeAcceptedOnce(600)
	r.awaitLimit(dispatcher.LimitNone, "no job waits", "")
}

func TestEachLimitComesWithItsNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret", Latency: 2 * time.Second}, "")
	l := r.Live("w1", routeYAML("acme", "binds: 2", "window: 5"))
	r.Publish(apptest.Jobs(300, `{"id":"n-%d","to":"447700900123","text":"n %d"}`)...)
	r.awaitLimit(dispatcher.LimitWindow, "10 of 10 window slots of 2 binds are taken; an answer takes 2", "raise window")
	l.Change(routeYAML("acme", "binds: 2", "window: 50", "rate: 20", "burst: 1"))
	r.awaitLimit(dispatcher.LimitRate, "the fleet may send 20/s", "higher rate")
	op := r.operator()
	if _, err := op.Pause(t.Context(), app.OperatorPause{Route: "acme", By: "ada@desk", Reason: "night"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	r.awaitLimit(dispatcher.LimitPaused, "paused the route by ada@desk since ", "resume")
	if _, _, err := op.Resume(t.Context(), "acme", ""); err != nil {
		t.Fatal(err)
	}
	_ = r.smsc.Close()
	r.awaitLimit(dispatcher.LimitNoBind, "no bind takes messages: 2 ", "endpoints")
}

// get reads JSON from the admin server of the last worker.
func get[T any](r *rig, path string) (v T) {
	r.t.Helper()
	resp, err := http.Get(r.AdminURL() + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		r.t.Fatalf("%s: %v in %s", path, err, b)
	}
	return v
}

func TestStatusShowsWhatWaitsAtTheServerAndHowLongThingsTake(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Latency: 30 * time.Millisecond, Receipts: smsctest.ReceiptConfig{Delay: 100 * time.Millisecond}}, "    rate: 50\n    burst: 1\n")
	r.lane(sms.LaneBulk, "bulk", 400)
	r.Worker("w1")
	apptest.Until(t, "backlog, latency and delay are there", func() bool {
		s := get[app.Status](r, "/status")
		if len(s.Routes) == 0 {
			return false
		}
		a := s.Routes[0]
		bulk, high := a.Lanes[sms.LaneBulk], a.Lanes[sms.LaneHigh]
		return bulk.Backlog != nil && *bulk.Backlog > 100 && *bulk.Held > 0 && high.Backlog != nil && *high.Backlog == 0 &&
			a.SubmitLatency.Count > 0 && a.SubmitLatency.P50MS >= 30 && a.SubmitLatency.P99MS >= a.SubmitLatency.P50MS &&
			a.ReceiptDelay.Count > 0 && a.ReceiptDelay.P50MS >= 60 && s.CPU != nil && s.CPU.Of == runtime.GOMAXPROCS(0)
	})
	resp, err := http.Get(r.AdminURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, _ := io.ReadAll(resp.Body)
	for _, name := range []string{"shortwire_submit_latency_seconds{", "shortwire_receipts_delay_seconds{", `quantile="0.99"`} {
		if !strings.Contains(string(metrics), name) {
			t.Errorf("no metric %s", name)
		}
	}
	if l := r.Route().Lanes[sms.LaneBulk]; l.Backlog == nil {
		t.Error("what was asked a moment ago is not shown")
	}
}

func TestRecentErrorsSayWhatTheyMeanAndNameNobody(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{} // guarded by mu
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) (a smsctest.Action) {
		mu.Lock()
		defer mu.Unlock()
		if seen[m.Text()]++; m.Text() == "nobody" {
			a.Status = smsctest.RINVDSTADR
		} else if m.Text() == "later" && seen["later"] == 1 {
			a.Status = smsctest.RSYSERR
		}
		return a
	}}, "")
	r.Worker("w1")
	r.Publish(`{"id":"nobody","to":"447700900123","text":"nobody"}`)
	r.AwaitKinds("nobody", sms.KindFailed)
	r.Publish(`{"id":"later","to":"447700900124","text":"later"}`)
	r.AwaitKinds("later", sms.KindSubmitted)
	r.Publish(`{"id":"wrong","to":"447700900125x","text":"private"}`)
	r.AwaitKinds("wrong", sms.KindFailed)
	apptest.Until(t, "three errors are shown", func() bool { return len(r.Status().Errors) == 3 })
	wrong, later, nobody := r.Status().Errors[0], r.Status().Errors[1], r.Status().Errors[2]
	if wrong.Code != sms.CodeInvalid || wrong.End != sms.KindFailed || !strings.Contains(wrong.Reason, "to") || wrong.Meaning == "" || wrong.Next != nil {
		t.Errorf("%+v", wrong)
	}
	if later.Code != sms.CodeTemporary || later.End != "" || later.Next == nil || later.Meaning != "system error at the SMSC" || later.StatusName != "ESME_RSYSERR" {
		t.Errorf("%+v", later)
	}
	if nobody.JobID != "nobody" || nobody.Producer != "shop" || nobody.Code != sms.CodeRejected || nobody.Meaning != "destination is wrong" || nobody.Attempt != 1 {
		t.Errorf("%+v", nobody)
	}
	resp, err := http.Get(r.AdminURL() + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	for _, private := range []string{"4477009001", "private"} {
		if strings.Contains(string(body), private) {
			t.Errorf("status shows %s:\n%s", private, body)
		}
	}
}
