package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

func (p *program) runCommand() *cobra.Command {
	var level, format string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a worker until it is told to stop",
		Long: `Run a worker. SIGTERM or SIGINT drains it: no new jobs are taken, what is in
flight is finished or handed back within worker.drain_timeout, and the binds are
unbound. A second signal ends it at once; then other workers take over what was
in flight.

A changed configuration file, or a changed file that it names, takes effect within a
few seconds, on SIGHUP at once: routes that are added begin, those that are removed
drain, binds that need it bind again one after another, all else goes on. A file with
a fault is refused whole and what was in force stays; shortwire status shows which.
What is not of a route takes a restart.`,
		Example: `  shortwire run --config shortwire.yaml
  shortwire run --config shortwire.yaml --log-level debug --log-format json`,
		Args: usage.NoArgs,
	}
	p.configFlag(cmd)
	cmd.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().StringVar(&format, "log-format", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := newLogger(p.stderr, level, format)
		if err != nil {
			return err
		}
		p.began = true
		return p.work(cmd.Context(), log)
	}
	return cmd
}

// newLogger returns the worker's logger.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	options := slog.HandlerOptions{ReplaceAttr: readableDurations}
	switch level {
	case "debug":
		options.Level = slog.LevelDebug
	case "info":
		options.Level = slog.LevelInfo
	case "warn":
		options.Level = slog.LevelWarn
	case "error":
		options.Level = slog.LevelError
	default:
		return nil, fmt.Errorf("--log-level: must be debug, info, warn or error, is %q", level)
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, &options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &options)), nil
	}
	return nil, fmt.Errorf("--log-format: must be text or json, is %q", format)
}

// readableDurations writes 5s, where JSON would have 5000000000.
func readableDurations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// gcPercent lets a worker's small live heap grow to a few times its size
// between collections: what they cost is mostly the stacks of jobs in flight.
// GOGC in the environment decides instead when it is set.
const gcPercent = 300

// work runs the worker until it ends, drains it at the first signal and
// leaves it behind at the second.
func (p *program) work(ctx context.Context, log *slog.Logger) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	signals, hangups := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(signals)
	defer signal.Stop(hangups)

	cfg, err := app.Load(p.config, os.Getenv)
	if err != nil {
		return err
	}
	worker, err := app.New(cfg, app.Deps{Logger: log, Version: version(), ConfigFile: p.config})
	if err != nil {
		return err
	}
	ctx, drain := context.WithCancel(ctx)
	defer drain()
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()

	for draining := false; ; {
		select {
		case err := <-ended:
			return err
		case <-hangups:
			worker.Reload()
		case <-signals:
			if draining {
				return errForced
			}
			draining = true
			drain()
		}
	}
}
