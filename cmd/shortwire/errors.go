package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Exit codes, as documented in rootHelp.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitDependency
	exitForced
	exitNotDelivered
)

// errForced is a second signal.
var errForced = errors.New("ended by a second signal; what was in flight is redelivered")

// usageError is a command line that cannot be understood.
type usageError struct {
	err     error
	command string // "shortwire send"
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func exitCode(err error) int {
	var (
		usage        *usageError
		faults       app.Faults
		invalid      *sms.Error
		dependency   *app.DependencyError
		notDelivered *app.NotDeliveredError
		unknown      *app.UnknownRouteError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errForced):
		return exitForced
	case errors.As(err, &usage), errors.As(err, &faults), errors.As(err, &unknown):
		return exitUsage
	case errors.As(err, &invalid) && invalid.Code == sms.CodeInvalid:
		return exitUsage
	case errors.As(err, &notDelivered):
		return exitNotDelivered
	case errors.As(err, &dependency):
		return exitDependency
	}
	return exitFailed
}

// explain says what went wrong, one line for each fault, and what to do.
func explain(w io.Writer, err error) {
	if err == nil {
		return
	}
	var (
		usage      *usageError
		faults     app.Faults
		wrong      sms.Faults
		dependency *app.DependencyError
	)
	lines, hint := strings.Split(err.Error(), "\n"), ""
	switch {
	case errors.As(err, &usage):
		hint = "see " + usage.command + " --help"
	case errors.As(err, &faults):
		lines = lines[:0]
		for _, f := range faults {
			lines = append(lines, f.String())
		}
		hint = "name another file with --config FILE; every key is explained in deploy/shortwire.example.yaml"
	case errors.As(err, &wrong):
		lines = lines[:0]
		for _, f := range wrong {
			lines = append(lines, flagOf(f.Field)+": "+f.Reason)
		}
		hint = "nothing was sent; see shortwire send --help"
	case errors.As(err, &dependency):
		hint = dependency.Hint
	}
	for _, l := range lines {
		fmt.Fprintln(w, "shortwire:", strings.TrimSpace(l))
	}
	if hint != "" {
		fmt.Fprintln(w, "hint:", hint)
	}
}

// flagOf is the flag that sets a field of the job.
func flagOf(field string) string {
	if field == "expires_at" {
		field = "expires-in"
	}
	return "--" + field
}
