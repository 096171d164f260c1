package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// maxReason is how long a reason may be, in characters: it stands in a line of status.
const maxReason = 200

func (p *program) pauseCommand() *cobra.Command {
	var what app.OperatorPause
	var lane string
	var length time.Duration
	var list bool
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Have all workers send nothing new on a route or lane",
		Long: `Pause a route, or one lane of it, in all workers, within about a second: jobs wait
unclaimed, what is at the SMSC is answered, receipts and results go on. It is kept in
Redis, so it outlives workers, until shortwire resume, or the end of --for. Jobs whose
expires_at passes meanwhile end as expired.`,
		Example: `  shortwire pause --route acme --lane bulk --for 2h --reason "campaign stopped"
  shortwire pause --list
  shortwire resume --route acme --lane bulk`,
		Args: usage.NoArgs,
	}
	p.configFlag(cmd)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&what.Route, "route", "", "the route")
	flags.StringVar(&lane, "lane", "", "only this lane: "+laneNames()+"; default all")
	flags.DurationVar(&length, "for", 0, "resume by itself after so long; default never")
	flags.StringVar(&what.Reason, "reason", "", "shown in the workers' status")
	flags.BoolVar(&list, "list", false, "print what is paused, and pause nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case list && (what.Route != "" || lane != "" || length != 0 || what.Reason != ""):
			return errors.New("--list: stands alone")
		case list:
			p.began = true
			return p.operate(cmd.Context(), p.listPauses)
		case what.Route == "":
			return errors.New("--route: is required, or --list")
		case length < 0:
			return errors.New("--for: must not be negative")
		case len([]rune(what.Reason)) > maxReason:
			return fmt.Errorf("--reason: must be at most %d characters", maxReason)
		}
		if err := readLane(lane, &what.Lane); err != nil {
			return err
		}
		p.began = true
		what.By = operator()
		return p.operate(cmd.Context(), func(ctx context.Context, pauses *app.Pauses) error {
			set, err := pauses.Pause(ctx, what, length)
			if err != nil {
				return err
			}
			return p.say("paused %s%s\n", lanesOf(set), until(set))
		})
	}
	return cmd
}

func (p *program) resumeCommand() *cobra.Command {
	var route, lane string
	var only sms.Lane
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "End a pause of a route or lane",
		Long: `End the pause of a route and of all its lanes, or of one lane, in all workers,
within about a second.`,
		Example: `  shortwire resume --route acme`,
		Args:    usage.NoArgs,
	}
	p.configFlag(cmd)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&route, "route", "", "the route (required)")
	flags.StringVar(&lane, "lane", "", "only this lane: "+laneNames()+"; default all that is paused of the route")
	if err := cmd.MarkFlagRequired("route"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := readLane(lane, &only); err != nil {
			return err
		}
		p.began = true
		return p.operate(cmd.Context(), func(ctx context.Context, pauses *app.Pauses) error {
			ended, still, err := pauses.Resume(ctx, route, only)
			if err != nil {
				return err
			}
			if len(ended) == 0 {
				err = p.say("nothing was paused\n")
			}
			for _, o := range ended {
				err = errors.Join(err, p.say("resumed %s\n", lanesOf(o)))
			}
			for _, o := range still {
				err = errors.Join(err, p.say("still paused: %s%s; resume the route without --lane\n", lanesOf(o), until(o)))
			}
			return err
		})
	}
	return cmd
}

// operate runs a command against the pauses of the configuration's Redis.
func (p *program) operate(ctx context.Context, do func(context.Context, *app.Pauses) error) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	cfg, err := app.Load(p.config, os.Getenv)
	if err != nil {
		return err
	}
	pauses, err := app.NewPauses(ctx, cfg)
	if err != nil {
		return err
	}
	defer pauses.Close()
	return do(ctx, pauses)
}

func (p *program) say(format string, args ...any) error {
	if _, err := fmt.Fprintf(p.stdout, format, args...); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (p *program) listPauses(ctx context.Context, pauses *app.Pauses) error {
	all, err := pauses.List(ctx)
	if err != nil {
		return err
	}
	return printPauses(p.stdout, all)
}

func printPauses(w io.Writer, all []app.OperatorPause) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing is paused")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ROUTE\tLANE\tBY\tSINCE\tUNTIL\tREASON")
	for _, o := range all {
		ends := "resumed"
		if o.Until != nil {
			ends = o.Until.Local().Format(time.DateTime)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", o.Route, cmp.Or(string(o.Lane), "all"), o.By, o.Since.Local().Format(time.DateTime), ends, dash(o.Reason))
	}
	return tw.Flush()
}

// operator names who runs the command: name@host.
func operator() string {
	name, host := "somebody", ""
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		host = "@" + h
	}
	return name + host
}

func readLane(word string, lane *sms.Lane) error {
	if *lane = sms.Lane(word); word != "" && !slices.Contains(sms.Lanes(), *lane) {
		return fmt.Errorf("--lane: must be %s, is %q", laneNames(), word)
	}
	return nil
}

func laneNames() string {
	var names []string
	for _, l := range sms.Lanes() {
		names = append(names, string(l))
	}
	return strings.Join(names, ", ")
}

// lanesOf names what is paused.
func lanesOf(o app.OperatorPause) string {
	if o.Lane == "" {
		return "route " + o.Route
	}
	return fmt.Sprintf("lane %s of route %s", o.Lane, o.Route)
}

func until(o app.OperatorPause) string {
	if o.Until == nil {
		return " until it is resumed"
	}
	return " until " + o.Until.Local().Format(time.DateTime)
}
