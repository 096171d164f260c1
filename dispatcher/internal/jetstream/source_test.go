package jetstream

import (
	"errors"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestAJobIsDeliveredWithItsOriginAndHeaders(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	err := c.out.PublishMsg(&nats.Msg{
		Subject: c.subjects.Jobs(shop), Data: []byte("hello"),
		Header: nats.Header{"traceparent": {"00-1-2-01"}, headerAttempt: {"99"}, headerDoubt: {"true"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := k.next(t)
	type seen struct {
		Origin      sms.Origin
		Data, Trace string
		Attempt     int
		Doubt       bool
	}
	want := seen{shop, "hello", "00-1-2-01", 1, false} // a producer's attempt headers are not believed
	if diff := cmp.Diff(want, seen{d.Origin(), string(d.Data()), d.Header("traceparent"), d.Attempt(), d.Doubt()}); diff != "" {
		t.Error(diff)
	}
	d.Ack()
	k.end(t)
	if err := c.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n := streamLen(t, c, "SMS_JOBS_ACME"); n != 0 {
		t.Errorf("%d jobs left in the stream after ack and drain", n)
	}
}

func TestPrefetchBoundHoldsWhileHandleBlocksAndAcrossReconnects(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	direct := setUp(t, dial(t, srv.url()))
	publishJobs(t, direct, 200)
	proxy := startProxy(t, srv.addr())
	c := dial(t, proxy.url())

	release, entered := make(chan struct{}), make(chan dispatcher.Delivery, 200)
	k := consumeWith(t, c, 16, entered, func(d dispatcher.Delivery) {
		entered <- d
		<-release
		d.Ack()
	})
	defer close(release)
	k.next(t)
	eventually(t, "the prefetch buffer is full", func() bool { n, _ := pending(t, direct); return n == 14 })
	for i := range uint64(3) {
		proxy.cut()
		eventually(t, "connected again", func() bool { return c.Connected() && c.in.Stats().Reconnects > i })
	}
	if err := c.in.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _ := pending(t, direct); n > 16 {
		t.Errorf("%d deliveries out, prefetch is 16", n)
	}
	if len(k.got) != 0 {
		t.Errorf("handle was called %d times more while it blocked", len(k.got))
	}
}

func TestWhatWasFetchedGoesBackAtOnceWhenConsumingEnds(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a := setUp(t, dial(t, srv.url()))
	publishJobs(t, a, 50)

	release, entered := make(chan struct{}), make(chan dispatcher.Delivery, 50)
	k := consumeWith(t, a, 40, entered, func(d dispatcher.Delivery) {
		entered <- d
		<-release
	})
	inHand := k.next(t)
	eventually(t, "the rest is fetched", func() bool { n, _ := pending(t, a); return n == 35 })

	b := consume(t, dial(t, srv.url()), 100)
	k.stop() // handle is still blocked
	start := time.Now()
	seen := map[string]int{}
	for len(seen) < 49 {
		d := b.within(t, time.Second)
		seen[string(d.Data())]++
		d.Ack()
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("hand-over took %v", took)
	}
	if seen[string(inHand.Data())] != 0 {
		t.Error("the job in hand was delivered to another worker")
	}
	close(release)
	k.end(t)
	inHand.Ack()
	if err := a.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "the stream is empty", func() bool { return streamLen(t, a, "SMS_JOBS_ACME") == 0 })
}

func TestHandBackDeliversAgainAtOnce(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	publishJobs(t, c, 1)
	k.next(t).HandBack(0)
	d := k.within(t, time.Second)
	d.Ack()
	d.HandBack(0) // the first answer counts
	k.end(t)
	if err := c.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n := streamLen(t, c, "SMS_JOBS_ACME"); n != 0 {
		t.Errorf("%d jobs left", n)
	}
}

func TestJobsOfACrashedWorkerGoToAnother(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	admin := setUp(t, dial(t, srv.url(), ackWait(time.Second)))
	publishJobs(t, admin, 20)
	crashing := dial(t, srv.url(), ackWait(time.Second))
	k := consume(t, crashing, 64)
	for range 20 {
		k.next(t)
	}
	crashing.Close() // no drain, no ack
	if err := <-k.done; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("Consume on a closed client: %v", err)
	}
	other := consume(t, dial(t, srv.url(), ackWait(time.Second)), 64)
	var got []string
	for range 20 {
		d := other.next(t)
		got = append(got, string(d.Data()))
		d.Ack()
	}
	if ids := distinct(got); len(ids) != 20 {
		t.Errorf("got %d of 20 jobs: %v", len(ids), ids)
	}
}

func TestADeliveryIsKeptAliveUntilItIsSettledEvenWhileItWaits(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url(), ackWait(time.Second)))
	publishJobs(t, c, 10)
	release, entered := make(chan struct{}), make(chan dispatcher.Delivery, 10)
	k := consumeWith(t, c, 16, entered, func(d dispatcher.Delivery) {
		entered <- d
		<-release
		d.Ack()
	})
	k.next(t)
	<-time.After(2500 * time.Millisecond) // two and a half ack waits, nine of them in the buffer
	consumer, err := c.js.Consumer(t.Context(), "SMS_JOBS_ACME", "normal")
	if err != nil {
		t.Fatal(err)
	}
	if n := consumer.CachedInfo().NumRedelivered; n != 0 {
		t.Errorf("%d redelivered", n)
	}
	close(release)
	eventually(t, "all acked", func() bool { n, _ := pending(t, c); return n == 0 })
}

func TestDrainSaysWhatIsLeftAndFinishedWorkIsNotRedelivered(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	c := setUp(t, dial(t, srv.url(), ackWait(time.Second)))
	publishJobs(t, c, 500)
	k := consume(t, c, 600)
	var held []dispatcher.Delivery
	for range 500 {
		held = append(held, k.next(t))
	}
	k.end(t)
	for _, d := range held[1:] {
		d.Ack()
	}
	short, cancel := contextWithTimeout(t, 100*time.Millisecond)
	defer cancel()
	if err := c.Drain(short); err == nil || !contains(err.Error(), "1 jobs unsettled") {
		t.Errorf("Drain with a job in hand: %v", err)
	}
	held[0].Ack()
	if err := c.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	srv.restart()
	again := dial(t, srv.url())
	if n := streamLen(t, again, "SMS_JOBS_ACME"); n != 0 {
		t.Errorf("%d finished jobs came back", n)
	}
}

func TestAJobOfAnInvalidProducerIsBuried(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	k := consume(t, c, 10)
	if err := c.out.Publish("sms.jobs.acme.normal.not%valid", []byte("x")); err != nil {
		t.Fatal(err)
	}
	var dead *Dead
	err := c.TailDead(t.Context(), "acme", time.Unix(0, 0), func(d *Dead) bool { dead = d; return false })
	if err != nil {
		t.Fatal(err)
	}
	if dead.Code != sms.CodeInvalid || dead.Subject != "sms.jobs.acme.normal.not%valid" {
		t.Errorf("dead letter %+v", dead)
	}
	eventually(t, "it is acked", func() bool { return streamLen(t, c, "SMS_JOBS_ACME") == 0 })
	k.end(t)
}

func TestConsumeWithoutStreamsNamesTheCommand(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t).url())
	err := c.Consume(t.Context(), "acme", sms.LaneHigh, 10, func(dispatcher.Delivery) {})
	if !errors.Is(err, ErrMissing) || !contains(err.Error(), "shortwire setup --config F") || !contains(err.Error(), "stream SMS_") {
		t.Errorf("Consume: %v", err)
	}
}

func distinct(ids []string) []string {
	set := map[string]bool{}
	for _, id := range ids {
		set[id] = true
	}
	var all []string
	for id := range set {
		all = append(all, id)
	}
	sort.Strings(all)
	return all
}
