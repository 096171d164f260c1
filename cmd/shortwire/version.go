package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
)

// Set by the linker for released binaries (see `make release`): the tag, the
// full hash of the commit and its time in RFC 3339. Others say what the build
// knows of the source.
var release, commit, date string

// build is what a binary knows of its making.
type build struct {
	Version  string `json:"version"`          // of the release or module; devel otherwise
	Commit   string `json:"commit,omitempty"` // empty when neither linker nor build knew
	Date     string `json:"date,omitempty"`   // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (p *program) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what it was built from",
		Example: `  shortwire version
  shortwire version --json`,
		Args: usage.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	cmd.RunE = p.does(func(context.Context) error {
		b := thisBuild()
		if asJSON {
			encoder := json.NewEncoder(p.stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(b)
		}
		_, err := fmt.Fprintln(p.stdout, b)
		return err
	})
	return cmd
}

// String is one line: shortwire v1.2.0 (commit 0123456789ab, 2026-03-01T12:00:00Z) go1.26.0 linux/amd64.
func (b build) String() string {
	var from []string
	if b.Commit != "" {
		from = append(from, "commit "+b.Commit[:min(12, len(b.Commit))])
	}
	if b.Date != "" {
		from = append(from, b.Date)
	}
	if b.Modified {
		from = append(from, "modified")
	}
	line := "shortwire " + b.Version
	if len(from) > 0 {
		line += " (" + strings.Join(from, ", ") + ")"
	}
	return line + " " + b.Go + " " + b.Platform
}

func thisBuild() build {
	b := build{Version: "devel", Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		if v := info.Main.Version; v != "" && v != "(devel)" {
			b.Version = v
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && b.Commit == "":
				b.Commit = s.Value
			case s.Key == "vcs.time" && b.Date == "":
				b.Date = s.Value
			case s.Key == "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if release != "" {
		b.Version = release
	}
	return b
}

// version is the release, else what the build knows of the source.
func version() string {
	b := thisBuild()
	if b.Version != "devel" {
		return b.Version
	}
	if b.Commit != "" {
		b.Version += "-" + b.Commit[:min(12, len(b.Commit))]
	}
	if b.Modified {
		b.Version += "-dirty"
	}
	return b.Version
}
