package publish_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/sms/publish"
)

// patience is after how long a condition counts as failed.
const patience = 30 * time.Second

// natsServer is an embedded server that can be stopped and started again on
// its port and files.
type natsServer struct {
	opts server.Options
	s    *server.Server
}

func newServer(dir string) (*natsServer, error) {
	n := &natsServer{opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, MaxPayload: 1 << 20,
	}}
	return n, n.start()
}

func (n *natsServer) start() error {
	opts := n.opts
	s, err := server.NewServer(&opts)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return fmt.Errorf("embedded nats-server does not start")
	}
	n.s = s
	n.opts.Port = s.Addr().(*net.TCPAddr).Port
	return nil
}

func (n *natsServer) stop() {
	n.s.Shutdown()
	n.s.WaitForShutdown()
}

// startServer is one that ends with the test.
func startServer(t *testing.T) *natsServer {
	t.Helper()
	n, err := newServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.stop() })
	return n
}

func connect(t *testing.T, n *natsServer, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, js, err := n.connect(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, js
}

func (n *natsServer) connect(options ...nats.Option) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(n.s.ClientURL(), append(options, nats.Timeout(patience), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))...)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	return nc, js, err
}

// streams makes those of route acme as setup does, of which one producer may
// fill three places in a lane.
func streams(js jetstream.JetStream) error {
	var s sms.Subjects
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: s.StreamJobs("acme"), Subjects: []string{s.JobsFilter("acme", "")}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgsPerSubject: 3, Duplicates: 5 * time.Minute,
	}); err != nil {
		return err
	}
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: s.StreamResults(), Subjects: []string{s.ResultsFilter("", "", "")}})
	return err
}

// publisher is one of producer shop on a server with streams.
func publisher(t *testing.T, cfg publish.Config) (*natsServer, jetstream.JetStream, *publish.Publisher) {
	t.Helper()
	n := startServer(t)
	nc, js := connect(t, n)
	if err := streams(js); err != nil {
		t.Fatal(err)
	}
	cfg.Producer = "shop"
	p, err := publish.New(nc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n, js, p
}

func job(id string) publish.Job {
	return publish.Job{Route: "acme", Job: sms.Job{ID: id, To: "+447700900123", Text: new("Your parcel is on its way.")}}
}

// exampleServer is what the examples publish to.
func exampleServer() (nc *nats.Conn, stop func()) {
	dir, err := os.MkdirTemp("", "publish-example-")
	if err != nil {
		panic(err)
	}
	n, err := newServer(dir)
	if err != nil {
		panic(err)
	}
	nc, js, err := n.connect()
	if err == nil {
		err = streams(js)
	}
	if err != nil {
		panic(err)
	}
	return nc, func() { nc.Close(); n.stop(); _ = os.RemoveAll(dir) }
}
