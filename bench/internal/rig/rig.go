// Package rig runs the processes that a measurement needs on one machine: NATS
// server, redis-server, SMSC simulator and workers, each a process of its
// own on loopback, with a log file, a directory and a port that survive a
// restart. Whatever happens, Close ends all of them and removes their files.
//
// It waits for conditions, never for time: a server is ready when it answers.
package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// readyTimeout bounds how long a process may take until it answers.
const readyTimeout = 20 * time.Second

// Rig holds the processes of one run and the directory that they share.
type Rig struct {
	dir    string
	listen string // address that servers listen on

	mu    sync.Mutex
	procs []*Proc // guarded by mu
	keep  bool    // guarded by mu
}

// Open makes an empty rig in a new temporary directory.
func Open() (*Rig, error) {
	dir, err := os.MkdirTemp("", "shortwire-rig-")
	if err != nil {
		return nil, fmt.Errorf("make directory of the rig: %w", err)
	}
	return &Rig{dir: dir, listen: loopback}, nil
}

// loopback is where servers listen, and where the rig itself reaches them.
const loopback = "127.0.0.1"

// ListenEverywhere has the servers that are started from now on listen on every
// address, for a rig in a network namespace of its own.
func (r *Rig) ListenEverywhere() { r.listen = "0.0.0.0" }

// Dir is the directory of the rig; Close removes it.
func (r *Rig) Dir() string { return r.dir }

// Keep makes Close leave the directory, for whoever looks into what went wrong.
func (r *Rig) Keep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep = true
}

// Close kills every process that still runs, waits for each, and removes the directory.
func (r *Rig) Close() error {
	r.mu.Lock()
	procs, keep := r.procs, r.keep
	r.procs = nil
	r.mu.Unlock()
	var errs []error
	for _, p := range procs {
		errs = append(errs, p.Kill())
	}
	if !keep {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}

// Subdir makes a directory of that name within the rig, or finds it.
func (r *Rig) Subdir(name string) (string, error) {
	dir := filepath.Join(r.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make directory %s: %w", name, err)
	}
	return dir, nil
}

// FreePort finds a loopback TCP port that nobody listens on. It stays below the
// ephemeral range: a client that keeps dialling a closed ephemeral port can
// connect to itself and so take the port from a server that restarts.
func FreePort() (int, error) {
	var last error
	for range 200 {
		port := 15000 + rand.IntN(15000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			last = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port from 15000 to 29999: %w", last)
}

// Await calls check every few milliseconds until it returns nil. It fails when
// ctx ends, with the last thing that check said.
func Await(ctx context.Context, what string, check func(context.Context) error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
