package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

func (p *program) traceCommand() *cobra.Command {
	var admin adminFlags
	var o app.TraceOptions
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Watch the PDUs of a route in a running worker",
		Long: `Watch what a worker and the SMSC of a route say to each other, as lines of JSON like
those of decode, with time, direction and bind. It ends after --for, after --max PDUs,
or at an interrupt; the last line says how many PDUs there were, and how many were
left out because they came faster than they were read.

Numbers and text are masked. --unmasked shows them, and the PDUs' octets; the worker
logs that, with your name and address. Passwords are never shown.`,
		Example: `  shortwire trace --route acme
  shortwire trace --route acme --for 10s --max 100 --unmasked --admin http://127.0.0.1:8081`,
		Args: usage.NoArgs,
	}
	admin.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.Route, "route", "", "route to watch")
	flags.DurationVar(&o.For, "for", time.Minute, "end after this long, 1s to 1h")
	flags.IntVar(&o.Max, "max", 1000, "end after so many PDUs, 1 to 100000")
	flags.BoolVar(&o.Unmasked, "unmasked", false, "show numbers, text and octets")
	_ = cmd.MarkFlagRequired("route")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case o.Route == "":
			return errors.New("--route: must not be empty")
		case o.For < time.Second || o.For > time.Hour:
			return errors.New("--for: must be 1s to 1h")
		case o.Max < 1 || o.Max > 100_000:
			return errors.New("--max: must be 1 to 100000")
		}
		at, err := admin.at(p.stderr)
		if err != nil {
			return err
		}
		p.began = true
		o.By = operator()
		return p.trace(cmd.Context(), at, o)
	}
	return cmd
}

func (p *program) trace(ctx context.Context, at app.AdminAt, o app.TraceOptions) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	return app.Trace(ctx, at, o, func(line []byte) error {
		_, err := p.stdout.Write(line)
		return err
	})
}
