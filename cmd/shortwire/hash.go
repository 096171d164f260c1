package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

func (p *program) hashCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hash NUMBER...",
		Short: "Tell what logs, status and traces call a number",
		Long: `Tell what stands behind the mask of a number in logs, status and traces of workers
that have privacy.hash_key_env or hash_key_file: search for it. The key comes from the
configuration, so it must be the workers'. A route whose SMSC wants numbers written
nationally has another hash in its traces; it is told beside its name.`,
		Example: "  shortwire hash +447700900123",
		Args:    cobra.MinimumNArgs(1),
	}
	p.configFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, numbers []string) error {
		p.began = true
		cfg, err := app.Load(p.config, os.Getenv)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			hashes, err := app.HashNumber(cfg, n)
			if err != nil {
				return err
			}
			for _, h := range hashes {
				line := h.Hash
				if h.Route != "" {
					line += "  in traces of route " + h.Route
				}
				if _, err := fmt.Fprintln(p.stdout, line); err != nil {
					return fmt.Errorf("write: %w", err)
				}
			}
		}
		return nil
	}
	return cmd
}
