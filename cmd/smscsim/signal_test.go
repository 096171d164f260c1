package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSignalsEndTheProcessWithASummary(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "smscsim", "--listen", "127.0.0.1:0") // TestMain puts it on the path
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			giveUp := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			defer giveUp.Stop()
			out := bufio.NewReader(stdout)
			line, err := out.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "smscsim: listening on 127.0.0.1:") {
				t.Fatalf("first line %q: %v", line, err)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(out)
			if err := cmd.Wait(); err != nil {
				t.Errorf("exit: %v", err)
			}
			if !strings.Contains(string(rest), "0 submit_sm: 0 accepted") {
				t.Errorf("summary:\n%s", rest)
			}
		})
	}
}
