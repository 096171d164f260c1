package jetstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// resumesWithin is what trap 1 is about: nats.go's Consume stays silent for
// 30 s. It resumes within a second or two on a machine that is not overloaded.
const resumesWithin = 15 * time.Second

func isPull(op, _ string) bool {
	return strings.Contains(op, "$JS.API.CONSUMER.MSG.NEXT.SMS_JOBS_ACME.")
}

// Trap 1: consumption resumes soon after whatever interrupts it.
func TestConsumptionResumes(t *testing.T) {
	t.Parallel()
	// Each case interrupts and returns when the interruption is over.
	for name, interrupt := range map[string]func(t *testing.T, srv *natsServer, p *proxy, admin *Client){
		"after pulls are swallowed": func(t *testing.T, _ *natsServer, p *proxy, admin *Client) {
			p.dropOp(isPull)
			// More than the open pull asks for: what is left waits for a lost one.
			publishJobs(t, admin, 64)
			eventually(t, "the open pull is used up", func() bool { _, waiting := pending(t, admin); return waiting > 0 && waiting < 16 })
			eventually(t, "a pull is swallowed", func() bool { return p.swallowed.Load() > 0 })
			p.drop.Store(nil)
		},
		"after the connection stalls": func(t *testing.T, _ *natsServer, p *proxy, _ *Client) {
			p.stall()
			<-time.After(2 * time.Second)
			p.resume()
		},
		"after the connection is cut": func(_ *testing.T, _ *natsServer, p *proxy, _ *Client) { p.cut() },
		"after the consumer is deleted": func(t *testing.T, _ *natsServer, _ *proxy, admin *Client) {
			if err := admin.js.DeleteConsumer(t.Context(), "SMS_JOBS_ACME", "normal"); err != nil {
				t.Fatal(err)
			}
		},
		"after the consumer is deleted and created by setup": func(t *testing.T, _ *natsServer, _ *proxy, admin *Client) {
			if err := admin.js.DeleteConsumer(t.Context(), "SMS_JOBS_ACME", "normal"); err != nil {
				t.Fatal(err)
			}
			setUp(t, admin)
		},
		"after the consumer is deleted during a stall": func(t *testing.T, _ *natsServer, p *proxy, admin *Client) {
			p.stall()
			if err := admin.js.DeleteConsumer(t.Context(), "SMS_JOBS_ACME", "normal"); err != nil {
				t.Fatal(err)
			}
			p.cut()
			p.resume()
		},
		"after the server restarts": func(_ *testing.T, srv *natsServer, _ *proxy, _ *Client) { srv.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := startServer(t)
			admin := setUp(t, dial(t, srv.url()))
			p := startProxy(t, srv.addr())
			k := consume(t, dial(t, p.url()), 64)
			if _, err := admin.PublishJob(t.Context(), shop, []byte("before"), "before"); err != nil {
				t.Fatal(err)
			}
			k.next(t).Ack()

			interrupt(t, srv, p, admin)
			over := time.Now()
			// More than one: the server may give the first to a connection that
			// it has not seen end yet, and that one comes after the ack wait.
			done := make(chan struct{})
			var publishing sync.WaitGroup
			defer func() { close(done); publishing.Wait() }()
			publishing.Go(func() {
				tick := time.NewTicker(50 * time.Millisecond)
				defer tick.Stop()
				for i := 0; ; i++ {
					if _, err := admin.PublishJob(t.Context(), shop, []byte("after"), fmt.Sprint("after", i)); err != nil {
						t.Error(err)
						return
					}
					select {
					case <-tick.C:
					case <-done:
						return
					}
				}
			})
			d := k.next(t)
			for string(d.Data()) != "after" {
				d.Ack()
				d = k.next(t)
			}
			d.Ack()
			if took := time.Since(over); took > resumesWithin {
				t.Errorf("took %v", took)
			}
		})
	}
}

// A stalled connection must not collect a pull for every second of the stall.
func TestAStallLeavesNoHeapOfPulls(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	admin := setUp(t, dial(t, srv.url()))
	p := startProxy(t, srv.addr())
	c := dial(t, p.url())
	k := consume(t, c, 16)
	publishJobs(t, admin, 1)
	k.next(t).Ack()
	p.stall()
	<-time.After(3 * time.Second)
	p.resume()
	if err := c.in.Flush(); err != nil {
		t.Fatal(err)
	}
	consumer, err := admin.js.Consumer(t.Context(), "SMS_JOBS_ACME", "normal")
	if err != nil {
		t.Fatal(err)
	}
	if n := consumer.CachedInfo().NumWaiting; n > 3 {
		t.Errorf("%d pulls are open", n)
	}
}

// Trap 6: what a server remembers of ids after a restart.
func TestIDsAreForgottenByTheJobStreamAndKeptByTheResultStream(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	c := setUp(t, dial(t, srv.url()))
	k := consume(t, c, 10)
	publishJobs(t, c, 1)
	k.next(t).Ack()
	if err := c.Publish(t.Context(), result("a")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job is acked", func() bool { return streamLen(t, c, "SMS_JOBS_ACME") == 0 })
	if dup, err := c.PublishJob(t.Context(), shop, []byte("job-0"), "job-0"); err != nil || !dup {
		t.Errorf("before the restart, the job's id: duplicate %v, %v", dup, err)
	}

	srv.restart()
	eventually(t, "connected again", c.Connected)

	dup, err := c.PublishJob(t.Context(), shop, []byte("job-0"), "job-0")
	if err != nil {
		t.Fatal(err)
	}
	if dup {
		t.Log("this server remembers ids of acked jobs over a restart; the ledger is asked all the same")
	} else {
		// So the producer's retry is delivered, and only the ledger knows the job.
		k.next(t).Ack()
	}
	if err := c.Publish(t.Context(), result("a")); err != nil {
		t.Fatal(err)
	}
	if n := streamLen(t, c, "SMS_RESULTS"); n != 1 {
		t.Errorf("%d results stored, want the repeat dropped", n)
	}
}

func TestStreamsHaveThePropertiesThatTheDesignNeeds(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	config := func(name string) natsjs.StreamConfig {
		s, err := c.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config
	}
	jobs := config("SMS_JOBS_ACME")
	if jobs.Retention != natsjs.WorkQueuePolicy || jobs.Discard != natsjs.DiscardNew || !jobs.DiscardNewPerSubject ||
		jobs.Storage != natsjs.FileStorage || !jobs.AllowMsgTTL || jobs.Duplicates != 5*time.Minute {
		t.Errorf("%+v", jobs)
	}
	if got := strings.Join(jobs.Subjects, " "); got != "sms.jobs.acme.high.* sms.jobs.acme.normal.* sms.jobs.acme.bulk.*" {
		t.Errorf("subjects %s", got)
	}
	results := config("SMS_RESULTS")
	if results.Retention != natsjs.LimitsPolicy || results.Duplicates != 30*time.Minute || !results.AllowDirect {
		t.Errorf("%+v", results)
	}
	retry := config("SMS_RETRY")
	if retry.Retention != natsjs.WorkQueuePolicy || !retry.AllowMsgSchedules || !retry.AllowMsgTTL {
		t.Errorf("%+v", retry)
	}
	consumer, err := c.js.Consumer(t.Context(), "SMS_JOBS_ACME", "high")
	if err != nil {
		t.Fatal(err)
	}
	if cc := consumer.CachedInfo().Config; cc.MaxDeliver != -1 || cc.MaxAckPending != 20_000 || cc.AckWait != 75*time.Second || cc.AckPolicy != natsjs.AckExplicitPolicy {
		t.Errorf("%+v", cc)
	}
}
