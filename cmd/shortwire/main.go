// Command shortwire is the worker, and the tool to set it up, check it, send
// through it and watch it. `shortwire --help` lists the commands and the exit
// codes.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/spell"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{stdout: stdout, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !p.began {
		err = &usageError{err: err, command: cmd.CommandPath()}
	}
	explain(stderr, err)
	return exitCode(err)
}

// program is what the commands share.
type program struct {
	stdout, stderr io.Writer
	config         string // --config
	began          bool   // the command line was understood; faults from here on are not of usage
}

const rootHelp = `Shortwire takes SMS send jobs from NATS JetStream, submits them over SMPP, and
publishes every outcome and every delivery receipt back to JetStream.

Exit codes:
  0  done, or drained
  1  failed while running
  2  wrong usage or configuration
  3  NATS, Redis, the SMSC, the worker or its own port cannot be used, or is not set up
  4  a second signal ended the process
  5  send --wait: the message was not delivered`

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "shortwire",
		Short:         "Send SMS jobs from NATS JetStream over SMPP",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Example: `  shortwire check --config shortwire.yaml --connect
  shortwire setup --config shortwire.yaml
  shortwire run   --config shortwire.yaml`,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// Of a command that there is not, flags are not known either: the command is the mistake.
		if unknown := knownCommand(root, cmd.Flags().Args()); cmd == root && unknown != nil {
			return unknown
		}
		return usage.FlagError(cmd, err)
	})
	root.AddCommand(p.runCommand(), p.setupCommand(), p.checkCommand(), p.sendCommand(), p.tailCommand(), p.replayCommand(), p.pauseCommand(), p.resumeCommand(), p.statusCommand(), p.decodeCommand(), p.traceCommand(), p.hashCommand(), p.versionCommand(), p.docsCommand())
	return root
}

// knownCommand refuses what is no command, with a suggestion.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("unknown command %q%s", args[0], spell.Hint(args[0], names))
}

// does marks the point from which errors are the command's own.
func (p *program) does(f func(ctx context.Context) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		p.began = true
		return f(cmd.Context())
	}
}

// configFlag adds --config.
func (p *program) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&p.config, "config", "c", "shortwire.yaml", "configuration `file`")
}
