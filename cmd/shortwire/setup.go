package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

func (p *program) setupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Create or update the streams on NATS, and say what changed",
		Long: `Create or update the streams and consumers that the configuration needs, and
print one line for each. Workers never create streams; run setup before the first
one starts, and whenever routes or nats.* change. Running it again changes nothing.`,
		Example: "  shortwire setup --config shortwire.yaml",
		Args:    usage.NoArgs,
	}
	p.configFlag(cmd)
	cmd.RunE = p.does(func(ctx context.Context) error {
		ctx, stop := interruptible(ctx)
		defer stop()
		cfg, err := app.Load(p.config, os.Getenv)
		if err != nil {
			return err
		}
		return app.Setup(ctx, cfg, p.stdout)
	})
	return cmd
}

// interruptible ends ctx at the first signal.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
