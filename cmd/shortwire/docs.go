package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// docsCommand prints what deploy/METRICS.md and deploy/CODES.md hold.
func (p *program) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "docs metrics|codes",
		Short:     "Print a reference, made from the program itself, as Markdown",
		Hidden:    true,
		ValidArgs: []string{"metrics", "codes"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(_ *cobra.Command, args []string) error {
			p.began = true
			text, err := reference(args[0])
			if err == nil {
				_, err = fmt.Fprint(p.stdout, text)
			}
			return err
		},
	}
}

func reference(what string) (string, error) {
	if what == "codes" {
		_, exits, _ := strings.Cut(rootHelp, "Exit codes:\n")
		return codesHead + app.CodesReference() + exitsReference(exits), nil
	}
	table, err := app.MetricsReference()
	return metricsHead + table + metricsTail, err
}

const metricsHead = "# Metrics\n\n" +
	"What a worker exports at `/metrics` on its admin port. Made by `shortwire docs metrics`; a test holds this file to the program.\n" +
	"Counters count from the worker's start. Labels are of closed sets, routes and versions apart; no number, id or text is ever in one.\n\n"

const metricsTail = "\nBeside these there are those of the Go runtime (`go_*`) and of the process (`process_*`). The alarms in\n" +
	"[prometheus/rules.yaml](prometheus/rules.yaml) and the panels in [grafana/shortwire.json](grafana/shortwire.json) are made of them.\n"

const codesHead = "# Codes\n\n" +
	"Made by `shortwire docs codes`; a test holds this file to the program. What every `command_status` of an SMSC leads to stands in\n" +
	"[binds/STATUS.md](../binds/STATUS.md), or `shortwire decode` says it of a PDU.\n\n"

// exitsReference makes a table of the exit codes in the program's help.
func exitsReference(lines string) string {
	var b strings.Builder
	b.WriteString("\n## Exit codes\n\n| code | meaning |\n|---|---|\n")
	for line := range strings.Lines(lines) {
		code, meaning, _ := strings.Cut(strings.TrimSpace(line), "  ")
		fmt.Fprintf(&b, "| %s | %s |\n", code, meaning)
	}
	return b.String()
}
