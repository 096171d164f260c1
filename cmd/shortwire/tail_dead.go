package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

func (p *program) tailDead(ctx context.Context, f app.Filter, limit int, asJSON bool) error {
	return follow(ctx, p, limit, asJSON, printDead, func(ctx context.Context, cfg *app.Config, each func(*app.DeadLetter) bool) error {
		return app.TailDead(ctx, cfg, f, each)
	})
}

// printDead prints a dead letter as one line for people.
func printDead(w io.Writer, d *app.DeadLetter) (int, error) {
	words := []string{d.Time.Local().Format("15:04:05.000"), "dead", d.Route, dash(d.JobID), "code=" + string(d.Code), fmt.Sprintf("attempts=%d", d.Attempts)}
	if d.Replay > 0 {
		words = append(words, fmt.Sprintf("replay=%d", d.Replay))
	}
	if d.Via != "" {
		words = append(words, "via="+d.Via)
	}
	if len(d.Parts) > 0 {
		words = append(words, fmt.Sprintf("accepted=%d", len(d.Parts)))
	}
	if d.StatusName != "" {
		words = append(words, d.StatusName)
	}
	words = append(words, d.Reason)
	if d.Skip != "" {
		words = append(words, "(stays: "+d.Skip+")")
	}
	return fmt.Fprintln(w, strings.Join(words, "  "))
}
