package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func (p *program) tailCommand() *cobra.Command {
	var f app.Filter
	var kind string
	var since time.Duration
	var limit int
	var asJSON, inbound, dead bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print results as they come",
		Long: `Print outcomes and receipts as they are stored, until interrupted. The flags
choose among them; --since begins in the past. With --json, one result per line.
With --inbound, messages from handsets instead; numbers and text only with --json.
With --dead, the jobs that could not be handled.`,
		Example: `  shortwire tail --route acme --kind failed
  shortwire tail --dead --since 24h
  shortwire tail --job cli-4711 --since 1h --json`,
		Args: usage.NoArgs,
	}
	p.configFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.Producer, "producer", "", "of this producer only")
	flags.StringVar(&f.Route, "route", "", "of this route only")
	flags.StringVar(&kind, "kind", "", "submitted, failed, expired, uncertain or receipt only")
	flags.StringVar(&f.JobID, "job", "", "of the job with this `id` only")
	flags.DurationVar(&since, "since", 0, "begin this long ago; default now")
	flags.IntVar(&limit, "count", 0, "end after so many results; default never")
	flags.BoolVar(&asJSON, "json", false, "print each result as one line of JSON")
	flags.BoolVar(&inbound, "inbound", false, "print messages from handsets instead of results")
	flags.BoolVar(&dead, "dead", false, "print dead letters instead of results")
	cmd.PreRunE = usage.AtMostOne("inbound", "dead")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.Kind = sms.Kind(kind); kind != "" && !slices.Contains(sms.Kinds(), f.Kind) {
			return fmt.Errorf("--kind: must be submitted, failed, expired, uncertain or receipt, is %q", kind)
		}
		if since > 0 {
			f.Since = time.Now().Add(-since)
		}
		if inbound {
			if err := inboundFlags(cmd); err != nil {
				return err
			}
			p.began = true
			return p.tailInbound(cmd.Context(), f, limit, asJSON)
		}
		if dead {
			if kind != "" {
				return fmt.Errorf("--kind: has no meaning with --dead")
			}
			p.began = true
			return p.tailDead(cmd.Context(), f, limit, asJSON)
		}
		p.began = true
		return p.tail(cmd.Context(), f, limit, asJSON)
	}
	return cmd
}

func (p *program) tail(ctx context.Context, f app.Filter, limit int, asJSON bool) error {
	return follow(ctx, p, limit, asJSON, printResult, func(ctx context.Context, cfg *app.Config, each func(*sms.Result) bool) error {
		return app.Tail(ctx, cfg, f, each)
	})
}

// follow prints what source gives, as JSON or by line, until it ends, limit of
// them are printed (0 means no limit) or the user interrupts it.
func follow[T any](ctx context.Context, p *program, limit int, asJSON bool,
	line func(io.Writer, T) (int, error), source func(context.Context, *app.Config, func(T) bool) error) error {
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
	err = source(ctx, cfg, func(item T) bool {
		if asJSON {
			failed = encoder.Encode(item)
		} else {
			_, failed = line(p.stdout, item)
		}
		printed++
		return failed == nil && printed != limit
	})
	if failed != nil {
		return fmt.Errorf("write: %w", failed)
	}
	return err
}

// printResult prints a result as one line for people.
func printResult(w io.Writer, r *sms.Result) (int, error) {
	words := []string{r.Time.Local().Format("15:04:05.000"), string(r.Kind), r.Route}
	if r.Via != "" {
		words = append(words, "via="+r.Via)
	}
	if r.JobID != "" {
		words = append(words, r.JobID)
	}
	if r.Receipt != nil {
		words = append(words, receiptWords(r.Receipt)...)
	} else {
		words = append(words, outcomeWords(r)...)
	}
	if r.PossibleDuplicate {
		words = append(words, "possible_duplicate")
	}
	return fmt.Fprintln(w, strings.Join(words, "  "))
}

func receiptWords(r *sms.Receipt) []string {
	words := []string{string(r.State)}
	if r.PartsTotal > 1 {
		words = append(words, fmt.Sprintf("part %d/%d", r.Part, r.PartsTotal))
	}
	words = append(words, "id="+r.MessageID)
	if r.ErrorCode != "" && strings.Trim(r.ErrorCode, "0") != "" {
		words = append(words, "err="+r.ErrorCode)
	}
	if r.NetworkError != "" {
		words = append(words, "network_error="+r.NetworkError)
	}
	return words
}

func outcomeWords(r *sms.Result) []string {
	var words []string
	if len(r.Parts) > 0 {
		ids := make([]string, len(r.Parts))
		for i, part := range r.Parts {
			ids[i] = part.MessageID
		}
		words = append(words, fmt.Sprintf("parts=%d", len(r.Parts)), "ids="+strings.Join(ids, ","))
	}
	if r.LatencyMS > 0 {
		words = append(words, fmt.Sprintf("%.1fms", r.LatencyMS))
	}
	if r.Attempt > 1 {
		words = append(words, fmt.Sprintf("attempt=%d", r.Attempt))
	}
	if r.Replay > 0 {
		words = append(words, fmt.Sprintf("replay=%d", r.Replay))
	}
	if r.Code != "" {
		words = append(words, "code="+string(r.Code))
	}
	if r.StatusName != "" {
		words = append(words, r.StatusName)
	}
	if r.Reason != "" {
		words = append(words, r.Reason)
	}
	return words
}
