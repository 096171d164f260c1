package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// watchEvery is how often a status that is watched is asked for.
const watchEvery = 2 * time.Second

// A page on a terminal begins at the top of an empty screen and is cut at its
// edges, whatever their size: lines are not wrapped (DECAWM) until the page is
// done, and what ends one (ECMA-48 §8.3.12, CNL) does not scroll, so that what
// finds no room is overwritten by the page's last line.
const (
	beginPage = "\x1b[?7l\x1b[H\x1b[2J"
	nextLine  = "\x1b[K\x1b[E"
	endPage   = "\x1b[K\x1b[?7h"
)

// watch calls print again and again until ctx ends. On a terminal each page
// takes the place of the one before. A worker that is away for a while is
// waited for, but has to be there at first.
func (p *program) watch(ctx context.Context, print func(context.Context, io.Writer) error) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		var page strings.Builder
		err := print(ctx, &page)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			fmt.Fprintf(&page, "%s  %v\n", time.Now().Format(time.TimeOnly), err)
		}
		if onTerminal(p.stdout) {
			page.WriteString("\n" + time.Now().Format(time.TimeOnly) + ", every " + watchEvery.String() + "; Ctrl-C ends")
			err = p.say("%s", screen(page.String()))
		} else {
			err = p.say("%s", page.String())
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// screen is a page as it is written to a terminal.
func screen(page string) string {
	return beginPage + strings.ReplaceAll(page, "\n", nextLine) + endPage
}

// onTerminal reports whether somebody looks at w.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printLimit prints the numbers behind a route's limit, and what to do.
func printLimit(w io.Writer, worker string, r *app.RouteStatus) {
	if r.LimitWhy == "" {
		return
	}
	fmt.Fprintf(w, "%sroute %s: %s: %s", worker, r.Name, r.Limit, r.LimitWhy)
	if r.LimitAdvice != "" {
		fmt.Fprintf(w, " -> %s", r.LimitAdvice)
	}
	fmt.Fprintln(w)
}

// printLanes prints what waits at the server, where that is known.
func printLanes(tw io.Writer, routes []app.RouteStatus) {
	known := func(r app.RouteStatus) bool { return r.Lanes[sms.LaneHigh].Backlog != nil }
	if !slices.ContainsFunc(routes, known) {
		return
	}
	fmt.Fprintln(tw, "\nBACKLOG\tHIGH\tNORMAL\tBULK\tAT WORKERS")
	for _, r := range routes {
		if !known(r) {
			continue
		}
		held := 0
		fmt.Fprint(tw, r.Name)
		for _, lane := range sms.Lanes() {
			l := r.Lanes[lane]
			held += value(l.Held)
			fmt.Fprintf(tw, "\t%d", value(l.Backlog))
		}
		fmt.Fprintf(tw, "\t%d\n", held)
	}
}

func value(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// printSpreads prints how long things take, where anything was done lately.
func printSpreads(tw io.Writer, routes []app.RouteStatus) {
	busy := func(r app.RouteStatus) bool { return r.SubmitLatency.Count+r.ReceiptDelay.Count > 0 }
	if !slices.ContainsFunc(routes, busy) {
		return
	}
	fmt.Fprintln(tw, "\nLATELY\tSUBMIT P50\tP99\tRECEIPT P50\tP99")
	for _, r := range routes {
		if busy(r) {
			fmt.Fprintf(tw, "%s\t%s\t%s\n", r.Name, quantiles(r.SubmitLatency), quantiles(r.ReceiptDelay))
		}
	}
}

func quantiles(s app.SpreadStatus) string {
	if s.Count == 0 {
		return "-\t-"
	}
	show := func(ms float64) string {
		d := time.Duration(ms * float64(time.Millisecond))
		if d >= time.Second {
			return d.Round(100 * time.Millisecond).String()
		}
		return d.Round(100 * time.Microsecond).String()
	}
	return show(s.P50MS) + "\t" + show(s.P99MS)
}

// errorsPrinted is how many recent errors are printed; --json and the page
// have them all.
const errorsPrinted = 10

func printErrors(tw io.Writer, all []app.RecentError) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(tw, "\nERROR\tROUTE\tPRODUCER\tJOB\tCODE\tTHEN\tMEANING")
	for _, e := range all[:min(len(all), errorsPrinted)] {
		then := "ended as " + string(e.End)
		if e.Next != nil {
			then = fmt.Sprintf("attempt %d at %s", e.Attempt+1, e.Next.Local().Format(time.TimeOnly))
		}
		meaning := e.Meaning
		if e.StatusName != "" {
			meaning = e.StatusName + ": " + meaning
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.Local().Format(time.TimeOnly), e.Route, e.Producer, dash(e.JobID), e.Code, then, meaning)
	}
}

// printFleet prints the states of all workers as tables.
func printFleet(w io.Writer, f *app.FleetStatus, now time.Time) error {
	workers := "1 worker"
	if n := len(f.Workers); n != 1 {
		workers = fmt.Sprintf("%d workers", n)
	}
	fmt.Fprintf(w, "%s, asked by %s\n", workers, f.Asked)
	if f.Error != "" {
		fmt.Fprintln(w, "the others cannot be asked:", f.Error)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nWORKER\tSTATE\tUP\tNATS\tREDIS\tCPU\tMEMORY\tCONFIGURATION\tVERSION")
	for _, s := range f.Workers {
		state, cpu := "running", "-"
		if s.Draining {
			state = "draining"
		}
		if s.CPU != nil {
			cpu = fmt.Sprintf("%.1f of %d", s.CPU.Used, s.CPU.Of)
		}
		up := time.Duration(s.UptimeS * float64(time.Second)).Round(time.Second)
		fmt.Fprintf(tw, "%s\t%s\t%v\t%s\t%s\t%s\t%.0f MiB\t%s\t%s\n", s.Worker, state, up, health(s.NATS), health(s.Redis), cpu, s.MemoryMB, cmp.Or(s.Config.Digest, "-"), s.Version)
	}
	for _, m := range f.Missing {
		fmt.Fprintf(tw, "%s\tNO ANSWER\tanswered %v ago\n", m.Worker, now.Sub(m.Last).Round(time.Second))
	}
	fmt.Fprintln(tw, "\nROUTE\tWORKER\tLIMIT\tRATE\tBINDS\tWINDOW\tSUBMITTED\tFAILED\tEXPIRED\tUNCERTAIN\tMATCH RATE")
	for _, name := range fleetRoutes(f) {
		for i := range f.Workers {
			for _, r := range f.Workers[i].Routes {
				if r.Name == name {
					printFleetRoute(tw, f.Workers[i].Worker, &r)
				}
			}
		}
	}
	err := tw.Flush()
	fmt.Fprintln(w)
	for i := range f.Workers {
		for _, r := range f.Workers[i].Routes {
			printLimit(w, f.Workers[i].Worker+"  ", &r)
		}
	}
	return err
}

func printFleetRoute(tw io.Writer, worker string, r *app.RouteStatus) {
	bound, used, slots := 0, 0, 0
	for _, b := range r.Binds {
		used += b.InFlight
		if b.State == "bound" {
			bound, slots = bound+1, slots+b.Window
		}
	}
	fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d of %d\t%d/%d\t%d\t%d\t%d\t%d\t%s\n", r.Name, worker, r.Limit, rates(*r), bound, len(r.Binds), used, slots,
		r.Outcomes[sms.KindSubmitted], r.Outcomes[sms.KindFailed], r.Outcomes[sms.KindExpired], r.Outcomes[sms.KindUncertain], share(r.Receipts.MatchRate))
}

// fleetRoutes lists all routes, each once, in the order of the workers' configurations.
func fleetRoutes(f *app.FleetStatus) (names []string) {
	for i := range f.Workers {
		for _, r := range f.Workers[i].Routes {
			if !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	return names
}
