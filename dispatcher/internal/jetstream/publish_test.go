package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func result(id string) *sms.Result {
	return &sms.Result{ID: id, Kind: sms.KindSubmitted, JobID: "job-" + id, Producer: "shop", Route: "acme", Time: time.Unix(1_700_000_000, 0).UTC()}
}

func TestResultsArePublishedOnceEachAndTailed(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			for range 2 {
				if err := c.Publish(t.Context(), result(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := streamLen(t, c, "SMS_RESULTS"); n != 200 {
		t.Errorf("%d results stored", n)
	}
	var got *sms.Result
	f := Filter{Producer: "shop", Kind: sms.KindSubmitted, JobID: "job-17", Since: time.Unix(0, 0)}
	if err := c.Tail(t.Context(), f, func(r *sms.Result) bool { got = r; return false }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(result("17"), got); diff != "" {
		t.Error(diff)
	}
	if err := c.PublishInbound(t.Context(), &sms.Inbound{ID: "i", Route: "acme"}); err != nil {
		t.Error(err)
	}
	for range 2 { // the same message, by whoever sweeps
		reference := uint16(0)
		whole := &sms.Inbound{ID: "i2", Route: "other", Text: "hi", Reference: &reference, PartsTotal: 2}
		if err := c.PublishInbound(t.Context(), whole); err != nil {
			t.Error(err)
		}
	}
	if n := streamLen(t, c, "SMS_INBOUND"); n != 2 {
		t.Errorf("%d inbound messages stored", n)
	}
	var in *sms.Inbound
	if err := c.TailInbound(t.Context(), "other", time.Unix(0, 0), func(m *sms.Inbound) bool { in = m; return false }); err != nil {
		t.Fatal(err)
	}
	if in.ID != "i2" || in.Reference == nil || in.PartsTotal != 2 {
		t.Errorf("tailed %+v, want i2", in)
	}
}

func TestATailGoesOnThroughARestartWithoutGapsOrRepeats(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	c := setUp(t, dial(t, srv.url()))
	if err := c.Publish(t.Context(), result("before")); err != nil {
		t.Fatal(err)
	}
	ids := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	tailing := make(chan struct{})
	go func() {
		close(tailing)
		done <- c.Tail(ctx, Filter{Route: "acme", Since: time.Unix(0, 0)}, func(r *sms.Result) bool {
			ids <- r.ID
			return true
		})
	}()
	<-tailing
	var got []string
	take := func(n int) {
		for range n {
			select {
			case id := <-ids:
				got = append(got, id)
			case <-time.After(patience):
				t.Fatalf("tail is silent after %v", got)
			}
		}
	}
	take(1)
	srv.restart()
	want := []string{"before"}
	for i := range 20 {
		id := fmt.Sprint(i)
		want = append(want, id)
		if err := c.Publish(t.Context(), result(id)); err != nil {
			t.Fatal(err)
		}
	}
	take(20)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Tail: %v", err)
	}
}

// Trap 8: the connection is cut between a publish and its PubAck, and before
// the publish has left.
func TestAPublishCutOffFromItsAckIsStoredOnce(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*proxy){
		"stored, answer lost": func(p *proxy) { p.mute.Store(true) },
		"never arrived": func(p *proxy) {
			p.dropOp(func(op, _ string) bool { return strings.Contains(op, " sms.results.") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := startServer(t)
			direct := setUp(t, dial(t, srv.url()))
			proxy := startProxy(t, srv.addr())
			c := dial(t, proxy.url())

			spoil(proxy)
			const n = 50
			var wg sync.WaitGroup
			errs := make(chan error, n)
			for i := range n {
				wg.Go(func() { errs <- c.Publish(t.Context(), result(fmt.Sprint(i))) })
			}
			eventually(t, "all are sent", func() bool {
				return streamLen(t, direct, "SMS_RESULTS") == n || proxy.swallowed.Load() == n
			})
			select {
			case err := <-errs:
				t.Fatalf("a publish returned without its ack: %v", err)
			default:
			}
			proxy.mute.Store(false)
			proxy.drop.Store(nil)
			proxy.cut()
			wg.Wait()
			for range n {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			if got := streamLen(t, direct, "SMS_RESULTS"); got != n {
				t.Errorf("%d results stored, %d published", got, n)
			}
		})
	}
}

func TestAnUnansweredPublishIsRepeatedAfterTheAckTimeout(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	proxy := startProxy(t, srv.addr())
	c := setUp(t, dial(t, proxy.url(), func(c *Config) { c.AckTimeout = 200 * time.Millisecond }))
	proxy.dropOp(func(op, _ string) bool {
		return strings.Contains(op, " sms.results.") && proxy.swallowed.Load() < 2
	})
	if err := c.Publish(t.Context(), result("a")); err != nil {
		t.Fatal(err)
	}
	if n := proxy.swallowed.Load(); n != 2 {
		t.Errorf("%d attempts were swallowed", n)
	}
}

func TestAnUnansweredPublishEndsWithItsContext(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	direct := setUp(t, dial(t, srv.url()))
	proxy := startProxy(t, srv.addr())
	c := dial(t, proxy.url(), func(c *Config) { c.AckTimeout = time.Hour })
	proxy.mute.Store(true)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Publish(ctx, result("a")) }()
	eventually(t, "it is stored", func() bool { return streamLen(t, direct, "SMS_RESULTS") == 1 })
	why := errors.New("out of time")
	cancel(why)
	select {
	case err := <-done:
		if !errors.Is(err, why) || !errors.Is(err, errUnanswered) {
			t.Errorf("error %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Publish does not return")
	}
}

func TestALateAnswerDoesNotStandForAnotherMessage(t *testing.T) {
	t.Parallel()
	p := &publisher{inbox: "_INBOX.x.", timeout: time.Hour}
	ack := func(token uint64) {
		p.onAnswer(&nats.Msg{Subject: p.reply(token), Data: []byte(`{"stream":"S","seq":1}`)})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	first, early, err := p.register(gone, promise{})
	if err != nil {
		t.Fatal(err)
	}
	p.expire(time.Now())
	select {
	case a := <-first.answer:
		if !errors.Is(a.err, errUnanswered) {
			t.Errorf("given up: %+v", a)
		}
	default:
		t.Fatal("not given up")
	}
	p.release(first)
	second, token, err := p.register(t.Context(), promise{})
	if err != nil || second != first {
		t.Fatalf("another call, %v", err)
	}
	ack(early)
	if n := p.count(); n != 1 {
		t.Errorf("after the late answer %d calls are open", n)
	}
	ack(token)
	ack(token) // the answer of somebody else
	if n := p.count(); n != 0 {
		t.Fatalf("after the answer %d calls are open", n)
	}
	if a := <-second.answer; a.err != nil {
		t.Error(a.err)
	}
}

func TestPublishWaitsForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	c := setUp(t, dial(t, srv.url(), func(c *Config) { c.AckTimeout = 200 * time.Millisecond }))
	srv.stop()
	short, cancel := contextWithTimeout(t, 50*time.Millisecond)
	defer cancel()
	if err := c.Publish(short, result("given up")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish until ctx ends: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Publish(t.Context(), result("a")) }()
	srv.start()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Publish does not return")
	}
	srv.stop()
	go func() { done <- c.Publish(t.Context(), result("b")) }()
	eventually(t, "it is being repeated", c.pub.trouble.Load)
	c.Close()
	if err := <-done; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("Publish on a closed client: %v", err)
	}
	srv.start()
}

func TestPublishRetriesWhatPassesAndReturnsWhatDoesNot(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t).url())
	done := make(chan error, 1)
	go func() { done <- c.Publish(t.Context(), result("a")) }() // no stream yet
	eventually(t, "it is being repeated", c.pub.trouble.Load)
	setUp(t, c)
	if err := <-done; err != nil {
		t.Error(err)
	}
	big := result("b")
	big.Reason = strings.Repeat("x", 2<<20)
	if err := c.Publish(t.Context(), big); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestPubAcksAreRead(t *testing.T) {
	t.Parallel()
	full := &natsjs.APIError{Code: 503, ErrorCode: 10077, Description: "maximum bytes exceeded"}
	for name, tc := range map[string]struct {
		msg  nats.Msg
		dup  bool
		want error
	}{
		"positive":          {msg: nats.Msg{Data: []byte(`{"stream":"S","seq":1}`)}},
		"duplicate":         {msg: nats.Msg{Data: []byte(`{"stream":"S","seq":1,"duplicate": true}`)}, dup: true},
		"with a domain":     {msg: nats.Msg{Data: []byte(`{"stream":"S","domain":"hub","seq":12}`)}},
		"fields reordered":  {msg: nats.Msg{Data: []byte(`{"seq":1,"stream":"S","duplicate":true}`)}, dup: true},
		"full":              {msg: nats.Msg{Data: encode(t, map[string]any{"error": full, "stream": "S", "seq": 0})}, want: ErrStreamFull},
		"error after":       {msg: nats.Msg{Data: []byte(`{"stream":"S","seq":0,"error":{"code":503,"err_code":10077}}`)}, want: ErrStreamFull},
		"too large":         {msg: nats.Msg{Data: []byte(`{"error":{"code":400,"err_code":10054},"stream":"S","seq":0}`)}, want: ErrTooLarge},
		"no responders":     {msg: nats.Msg{Header: nats.Header{"Status": {"503"}}}, want: ErrNoStream},
		"a service replied": {msg: nats.Msg{Data: []byte(`{}`)}, want: errNotAck},
		"not JSON":          {msg: nats.Msg{Data: []byte(`hello`)}, want: errNotAck},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readPubAck(&tc.msg)
			if !errors.Is(got.err, tc.want) || got.duplicate != tc.dup {
				t.Errorf("%+v", got)
			}
		})
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
