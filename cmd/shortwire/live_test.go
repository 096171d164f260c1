package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// TestAgainstRealParts runs each script beside a NATS server, a Redis and an
// SMSC of its own; their addresses stand in shortwire.yaml.
func TestAgainstRealParts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/live",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"answer": answer,
		},
		Setup: func(env *testscript.Env) error {
			nats, err := startNATS(env.WorkDir)
			if err != nil {
				return err
			}
			env.Defer(func() { nats.Shutdown(); nats.WaitForShutdown() })
			smsc := smsctest.New(smsctest.Config{SystemID: "acme", Password: "secret", Magic: true})
			env.Defer(func() { _ = smsc.Close() })
			addr, err := smsc.Listen("127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("NATS", nats.ClientURL())
			env.Setenv("REDIS", redistest.Start(t).URL())
			env.Setenv("SMSC", addr.String())
			smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", Destination: "15550100", ShortMessage: []byte("STOP")}) // to the first bind
			admin, err := freeAddress()
			if err != nil {
				return err
			}
			env.Setenv("ADMIN", admin)
			env.Setenv("ACME_PASSWORD", "secret")
			return expand(filepath.Join(env.WorkDir, "shortwire.yaml"), env.Getenv)
		},
	})
}

// expand puts variables into a file.
func expand(path string, getenv func(string) string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(os.Expand(string(data), getenv)), 0o600)
}

// freeAddress finds a port for a worker whose script has to know it.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func startNATS(dir string) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir + "/.nats", NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("the NATS server is not ready")
	}
	return s, nil
}

// answer waits until a URL answers 200 with a text in it: answer URL text.
func answer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answer url text")
	}
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; {
		resp, err := http.Get(args[0])
		if err != nil {
			last = err.Error()
		} else {
			var b strings.Builder
			_ = resp.Write(&b)
			_ = resp.Body.Close()
			if last = b.String(); resp.StatusCode == http.StatusOK && strings.Contains(last, args[1]) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s does not answer %q but:\n%s", args[0], args[1], last)
		}
	}
}
