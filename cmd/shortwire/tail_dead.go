package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

func (p *program) tailDead(ctx context.Context, f app.Filter, limit int, asJSON bool) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	cfg, err := app.Load(p.config, os.Getenv)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(p.stdout)
	encoder.SetEscapeHTML(false)
	var failed error
	printed := 0
	err = app.TailDead(ctx, cfg, f, func(d *app.DeadLetter) bool {
		if asJSON {
			failed = encoder.Encode(d)
		} else {
			failed = printDead(p.stdout, d)
		}
		printed++
		return failed == nil && printed != limit
	})
	if failed != nil {
		return fmt.Errorf("write: %w", failed)
	}
	return err
}

// printDead prints a dead letter as one line for people.
func printDead(w io.Writer, d *app.DeadLetter) error {
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
	if _, err := fmt.Fprintln(w, strings.Join(words, "  ")); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
