//go:build interop

package interop_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nodeSMSC is node/server.mjs as a process.
type nodeSMSC struct {
	addr   string
	record string
}

// line is an event of its record.
type line struct {
	Ev         string `json:"ev"`
	Kind       string `json:"kind"`
	ID         string `json:"id"`
	From       string `json:"from"`
	To         string `json:"to"`
	ESMClass   int    `json:"esm_class"`
	DataCoding int    `json:"data_coding"`
	UDH        string `json:"udh"`
	Text       string `json:"text"`
	Parts      int    `json:"parts"`
	Status     uint32 `json:"status"`
	MessageID  string `json:"message_id"`
	Message    string `json:"message"`
}

func startNode(t *testing.T, args ...string) *nodeSMSC {
	t.Helper()
	if _, err := os.Stat("node/node_modules/smpp"); err != nil {
		t.Fatal("npm's smpp package is not installed: run npm ci in binds/interop/node, or make interop")
	}
	s := &nodeSMSC{record: filepath.Join(t.TempDir(), "record.jsonl")}
	cmd := exec.Command("node", append([]string{"node/server.mjs", "--port", "0", "--record", s.record}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
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
	return s
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
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if l.Ev == ev {
			out = append(out, l)
		}
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
