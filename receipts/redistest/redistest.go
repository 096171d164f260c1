// Package redistest runs a Redis server for tests: the redis-server on the
// PATH, or miniredis where there is none, and says which.
package redistest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// patience is how long the server may take to start or stop.
const patience = 10 * time.Second

// Server is one Redis server. Its methods fail the test when they cannot do
// what they say, and must be called from the test's goroutine.
type Server struct {
	Addr string // 127.0.0.1:port, the same after Restart

	tb   testing.TB
	path string // of redis-server; empty: miniredis
	args []string
	dir  string
	log  *bytes.Buffer
	cmd  *exec.Cmd
	mini *miniredis.Miniredis
}

// Start runs a server until the test ends. It keeps an append-only file, so
// that it comes back from Stop and Restart with what it had acknowledged. args
// are added to redis-server's command line.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, args: args}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		tb.Log("no redis-server on this machine: the test runs against miniredis")
		s.mini = miniredis.RunT(tb)
		s.Addr = s.mini.Addr()
		s.letTimePass()
		return s
	}
	s.path, s.dir = path, tb.TempDir()
	s.Addr = FreeAddr(tb)
	s.run()
	tb.Cleanup(s.kill)
	return s
}

// letTimePass makes keys of miniredis expire, which it does only when told.
func (s *Server) letTimePass() {
	const step = 10 * time.Millisecond
	tick := time.NewTicker(step)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-tick.C:
				s.mini.FastForward(step)
			case <-stop:
				return
			}
		}
	}()
	s.tb.Cleanup(func() { tick.Stop(); close(stop); <-stopped })
}

// URL is the address as configuration files have it.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// Real reports whether this is redis-server. Without it Stall cannot be done.
func (s *Server) Real() bool { return s.mini == nil }

// Stop kills the server as a crash would (SIGKILL).
func (s *Server) Stop() {
	s.tb.Helper()
	if s.mini != nil {
		s.mini.Close()
		return
	}
	s.kill()
}

// Restart runs a stopped server again under the same address.
func (s *Server) Restart() {
	s.tb.Helper()
	if s.mini != nil {
		if err := s.mini.Restart(); err != nil {
			s.tb.Fatalf("restart miniredis: %v", err)
		}
		return
	}
	s.run()
}

// Stall freezes the server (SIGSTOP): connections stay open and nothing
// answers. The function it returns lets the server go on. With miniredis the
// test is skipped.
func (s *Server) Stall() (resume func()) {
	s.tb.Helper()
	if s.mini != nil {
		s.tb.Skip("miniredis cannot be stalled")
	}
	s.signal(syscall.SIGSTOP)
	return func() { s.signal(syscall.SIGCONT) }
}

func (s *Server) run() {
	s.tb.Helper()
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		s.tb.Fatalf("address of redis-server: %v", err)
	}
	s.log = new(bytes.Buffer)
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "no", "--daemonize", "no",
		"--logfile", filepath.Join(s.dir, "redis.log")}, s.args...)
	s.cmd = exec.Command(s.path, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatalf("start redis-server: %v", err)
	}
	deadline := time.Now().Add(patience)
	for !ping(s.Addr) {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
			s.kill()
			s.tb.Fatalf("redis-server does not answer after %v:\n%s%s", patience, s.log, text)
		}
		time.Sleep(5 * time.Millisecond) // a poll with a deadline: the server cannot tell us
	}
}

// kill ends the process that run started, and no other.
func (s *Server) kill() {
	if s.cmd == nil {
		return
	}
	// A stopped process dies of SIGKILL too.
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Errorf("signal redis-server: %v", err)
	}
}

// ping reports whether a server at addr answers PING, or asks who that is, and has
// loaded its data.
func ping(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprint(c, "PING\r\n"); err != nil {
		return false
	}
	answer := make([]byte, 7)
	n, _ := c.Read(answer)
	return string(answer[:n]) == "+PONG\r\n" || string(answer[:n]) == "-NOAUTH"
}

// FreeAddr is an address of this host that was free a moment ago.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
