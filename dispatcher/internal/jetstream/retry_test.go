package jetstream

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func TestAScheduledRetryComesBackWithAttemptDoubtAndHeaders(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	err := c.out.PublishMsg(&nats.Msg{Subject: c.subjects.Jobs(shop), Data: []byte(`{"id":"a"}`), Header: nats.Header{
		"traceparent": {"00-1-2-01"}, "X-Custom": {"kept"}, headerMsgID: {"a"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := k.next(t)
	// A retry is retried: nothing piles up.
	for attempt := 2; attempt <= 3; attempt++ {
		at := time.Now().Add(400 * time.Millisecond)
		err := c.Schedule(t.Context(), dispatcher.Retry{At: at, JobID: "a", Attempt: attempt, Doubt: attempt == 3, Of: d})
		if err != nil {
			t.Fatal(err)
		}
		d.Ack()
		d = k.next(t)
		if late := time.Since(at); late < 0 || late > time.Second {
			t.Errorf("attempt %d came %v after its time", attempt, late)
		}
		if d.Attempt() != attempt || d.Doubt() != (attempt == 3) || d.Origin() != shop {
			t.Errorf("attempt %d: attempt %d, doubt %v, origin %v", attempt, d.Attempt(), d.Doubt(), d.Origin())
		}
		if string(d.Data()) != `{"id":"a"}` || d.Header("traceparent") != "00-1-2-01" || d.Header("X-Custom") != "kept" {
			t.Errorf("attempt %d: %s %v", attempt, d.Data(), d.(*delivery).msg.Header)
		}
	}
	d.Ack()
	k.end(t)
	if err := c.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"SMS_JOBS_ACME", "SMS_RETRY"} {
		eventually(t, stream+" is empty", func() bool { return streamLen(t, c, stream) == 0 })
	}
}

func TestSchedulesOfOneJobDoNotReplaceEachOther(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	other := shop
	other.Producer = "bank"
	for _, o := range []sms.Origin{shop, other} {
		if err := c.out.Publish(c.subjects.Jobs(o), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().Add(500 * time.Millisecond)
	for range 2 {
		d := k.next(t)
		for range 2 {
			if err := c.Schedule(t.Context(), dispatcher.Retry{At: at, JobID: "same", Attempt: 2, Of: d}); err != nil {
				t.Fatal(err)
			}
		}
		d.Ack()
	}
	got := map[string]int{}
	for range 4 {
		d := k.next(t)
		got[d.Origin().Producer]++
		d.Ack()
	}
	if diff := cmp.Diff(map[string]int{"shop": 2, "bank": 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestScheduledRetriesSurviveARestartOfTheServer(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	c := setUp(t, dial(t, srv.url()))
	k := consume(t, c, 10)
	publishJobs(t, c, 1)
	d := k.next(t)
	if err := c.Schedule(t.Context(), dispatcher.Retry{At: time.Now().Add(700 * time.Millisecond), JobID: "job-0", Attempt: 2, Of: d}); err != nil {
		t.Fatal(err)
	}
	d.Ack()
	if err := c.in.Flush(); err != nil {
		t.Fatal(err)
	}
	srv.restart()
	if d = k.next(t); d.Attempt() != 2 {
		t.Errorf("attempt %d", d.Attempt())
	}
	d.Ack()
}

func TestADeadLetterKeepsTheOriginalBytesAndSaysWhy(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	body := []byte("{not json\xff")
	if err := c.out.PublishMsg(&nats.Msg{Subject: c.subjects.Jobs(shop), Data: body, Header: nats.Header{"X-Custom": {"kept"}}}); err != nil {
		t.Fatal(err)
	}
	d := k.next(t)
	letter := dispatcher.DeadLetter{
		Of:  d,
		Ref: sms.JobRef{JobID: "a", Attempt: 3, Replay: 1, Doubt: true},
		Outcome: &sms.Result{
			Kind: sms.KindFailed, Code: sms.CodeRejected, Reason: "line one\r\nline two", Status: 0x0B, StatusName: "ESME_RINVDSTADR",
			Parts: []sms.Part{{Number: 2, MessageID: "é\r\n\"", RawMessageID: "x"}},
		},
	}
	for range 2 { // a job that was buried and not acked is not buried twice
		if err := c.Bury(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	d.Ack()
	if n := streamLen(t, c, "SMS_DEAD"); n != 1 {
		t.Errorf("%d dead letters", n)
	}
	var got *Dead
	if err := c.TailDead(t.Context(), "", time.Unix(0, 0), func(d *Dead) bool { got = d; return false }); err != nil {
		t.Fatal(err)
	}
	if got.Header.Get("X-Custom") != "kept" || time.Since(got.Time) > time.Minute {
		t.Errorf("headers %v", got.Header)
	}
	got.Header, got.Time, got.Stored = nil, time.Time{}, time.Time{}
	got.Reason = strings.Join(strings.Fields(got.Reason), " ")
	want := &Dead{
		Seq: 1, Route: "acme", Subject: "sms.jobs.acme.normal.shop", JobID: "a", Code: sms.CodeRejected, Kind: sms.KindFailed,
		Reason: "line one line two", Attempts: 3, Replay: 1, Doubt: true, Status: 0x0B, StatusName: "ESME_RINVDSTADR",
		Parts: []sms.Part{{Number: 2, MessageID: "é\r\n\"", RawMessageID: "x"}}, Data: body,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAJobAsLargeAsTheServerAllowsCanBeBuried(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	body := bytes.Repeat([]byte("x"), int(c.out.MaxPayload()))
	if err := c.out.Publish(c.subjects.Jobs(shop), body); err != nil {
		t.Fatal(err)
	}
	d := k.next(t)
	if err := c.Schedule(t.Context(), dispatcher.Retry{At: time.Now(), JobID: "a", Attempt: 2, Of: d}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Schedule: %v", err)
	}
	if err := c.Bury(t.Context(), dispatcher.DeadLetter{Of: d, Outcome: &sms.Result{Code: sms.CodeInvalid, Reason: "too large"}}); err != nil {
		t.Fatal(err)
	}
	var got *Dead
	if err := c.TailDead(t.Context(), "", time.Unix(0, 0), func(d *Dead) bool { got = d; return false }); err != nil {
		t.Fatal(err)
	}
	if got.Truncated != len(body) || len(got.Data) < len(body)-2048 {
		t.Errorf("truncated %d, %d octets kept", got.Truncated, len(got.Data))
	}
	d.Ack()
}

func TestADeadLetterIsReplayedOnceAndRemoved(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	publishJobs(t, c, 2)
	for range 2 {
		d := k.next(t)
		letter := dispatcher.DeadLetter{
			Of: d, Ref: sms.JobRef{JobID: "a", Attempt: 5, Replay: 3, Doubt: true},
			Outcome: &sms.Result{
				Kind: sms.KindFailed, Code: sms.CodeTemporary, Reason: "busy", Parts: []sms.Part{{Number: 2, MessageID: "B7"}}, Via: "backup",
			},
		}
		if err := c.Bury(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
		d.Ack()
	}
	var letters []*Dead
	if err := c.DeadLetters(t.Context(), "other", func(d *Dead) bool { letters = append(letters, d); return true }); err != nil || len(letters) > 0 {
		t.Fatalf("of another route: %v, %v", letters, err)
	}
	if err := c.DeadLetters(t.Context(), "acme", func(d *Dead) bool { letters = append(letters, d); return true }); err != nil || len(letters) != 2 {
		t.Fatalf("%v, %v", letters, err)
	}
	for range 2 { // the second finds it gone
		if err := c.Replay(t.Context(), letters[0]); err != nil {
			t.Fatal(err)
		}
	}
	d := k.next(t)
	want := dispatcher.Before{Replay: 4, Parts: []sms.Part{{Number: 2, MessageID: "B7"}}, Via: "backup"}
	if diff := cmp.Diff(want, d.Before()); diff != "" || d.Attempt() != 1 || !d.Doubt() {
		t.Errorf("attempt %d, doubt %t, replay (-want +got):\n%s", d.Attempt(), d.Doubt(), diff)
	}
	if err := c.Schedule(t.Context(), dispatcher.Retry{At: time.Now(), JobID: "a", Attempt: 2, Of: d}); err != nil {
		t.Fatal(err)
	}
	d.Ack()
	d = k.next(t)
	if diff := cmp.Diff(want, d.Before()); diff != "" || d.Attempt() != 2 || d.Doubt() {
		t.Errorf("attempt %d, doubt %t, replay (-want +got):\n%s", d.Attempt(), d.Doubt(), diff)
	}
	// Its own route has taken over.
	if err := c.Schedule(t.Context(), dispatcher.Retry{At: time.Now(), JobID: "a", Attempt: 3, Parts: want.Parts, Of: d}); err != nil {
		t.Fatal(err)
	}
	d.Ack()
	d = k.next(t)
	want.Via = ""
	if diff := cmp.Diff(want, d.Before()); diff != "" {
		t.Errorf("retry by its own route (-want +got):\n%s", diff)
	}
	d.Ack()
	eventually(t, "one copy was stored", func() bool { return streamLen(t, c, "SMS_JOBS_ACME") == 0 })
	if n := streamLen(t, c, "SMS_DEAD"); n != 1 {
		t.Errorf("%d dead letters are left, want 1", n)
	}
}

func TestAJobPutOffWhileAWorkerHasItKeepsItsAge(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	publishJobs(t, c, 1)
	d := k.next(t)
	age := d.(*delivery).stored()
	if got := d.Before().Stored; got != 0 || age == 0 {
		t.Errorf("of a first delivery %d, stored at %d", got, age)
	}
	for _, inHand := range []bool{true, true, false} { // found in hand twice, then refused for now
		if err := c.Schedule(t.Context(), dispatcher.Retry{At: time.Now(), JobID: "a", Attempt: 1, InHand: inHand, Of: d}); err != nil {
			t.Fatal(err)
		}
		d.Ack()
		d = k.next(t)
		want := int64(0)
		if inHand {
			want = age
		}
		if got := d.Before().Stored; got != want {
			t.Errorf("in hand %t: stored at %d, want %d", inHand, got, want)
		}
	}
	d.Ack()
	k.end(t)
}

func TestTheFirstDeliveryIsToldFromOthers(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]bool{
		"$JS.ACK.SMS_JOBS_ACME.normal.1.7.9.1700000000000000000.3":               true,
		"$JS.ACK.SMS_JOBS_ACME.normal.11.7.9.1700000000000000000.3":              false,
		"$JS.ACK.SMS_JOBS_ACME.normal.2.1.1.1700000000000000000.1":               false,
		"$JS.ACK.hub.ACCOUNT.SMS_JOBS_ACME.normal.1.7.9.1700000000000000000.3.x": true,
		"$JS.ACK.hub.ACCOUNT.SMS_JOBS_ACME.normal.2.1.1.1700000000000000000.1.1": false,
		"": false,
	} {
		if got := firstDelivery(reply); got != want {
			t.Errorf("%q: %t, want %t", reply, got, want)
		}
	}
}
