package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// report prints the closing table.
func report(w io.Writer, t *tally, worker *app.App, faults []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(tw, name+"\t"+format+"\n", args...) }

	fmt.Fprintln(tw)
	row("jobs", "%d published, %d with an outcome", len(t.orders), len(t.outcomes))
	for _, kind := range []sms.Kind{sms.KindSubmitted, sms.KindFailed, sms.KindExpired, sms.KindUncertain} {
		row("  "+string(kind), "%d", t.kinds[kind])
	}
	for _, code := range slices.Sorted(maps.Keys(t.faults)) {
		row("  with code "+string(code), "%d", t.faults[code])
	}
	row("messages accepted", "%d", len(t.accepted))
	row("receipts", "%d", t.receipts)
	for _, state := range slices.Sorted(maps.Keys(t.states)) {
		row("  "+string(state), "%d", t.states[state])
	}
	row("jobs settled per second", "%.0f", t.rate())
	row("submit_sm to its response", "p50 %v  p90 %v  p99 %v", t.percentile(0.50), t.percentile(0.90), t.percentile(0.99))
	for _, r := range worker.Status().Routes {
		row("throughput was limited by", "%s", limits(r.LimitedFor))
	}
	_ = tw.Flush()

	if len(faults) == 0 {
		fmt.Fprintln(w, "\nThe result stream and the SMSC's own record agree: one outcome per job, one receipt per part, nothing sent twice.")
		return
	}
	fmt.Fprintf(w, "\n%d disagreements between what was asked, what was reported and what the SMSC saw:\n", len(faults))
	for _, f := range faults[:min(len(faults), 20)] {
		fmt.Fprintln(w, " ", f)
	}
}

// limits lists what limited throughput, the longest first.
func limits(seconds map[string]float64) string {
	names := slices.SortedFunc(maps.Keys(seconds), func(a, b string) int {
		switch {
		case seconds[a] > seconds[b]:
			return -1
		case seconds[a] < seconds[b]:
			return 1
		}
		return 0
	})
	s := ""
	for _, n := range names {
		if seconds[n] >= 0.01 {
			s += fmt.Sprintf("%s %.1fs  ", n, seconds[n])
		}
	}
	return s
}

// summary prints the one line that programs read.
func summary(w io.Writer, t *tally, lost, duplicates int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line, err := json.Marshal(struct {
		Jobs       int     `json:"jobs"`
		Submitted  int     `json:"submitted"`
		Failed     int     `json:"failed"`
		Expired    int     `json:"expired"`
		Uncertain  int     `json:"uncertain"`
		Receipts   int     `json:"receipts"`
		Lost       int     `json:"lost"`
		Duplicates int     `json:"duplicates"`
		JobsPerS   float64 `json:"jobs_per_s"`
	}{
		len(t.orders), t.kinds[sms.KindSubmitted], t.kinds[sms.KindFailed], t.kinds[sms.KindExpired],
		t.kinds[sms.KindUncertain], t.receipts, lost, duplicates, t.rate(),
	})
	if err != nil {
		panic(err) // a struct of numbers
	}
	fmt.Fprintln(w, string(line))
}

// rate is jobs settled per second. Called with mu held.
func (t *tally) rate() float64 {
	d := t.last.Sub(t.first)
	if d <= 0 {
		return 0
	}
	return float64(len(t.outcomes)) / d.Round(time.Millisecond).Seconds()
}
