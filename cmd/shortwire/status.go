package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// statusTimeout bounds the question and the answer.
const statusTimeout = 10 * time.Second

func (p *program) statusCommand() *cobra.Command {
	var q statusQuestion
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask a worker how it is and what limits its throughput",
		Long: `Ask a running worker, at its admin.listen, for its state. LIMIT is what keeps a
route from sending faster now: no_jobs, rate (the route's limit), window (every slot
of its binds awaits an answer), no_bind, standby (other workers have its binds), cpu,
redis, nats or paused (by an operator) among others; a line below says with which
numbers, and what to do. The same, and more, is on the worker's page: open the admin
URL in a browser.`,
		Example: `  shortwire status
  shortwire status --fleet --watch
  shortwire status --admin http://10.0.0.7:8080 --token-file read-token --json`,
		Args: usage.NoArgs,
	}
	var admin adminFlags
	admin.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&q.fleet, "fleet", false, "have the worker ask all others, and show all")
	flags.BoolVar(&q.asJSON, "json", false, "print the status as JSON")
	flags.BoolVar(&q.watch, "watch", false, "print it anew every two seconds, until an interrupt")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if q.admin, err = admin.at(p.stderr); err != nil {
			return err
		}
		p.began = true
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		if q.watch {
			return p.watch(ctx, q.print)
		}
		return q.print(ctx, p.stdout)
	}
	return cmd
}

// statusQuestion is what is asked of whom.
type statusQuestion struct {
	admin                app.AdminAt
	fleet, asJSON, watch bool
}

// print asks once and prints the answer.
func (q *statusQuestion) print(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if q.fleet {
		return ask(ctx, q, w, app.FetchFleet, printFleet)
	}
	return ask(ctx, q, w, app.FetchStatus, printStatus)
}

// ask prints what is fetched, as JSON or as a table.
func ask[T any](ctx context.Context, q *statusQuestion, w io.Writer, fetch func(context.Context, app.AdminAt) (*T, error), table func(io.Writer, *T, time.Time) error) error {
	v, err := fetch(ctx, q.admin)
	if err != nil {
		return err
	}
	if q.asJSON {
		return q.encode(w, v)
	}
	return table(w, v, time.Now())
}

// encode prints JSON, in one line where more will follow.
func (q *statusQuestion) encode(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	if !q.watch {
		encoder.SetIndent("", "  ")
	}
	return encoder.Encode(v)
}

// printStatus prints a status as tables.
func printStatus(w io.Writer, s *app.Status, now time.Time) error {
	state := "running"
	if s.Draining {
		state = "draining"
	}
	up := time.Duration(s.UptimeS * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(w, "worker %s  %s  %s for %v  nats %s  redis %s\n", s.Worker, s.Version, state, up, health(s.NATS), health(s.Redis))
	if s.LedgerLost != nil {
		fmt.Fprintf(w, "redis lost its data, seen %s: receipts of messages sent before are unmatched, jobs in hand then are in doubt\n", s.LedgerLost.Local().Format(time.DateTime))
	}
	printConfig(w, &s.Config)
	for _, n := range s.Notices {
		fmt.Fprintln(w, "notice:", n)
	}
	for _, r := range s.Routes {
		if r.Draining {
			fmt.Fprintf(w, "route %s: removed from the configuration, it drains\n", r.Name)
		}
		for _, o := range r.Pauses {
			o.Route = r.Name
			fmt.Fprintf(w, "paused: %s%s, by %s since %s: %s\n", lanesOf(o), until(o), o.By, o.Since.Local().Format(time.DateTime), dash(o.Reason))
		}
		if r.Receipts.Hint != "" {
			fmt.Fprintf(w, "route %s: receipts do not find their jobs: %s\n", r.Name, r.Receipts.Hint)
		}
	}
	for _, r := range s.Routes {
		if d := r.Diversion; d != nil {
			fmt.Fprintf(w, "route %s: cannot send (%s for %v), its jobs go by %s\n", r.Name, d.Reason, now.Sub(d.Since).Round(time.Second), d.Via)
		}
	}
	for _, r := range s.Routes {
		printSlots(w, &r)
		printLimit(w, "", &r)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nROUTE\tLIMIT\tRATE\tHIGH\tNORMAL\tBULK\tSUBMITTED\tFAILED\tEXPIRED\tUNCERTAIN\tRETRIES\tDEAD")
	for _, r := range s.Routes {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n", r.Name, r.Limit, rates(r),
			lane(r.Lanes[sms.LaneHigh]), lane(r.Lanes[sms.LaneNormal]), lane(r.Lanes[sms.LaneBulk]),
			r.Outcomes[sms.KindSubmitted], r.Outcomes[sms.KindFailed], r.Outcomes[sms.KindExpired], r.Outcomes[sms.KindUncertain],
			r.Retries, r.DeadLetters)
	}
	printLanes(tw, s.Routes)
	fmt.Fprintln(tw, "\nRECEIPTS\tMATCHED\tPARKED\tUNMATCHED\tMATCH RATE\tFAILURES BY CODE")
	for _, r := range s.Routes {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%s\t%s\n", r.Name, r.Receipts.Matched, r.Receipts.Parked, r.Receipts.Unmatched,
			share(r.Receipts.MatchRate), codes(r))
	}
	if slices.ContainsFunc(s.Routes, func(r app.RouteStatus) bool { return r.Inbound != app.InboundStatus{} }) {
		fmt.Fprintln(tw, "\nINBOUND\tPUBLISHED\tINCOMPLETE\tREPEATS")
		for _, r := range s.Routes {
			fmt.Fprintf(tw, "%s\t%d\t%d\t%d\n", r.Name, r.Inbound.Published, r.Inbound.Incomplete, r.Inbound.Repeats)
		}
	}
	printSpreads(tw, s.Routes)
	fmt.Fprintln(tw, "\nBIND\tSTATE\tFOR\tENDPOINT\tIN FLIGHT\tLAST ERROR")
	for _, r := range s.Routes {
		for _, b := range r.Binds {
			fmt.Fprintf(tw, "%s\t%s\t%v\t%s\t%d/%d\t%s\n", b.Name, bindState(b), now.Sub(b.Since).Round(time.Second), b.Endpoint, b.InFlight, b.Window, dash(strings.TrimSpace(b.LastError+" "+b.Hint)))
		}
	}
	printErrors(tw, s.Errors)
	return tw.Flush()
}

// printSlots prints what the worker has of max_binds.
func printSlots(w io.Writer, r *app.RouteStatus) {
	q := r.Slots
	if q == nil {
		return
	}
	fmt.Fprintf(w, "route %s: has %d of the %d binds it wants; the fleet has %d of %d, in %d workers\n", r.Name, q.Held, q.Wanted, q.Granted, q.Limit, q.Workers)
	switch {
	case q.Error != "":
		fmt.Fprintf(w, "route %s: binds under max_binds are not renewed: %s\n", r.Name, q.Error)
	case q.Frozen > 0:
		fmt.Fprintf(w, "route %s: redis may have lost who has binds, no more are given out for %.0fs at most\n", r.Name, q.Frozen)
	}
}

// printConfig prints which configuration is in force, and what is wrong with a
// newer one.
func printConfig(w io.Writer, c *app.ConfigStatus) {
	fmt.Fprintf(w, "configuration %d  %s  since %s\n", c.Generation, dash(c.Digest), c.Loaded.Local().Format(time.DateTime))
	if len(c.TakesRestart) > 0 {
		fmt.Fprintln(w, "changed in the file, takes a restart:", strings.Join(c.TakesRestart, ", "))
	}
	if c.Refused != nil {
		fmt.Fprintf(w, "the file was REFUSED at %s, what was in force stays:\n", c.Refused.Local().Format(time.DateTime))
		for _, e := range c.Errors {
			fmt.Fprintln(w, " ", e)
		}
	}
}

// bindState says beside the state why a bind that is configured is not tried.
func bindState(b app.BindStatus) string {
	if b.Held {
		return b.State + " (held back)"
	}
	return b.State
}

func health(h app.Health) string {
	if h.OK {
		return "ok"
	}
	return "AWAY (" + dash(h.Error) + ")"
}

func rates(r app.RouteStatus) string {
	if r.RateAllowed == 0 {
		return fmt.Sprintf("%.0f/s", r.RateUsed)
	}
	return fmt.Sprintf("%.0f of %g/s", r.RateUsed, r.RateAllowed)
}

// lane shows the jobs in hand and how many of them wait for their turn.
func lane(l app.LaneStatus) string {
	if l.Waiting == 0 {
		return fmt.Sprint(l.InFlight)
	}
	return fmt.Sprintf("%d (%d wait)", l.InFlight, l.Waiting)
}

// share shows 1 as 100 %, and little under it never so.
func share(rate *float64) string {
	if rate == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", math.Floor(*rate*1000)/10)
}

func codes(r app.RouteStatus) string {
	var words []string
	for _, c := range sms.Codes() {
		if n := r.Codes[c]; n > 0 {
			words = append(words, fmt.Sprintf("%s %d", c, n))
		}
	}
	return dash(strings.Join(words, ", "))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
