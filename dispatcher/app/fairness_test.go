package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// flood stores n jobs of a producer, whose texts begin with its name.
func (r *rig) flood(lane, producer string, n int) {
	r.t.Helper()
	js, err := jetstream.New(r.Connect(), jetstream.WithPublishAsyncMaxPending(n))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range n {
		job := fmt.Sprintf(`{"id":"%s-%d","to":"447700900123","text":"%[1]s %[2]d","receipt":"none"}`, producer, i)
		if _, err := js.PublishAsync("sms.jobs.acme."+lane+"."+producer, []byte(job)); err != nil {
			r.t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// until waits for a condition.
func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("waited in vain: %s", what)
		}
	}
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
	r.until("the flood flows", func() bool { return r.accepted() >= 500 })
	r.flood("normal", "b", 10)
	before := r.accepted()
	r.until("the few are through", func() bool { return count(r.arrived(), "b") == 10 })
	// They lie behind 19,000; ten turns, and the time until they are found.
	if n := r.accepted() - before; n > 3000 {
		t.Errorf("ten jobs of b arrived among %d others", n)
	}
	r.flood("normal", "c", 8000)
	r.until("the second flood flows", func() bool { return count(r.arrived(), "c") > 100 })
	from := r.accepted()
	r.until("a thousand more", func() bool { return r.accepted() >= from+1500 })
	got := r.arrived()[from : from+1500]
	if n := count(got, "c"); n < 500 || n > 1000 {
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
	if s := r.Route(); s.Overtaken < 10 || s.Lanes["normal"].Producers != 2 {
		t.Errorf("status shows %d overtaken jobs and %d producers", s.Overtaken, s.Lanes["normal"].Producers)
	}
}
