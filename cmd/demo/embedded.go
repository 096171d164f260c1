package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// embedded are the parts that a worker needs around it, in this process: a
// NATS server with JetStream, a Redis and an SMSC.
type embedded struct {
	dir   string
	nats  *server.Server
	redis *miniredis.Miniredis
	smsc  *smsctest.SMSC
	addr  string // of the SMSC
}

func startEmbedded(seed int64) (_ *embedded, err error) {
	e := &embedded{}
	defer func() {
		if err != nil {
			e.stop()
		}
	}()
	if e.dir, err = os.MkdirTemp("", "shortwire-demo-"); err != nil {
		return nil, err
	}
	if e.nats, err = startNATS(filepath.Join(e.dir, "jetstream")); err != nil {
		return nil, err
	}
	if e.redis, err = miniredis.Run(); err != nil {
		return nil, fmt.Errorf("in-process Redis: %w", err)
	}
	e.smsc = smsctest.New(smsctest.Config{
		SystemID: "demo",
		Password: "secret",
		Magic:    true,
		Latency:  5 * time.Millisecond,
		Jitter:   5 * time.Millisecond,
		Seed:     seed,
		Receipts: smsctest.ReceiptConfig{
			Delay:  200 * time.Millisecond,
			Jitter: 300 * time.Millisecond,
			States: []smsctest.StateShare{{State: "DELIVRD", Weight: 93}, {State: "UNDELIV", Weight: 5}, {State: "EXPIRED", Weight: 2}},
		},
	})
	addr, err := e.smsc.Listen("127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("SMSC simulator: %w", err)
	}
	e.addr = addr.String()
	return e, nil
}

func startNATS(dir string) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "demo", Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		s.Shutdown()
		return nil, fmt.Errorf("embedded NATS server: not ready within %v", patience)
	}
	return s, nil
}

// config is what the worker and the commands read: a file like any other.
func (e *embedded) config(adminListen string) (path string, err error) {
	path = filepath.Join(e.dir, "shortwire.yaml")
	yaml := fmt.Sprintf(`nats:   {url: %q}
redis:  {url: "redis://%s/0"}
admin:  {listen: %q}
routes:
  - name: %s
    endpoints: [%q]
    system_id: demo
    password_file: %q
    binds: 2
    window: 100
    rate: 500
    burst: 50
    source: {address: "+447700900999"}
    retry: {initial: 500ms, max: 5s}
`, e.nats.ClientURL(), e.redis.Addr(), adminListen, route, e.addr, filepath.Join(e.dir, "password"))
	if err := os.WriteFile(filepath.Join(e.dir, "password"), []byte("secret\n"), 0o600); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(yaml), 0o600)
}

func (e *embedded) stop() {
	if e.smsc != nil {
		_ = e.smsc.Close()
	}
	if e.redis != nil {
		e.redis.Close()
	}
	if e.nats != nil {
		e.nats.Shutdown()
		e.nats.WaitForShutdown()
	}
	if e.dir != "" {
		_ = os.RemoveAll(e.dir)
	}
}
