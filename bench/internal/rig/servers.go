package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Server is a process that keeps its port and its directory over restarts.
type Server struct {
	*Proc
	Addr  string // host:port
	start func() (*Proc, error)
	ready func(context.Context) error
}

// Restart begins the process again after it has ended, and waits until it is ready.
func (s *Server) Restart(ctx context.Context) error {
	p, err := s.start()
	if err != nil {
		return err
	}
	s.Proc = p
	return p.Ready(ctx, s.ready)
}

// StartNATS begins a NATS server with JetStream in files, and waits until
// JetStream answers. Everything but address and directory is its default.
func (r *Rig) StartNATS(ctx context.Context, program string) (*Server, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	s, err := r.natsServer(program, "nats-server", "nats", port)
	if err != nil {
		return nil, err
	}
	return s, s.Restart(ctx)
}

// natsServer is one that has not begun.
func (r *Rig) natsServer(program, name, subdir string, port int, more ...string) (*Server, error) {
	dir, err := r.Subdir(subdir)
	if err != nil {
		return nil, err
	}
	args := append([]string{"-a", r.listen, "-p", strconv.Itoa(port), "-js", "-sd", dir}, more...)
	if r.listen != loopback { // else clients learn of every other address
		args = append(args, "-client_advertise", addr(port))
	}
	s := &Server{Addr: addr(port)}
	s.start = func() (*Proc, error) { return r.Start(name, nil, program, args...) }
	s.ready = func(ctx context.Context) error {
		nc, err := nats.Connect(s.URL("nats"), nats.NoReconnect(), nats.Timeout(time.Second))
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = js.AccountInfo(ctx)
		return err
	}
	return s, nil
}

// Durability says what a redis-server keeps when it is killed.
type Durability bool

// Durabilities.
const (
	InMemory Durability = false // nothing
	// LogWrites keeps every answered write when the process is killed: it is
	// in the append-only file before the answer is. appendfsync is "no", which
	// writes in every turn and leaves the disk to the kernel; "everysec" may
	// hold a write back behind a slow fsync. A power failure is
	// another matter and not what a kill can show.
	LogWrites Durability = true
)

// StartRedis begins a redis-server and waits until it answers PING.
func (r *Rig) StartRedis(ctx context.Context, program string, keep Durability) (*Server, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	s, err := r.redisServer(program, "redis-server", "redis", port, keep)
	if err != nil {
		return nil, err
	}
	return s, s.Restart(ctx)
}

// redisServer is one that has not begun.
func (r *Rig) redisServer(program, name, subdir string, port int, keep Durability, more ...string) (*Server, error) {
	dir, err := r.Subdir(subdir)
	if err != nil {
		return nil, err
	}
	args := []string{"--bind", r.listen, "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--daemonize", "no"}
	if r.listen != loopback {
		args = append(args, "--protected-mode", "no")
	}
	if keep == LogWrites {
		args = append(args, "--appendonly", "yes", "--appendfsync", "no")
	}
	args = append(args, more...)
	s := &Server{Addr: addr(port)}
	s.start = func() (*Proc, error) { return r.Start(name, nil, program, args...) }
	s.ready = func(ctx context.Context) error {
		_, err := redisCommand(ctx, s.Addr, "PING")
		return err
	}
	return s, nil
}

// URL is the server's address as a URL of that scheme.
func (s *Server) URL(scheme string) string { return scheme + "://" + s.Addr }

// CommandsProcessed asks a redis-server how many commands it has executed.
func (s *Server) CommandsProcessed(ctx context.Context) (int64, error) {
	info, err := redisCommand(ctx, s.Addr, "INFO stats")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		if n, ok := strings.CutPrefix(line, "total_commands_processed:"); ok {
			return strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		}
	}
	return 0, fmt.Errorf("redis: no total_commands_processed in INFO stats")
}

// Calls asks a redis-server how often it has executed one command, such as evalsha.
func (s *Server) Calls(ctx context.Context, command string) (int64, error) {
	info, err := redisCommand(ctx, s.Addr, "INFO commandstats")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			n, _, _ := strings.Cut(rest, ",")
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, nil // never
}

// redisCommand sends one inline command and returns its answer.
func redisCommand(ctx context.Context, addr, command string) (string, error) {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	rd := bufio.NewReader(conn)
	line, err := rd.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(line, "-"):
		return "", fmt.Errorf("redis: %s", line[1:])
	case strings.HasPrefix(line, "$"):
		n, err := strconv.Atoi(line[1:])
		if err != nil {
			return "", fmt.Errorf("redis: length %q: %w", line, err)
		}
		b := make([]byte, n)
		for read := 0; read < n; {
			m, err := rd.Read(b[read:])
			if err != nil {
				return "", err
			}
			read += m
		}
		return string(b), nil
	}
	return strings.TrimPrefix(line, "+"), nil
}

// SMSC is a running simulator.
type SMSC struct {
	*Proc
	Addr  string // where binds connect
	Admin string // host:port of its statistics
}

// StartSMSC begins the simulator with these flags and waits until it listens.
func (r *Rig) StartSMSC(ctx context.Context, program string, flags ...string) (*SMSC, error) {
	// A log of its own: it says there where it listens.
	p, err := r.Start(r.vacant("smscsim"), nil, program,
		append([]string{"--listen", r.listen + ":0", "--admin", "127.0.0.1:0"}, flags...)...)
	if err != nil {
		return nil, err
	}
	s := &SMSC{Proc: p}
	err = p.Ready(ctx, func(context.Context) error {
		out, err := p.Contents()
		if err != nil {
			return err
		}
		s.Addr, s.Admin, err = parseListening(string(out))
		if _, port, perr := net.SplitHostPort(s.Addr); err == nil && perr == nil {
			s.Addr = net.JoinHostPort(loopback, port) // not the address of all
		}
		return err
	})
	return s, err
}

// vacant is the name, or a numbered one when a process has had it.
func (r *Rig) vacant(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 1
	for _, p := range r.procs {
		if base, _, _ := strings.Cut(p.name, "-"); base == name {
			n++
		}
	}
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, n)
}

// parseListening finds "smscsim: listening on ADDR, admin on ADDR".
func parseListening(out string) (listen, admin string, err error) {
	for line := range strings.Lines(out) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "smscsim: listening on ")
		if !ok {
			continue
		}
		if listen, admin, ok = strings.Cut(rest, ", admin on "); ok {
			return listen, admin, nil
		}
	}
	return "", "", fmt.Errorf("it has not said where it listens")
}

// SMSCStats is what the simulator counted.
type SMSCStats struct {
	Submits  int64 `json:"submits"`  // submit_sm read
	Accepted int64 `json:"accepted"` // … of them taken in
	Unique   int64 `json:"unique"`   // different messages among the accepted
	Binds    int   `json:"binds"`    // bound now
	Receipts struct {
		Due     int64 `json:"due"`  // made
		Sent    int64 `json:"sent"` // repeats included
		Acked   int64 `json:"acked"`
		Refused int64 `json:"refused"` // given up
	} `json:"receipts"`
}

// Stats asks the simulator what it counted.
func (s *SMSC) Stats(ctx context.Context) (SMSCStats, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var stats SMSCStats
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+"/stats", nil)
	if err != nil {
		return stats, fmt.Errorf("ask the simulator: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return stats, fmt.Errorf("ask the simulator: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return stats, fmt.Errorf("ask the simulator: %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		return stats, fmt.Errorf("ask the simulator: %w", err)
	}
	return stats, nil
}

// Tell has the simulator do something: "/hold" keeps receipts back, "/release" sends them.
func (s *SMSC) Tell(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Admin+path, nil)
	if err != nil {
		return fmt.Errorf("tell the simulator: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("tell the simulator: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("tell the simulator: POST %s: %s", path, resp.Status)
	}
	return nil
}

func addr(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }
