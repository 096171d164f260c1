package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// results is a stream as setup makes it, on a server of its own.
func results(t *testing.T) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS server is not ready")
	}
	nc, err := nats.Connect(s.ClientURL(), nats.Timeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: sms.Subjects{}.StreamResults(), Subjects: []string{sms.Subjects{}.ResultsFilter("", "", "")},
	}); err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// publish without Nats-Msg-Id, so that the stream has the repeats.
func publish(t *testing.T, js jetstream.JetStream, all ...*sms.Result) {
	t.Helper()
	for _, r := range all {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), sms.Subjects{}.Results(r.Producer, r.Route, r.Kind), data); err != nil {
			t.Fatal(err)
		}
	}
}

func outcome(producer, job string, replay int, kind sms.Kind) *sms.Result {
	return &sms.Result{
		ID: sms.ReplayID(producer, job, replay), Kind: kind, JobID: job, Producer: producer, Route: "acme",
		Time: time.Unix(100, 0).UTC(), Attempt: 1, Replay: replay,
	}
}

// receipt came at Unix time at; the last completes the job.
func receipt(job string, part int, state sms.State, at int64, last bool) *sms.Result {
	id := fmt.Sprintf("%s-%d", job, part)
	r := &sms.Result{
		ID: sms.ReceiptID("acme", id, state, "", nil), Kind: sms.KindReceipt, JobID: job, Producer: "shop", Route: "acme",
		Time: time.Unix(at, 0).UTC(), Attempt: 1,
		Receipt: &sms.Receipt{MessageID: id, Part: part, PartsTotal: 2, State: state, Final: state.Final()},
	}
	if last {
		r.JobState = sms.StateUndeliverable
	}
	return r
}

// handled collects the ids of results.
type handled struct {
	mu  sync.Mutex
	ids []string // guarded by mu
}

func (h *handled) add(id string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ids = append(h.ids, id)
	return len(h.ids)
}

func (h *handled) sorted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(slices.Values(h.ids))
}

// run runs the consumer until it has handled all of n.
func run(t *testing.T, nc *nats.Conn, h *handled, n int, handle func(*sms.Result) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := Consumer{Producer: "shop", Durable: "test"}
	err := c.Run(ctx, nc, func(_ context.Context, r *sms.Result) error {
		if err := handle(r); err != nil {
			return err
		}
		if h.add(r.ID) == n {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(h.sorted()); got != n {
		t.Fatalf("%d results handled, want %d", got, n)
	}
}

func TestEachResultOfTheProducerIsHandledOnce(t *testing.T) {
	t.Parallel()
	nc, js := results(t)
	submitted, delivered := outcome("shop", "a", 0, sms.KindSubmitted), receipt("a", 1, sms.StateDelivered, 1, false)
	publish(t, js, delivered, submitted, delivered, outcome("bank", "a", 0, sms.KindFailed), submitted, outcome("shop", "b", 0, sms.KindFailed))
	var h handled
	faults := 1
	run(t, nc, &h, 3, func(r *sms.Result) error {
		if r.ID == submitted.ID && faults > 0 {
			faults--
			return errors.New("the database is away")
		}
		return nil
	})
	want := slices.Sorted(slices.Values([]string{submitted.ID, delivered.ID, "o.shop.b"}))
	if diff := cmp.Diff(want, h.sorted()); diff != "" {
		t.Errorf("handled (-want +got):\n%s", diff)
	}
}

func TestAConsumerGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	nc, js := results(t)
	var want []string
	for i := range 20 {
		r := outcome("shop", fmt.Sprint(i), 0, sms.KindSubmitted)
		publish(t, js, r)
		want = append(want, r.ID)
	}
	// Not readable by anyone, and in nobody's way.
	if _, err := js.Publish(t.Context(), "sms.results.shop.acme.submitted", []byte("{")); err != nil {
		t.Fatal(err)
	}
	var first, second handled
	run(t, nc, &first, 7, func(*sms.Result) error { return nil })
	late := outcome("shop", "late", 0, sms.KindSubmitted)
	publish(t, js, late)
	// The seventh may have been handled and not acked: then it comes again.
	run(t, nc, &second, 14, func(r *sms.Result) error {
		if slices.Contains(first.sorted(), r.ID) {
			return errors.New("this one is done")
		}
		return nil
	})
	got := slices.Sorted(slices.Values(append(first.sorted(), second.sorted()...)))
	if diff := cmp.Diff(slices.Sorted(slices.Values(append(want, late.ID))), got); diff != "" {
		t.Errorf("handled (-want +got):\n%s", diff)
	}
}

func TestAJobEndsTheSameInWhateverOrderItsResultsCome(t *testing.T) {
	t.Parallel()
	failed, submitted := outcome("shop", "a", 0, sms.KindFailed), outcome("shop", "a", 1, sms.KindSubmitted)
	enroute, delivered := receipt("a", 1, sms.StateEnroute, 9, false), receipt("a", 1, sms.StateDelivered, 5, false)
	accepted, undelivered := receipt("a", 2, sms.StateAccepted, 1, false), receipt("a", 2, sms.StateUndeliverable, 3, true)
	want := Job{Outcome: submitted, Parts: map[int]*sms.Result{1: delivered, 2: undelivered}, State: sms.StateUndeliverable}
	all := []*sms.Result{failed, submitted, enroute, delivered, accepted, undelivered}
	n := 0
	permute(all, 0, func() {
		n++
		var got Job
		for _, r := range all {
			got.Add(r)
			got.Add(r)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("order %d (-want +got):\n%s", n, diff)
		}
	})
	if n != 720 {
		t.Errorf("%d orders, want 720", n)
	}
}

// permute calls fn for every order of all from i on.
func permute(all []*sms.Result, i int, fn func()) {
	if i == len(all) {
		fn()
		return
	}
	for k := i; k < len(all); k++ {
		all[i], all[k] = all[k], all[i]
		permute(all, i+1, fn)
		all[i], all[k] = all[k], all[i]
	}
}

func TestOnlyTheLastIDsAreRemembered(t *testing.T) {
	t.Parallel()
	s := newRecent(3)
	for _, id := range []string{"a", "b", "b", "c", "d", "e"} {
		s.add(id)
	}
	var got []string
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		if s.has(id) {
			got = append(got, id)
		}
	}
	if diff := cmp.Diff([]string{"c", "d", "e"}, got); diff != "" || len(s.ids) != 3 {
		t.Errorf("remembered %d (-want +got):\n%s", len(s.ids), diff)
	}
}
