// Package apptest runs workers on real parts for scenario tests: an embedded
// NATS server with JetStream, a Redis, and a consumer of the result stream as
// the judge. The SMSC is the test's own.
package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// Rig is what workers of one scenario share. Its route is acme, its producer
// shop; the SMSC's account is acme with the password secret.
type Rig struct {
	NATS  *server.Server
	Redis *redistest.Server
	Drain time.Duration // worker.drain_timeout of Live. Default 8s

	t       *testing.T
	natsDir string
	smsc    string // address
	extra   string // route keys of the scenario, YAML
	log     *Log

	mu      sync.Mutex
	results []*sms.Result // guarded by mu
	worker  *app.App      // the last; guarded by mu
}

// Start starts NATS and Redis, sets the streams up and follows the results.
// routeKeys are further keys of the route, YAML lines indented by four.
func Start(t *testing.T, smscAddr, routeKeys string) *Rig {
	t.Helper()
	r := &Rig{t: t, natsDir: t.TempDir(), log: &Log{}, smsc: smscAddr, extra: routeKeys}
	r.startNATS(server.RANDOM_PORT)
	t.Cleanup(func() { r.NATS.Shutdown(); r.NATS.WaitForShutdown() })
	r.Redis = redistest.Start(t)
	if err := app.Setup(t.Context(), r.Config("setup"), io.Discard); err != nil {
		t.Fatal(err)
	}
	r.follow()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("worker log:\n%s", r.log)
		}
	})
	return r
}

// RestartNATS ends the server and starts it again on the same port and files.
func (r *Rig) RestartNATS() {
	r.t.Helper()
	r.StopNATS()()
}

// StopNATS ends the server; start begins it again on the same port and files.
func (r *Rig) StopNATS() (start func()) {
	r.t.Helper()
	port := r.NATS.Addr().(*net.TCPAddr).Port
	r.NATS.Shutdown()
	r.NATS.WaitForShutdown()
	return func() { r.startNATS(port) }
}

func (r *Rig) startNATS(port int) {
	r.t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: r.natsDir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		r.t.Fatal("NATS server is not ready")
	}
	r.NATS = s
}

// Config is what a worker with this id reads, and operators' tools.
func (r *Rig) Config(worker string) *app.Config {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), "shortwire.yaml")
	yaml := fmt.Sprintf(`
nats:   {url: %q}
redis:  {url: "redis://%s/0"}
admin:  {listen: 127.0.0.1:0}
worker: {id: %s, drain_timeout: 8s}
routes:
  - name: acme
    endpoints: [%q]
    system_id: acme
    password_env: ACME_PASSWORD
    binds: 2
    window: 50
    source: {address: ACME}
    retry: {initial: 200ms, max: 1s}
%s`, r.NATS.ClientURL(), r.Redis.Addr, worker, r.smsc, r.extra)
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		r.t.Fatal(err)
	}
	cfg, err := app.Load(path, func(string) string { return "secret" })
	if err != nil {
		r.t.Fatal(err)
	}
	return cfg
}

// Worker runs one until its stop is called, or the test ends; stop drains and
// returns what Run returned.
func (r *Rig) Worker(id string) (stop func() error) {
	r.t.Helper()
	w, err := app.New(r.Config(id), app.Deps{
		Logger:  slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo})).With("worker", id),
		Version: "test",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.worker = w
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	r.t.Cleanup(func() { _ = stop() })
	return stop
}

// AdminURL is that of the last worker.
func (r *Rig) AdminURL() string {
	r.mu.Lock()
	w := r.worker
	r.mu.Unlock()
	return w.AdminURL(r.t.Context())
}

// Status is that of the last worker, zero while there is none.
func (r *Rig) Status() (s app.Status) {
	r.mu.Lock()
	w := r.worker
	r.mu.Unlock()
	if w != nil {
		s = w.Status()
	}
	return s
}

// Route returns the state of the route in the last worker, zero while it has none.
func (r *Rig) Route() (s app.RouteStatus) {
	r.mu.Lock()
	w := r.worker
	r.mu.Unlock()
	if w != nil {
		for _, s = range w.Status().Routes {
			return s
		}
	}
	return s
}

// Logged counts the log lines of all workers that contain text.
func (r *Rig) Logged(text string) (n int) {
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// follow collects all results from now on, across server restarts.
func (r *Rig) follow() {
	r.t.Helper()
	nc := r.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := js.OrderedConsumer(r.t.Context(), sms.Subjects{}.StreamResults(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	cc, err := c.Consume(func(m jetstream.Msg) {
		var res sms.Result
		if err := json.Unmarshal(m.Data(), &res); err != nil {
			r.t.Errorf("result that is no result: %v", err)
			return
		}
		if id := m.Headers().Get("Nats-Msg-Id"); id != res.ID {
			r.t.Errorf("result %s published under Nats-Msg-Id %s", res.ID, id)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.results = append(r.results, &res)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cc.Stop)
}

// Connect opens a connection of the test's own.
func (r *Rig) Connect() *nats.Conn {
	r.t.Helper()
	nc, err := nats.Connect(r.NATS.ClientURL(), nats.Timeout(30*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(nc.Close)
	return nc
}

// Publish sends jobs as producer "shop" in the normal lane.
func (r *Rig) Publish(jobs ...string) {
	r.t.Helper()
	r.PublishTo("acme", jobs...)
}

// PublishTo is Publish to another route.
func (r *Rig) PublishTo(route string, jobs ...string) {
	r.t.Helper()
	js, err := jetstream.New(r.Connect())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, j := range jobs {
		if _, err := js.PublishAsync("sms.jobs."+route+".normal.shop", []byte(j)); err != nil {
			r.t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		r.t.Fatal("jobs are not stored")
	}
}

// Await waits until enough says so of the results.
func (r *Rig) Await(what string, enough func([]*sms.Result) bool) []*sms.Result {
	r.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got := r.Results()
		if enough(got) {
			return got
		}
		select {
		case <-tick.C:
		case <-deadline:
			for _, res := range got[:min(len(got), 20)] {
				b, _ := json.Marshal(res)
				r.t.Logf("%s", b)
			}
			r.t.Fatalf("still waiting for %s with %d results", what, len(got))
		}
	}
}

// Results returns what was published so far.
func (r *Rig) Results() []*sms.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*sms.Result(nil), r.results...)
}

// AwaitKinds waits until the job has results of these kinds and returns them in that order.
func (r *Rig) AwaitKinds(job string, kinds ...sms.Kind) []*sms.Result {
	r.t.Helper()
	var found []*sms.Result
	r.Await(fmt.Sprintf("%v of %s", kinds, job), func(all []*sms.Result) bool {
		found = found[:0]
		for _, k := range kinds {
			for _, res := range all {
				if res.JobID == job && res.Kind == k {
					found = append(found, res)
					break
				}
			}
		}
		return len(found) == len(kinds)
	})
	return found
}

// Outcomes counts distinct terminal results by job.
func (r *Rig) Outcomes() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, n := map[string]bool{}, map[string]int{}
	for _, res := range r.results {
		if res.Kind != sms.KindReceipt && !ids[res.ID] {
			ids[res.ID] = true
			n[res.JobID]++
		}
	}
	return n
}

// Pending counts the jobs that are not acked yet, retries included.
func (r *Rig) Pending() uint64 {
	r.t.Helper()
	js, err := jetstream.New(r.Connect())
	if err != nil {
		r.t.Fatal(err)
	}
	var n uint64
	for _, name := range []string{sms.Subjects{}.StreamJobs("acme"), sms.Subjects{}.StreamRetry()} {
		s, err := js.Stream(r.t.Context(), name)
		if err != nil {
			r.t.Fatal(err)
		}
		n += s.CachedInfo().State.Msgs
	}
	return n
}

// Until waits for a condition.
func Until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still waiting until %s", what)
		}
	}
}

// Log is what workers log.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (b *Log) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is all that was logged so far.
func (b *Log) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Jobs makes n jobs from a format in which %d stands for the number.
func Jobs(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.ReplaceAll(format, "%d", fmt.Sprint(i))
	}
	return all
}
