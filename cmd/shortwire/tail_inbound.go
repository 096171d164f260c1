package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// inboundFlags says whether the flags go together with --inbound.
func inboundFlags(cmd *cobra.Command) error {
	var errs []error
	for _, name := range []string{"producer", "kind", "job"} {
		if cmd.Flags().Changed(name) {
			errs = append(errs, fmt.Errorf("--%s: has no meaning with --inbound", name))
		}
	}
	return errors.Join(errs...)
}

func (p *program) tailInbound(ctx context.Context, f app.Filter, limit int, asJSON bool) error {
	return follow(ctx, p, limit, asJSON, printInbound, func(ctx context.Context, cfg *app.Config, each func(*sms.Inbound) bool) error {
		return app.TailInbound(ctx, cfg, f.Route, f.Since, each)
	})
}

// printInbound prints an inbound message as one line for people, without what
// is personal.
func printInbound(w io.Writer, in *sms.Inbound) (int, error) {
	words := []string{in.Time.Local().Format("15:04:05.000"), "inbound", in.Route,
		"from=" + sms.MaskNumber(in.From), "to=" + sms.MaskNumber(in.To)}
	if in.Text != "" {
		words = append(words, fmt.Sprintf("characters=%d", utf8.RuneCountInString(in.Text)))
	} else {
		words = append(words, fmt.Sprintf("octets=%d", len(in.Data)))
	}
	if in.PartsTotal > 0 {
		words = append(words, fmt.Sprintf("parts=%d/%d", len(in.Parts), in.PartsTotal))
	}
	return fmt.Fprintln(w, strings.Join(append(words, "id="+in.ID), "  "))
}
