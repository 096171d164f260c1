package rig

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

func openRig(t *testing.T) *Rig {
	t.Helper()
	r, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(r.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the rig left its directory: %v", err)
		}
	})
	return r
}

func says(p *Proc, word string) func(context.Context) error {
	return func(context.Context) error {
		out, err := p.Contents()
		if err == nil && !strings.Contains(string(out), word) {
			err = errors.New("not yet")
		}
		return err
	}
}

func TestCloseEndsWhatIgnoresSignals(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	p, err := r.Start("stubborn", nil, "sh", "-c", "trap '' TERM; echo up; while :; do read x < /dev/zero; done")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(t.Context(), says(p, "up")); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("the process is still there")
	}
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("kill 0: %v, want %v", err, syscall.ESRCH)
	}
}

func TestTerminateReturnsTheExitCode(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	p, err := r.Start("polite", []string{"CODE=7"}, "sh", "-c", `trap 'exit $CODE' TERM; echo up; while :; do sleep 0.01; done`)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(t.Context(), says(p, "up")); err != nil {
		t.Fatal(err)
	}
	code, err := p.Terminate(t.Context())
	if err != nil || code != 7 {
		t.Errorf("exit code %d, %v, want 7", code, err)
	}
}

func TestProcessThatEndsBeforeItIsReadyShowsItsLog(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	p, err := r.Start("broken", nil, "sh", "-c", "echo cannot open the database >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Ready(t.Context(), func(context.Context) error { return errors.New("no answer") })
	if err == nil || !strings.Contains(err.Error(), "cannot open the database") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want the log and the exit status", err)
	}
}

func TestListeningLineIsFoundAmongOthers(t *testing.T) {
	t.Parallel()
	listen, admin, err := parseListening("warming up\nsmscsim: listening on 127.0.0.1:2775, admin on 127.0.0.1:8081\n")
	if err != nil || listen != "127.0.0.1:2775" || admin != "127.0.0.1:8081" {
		t.Errorf("%q, %q, %v", listen, admin, err)
	}
	if _, _, err := parseListening("smscsim: listening on 127.0.0.1:2775, adm"); err == nil {
		t.Error("half a line was accepted")
	}
}

func TestRedisKeepsAnsweredWritesWhenKilled(t *testing.T) {
	t.Parallel()
	program, err := findRedis()
	if err != nil {
		t.Skipf("needs redis-server: %v", err)
	}
	s, err := openRig(t).StartRedis(t.Context(), program, LogWrites)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := redisCommand(t.Context(), s.Addr, "SET k v"); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := redisCommand(t.Context(), s.Addr, "GET k")
	if err != nil || got != "v" {
		t.Errorf("after the kill k is %q, %v, want \"v\"", got, err)
	}
	if n, err := s.CommandsProcessed(t.Context()); err != nil || n < 1 {
		t.Errorf("%d commands, %v", n, err)
	}
}
