package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

func (p *program) checkCommand() *cobra.Command {
	var connect, show bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and, with --connect, everything it refers to",
		Long: `Check the configuration and report everything that is wrong with it at once.
With --connect, also reach NATS and Redis, look for the streams, and bind once to
every endpoint of every route, saying what the SMSC said. Nothing is sent.
With --print, show instead what holds, defaults included, as YAML. Passwords, tokens
and keys show as [secret] where they were found.`,
		Example: `  shortwire check --config shortwire.yaml
  shortwire check --config shortwire.yaml --connect
  shortwire check --config shortwire.yaml --print`,
		Args: usage.NoArgs,
	}
	p.configFlag(cmd)
	cmd.Flags().BoolVar(&connect, "connect", false, "reach NATS, Redis and every SMSC")
	cmd.Flags().BoolVar(&show, "print", false, "print the configuration that holds, without its secrets")
	cmd.PreRunE = usage.AtMostOne("connect", "print")
	cmd.RunE = p.does(func(ctx context.Context) error {
		ctx, stop := interruptible(ctx)
		defer stop()
		cfg, err := app.Load(p.config, os.Getenv)
		if err != nil {
			return err
		}
		if show {
			return cfg.Print(p.stdout)
		}
		return app.Check(ctx, cfg, connect, p.stdout)
	})
	return cmd
}
