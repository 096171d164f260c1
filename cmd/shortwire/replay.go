package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// progressEvery is how often a replay says how far it is.
const progressEvery = time.Second

func (p *program) replayCommand() *cobra.Command {
	var f app.DeadFilter
	var code string
	var since time.Duration
	var dryRun, yes bool
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Send jobs again that became dead letters",
		Long: `Publish dead letters to where they came from, as new attempts at their jobs, and
remove each once JetStream has its job. Parts that the SMSC has are not sent again,
and the outcome of the new attempts is a result of its own, with "replay". Jobs that
are wrong in themselves, that expired, and those that the SMSC may have, stay dead
letters. To run it twice sends nothing twice.`,
		Example: `  shortwire replay --route acme --dry-run
  shortwire replay --route acme --reason temporary --since 2h --yes`,
		Args: usage.NoArgs,
	}
	p.configFlag(cmd)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.Route, "route", "", "of this route (required)")
	flags.DurationVar(&since, "since", 0, "buried so long ago or later; default all")
	flags.StringVar(&code, "reason", "", "`code` of their outcome: "+codeNames())
	flags.StringVar(&f.JobID, "id", "", "of the job with this id only")
	flags.IntVar(&f.Limit, "limit", 0, "replay so many at most, the oldest; default all")
	flags.BoolVar(&dryRun, "dry-run", false, "print what would be replayed, and change nothing")
	flags.BoolVar(&yes, "yes", false, "do not ask")
	if err := cmd.MarkFlagRequired("route"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.Code = sms.Code(code); code != "" && !slices.Contains(sms.Codes(), f.Code) {
			return fmt.Errorf("--reason: must be %s, is %q", codeNames(), code)
		}
		if f.Limit < 0 || since < 0 {
			return fmt.Errorf("--limit and --since: must not be negative")
		}
		if since > 0 {
			f.Since = time.Now().Add(-since)
		}
		p.began = true
		return p.replay(cmd.Context(), f, dryRun, yes, cmd.InOrStdin())
	}
	return cmd
}

func codeNames() string {
	var names []string
	for _, c := range sms.Codes() {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}

func (p *program) replay(ctx context.Context, f app.DeadFilter, dryRun, yes bool, answer io.Reader) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	cfg, err := app.Load(p.config, os.Getenv)
	if err != nil {
		return err
	}
	r, err := app.NewReplayer(ctx, cfg, f)
	if err != nil {
		return err
	}
	defer r.Close()
	found := newTally()
	err = r.List(ctx, func(d *app.DeadLetter) error {
		found.add(d)
		if !dryRun {
			return nil
		}
		if _, err := printDead(p.stdout, d); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if dryRun {
		return found.print(p.stdout, "would be replayed")
	}
	if found.replayed > 0 && !yes && !p.confirm(fmt.Sprintf("replay %s of route %s?", letters(found.replayed), f.Route), answer) {
		return found.print(p.stdout, "would have been replayed; answer y, or give --yes")
	}
	done, last := newTally(), time.Now()
	err = r.Replay(ctx, func(d *app.DeadLetter) error {
		done.add(d)
		if now := time.Now(); now.Sub(last) >= progressEvery {
			last = now
			fmt.Fprintf(p.stderr, "%d of %d replayed\n", done.replayed, found.replayed)
		}
		return nil
	})
	if unwritten := done.print(p.stdout, "replayed"); err == nil {
		err = unwritten
	}
	if err != nil {
		return fmt.Errorf("%w; what was not replayed is still there, run it again", err)
	}
	return nil
}

// confirm asks; anything but yes is no.
func (p *program) confirm(question string, from io.Reader) bool {
	fmt.Fprintf(p.stderr, "%s [y/N] ", question)
	line, _ := bufio.NewReader(from).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}

// tally counts dead letters by their fate.
type tally struct {
	replayed int
	codes    map[string]int // of the replayed
	skipped  map[string]int // by why
}

func newTally() *tally { return &tally{codes: make(map[string]int), skipped: make(map[string]int)} }

func (t *tally) add(d *app.DeadLetter) {
	if d.Skip != "" {
		t.skipped[d.Skip]++
		return
	}
	t.replayed++
	t.codes[string(d.Code)]++
}

func (t *tally) print(w io.Writer, what string) error {
	line := letters(t.replayed) + " " + what
	if t.replayed > 0 {
		var by []string
		for _, c := range slices.Sorted(maps.Keys(t.codes)) {
			by = append(by, fmt.Sprintf("%s %d", c, t.codes[c]))
		}
		line += ": " + strings.Join(by, ", ")
	}
	_, err := fmt.Fprintln(w, line)
	for _, why := range slices.Sorted(maps.Keys(t.skipped)) {
		_, err = fmt.Fprintf(w, "%s left: %s\n", letters(t.skipped[why]), why)
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func letters(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return fmt.Sprintf("%d dead letters", n)
}
