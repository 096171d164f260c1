package app_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// flood stores n jobs of a producer, whose texts begin with its name.
func (r *rig) flood(lane, producer string, n int) {
	r.t.Helper()
	r.backlog("acme."+lane, producer, n)
}

// backlog does so on a route and lane.
func (r *rig) backlog(routeLane, producer string, n int) {
	r.t.Helper()
	js, err := jetstream.New(r.Connect(), jetstream.WithPublishAsyncMaxPending(n))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range n {
		job := fmt.Sprintf(`{"id":"%s-%d","to":"447700900123","text":"%[1]s %[2]d","receipt":"none"}`, producer, i)
		if _, err := js.PublishAsync("sms.jobs."+routeLane+"."+producer, []byte(job)); err != nil {
			r.t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// arrived is the producers of the messages that the SMSC took, in their order.
func (r *rig) arrived() (producers []string) {
	for _, s := range r.smsc.Submits() {
		name, _, _ := strings.Cut(s.Text(), " ")
		producers = append(producers, name)
	}
	return producers
}

func count(of []string, name string) (n int) {
	for _, s := range of {
		if s == name {
			n++
		}
	}
	return n
}

func TestAProducersFloodDelaysAnothersFewJobsByItsShareOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "    rate: 500\n    burst: 50\n")
	r.flood("normal", "a", 20_000)
	r.Worker("w1")
	apptest.Until(t, "the flood flows", func() bool { return r.accepted() >= 500 })
	r.flood("normal", "b", 10)
	before := r.accepted()
	apptest.Until(t, "the few are through", func() bool { return count(r.arrived(), "b") == 10 })
	// They lie behind 19,000; ten turns, and the time until they are found.
	if n := r.accepted() - before; n > 3000 {
		t.Errorf("ten jobs of b arrived among %d others", n)
	}
	r.flood("normal", "c", 8000)
	apptest.Until(t, "the second flood flows", func() bool { return count(r.arrived(), "c") > 100 })
	from := r.accepted()
	apptest.Until(t, "a thousand more", func() bool { return r.accepted() >= from+1500 })
	got := r.arrived()[from : from+1500]
	// Both halves but for what a look at the queue takes on a slow machine; who
	// has less than half a share in hand is helped.
	if n := count(got, "c"); n < 1500/4 || n > 1000 {
		t.Errorf("of 1500 messages %d were of one flood and %d of the other", n, count(got, "a"))
	}
	last := -1
	for _, s := range r.smsc.Submits() {
		var i int
		if n, _ := fmt.Sscanf(s.Text(), "c %d", &i); n == 1 {
			if i < last-512 { // jobs in hand are not in order
				t.Errorf("c %d came after c %d", i, last)
			}
			last = max(last, i)
		}
	}
	if n := r.Route().Overtaken; n < 110 {
		t.Errorf("status shows %d overtaken jobs", n)
	}
}

func TestBrokenRoutesHoldUpNoOther(t *testing.T) {
	t.Parallel()
	serve := func(cfg smsctest.Config) string {
		_, addr := apptest.SMSC(t, cfg)
		return addr
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nobody.Close() })
	keys := ""
	broken := map[string]string{
		"dead":      nobody.Addr().String(),
		"slow":      serve(smsctest.Config{Latency: time.Minute}),
		"throttled": serve(smsctest.Config{Rate: 0.001}),
		"barred":    serve(smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Status: 0x100} }}),
	}
	for name, addr := range broken {
		keys += fmt.Sprintf("  - {name: %s, endpoints: [%q], system_id: acme, password_env: ACME_PASSWORD, window: 50}\n", name, addr)
	}
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, keys)
	for name := range broken {
		for _, lane := range []string{"high", "normal", "bulk"} {
			r.backlog(name+"."+lane, name, 300)
		}
	}
	r.Worker("w1")
	trouble := map[string]dispatcher.Limit{
		"dead": dispatcher.LimitNoBind, "slow": dispatcher.LimitWindow, "throttled": dispatcher.LimitThrottled, "barred": dispatcher.LimitAccount,
	}
	apptest.Until(t, "each broken route is in its trouble", func() bool {
		n := 0
		for _, s := range r.Status().Routes {
			if limit, broken := trouble[s.Name]; broken && s.LimitedFor[string(limit)] > 0 {
				n++
			}
		}
		return n == len(broken)
	})
	r.flood("normal", "good", 1000)
	apptest.Until(t, "the good route is through", func() bool { return r.smsc.Stats().Unique == 1000 })
	outcomes := func(route string) (n int64) {
		for _, s := range r.Status().Routes {
			if s.Name == route {
				n = s.Outcomes["submitted"]
			}
		}
		return n
	}
	apptest.Until(t, "all its outcomes are published", func() bool { return outcomes("acme") == 1000 })
	for name := range broken {
		if n := outcomes(name); n > 10 {
			t.Errorf("route %s is broken, and submitted %d", name, n)
		}
	}
}
