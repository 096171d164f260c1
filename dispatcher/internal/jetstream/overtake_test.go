package jetstream

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var corner = sms.Origin{Route: shop.Route, Lane: shop.Lane, Producer: "corner"}

// jobsOf stores n jobs of a producer in order, <producer>-0 to <producer>-<n-1>.
func jobsOf(t *testing.T, c *Client, producer string, n int) {
	t.Helper()
	origin := sms.Origin{Route: shop.Route, Lane: shop.Lane, Producer: producer}
	for i := range n {
		id := producer + "-" + strconv.Itoa(i)
		if _, err := c.PublishJob(t.Context(), origin, []byte(id), id); err != nil {
			t.Fatal(err)
		}
	}
}

// stuck consumes the lane and takes nothing: the worker has no room. What it
// has in hand goes on with release.
func stuck(t *testing.T, c *Client, prefetch int) (k *consuming, release func()) {
	t.Helper()
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	got := make(chan dispatcher.Delivery, 100_000)
	k = consumeWith(t, c, prefetch, got, func(d dispatcher.Delivery) {
		<-gate
		got <- d
	})
	t.Cleanup(release) // before consuming ends
	u := c.unsettledOf(c.subjects.StreamJobs(shop.Route), string(shop.Lane))
	eventually(t, "the worker is full", u.full)
	return k, release
}

// overtaking runs Overtake.
func overtaking(t *testing.T, c *Client, prefetch int) *consuming {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	k := &consuming{got: make(chan dispatcher.Delivery, 100_000), stop: stop, done: make(chan error, 1)}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		k.done <- c.Overtake(ctx, shop.Route, shop.Lane, prefetch, func(d dispatcher.Delivery) { k.got <- d })
	}()
	t.Cleanup(func() { stop(); <-finished })
	return k
}

func look(t *testing.T, c *Client, most int) (moved int) {
	t.Helper()
	moved, err := newOvertaker(c, shop.Route, shop.Lane, most).look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return moved
}

func TestAFewJobsOvertakeAnotherProducersFlood(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	jobsOf(t, c, "shop", 300)
	flood, release := stuck(t, c, 16)
	few := overtaking(t, c, 8)
	jobsOf(t, c, "corner", 20)
	var got, want []string
	for i := range 20 {
		d := few.next(t)
		got, want = append(got, string(d.Data())), append(want, "corner-"+strconv.Itoa(i))
		if d.Origin() != corner || d.Attempt() != 1 || d.Doubt() || d.Before().Stored == 0 {
			t.Errorf("%s: origin %v, attempt %d, doubt %v, before %+v", d.Data(), d.Origin(), d.Attempt(), d.Doubt(), d.Before())
		}
		d.Ack()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what overtook (-want +got):\n%s", diff)
	}
	eventually(t, "nothing of the producer is left in the queue", func() bool { return streamLen(t, c, "SMS_JOBS_ACME") == 300 })
	release()
	for i := range 300 {
		d := flood.next(t)
		if want := "shop-" + strconv.Itoa(i); string(d.Data()) != want {
			t.Fatalf("%s came, want %s", d.Data(), want)
		}
		d.Ack()
	}
	for _, stream := range []string{"SMS_JOBS_ACME", "SMS_RETRY"} {
		eventually(t, stream+" is empty", func() bool { return streamLen(t, c, stream) == 0 })
	}
}

func TestNobodyOvertakesWithoutNeed(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	if n := look(t, c, 8); n != 0 {
		t.Errorf("%d jobs of a lane that nobody consumes were moved", n)
	}
	jobsOf(t, c, "shop", 100)
	stuck(t, c, 16)
	if n := look(t, c, 8); n != 0 {
		t.Errorf("%d jobs of the only producer were moved", n)
	}
	jobsOf(t, c, "corner", 1)
	if n := look(t, c, 8); n != 1 {
		t.Errorf("%d jobs of the other producer were moved, want 1", n)
	}
	if n := look(t, c, 8); n != 0 {
		t.Errorf("%d jobs were moved again", n)
	}
}

func TestProducersWithTheirShareInHandDoNotOvertake(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	for range 20 { // in turns, from the beginning
		jobsOf(t, c, "shop", 1)
		jobsOf(t, c, "corner", 1)
	}
	publishJobs(t, c, 50)
	jobsOf(t, c, "third", 2)
	stuck(t, c, 16)
	if n := look(t, c, 16); n != 2 {
		t.Errorf("%d jobs were moved, want the 2 of the third producer", n)
	}
}

func TestOvertakingIsSharedAmongProducersAndBounded(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	jobsOf(t, c, "shop", 40)
	for p := range 6 {
		jobsOf(t, c, "p"+strconv.Itoa(p), 30)
	}
	stuck(t, c, 16)
	if n := look(t, c, 60); n != 60 {
		t.Errorf("%d jobs were moved, want 60", n)
	}
	s, err := c.js.Stream(t.Context(), "SMS_RETRY")
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context(), natsjs.WithSubjectFilter("sms.retry.turn.>"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{}
	for p := range 6 {
		want["sms.retry.turn.acme.normal.p"+strconv.Itoa(p)] = 10
	}
	if diff := cmp.Diff(want, info.State.Subjects); diff != "" {
		t.Errorf("moved jobs (-want +got):\n%s", diff)
	}
	o := newOvertaker(c, shop.Route, shop.Lane, 60)
	eventually(t, "the consumer knows of them", func() bool {
		info, err := o.info(t.Context(), o.turns)
		return err == nil && info.NumPending == 60
	})
	if n := look(t, c, 60); n != 0 {
		t.Errorf("%d jobs were moved before anybody took the first", n)
	}
}

func TestWorkersThatMoveTheSameJobsMakeOneCopy(t *testing.T) {
	t.Parallel()
	url := startServer(t).url()
	c := setUp(t, dial(t, url))
	jobsOf(t, c, "shop", 200)
	var workers []*Client
	for range 4 {
		w := dial(t, url)
		stuck(t, w, 16)
		workers = append(workers, w)
	}
	jobsOf(t, c, "corner", 30)
	var all sync.WaitGroup
	for _, w := range workers {
		o := newOvertaker(w, shop.Route, shop.Lane, 64)
		all.Go(func() {
			if _, err := o.look(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if jobs, moved := streamLen(t, c, "SMS_JOBS_ACME"), streamLen(t, c, "SMS_RETRY"); jobs != 200 || moved != 30 {
		t.Errorf("%d in the queue and %d moved, want 200 and 30", jobs, moved)
	}
}

func TestAJobThatWasMovedAndNotDeletedIsDeletedByTheNext(t *testing.T) {
	t.Parallel()
	n := startServer(t)
	p := startProxy(t, n.addr())
	c := setUp(t, dial(t, n.url()))
	jobsOf(t, c, "shop", 100)
	dying := dial(t, p.url())
	stuck(t, dying, 16)
	jobsOf(t, c, "corner", 5)
	p.dropOp(func(op, _ string) bool { return contains(op, "STREAM.MSG.DELETE") })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := newOvertaker(dying, shop.Route, shop.Lane, 16).look(ctx)
		done <- err
	}()
	eventually(t, "five jobs are moved", func() bool { return streamLen(t, c, "SMS_RETRY") == 5 && p.swallowed.Load() == 5 })
	cancel()
	if err := <-done; err == nil {
		t.Error("nothing was deleted, and nobody says so")
	}
	if jobs := streamLen(t, c, "SMS_JOBS_ACME"); jobs != 105 {
		t.Fatalf("%d in the queue, want 105", jobs)
	}

	next := dial(t, n.url())
	stuck(t, next, 16)
	if moved := look(t, next, 16); moved != 5 {
		t.Errorf("%d moved, want 5", moved)
	}
	if jobs, moved := streamLen(t, c, "SMS_JOBS_ACME"), streamLen(t, c, "SMS_RETRY"); jobs != 100 || moved != 5 {
		t.Errorf("%d in the queue and %d moved, want 100 and 5", jobs, moved)
	}
}

func TestAMovedJobIsDeletedOnlyOnceItsCopyIsStored(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url(), func(c *Config) { c.AckTimeout = 200 * time.Millisecond }))
	jobsOf(t, c, "shop", 100)
	stuck(t, c, 16)
	jobsOf(t, c, "corner", 5)
	if err := c.js.DeleteStream(t.Context(), "SMS_RETRY"); err != nil {
		t.Fatal(err)
	}
	o := newOvertaker(c, shop.Route, shop.Lane, 16)
	from, err := c.peek(t.Context(), "SMS_JOBS_ACME", c.subjects.Jobs(corner), 1, 5)
	if err != nil || len(from) != 5 {
		t.Fatalf("peek: %d, %v", len(from), err)
	}
	if n, err := o.move(t.Context(), corner, from); n != 0 || err == nil {
		t.Errorf("move without a stream: %d, %v", n, err)
	}
	if jobs := streamLen(t, c, "SMS_JOBS_ACME"); jobs != 105 {
		t.Errorf("%d in the queue, want 105", jobs)
	}
}

func TestAReplayThatOvertakesIsAReplayStill(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	jobsOf(t, c, "shop", 100)
	stuck(t, c, 16)
	few := overtaking(t, c, 8)
	if err := c.out.PublishMsg(&nats.Msg{Subject: c.subjects.Jobs(corner), Data: []byte("again"), Header: nats.Header{
		headerReplay: {"2"}, headerDoubt: {"true"},
	}}); err != nil {
		t.Fatal(err)
	}
	d := few.next(t)
	if d.Before().Replay != 2 || !d.Doubt() {
		t.Errorf("replay %d, doubt %v, want 2, true", d.Before().Replay, d.Doubt())
	}
	if got := c.jobSubject(d); got != c.subjects.Jobs(corner) {
		t.Errorf("its dead letter would be replayed to %s", got)
	}
}

func TestAMovedJobKeepsWhatIsLeftOfItsTimeToLive(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for ttl, want := range map[string]string{"": "", "never": "", "60": "50s", "60s": "50s", "1h": "59m50s", "11s": "1s", "10s": "gone", "soon": "gone"} {
		q := queued{stored: now.Add(-10 * time.Second), header: nats.Header{"Nats-Msg-Id": {"x"}}}
		if ttl != "" {
			q.header[headerTTL] = []string{ttl}
		}
		h, alive := q.turnHeader(now)
		got := h.Get(headerTTL)
		if !alive {
			got = "gone"
		}
		if got != want || h.Get(headerMsgID) != "" {
			t.Errorf("of %q is left %q, want %q", ttl, got, want)
		}
	}
}

func TestWithoutDirectAccessJobsGoInTheOrderOfTheStream(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	s, err := c.js.Stream(t.Context(), "SMS_JOBS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	old := s.CachedInfo().Config
	old.AllowDirect = false
	if _, err := c.js.UpdateStream(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	jobsOf(t, c, "shop", 100)
	k, release := stuck(t, c, 16)
	overtaking(t, c, 8)
	jobsOf(t, c, "corner", 1)
	if _, err := newOvertaker(c, shop.Route, shop.Lane, 8).look(t.Context()); !errors.Is(err, errNoDirect) {
		t.Errorf("look: %v, want errNoDirect", err)
	}
	release()
	last := ""
	for range 101 {
		d := k.next(t)
		d.Ack()
		last = string(d.Data())
	}
	if last != "corner-0" {
		t.Errorf("%s came last", last)
	}
	setUp(t, c)
	jobsOf(t, c, "shop", 1)
	if _, err := c.peek(t.Context(), "SMS_JOBS_ACME", c.subjects.Jobs(shop), 1, 1); err != nil {
		t.Errorf("after setup: %v", err)
	}
}

func TestAWorkerThatDiesWithMovedJobsLeavesThemToOthers(t *testing.T) {
	t.Parallel()
	url := startServer(t).url()
	c := setUp(t, dial(t, url, ackWait(time.Second)))
	jobsOf(t, c, "shop", 100)
	dying, err := Dial(t.Context(), Config{URL: url, Consumers: ConsumerConfig{AckWait: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dying.Close)
	stuck(t, dying, 16)
	few := overtaking(t, dying, 8)
	jobsOf(t, c, "corner", 1)
	few.next(t)
	dying.Close() // nothing was answered
	d := overtaking(t, c, 8).next(t)
	if string(d.Data()) != "corner-0" || d.Before().Stored == 0 {
		t.Errorf("%s came, before %+v: that it was delivered must show", d.Data(), d.Before())
	}
	d.Ack()
}

func TestWhatAnotherWorkerHasInHandDoesNotOvertake(t *testing.T) {
	t.Parallel()
	url := startServer(t).url()
	c := setUp(t, dial(t, url))
	jobsOf(t, c, "corner", 3)
	stuck(t, c, 4) // three new jobs and a retry
	jobsOf(t, c, "shop", 100)
	other := dial(t, url)
	stuck(t, other, 16)
	if n := look(t, other, 16); n != 0 {
		t.Errorf("%d jobs that were delivered were moved", n)
	}
}
