//go:build interop

package interop_test

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nodeSMSC is node/server.mjs as a process.
type nodeSMSC struct {
	addr   string
	record string
	args   []string
	cmd    *exec.Cmd
	stop   func() // SIGTERM, and waits; nothing after kill
}

// line is an event of its record.
type line struct {
	Ev         string `json:"ev"`
	Run        int    `json:"run"` // of the process: 1, then one more at each restart
	Kind       string `json:"kind"`
	ID         string `json:"id"`
	From       string `json:"from"`
	To         string `json:"to"`
	ESMClass   int    `json:"esm_class"`
	DataCoding int    `json:"data_coding"`
	UDH        string `json:"udh"`
	Part       int    `json:"part"`
	Text       string `json:"text"`
	By         string `json:"by"` // how the parts were joined
	Parts      int    `json:"parts"`
	Status     uint32 `json:"status"`
	MessageID  string `json:"message_id"`
	Message    string `json:"message"`

	Dir     string `json:"dir"` // "in" is from the worker
	Session int    `json:"session"`
	Command string `json:"command"`
	Seq     uint32 `json:"seq"`
}

func startNode(t *testing.T, args ...string) *nodeSMSC {
	t.Helper()
	if _, err := os.Stat("node/node_modules/smpp"); err != nil {
		t.Fatal("npm's smpp package is not installed: run npm ci in binds/interop/node, or make interop")
	}
	s := &nodeSMSC{record: filepath.Join(t.TempDir(), "record.jsonl"), args: args}
	s.start(t, "--port", "0")
	t.Cleanup(func() { s.stop() })
	return s
}

// start starts a process of the server.
func (s *nodeSMSC) start(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"node/server.mjs", "--record", s.record}, args...)
	cmd := exec.Command("node", append(args, s.args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.cmd = cmd
	s.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		giveUp := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer giveUp.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("node: %v", err)
		}
	})
	first, err := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(first), "listening on ")
	if err != nil || !ok {
		t.Fatalf("node said %q: %v", first, err)
	}
	s.addr = addr
}

// restart kills the process (SIGKILL) and starts another on the same port,
// which knows what the record says.
func (s *nodeSMSC) restart(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // says that it was killed
	s.stop = func() {}
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.start(t, "--port", port, "--resume")
}

// lines returns the events of one sort so far.
func (s *nodeSMSC) lines(t *testing.T, ev string) []line {
	t.Helper()
	b, err := os.ReadFile(s.record)
	if err != nil {
		t.Fatal(err)
	}
	var out []line
	for text := range strings.Lines(string(b)) {
		if !strings.HasSuffix(text, "\n") {
			break // still being written
		}
		if !strings.HasPrefix(text, `{"ev":"`+ev+`"`) {
			continue
		}
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out = append(out, l)
	}
	return out
}

// await returns the events of one sort once there are n of them.
func (s *nodeSMSC) await(t *testing.T, ev string, n int) []line {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		got := s.lines(t, ev)
		if len(got) >= n {
			return got
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d events %q, want %d", len(got), ev, n)
		}
	}
}
