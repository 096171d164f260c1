package jetstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const patience = 10 * time.Second // after which a condition counts as failed

// natsServer is an embedded server that can be restarted on its port and files.
type natsServer struct {
	t    *testing.T
	opts server.Options
	s    *server.Server
}

func startServer(t *testing.T) *natsServer {
	t.Helper()
	n := &natsServer{t: t, opts: server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 8 << 30, JetStreamMaxMemory: 64 << 20,
	}}
	n.start()
	t.Cleanup(n.stop)
	return n
}

func (n *natsServer) start() {
	n.t.Helper()
	opts := n.opts
	s, err := server.NewServer(&opts)
	if err != nil {
		n.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		n.t.Fatal("embedded nats-server does not start")
	}
	n.s = s
	n.opts.Port = s.Addr().(*net.TCPAddr).Port
}

func (n *natsServer) stop() {
	n.s.Shutdown()
	n.s.WaitForShutdown()
}

func (n *natsServer) restart() {
	n.t.Helper()
	n.stop()
	n.start()
}

func (n *natsServer) addr() string { return fmt.Sprintf("127.0.0.1:%d", n.opts.Port) }
func (n *natsServer) url() string  { return "nats://" + n.addr() }

// dial connects a client that is closed with the test.
func dial(t *testing.T, url string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{URL: url, Logger: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func ackWait(d time.Duration) func(*Config) {
	return func(c *Config) { c.Consumers.AckWait = d }
}

// setUp makes the streams of route "acme".
func setUp(t *testing.T, c *Client) *Client {
	t.Helper()
	if _, err := c.Setup(t.Context(), SetupConfig{Routes: []string{"acme"}, JobsMaxBytes: -1, Consumers: c.cfg.Consumers}); err != nil {
		t.Fatal(err)
	}
	return c
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil { // the test may be over
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

var shop = sms.Origin{Route: "acme", Lane: sms.LaneNormal, Producer: "shop"}

// PublishJob publishes a job, id being its Nats-Msg-Id.
func (c *Client) PublishJob(ctx context.Context, origin sms.Origin, job []byte, id string) (duplicate bool, err error) {
	return c.enqueue(ctx, &nats.Msg{Subject: c.subjects.Jobs(origin), Header: nats.Header{headerMsgID: {id}}, Data: job})
}

// publishJobs stores n jobs, job-0 to job-<n-1>, whose bodies are their ids.
func publishJobs(t *testing.T, c *Client, n int) {
	t.Helper()
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, 64) {
		wg.Go(func() {
			for i := range next {
				id := "job-" + strconv.Itoa(i)
				if _, err := c.PublishJob(t.Context(), shop, []byte(id), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// consuming is a Consume under way.
type consuming struct {
	got  chan dispatcher.Delivery
	stop context.CancelFunc
	done chan error
}

// consume delivers to an unbounded channel, so that handle never blocks.
func consume(t *testing.T, c *Client, prefetch int) *consuming {
	t.Helper()
	got := make(chan dispatcher.Delivery, 100_000)
	return consumeWith(t, c, prefetch, got, func(d dispatcher.Delivery) { got <- d })
}

func consumeWith(t *testing.T, c *Client, prefetch int, got chan dispatcher.Delivery, handle func(dispatcher.Delivery)) *consuming {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	k := &consuming{got: got, stop: stop, done: make(chan error, 1)}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		k.done <- c.Consume(ctx, shop.Route, shop.Lane, prefetch, handle)
	}()
	t.Cleanup(func() { stop(); <-finished })
	return k
}

// next waits for a delivery.
func (k *consuming) next(t *testing.T) dispatcher.Delivery {
	t.Helper()
	return k.within(t, patience)
}

func (k *consuming) within(t *testing.T, d time.Duration) dispatcher.Delivery {
	t.Helper()
	select {
	case got := <-k.got:
		return got
	case err := <-k.done:
		t.Fatalf("Consume ended: %v", err)
	case <-time.After(d):
		t.Fatalf("no delivery within %v", d)
	}
	return nil
}

// end stops consuming and waits for its end.
func (k *consuming) end(t *testing.T) {
	t.Helper()
	k.stop()
	select {
	case err := <-k.done:
		if err != nil {
			t.Fatalf("Consume: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Consume does not end")
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		<-tick.C
	}
}

// pending is what the server has delivered of new jobs and not seen acked,
// and what it has not delivered.
func pending(t *testing.T, c *Client) (ackPending, waiting int) {
	t.Helper()
	consumer, err := c.js.Consumer(t.Context(), c.subjects.StreamJobs(shop.Route), string(shop.Lane))
	if err != nil {
		t.Fatal(err)
	}
	info := consumer.CachedInfo()
	return info.NumAckPending, int(info.NumPending)
}

func streamLen(t *testing.T, c *Client, stream string) int {
	t.Helper()
	s, err := c.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}

// proxy stands between client and server. It reads the client's side of the
// protocol, so that single operations can be dropped.
type proxy struct {
	t  *testing.T
	ln net.Listener
	to string

	drop      atomic.Pointer[func(op, payload string) bool] // of what the client sends
	swallowed atomic.Int64                                  // operations dropped
	mute      atomic.Bool                                   // the server's words are dropped

	mu      sync.Mutex
	stalled chan struct{} // closed when traffic may go on; guarded by mu
	conns   []net.Conn    // guarded by mu
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, ln: ln, to: to, stalled: make(chan struct{})}
	close(p.stalled)
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(&wg) })
	t.Cleanup(func() {
		_ = ln.Close()
		p.resume()
		p.cut()
		wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.ln.Addr().String() }

func (p *proxy) accept(wg *sync.WaitGroup) {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		srv, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, srv)
		p.mu.Unlock()
		wg.Go(func() { p.up(client, srv) })
		wg.Go(func() { p.down(srv, client) })
	}
}

// up forwards the client's operations one by one.
func (p *proxy) up(client, srv net.Conn) {
	defer srv.Close()
	r := bufio.NewReader(client)
	for {
		op, err := r.ReadString('\n')
		if err != nil {
			return
		}
		payload := ""
		if strings.HasPrefix(op, "PUB ") || strings.HasPrefix(op, "HPUB ") {
			fields := strings.Fields(op)
			size, _ := strconv.Atoi(fields[len(fields)-1])
			buf := make([]byte, size+2)
			if _, err := io.ReadFull(r, buf); err != nil {
				return
			}
			payload = string(buf)
		}
		p.gate()
		if drop := p.drop.Load(); drop != nil && (*drop)(op, payload) {
			p.swallowed.Add(1)
			continue
		}
		if _, err := io.WriteString(srv, op+payload); err != nil {
			return
		}
	}
}

func (p *proxy) down(srv, client net.Conn) {
	defer client.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := srv.Read(buf)
		if err != nil {
			return
		}
		p.gate()
		if p.mute.Load() {
			continue
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// gate blocks while traffic is stalled.
func (p *proxy) gate() {
	p.mu.Lock()
	stalled := p.stalled
	p.mu.Unlock()
	<-stalled
}

func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = make(chan struct{})
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stalled:
	default:
		close(p.stalled)
	}
}

// cut ends every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// dropOp has the client's operations dropped that match.
func (p *proxy) dropOp(match func(op, payload string) bool) { p.drop.Store(&match) }

// TestMain serves as nats-server when the crash test starts this binary anew.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SHORTWIRE_TEST_NATS_DIR"); dir != "" {
		serveNATS(dir, os.Getenv("SHORTWIRE_TEST_NATS_PORT"))
		return
	}
	os.Exit(m.Run())
}
