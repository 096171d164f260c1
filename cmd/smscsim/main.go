// Command smscsim is an SMSC simulator: package smsctest as a program. It
// listens for SMPP 3.4 binds, answers submit_sm with the latency, limits and
// faults that its flags name, sends delivery receipts, and keeps a record.
//
// Exit codes: 0 after SIGTERM or SIGINT, 1 when it cannot run (address in use,
// record file), 2 for wrong flags.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	cmd := newCommand(stdout)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "smscsim: %v\n", err)
	var wrong *usageError
	if errors.As(err, &wrong) {
		_, _ = fmt.Fprintln(stderr, "Run 'smscsim --help' for the flags.")
		return 2
	}
	return 1
}
