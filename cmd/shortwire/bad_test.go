package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// TestInBadSurroundings runs scripts that begin with parts which a worker cannot
// use: nats plain|old|foreign|whole, redis deny COMMAND...|whole, occupied VAR.
// Each command writes the addresses into shortwire.yaml.
func TestInBadSurroundings(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/bad",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			smsc := smsctest.New(smsctest.Config{SystemID: "acme", Password: "secret"})
			env.Defer(func() { _ = smsc.Close() })
			addr, err := smsc.Listen("127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("SMSC", addr.String())
			env.Setenv("ACME_PASSWORD", "secret")
			env.Setenv("ADMIN", "127.0.0.1:0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"nats":     badNATS,
			"redis":    func(ts *testscript.TestScript, _ bool, args []string) { badRedis(t, ts, args) },
			"occupied": occupied,
			"written":  written,
		},
	})
}

// written puts the variables into shortwire.yaml.
func written(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(expand(filepath.Join(ts.Getenv("WORK"), "shortwire.yaml"), ts.Getenv))
}

// badNATS starts a server: plain has no JetStream, old says that it is 2.10,
// foreign has a stream of ours that somebody else has made.
func badNATS(ts *testscript.TestScript, _ bool, args []string) {
	var s *server.Server
	var err error
	if args[0] == "plain" {
		s, err = server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
		ts.Check(err)
		s.Start()
	} else {
		s, err = startNATS(ts.Getenv("WORK"))
		ts.Check(err)
	}
	ts.Defer(func() { s.Shutdown(); s.WaitForShutdown() })
	url := s.ClientURL()
	switch args[0] {
	case "old":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		stop := pretend(l, s.Addr().String(), "2.10.9")
		ts.Defer(stop)
		url = "nats://" + l.Addr().String()
	case "foreign":
		nc, err := nats.Connect(url, nats.Timeout(30*time.Second))
		ts.Check(err)
		defer nc.Close()
		answer, err := nc.Request("$JS.API.STREAM.CREATE.SMS_JOBS_ACME", []byte(`{"name":"SMS_JOBS_ACME","subjects":["sms.jobs.acme.>"],"retention":"limits"}`), 10*time.Second)
		ts.Check(err)
		if bytes.Contains(answer.Data, []byte(`"error"`)) {
			ts.Fatalf("create stream: %s", answer.Data)
		}
	}
	ts.Setenv("NATS", url)
}

var versionInfo = regexp.MustCompile(`"version":"[^"]*"`)

// pretend stands before a NATS server and says of it that it is another version.
func pretend(l net.Listener, to, version string) (stop func()) {
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	serve := func(client net.Conn) {
		defer client.Close()
		upstream, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer upstream.Close()
		defer context.AfterFunc(ctx, func() { _, _ = client.Close(), upstream.Close() })()
		all.Go(func() { _, _ = io.Copy(upstream, client); _ = upstream.Close() })
		r := bufio.NewReader(upstream)
		for {
			line, err := r.ReadBytes('\n')
			if bytes.HasPrefix(line, []byte("INFO ")) {
				line = versionInfo.ReplaceAll(line, []byte(`"version":"`+version+`"`))
			}
			if _, writeErr := client.Write(line); err != nil || writeErr != nil {
				return
			}
		}
	}
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(client) })
		}
	})
	return func() { _ = l.Close(); cancel(); all.Wait() }
}

// badRedis starts one that is whole, or denies commands to its user.
func badRedis(t *testing.T, ts *testscript.TestScript, args []string) {
	rules := []string{"--user", "sms", "on", ">x", "~sw:*", "+@all"}
	if args[0] == "deny" {
		rules = append(rules, args[1:]...)
	}
	srv := redistest.Start(t, rules...)
	ts.Setenv("REDIS_PASSWORD", "x")
	ts.Setenv("REDIS", "redis://sms@"+srv.Addr)
	if !srv.Real() {
		ts.Setenv("REDIS", srv.URL())
	}
}

// occupied listens at an address and names it in a variable.
func occupied(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}
