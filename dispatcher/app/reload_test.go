package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// routeYAML is a route of a file, with further keys. Its account is its name.
func routeYAML(name string, keys ...string) string {
	text := fmt.Sprintf("  - {name: %s, endpoints: [\"$SMSC\"], system_id: %s, password_env: ACME_PASSWORD, retry: {initial: 200ms, max: 1s}", name, name)
	for _, k := range keys {
		text += ", " + k
	}
	return text + "}\n"
}

// liveRig is a worker that is reconfigured, beside an SMSC that knows who binds.
type liveRig struct {
	*rig
	*apptest.Live
}

func newLiveRig(t *testing.T, cfg smsctest.Config, routes string) *liveRig {
	t.Helper()
	r := newRig(t, cfg, "")
	return &liveRig{r, r.Live("w1", routes)}
}

// bound are the simulator's names of an account's sessions that are bound now.
func (r *liveRig) bound(account string) (ids []uint64) {
	for _, b := range r.smsc.Binds() {
		if b.SystemID == account && b.Until.IsZero() {
			ids = append(ids, b.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// awaitBound waits until so many of an account's sessions are bound.
func (r *liveRig) awaitBound(account string, n int) []uint64 {
	r.t.Helper()
	apptest.Until(r.t, fmt.Sprintf("%d sessions of %s are bound", n, account), func() bool { return len(r.bound(account)) == n })
	return r.bound(account)
}

// send publishes n jobs to a route.
func (r *liveRig) send(route, prefix string, n int) {
	r.t.Helper()
	js, err := jetstream.New(r.Connect())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, job := range apptest.Jobs(n, `{"id":"`+prefix+`-%d","to":"447700900123","text":"`+prefix+` %d"}`) {
		if _, err := js.PublishAsync("sms.jobs."+route+".normal.shop", []byte(job)); err != nil {
			r.t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		r.t.Fatal("jobs are not stored")
	}
}

// traffic publishes jobs to routes in turn until the returned function is
// called, which says how many they were.
func (r *liveRig) traffic(routes ...string) (stop func() int) {
	r.t.Helper()
	js, err := jetstream.New(r.Connect())
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	sent := make(chan int)
	go func() {
		n := 0
		defer func() { sent <- n }()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		publishing, cancel := context.WithTimeout(r.t.Context(), time.Minute)
		defer cancel()
		for ctx.Err() == nil {
			for _, route := range routes {
				job := fmt.Sprintf(`{"id":"t-%d","to":"447700900123","text":"t %d"}`, n, n)
				if _, err := js.Publish(publishing, "sms.jobs."+route+".normal.shop", []byte(job)); err != nil {
					r.t.Errorf("publish: %v", err)
					return
				}
				n++
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() int { cancel(); return <-sent }
}

// judge waits for one outcome of each of n jobs, and that the simulator took
// each message once.
func (r *liveRig) judge(n int) {
	r.t.Helper()
	r.judgeFirstAttempts(n)
	if s := r.smsc.Stats(); s.Duplicate > 0 {
		r.t.Errorf("%d messages were taken twice", s.Duplicate)
	}
	for _, b := range r.smsc.Binds() { // one that is given up while it binds has no messages
		if !b.Until.IsZero() && !b.Unbound && b.Submits > 0 {
			r.t.Errorf("session %d of %s ended without unbind after %d messages", b.ID, b.SystemID, b.Submits)
		}
	}
}

func TestChangesUnderTrafficDropNoBindThatTheyDoNotConcern(t *testing.T) {
	t.Parallel()
	r := newLiveRig(t, smsctest.Config{}, routeYAML("acme", "binds: 2")+routeYAML("other"))
	other := r.awaitBound("other", 1)
	acme := r.awaitBound("acme", 2)
	stop := r.traffic("acme", "other")

	for _, keys := range []string{
		"rate: 400, burst: 40", "window: 7", "lanes: {high: 3, normal: 2, bulk: 1}", "bind_rate: 200", "message: {service_type: OTP}",
		`window: 500, receipts: {stat: {"0": DELIVERED}}`, "status: {0x401: account}", "account_probe: {initial: 1s}", "ledger_ttl: 30h",
	} {
		r.Change(routeYAML("acme", "binds: 2", keys) + routeYAML("other"))
	}
	if diff := cmp.Diff(acme, r.bound("acme")); diff != "" {
		t.Errorf("binds of the route whose limits and rules changed (-want +got):\n%s", diff)
	}
	r.Change(routeYAML("acme", "binds: 4") + routeYAML("other"))
	if ids := r.awaitBound("acme", 4); !slices.Contains(ids, acme[0]) || !slices.Contains(ids, acme[1]) {
		t.Errorf("bound %v, want %v and two more", ids, acme)
	}
	r.Change(routeYAML("acme", "binds: 1") + routeYAML("other"))
	r.awaitBound("acme", 1)
	r.Change(routeYAML("acme", "binds: 3", "enquire_link: 20s") + routeYAML("other"))
	r.Change(routeYAML("acme", "binds: 2", "bind_type: transmitter+receiver") + routeYAML("other"))
	r.awaitBound("acme", 4)
	r.judge(stop())
	if diff := cmp.Diff(other, r.bound("other")); diff != "" {
		t.Errorf("binds of the route that did not change (-want +got):\n%s", diff)
	}
}

func TestAChangedRateHoldsAtTheSMSC(t *testing.T) {
	t.Parallel()
	r := newLiveRig(t, smsctest.Config{}, routeYAML("acme"))
	r.awaitBound("acme", 1)
	r.Change(routeYAML("acme", "rate: 50, burst: 5"))
	r.send("acme", "r", 150)
	apptest.Until(t, "the first are taken", func() bool { return r.accepted() >= 20 })
	from := time.Now()
	r.Change(routeYAML("acme", "rate: 1000, burst: 100"))
	r.judge(150)
	// What was sent at 50/s, over all windows of a second: rate × 1 s + burst.
	all := r.smsc.Submits()
	slow := slices.DeleteFunc(all, func(m smsctest.Submit) bool { return m.Time.After(from) })
	for i := range slow {
		n := 0
		for _, m := range slow[i:] {
			if m.Time.Sub(slow[i].Time) <= time.Second {
				n++
			}
		}
		if n > 55 {
			t.Fatalf("%d submit_sm within a second at 50/s and a burst of 5", n)
		}
	}
	if took := all[len(all)-1].Time.Sub(all[0].Time); took > 10*time.Second {
		t.Errorf("150 took %v", took)
	}
}

func TestABadFileIsRefusedWholeAndWhatWasInForceStays(t *testing.T) {
	t.Parallel()
	r := newLiveRig(t, smsctest.Config{}, routeYAML("acme"))
	acme := r.awaitBound("acme", 1)
	stop := r.traffic("acme")
	r.Write(routeYAML("acme", "window: 0", "rate: 10, burst: 0", "binds: 3") + routeYAML("beta", "lanes: {high: -1}", "widnow: 3"))
	r.Reload()
	apptest.Until(t, "the file is refused", func() bool { return r.Live.Status().Config.Refused != nil })
	c := r.Live.Status().Config
	for _, fault := range []string{"routes[0].window: must be 1..10000, is 0", "routes[0].burst", "routes[1].lanes.high", "routes[1].widnow: is not a known key; did you mean window?"} {
		if !slices.ContainsFunc(c.Errors, func(e string) bool { return strings.Contains(e, fault) }) {
			t.Errorf("status does not tell %q: %v", fault, c.Errors)
		}
		if r.Logged(fault) != 1 {
			t.Errorf("%q is logged %d times", fault, r.Logged(fault))
		}
	}
	r.Reload() // nothing new to say
	r.judge(stop())
	if diff := cmp.Diff(acme, r.bound("acme")); diff != "" || r.Logged("the one before it stays in force") != 1 {
		t.Errorf("binds (-want +got):\n%s", diff)
	}
	if c.Generation != 1 {
		t.Errorf("generation %d", c.Generation)
	}
	r.Change(routeYAML("acme", "binds: 3"))
	r.awaitBound("acme", 3)
	if c := r.Live.Status().Config; c.Generation != 2 || len(c.Errors) > 0 || !slices.Contains(c.Changes, "acme.binds: 1 → 3") {
		t.Errorf("after a good file: %+v", c)
	}
}

func TestWhatTakesARestartIsNamedAndTheRestApplies(t *testing.T) {
	t.Parallel()
	r := newLiveRig(t, smsctest.Config{}, routeYAML("acme"))
	data, err := os.ReadFile(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "drain_timeout: 8s", "drain_timeout: 9s")
	text = strings.ReplaceAll(text, "listen: 127.0.0.1:0", "listen: 127.0.0.1:1")
	text = strings.ReplaceAll(text, "nats:   {", "nats:   {replicas: 3, ")
	text = strings.ReplaceAll(text, "name: acme,", "name: acme, window: 33,")
	if err := os.WriteFile(r.Path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Reload()
	apptest.Until(t, "the window is in force", func() bool { return r.Live.Status().Routes[0].Binds[0].Window == 33 })
	apptest.Until(t, "the change is noted", func() bool { return r.Live.Status().Config.Generation == 2 })
	want := []string{"nats.replicas (takes shortwire setup)", "admin.listen", "worker.drain_timeout"}
	if diff := cmp.Diff(want, r.Live.Status().Config.TakesRestart); diff != "" {
		t.Errorf("takes a restart (-want +got):\n%s", diff)
	}
}

func TestRoutesComeAndGoWhileOthersWork(t *testing.T) {
	t.Parallel()
	r := newLiveRig(t, smsctest.Config{Latency: 300 * time.Millisecond}, routeYAML("acme"))
	acme := r.awaitBound("acme", 1)
	r.Write(routeYAML("acme") + routeYAML("beta", "binds: 2"))
	r.Reload()
	apptest.Until(t, "a route without streams is refused", func() bool {
		c := r.Live.Status().Config
		return len(c.Errors) == 1 && strings.Contains(c.Errors[0], "shortwire setup") && strings.Contains(c.Errors[0], "BETA")
	})
	r.Setup()
	r.Change(routeYAML("acme") + routeYAML("beta", "binds: 2"))
	r.awaitBound("beta", 2)
	stop := r.traffic("acme")
	r.send("beta", "b", 100)
	apptest.Until(t, "some of the added route's jobs are at the SMSC", func() bool {
		return slices.ContainsFunc(r.smsc.Submits(), func(m smsctest.Submit) bool { return strings.HasPrefix(m.Text(), "b ") })
	})
	r.Change(routeYAML("acme")) // in the midst of it
	r.awaitBound("beta", 0)
	apptest.Until(t, "the removed route is gone from the status", func() bool { return len(r.Live.Status().Routes) == 1 })
	r.Change(routeYAML("acme") + routeYAML("beta"))
	r.Change(routeYAML("acme"))
	r.Change(routeYAML("acme") + routeYAML("beta", "binds: 3")) // while its predecessor drains
	r.awaitBound("beta", 3)
	r.judge(stop() + 100)
	if diff := cmp.Diff(acme, r.bound("acme")); diff != "" {
		t.Errorf("binds of the route that stayed (-want +got):\n%s", diff)
	}
}

func TestADrainDoesNotWaitForARouteThatWasToBeginAnew(t *testing.T) {
	t.Parallel()
	rig := newRig(t, smsctest.Config{Latency: time.Second}, "")
	rig.Drain = time.Minute // longer than is waited for here
	r := &liveRig{rig, rig.Live("w1", routeYAML("acme", "binds: 2"))}
	r.awaitBound("acme", 2)
	r.send("acme", "a", 5)
	apptest.Until(t, "some are at the SMSC", func() bool { return r.accepted() > 0 })
	r.Change(routeYAML("acme", "binds: 2", "max_binds: 2")) // its predecessor has them to finish
	ended := make(chan error, 1)
	go func() { ended <- r.Stop() }()
	apptest.Until(t, "the worker ends", func() bool { return len(ended) == 1 })
	if err := <-ended; err != nil {
		t.Error(err)
	}
	all := r.smsc.Binds()
	for _, b := range all {
		if !b.Unbound {
			t.Errorf("session %d ended without unbind", b.ID)
		}
	}
	if len(all) != 2 {
		t.Errorf("%d sessions, want the 2 from before", len(all))
	}
}

func TestAChangedFileAndPasswordFileTakeEffectByThemselves(t *testing.T) {
	t.Parallel()
	var password atomic.Value
	password.Store("one")
	r := newLiveRig(t, smsctest.Config{OnBind: func(b *smsctest.BindRequest) uint32 {
		if b.SystemID == "acme" && b.Password != password.Load() {
			return 0x0E // ESME_RINVPASWD
		}
		return smsctest.ROK
	}}, routeYAML("other"))
	dir := filepath.Dir(r.Path)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "password"), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	other := r.awaitBound("other", 1)
	withFile := strings.Replace(routeYAML("acme", "binds: 2"), "password_env: ACME_PASSWORD", "password_file: password", 1) + routeYAML("other")
	r.Write(withFile)
	first := r.awaitBound("acme", 2)
	password.Store("two")
	write("two")
	apptest.Until(t, "both binds are new", func() bool {
		now := r.bound("acme")
		return len(now) == 2 && !slices.Contains(now, first[0]) && !slices.Contains(now, first[1])
	})
	if diff := cmp.Diff(other, r.bound("other")); diff != "" {
		t.Errorf("binds of the other route (-want +got):\n%s", diff)
	}
	for _, line := range r.Live.Status().Config.Changes {
		if strings.Contains(line, "two") || strings.Contains(line, "one") {
			t.Errorf("the changes tell a password: %s", line)
		}
	}
}

// randomRoutes makes a valid configuration of three routes, of which the last
// may be missing.
func randomRoutes(rnd *rand.Rand) (routes string, sessions map[string]int) {
	sessions = map[string]int{"acme": 0, "other": 0, "gamma": 0}
	for _, name := range []string{"acme", "other", "gamma"} {
		if name == "gamma" && rnd.IntN(2) == 0 {
			continue
		}
		binds := 1 + rnd.IntN(3)
		sessions[name] = binds
		keys := []string{fmt.Sprintf("binds: %d", binds), fmt.Sprintf("window: %d", 1+rnd.IntN(100))}
		some := func(format string, value int) {
			if rnd.IntN(3) == 0 {
				keys = append(keys, fmt.Sprintf(format, value))
			}
		}
		some("rate: %d", 100+rnd.IntN(900))
		some("bind_rate: %d", 100+rnd.IntN(900))
		some("lanes: {normal: %d}", 1+rnd.IntN(9))
		some("enquire_link: %ds", 10+rnd.IntN(3))
		some("ledger_ttl: %dh", 10+rnd.IntN(9))
		some("system_type: T%d", rnd.IntN(3))
		some("max_binds: %d", 3+rnd.IntN(3))
		if rnd.IntN(4) == 0 {
			keys, sessions[name] = append(keys, "bind_type: transmitter+receiver"), 2*binds
		}
		routes += routeYAML(name, keys...)
	}
	return routes, sessions
}

func TestRandomChangesUnderLoadLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := newLiveRig(t, smsctest.Config{Latency: 2 * time.Millisecond, Jitter: 10 * time.Millisecond}, routeYAML("acme")+routeYAML("other")+routeYAML("gamma"))
	stop := r.traffic("acme", "other")
	var routes string
	var sessions map[string]int
	for range 50 {
		before := routes
		if routes, sessions = randomRoutes(rnd); routes == before {
			continue
		}
		r.Change(routes)
		if rnd.IntN(3) == 0 { // let some of them come to rest
			n := r.accepted()
			apptest.Until(t, "some go through", func() bool { return r.accepted() >= n+20 })
		}
	}
	n := stop()
	for account, n := range sessions {
		r.awaitBound(account, n)
	}
	r.judge(n)
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}
