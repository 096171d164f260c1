package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shortwire": main})
}

// TestCommandLine runs the scripts that need nothing but the program.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/cli",
		RequireExplicitExec: true,
		Cmds:                commands,
	})
}

// commands are the scripts' own.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"exits": exits,
}

// exits runs a program and wants one exit code: exits 2 shortwire rnu.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run: %v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		fmt.Fprint(os.Stderr, ts.ReadFile("stderr"))
		ts.Fatalf("exit code is %d, want %d", got, want)
	}
}
