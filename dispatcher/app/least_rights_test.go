package app_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// natsPasswords are by variable of deploy/nats/permissions.conf.
var natsPasswords = map[string]string{
	"NATS_OPERATOR_PASSWORD": "of-operator", "NATS_WORKER_PASSWORD": "of-worker",
	"NATS_SHOP_PASSWORD": "of-shop", "NATS_SHOP_RESULTS_PASSWORD": "of-shop-results",
}

const redisPassword = "of-redis"

// strict is NATS with deploy/nats/permissions.conf, Redis with
// deploy/redis/users.acl, and an SMSC.
type strict struct {
	t     *testing.T
	nats  *server.Server
	redis *redistest.Server
	smsc  *smsctest.SMSC
	addr  string // of the SMSC
	log   apptest.Log
}

func newStrict(t *testing.T, cfg smsctest.Config) *strict {
	t.Helper()
	s := &strict{t: t, smsc: smsctest.New(cfg)}
	t.Cleanup(func() { _ = s.smsc.Close() })
	addr, err := s.smsc.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = addr.String()
	s.nats = natsFrom(t, "../../deploy/nats/permissions.conf")
	acl, err := os.ReadFile("../../deploy/redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users.acl")
	filled := strings.ReplaceAll(string(acl), "@REDIS_PASSWORD_SHA256@", fmt.Sprintf("%x", sha256.Sum256([]byte(redisPassword))))
	filled += "user inspector on >inspector +acl\n"
	if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	s.redis = redistest.Start(t, "--aclfile", file)
	if !s.redis.Real() {
		t.Skip("skip: needs redis-server, the stand-in has no users of its own")
	}
	return s
}

// natsFrom runs a server that includes a file of permissions.
func natsFrom(t *testing.T, include string) *server.Server {
	t.Helper()
	dir := t.TempDir()
	include, err := filepath.Abs(include)
	if err == nil {
		include, err = filepath.Rel(dir, include)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "server.conf")
	text := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream {store_dir: %q}\ninclude %q\n", filepath.Join(dir, "js"), include)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return natsWith(t, opts)
}

// natsWith runs a server until the test ends.
func natsWith(t *testing.T, opts *server.Options) *server.Server {
	t.Helper()
	opts.NoSigs, opts.NoLog = true, true
	n, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	t.Cleanup(func() { n.Shutdown(); n.WaitForShutdown() })
	if !n.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS server is not ready")
	}
	return n
}

// config is of a worker or of an operator's command.
func (s *strict) config(user, worker string) *app.Config {
	s.t.Helper()
	text := fmt.Sprintf(`
nats:   {url: %q, user: %s, password_env: NATS_%s_PASSWORD, inbox_prefix: _INBOX_%s, results_for: [shop]}
redis:  {url: "redis://%s/0", user: worker, password_env: REDIS_PASSWORD}
admin:  {listen: 127.0.0.1:0}
worker: {id: %s, drain_timeout: 8s}
routes:
  - {name: acme, endpoints: [%q], system_id: acme, password_env: ACME_PASSWORD, binds: 2, max_binds: 4, rate: 5000, window: 20,
     source: {address: ACME}, receipt: all, retry: {initial: 50ms, max: 100ms, max_attempts: 3}, inbound: {join_timeout: 1s}}
`, s.nats.ClientURL(), user, strings.ToUpper(user), user, s.redis.Addr, worker, s.addr)
	cfg, err := app.Parse(filepath.Join(s.t.TempDir(), "f.yaml"), []byte(text), func(name string) string {
		if name == "REDIS_PASSWORD" {
			return redisPassword
		}
		return cmp.Or(natsPasswords[name], "secret")
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return cfg
}

func (s *strict) worker(id string) *app.App {
	s.t.Helper()
	return runApp(s.t, s.config("worker", id), app.Deps{Logger: slog.New(slog.NewTextHandler(&s.log, nil)), Version: "test"})
}

// runApp runs a worker until the test ends, and waits until it is bound.
func runApp(t *testing.T, cfg *app.Config, deps app.Deps) *app.App {
	t.Helper()
	w, err := app.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("worker %s: %v", cfg.Worker.ID, err)
		}
	})
	apptest.Until(t, "worker "+cfg.Worker.ID+" is bound", func() bool {
		if len(ended) > 0 {
			t.Fatalf("it ended: %v", <-ended)
		}
		r := w.Status().Routes
		return len(r) > 0 && len(r[0].Binds) > 0 && r[0].Binds[0].State == "bound"
	})
	return w
}

// as connects as a user of permissions.conf.
func (s *strict) as(user string) (*nats.Conn, jetstream.JetStream) {
	s.t.Helper()
	variable := "NATS_" + strings.ToUpper(strings.ReplaceAll(user, "-", "_")) + "_PASSWORD"
	nc, err := nats.Connect(s.nats.ClientURL(), nats.Timeout(30*time.Second), nats.UserInfo(user, natsPasswords[variable]),
		nats.CustomInboxPrefix("_INBOX_"+strings.ReplaceAll(user, "-", "_")), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return nc, js
}

func (s *strict) publish(js jetstream.JetStream, producer string, jobs ...string) {
	s.t.Helper()
	for _, j := range jobs {
		if _, err := js.Publish(s.t.Context(), "sms.jobs.acme.normal."+producer, []byte(j)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestAWorkerDoesItsWholeJobWithTheLeastRights(t *testing.T) {
	t.Parallel()
	s := newStrict(t, smsctest.Config{
		SystemID: "acme", Password: "secret", Latency: time.Millisecond, Receipts: smsctest.ReceiptConfig{Delay: 5 * time.Millisecond},
		OnSubmit: func(m *smsctest.Submit) (a smsctest.Action) {
			if m.Destination == "447700900503" {
				a.Status = smsctest.RSYSERR // is tried again, and becomes a dead letter
			}
			return a
		},
	})
	operator := s.config("operator", "setup")
	if err := app.Setup(t.Context(), operator, io.Discard); err != nil {
		t.Fatal(err)
	}
	w1, w2 := s.worker("w1"), s.worker("w2")
	_, shop := s.as("shop")
	const jobs = 300
	s.publish(shop, "shop", apptest.Jobs(jobs, `{"id":"j%d","to":"+447700900123","text":"hello"}`)...)
	s.publish(shop, "shop", `{"id":"again","to":"+447700900503","text":"hello"}`, `{"id":"bad","to":"nobody","text":"hello"}`, `no job`)
	for _, octets := range []string{"\x05\x00\x03\x07\x02\x01one of two", "\x05\x00\x03\x07\x02\x02, two", "\x05\x00\x03\x08\x02\x01one, and no other"} {
		s.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", Destination: "15550100", ESMClass: 0x40, ShortMessage: []byte(octets)})
	}

	// The consumer that setup made, by a reader who may make none.
	_, reader := s.as("shop-results")
	results := &resultsReader{t: t, js: reader}
	kinds := map[string]int{}
	apptest.Until(t, "every job has its outcome and its receipts", func() bool {
		for _, kind := range results.next() {
			kinds[kind]++
		}
		return kinds["submitted"] == jobs && kinds["failed"] == 2 && kinds["receipt"] >= jobs
	})
	_, admin := s.as("operator")
	for stream, n := range map[string]uint64{"SMS_DEAD": 3, "SMS_INBOUND": 2} {
		apptest.Until(t, fmt.Sprintf("%d are in %s", n, stream), func() bool {
			found, err := admin.Stream(t.Context(), stream)
			return err == nil && found.CachedInfo().State.Msgs == n
		})
	}
	apptest.Until(t, "the workers know of each other", func() bool { return len(w2.Fleet(t.Context()).Workers) == 2 })
	s.overtakes(shop, admin, w1, w2)
	for stream, consumer := range map[string]string{"SMS_JOBS_ACME": "bulk", "SMS_RETRY": "due-acme-bulk"} {
		if err := admin.DeleteConsumer(t.Context(), stream, consumer); err != nil {
			t.Fatal(err)
		}
		apptest.Until(t, consumer+" is made again", func() bool {
			_, err := admin.Consumer(t.Context(), stream, consumer)
			return err == nil
		})
	}
	var said strings.Builder
	if err := app.Check(t.Context(), s.config("worker", "check"), true, &said); err != nil {
		t.Errorf("%v\n%s", err, &said)
	}
	s.nothingRefused()
}

// overtakes has another producer's job stand behind many of shop's, while the
// route is paused.
func (s *strict) overtakes(shop, admin jetstream.JetStream, workers ...*app.App) {
	s.t.Helper()
	pauses, err := app.NewPauses(s.t.Context(), s.config("worker", "cli"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer pauses.Close()
	if _, err := pauses.Pause(s.t.Context(), app.OperatorPause{Route: "acme", By: "me"}, 0); err != nil {
		s.t.Fatal(err)
	}
	apptest.Until(s.t, "the route is paused", func() bool {
		return len(workers[0].Status().Routes[0].Pauses) > 0 && len(workers[1].Status().Routes[0].Pauses) > 0
	})
	for i := range 2000 {
		if _, err := shop.PublishAsync("sms.jobs.acme.normal.shop", fmt.Appendf(nil, `{"id":"p%d","to":"+447700900123","text":"x"}`, i)); err != nil {
			s.t.Fatal(err)
		}
	}
	<-shop.PublishAsyncComplete()
	s.publish(admin, "desk", `{"id":"small","to":"+447700900123","text":"x"}`)
	apptest.Until(s.t, "a job overtakes", func() bool {
		return workers[0].Status().Routes[0].Overtaken+workers[1].Status().Routes[0].Overtaken > 0
	})
	if _, _, err := pauses.Resume(s.t.Context(), "acme", ""); err != nil {
		s.t.Fatal(err)
	}
}

// nothingRefused fails the test for what the servers refused workers.
func (s *strict) nothingRefused() {
	s.t.Helper()
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(strings.ToLower(line), "violation") || strings.Contains(line, "NOPERM") {
			s.t.Error(line)
		}
	}
	db := redis.NewClient(&redis.Options{Addr: s.redis.Addr, Username: "inspector", Password: "inspector"})
	defer db.Close()
	denied, err := db.Do(s.t.Context(), "acl", "log").Slice()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, d := range denied {
		if entry := fmt.Sprint(d); strings.Contains(entry, "worker") {
			s.t.Errorf("Redis refused a worker: %s", entry)
		}
	}
}

// resultsReader reads by the durable consumer shop, with the rights to ask for
// messages and to ack them, and no other.
type resultsReader struct {
	t  *testing.T
	js jetstream.JetStream
	c  jetstream.Consumer
}

// next acks what is there and returns the kinds.
func (r *resultsReader) next() (kinds []string) {
	r.t.Helper()
	if r.c == nil {
		var err error
		if r.c, err = r.js.Consumer(r.t.Context(), "SMS_RESULTS", "shop"); err != nil {
			r.t.Fatal(err)
		}
	}
	batch, err := r.c.FetchNoWait(200)
	if err != nil {
		r.t.Fatal(err)
	}
	for m := range batch.Messages() {
		if err := m.DoubleAck(r.t.Context()); err != nil {
			r.t.Error(err)
		}
		kinds = append(kinds, m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:])
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
		r.t.Error(err)
	}
	return kinds
}
