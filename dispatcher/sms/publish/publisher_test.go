package publish_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/sms/publish"
)

func TestAJobIsStoredAsTheContractSays(t *testing.T) {
	t.Parallel()
	_, js, p := publisher(t, publish.Config{})
	j := job("order-1042")
	j.Lane, j.Header = sms.LaneBulk, nats.Header{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	ack, err := p.Send(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{ack.JobID, ack.Origin, ack.Stream, ack.Sequence, ack.Duplicate}
	want := []any{"order-1042", sms.Origin{Route: "acme", Lane: "bulk", Producer: "shop"}, "SMS_JOBS_ACME", uint64(1), false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ack (-want +got):\n%s", diff)
	}
	s, err := js.Stream(t.Context(), "SMS_JOBS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := sms.DecodeJob(msg.Data)
	if err != nil {
		t.Fatal(err)
	}
	got = []any{msg.Subject, msg.Header.Get("Nats-Msg-Id"), msg.Header.Get("traceparent"), stored.To, *stored.Text}
	want = []any{"sms.jobs.acme.bulk.shop", "order-1042", j.Header.Get("traceparent"), "+447700900123", *j.Text}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if j.Header.Get("Nats-Msg-Id") != "" {
		t.Error("the caller's headers were changed")
	}
	if ack, err = p.Send(t.Context(), j); err != nil || !ack.Duplicate {
		t.Errorf("the same again: %+v, %v", ack, err)
	}
}

func TestAWrongJobIsRefusedWithEveryFaultAndNotSent(t *testing.T) {
	t.Parallel()
	_, js, p := publisher(t, publish.Config{})
	wrong := publish.Job{Route: "a.b", Lane: "fast", Header: nats.Header{"nats-expected-stream": {"X"}}, Job: sms.Job{ID: "no spaces", To: "+447700900123"}}
	_, err := p.Send(t.Context(), wrong)
	var faults sms.Faults
	if sms.CodeOf(err) != sms.CodeInvalid || !errors.As(err, &faults) {
		t.Fatalf("error %v", err)
	}
	var fields []string
	for _, f := range faults {
		fields = append(fields, f.Field)
	}
	if diff := cmp.Diff([]string{"route", "lane", "header", "id", "text"}, fields); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	big := job("big")
	big.Text = new(strings.Repeat("x", sms.MaxJobOctets))
	if _, err := p.Send(t.Context(), big); !errors.Is(err, publish.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	s, err := js.Stream(t.Context(), "SMS_JOBS_ACME")
	if err != nil || s.CachedInfo().State.LastSeq != 0 {
		t.Errorf("something was sent: %v", err)
	}
}

func TestWhatTheServerRefusesIsToldApart(t *testing.T) {
	t.Parallel()
	_, _, p := publisher(t, publish.Config{})
	for i := range 3 {
		if _, err := p.Send(t.Context(), job(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Send(t.Context(), job("one too many")); sms.CodeOf(err) != sms.CodeInvalid {
		t.Errorf("wrong id: %v", err)
	}
	if _, err := p.Send(t.Context(), job("fourth")); !errors.Is(err, publish.ErrFull) {
		t.Errorf("full: %v", err)
	}
	elsewhere := job("other")
	elsewhere.Route = "acne"
	if _, err := p.Send(t.Context(), elsewhere); !errors.Is(err, publish.ErrNoRoute) {
		t.Errorf("no such route: %v", err)
	}
}

func TestAProducerThatMayNotPublishIsTold(t *testing.T) {
	t.Parallel()
	n := &natsServer{opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Users: []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "bank", Password: "b", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"sms.jobs.*.*.bank"}}}},
		},
	}}
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	_, js := connect(t, n, nats.UserInfo("admin", "a"))
	if err := streams(js); err != nil {
		t.Fatal(err)
	}
	nc, _ := connect(t, n, nats.UserInfo("bank", "b"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	for producer, want := range map[string]error{"shop": publish.ErrDenied, "bank": nil} {
		p, err := publish.New(nc, publish.Config{Producer: producer, AckTimeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Send(t.Context(), job("a")); !errors.Is(err, want) {
			t.Errorf("%s: %v", producer, err)
		}
	}
}

func TestAnUnansweredJobIsSentAgainUntilTheServerIsBack(t *testing.T) {
	t.Parallel()
	n, js, p := publisher(t, publish.Config{AckTimeout: 100 * time.Millisecond})
	n.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := p.Send(ctx, job("a")); !errors.Is(err, publish.ErrUnanswered) {
		t.Errorf("while it is away: %v", err)
	}
	answered := make(chan error, 1)
	go func() { _, err := p.Send(t.Context(), job("a")); answered <- err }()
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	s, err := js.Stream(t.Context(), "SMS_JOBS_ACME")
	if err != nil || s.CachedInfo().State.Msgs != 1 {
		t.Errorf("stored %+v, %v", s, err)
	}
}

func TestNoMoreThanMaxPendingAreUnderWay(t *testing.T) {
	t.Parallel()
	n, _, p := publisher(t, publish.Config{AckTimeout: 100 * time.Millisecond, MaxPending: 2})
	n.stop()
	var answered atomic.Int64
	done := func(_ *publish.Ack, err error) {
		if err != nil {
			t.Error(err)
		}
		answered.Add(1)
	}
	for i := range 2 {
		if err := p.Go(t.Context(), job(fmt.Sprint(i)), done); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Go(ctx, job("2"), done); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the third: %v", err)
	}
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	if err := p.Go(t.Context(), job("2"), done); err != nil {
		t.Error(err)
	}
	p.Flush()
	if got := answered.Load(); got != 3 {
		t.Errorf("%d answered, want 3", got)
	}
}

func TestAWrongConfigurationIsReportedWhole(t *testing.T) {
	t.Parallel()
	n := startServer(t)
	nc, _ := connect(t, n)
	_, err := publish.New(nc, publish.Config{MaxPending: -1, AckTimeout: -time.Second, Subjects: sms.Subjects{Prefix: "a b"}})
	for _, want := range []string{"producer: ", "max pending: ", "ack timeout: ", "subject prefix: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
