package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// verdicts gathers what did not hold.
type verdicts struct{ broken []string }

// say returns word, and notes that something broke unless it held.
func (v *verdicts) say(held bool, format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	if !held {
		v.broken = append(v.broken, text)
		text += " !"
	}
	return text
}

// limits writes a line for each route: its rate and its binds as the SMSC saw them.
func (v *verdicts) limits(t *tabwriter.Writer, accounts []load.Account, a *judge.Arrivals) {
	fmt.Fprintf(t, "route\tlimit\tsubmit_sm\tper second\tworst window, against rate × T + burst\tbinds at most\n")
	for _, r := range accounts {
		times := a.Of(r.Name)
		if len(times) == 0 {
			fmt.Fprintf(t, "%s\t%s\n", r.Name, v.say(false, "nothing arrived"))
			continue
		}
		e := judge.ExcessOf(times, float64(r.Rate), r.Burst)
		rate := v.say(e.Over <= 0, "%s", e.In(times))
		if r.Rate == 0 {
			rate = "unlimited"
		}
		most := a.MostBinds(r.Name)
		binds := v.say(r.MaxBinds == 0 || most <= r.MaxBinds, "%d of %d", most, r.MaxBinds)
		if r.MaxBinds == 0 {
			binds = fmt.Sprint(most)
		}
		fmt.Fprintf(t, "%s\t%d/s + %d\t%d\t%.1f\t%s\t%s\n", r.Name, r.Rate, r.Burst, len(times), perSecond(times),
			rate, binds)
	}
}

func perSecond(times []time.Time) float64 {
	if len(times) < 2 {
		return 0
	}
	return float64(len(times)-1) / times[len(times)-1].Sub(times[0]).Seconds()
}

// resumed writes a line for each fault: how long routes were slow after it.
func (v *verdicts) resumed(t *tabwriter.Writer, accounts []load.Account, a *judge.Arrivals, faults []happened) {
	fmt.Fprintf(t, "\nbelow half of the rate before it")
	for _, r := range accounts {
		fmt.Fprintf(t, "\t%s", r.Name)
	}
	fmt.Fprintln(t)
	for i, f := range faults {
		fmt.Fprint(t, f.what)
		for _, r := range accounts {
			times := a.Of(r.Name)
			if len(times) == 0 {
				continue
			}
			end := times[len(times)-1].Add(-2 * time.Second) // then the jobs run out
			if i+1 < len(faults) && faults[i+1].at.Before(end) {
				end = faults[i+1].at
			}
			slow := judge.Slow(times, f.at, end, slowWindow)
			fmt.Fprintf(t, "\t%s", v.say(slow <= resumeWithin, "%.1f s", slow.Seconds()))
		}
		fmt.Fprintln(t)
	}
}

// promises writes the judge's verdict and concludes.
func (v *verdicts) promises(t *tabwriter.Writer, verdict *judge.Verdict) (bool, error) {
	if err := t.Flush(); err != nil {
		return false, err
	}
	fmt.Println()
	if err := verdict.WriteTable(os.Stdout); err != nil {
		return false, err
	}
	if n := verdict.Broken(); n > 0 {
		v.broken = append(v.broken, fmt.Sprintf("%d promises", n))
	}
	return v.conclude(), nil
}

// report prints everything about one variant and tells whether all held.
func (s *stage) report(variant string, v *judge.Verdict, a *judge.Arrivals, faults []happened, seed uint64, took time.Duration) (bool, error) {
	var out verdicts
	fmt.Printf("\n== %s: NATS ×3 (R3), %d workers, seed %d, %s\n", variant, fleetWorkers, seed, took.Round(time.Second))
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	out.limits(t, s.set.accounts, a)
	out.resumed(t, s.set.accounts, a, faults)
	return out.promises(t, v)
}

// conclude prints the last line.
func (v *verdicts) conclude() bool {
	if len(v.broken) == 0 {
		fmt.Println("every promise and every limit held")
		return true
	}
	fmt.Printf("did not hold: %q\n", v.broken)
	return false
}
