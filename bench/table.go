package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// table is what a phase measured, for people.
type table struct {
	name, title string
	about       string
	head        []string
	rows        [][]string
}

// table makes the table of a phase, a row for each setting in the order in
// which they came first.
func (r *report) table(phase string) *table {
	all := r.of(phase)
	if len(all) == 0 {
		return nil
	}
	v := viewOf(phase)
	t := &table{name: phase, title: v.title, about: v.about, head: []string{""}}
	for _, c := range v.columns {
		t.head = append(t.head, c.head)
	}
	for _, label := range settingsOf(all) {
		of := roundsOf(all, label)
		row := []string{label}
		for _, c := range v.columns {
			row = append(row, c.cell(of, roundsOf(all, of[0].Against)))
		}
		t.rows = append(t.rows, row)
	}
	t.dropEmpty()
	return t
}

// settingsOf are the labels in the order in which they came first.
func settingsOf(all []round) []string {
	var out []string
	for _, x := range all {
		if !slices.Contains(out, x.Setting) {
			out = append(out, x.Setting)
		}
	}
	return out
}

func roundsOf(all []round, setting string) []round {
	var out []round
	for _, x := range all {
		if x.Setting == setting {
			out = append(out, x)
		}
	}
	return out
}

// dropEmpty drops columns in which nothing stands but nothing or 0.0.
func (t *table) dropEmpty() {
	for i := len(t.head) - 1; i > 0; i-- {
		if slices.ContainsFunc(t.rows, func(row []string) bool { return row[i] != "" && row[i] != "0.0" }) {
			continue
		}
		t.head = slices.Delete(t.head, i, i+1)
		for j := range t.rows {
			t.rows[j] = slices.Delete(t.rows[j], i, i+1)
		}
	}
}

// text writes the table with blanks.
func (t *table) text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s\n", t.title)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(tw, strings.Join(row, "\t")+"\t")
	}
	return tw.Flush()
}

// markdown is the table for RESULTS.md.
func (t *table) markdown() string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(t.head)
	rule := []string{"---"}
	for range t.head[1:] {
		rule = append(rule, "--:")
	}
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

// write writes the tables and, if asked to, the line of JSON after them.
func (r *report) write(w io.Writer, asJSON bool) error {
	for _, name := range phaseNames() {
		if t := r.table(name); t != nil {
			if err := t.text(w); err != nil {
				return err
			}
		}
	}
	if t := r.driftTable(); t != nil {
		if err := t.text(w); err != nil {
			return err
		}
	}
	if !r.Quick && len(r.Rounds) > 0 {
		if err := r.goalTable().text(w); err != nil {
			return err
		}
	}
	if r.FloorRatio > 0 {
		fmt.Fprintf(w, "\nfloor ratio %.2f (time), %.2f (CPU); %d binds × window %d, GOMAXPROCS=%d; medians (least–most)\n",
			r.FloorRatio, r.FloorCPURatio, r.Binds, r.Window, r.Procs)
	}
	for _, what := range r.Missing {
		fmt.Fprintf(w, "not measured, %s\n", what)
	}
	for _, what := range r.Failures {
		fmt.Fprintf(w, "failed: %s\n", what)
	}
	fmt.Fprintf(w, "%d lost, %d duplicates · %s · %s, %d cores, %s · %s\n",
		r.Lost, r.Duplicates, r.Command, r.Machine.CPU, r.Machine.Cores, r.Machine.Go, r.Date)
	if !asJSON {
		return nil
	}
	return json.NewEncoder(w).Encode(r)
}
