// Package usage says what was meant by a command line that is wrong.
package usage

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shortwire-sms/shortwire/dispatcher/spell"
)

// FlagError is err with the nearest flag of cmd, if err is about one that cmd
// does not have; for cobra's SetFlagErrorFunc.
func FlagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := spell.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// NoArgs refuses arguments beside flags; where a command reads a file, it says how to name it.
func NoArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.Flags().Lookup("config") != nil:
		return fmt.Errorf("%q: there are flags only, no arguments; a file is named with --config FILE", args[0])
	}
	return fmt.Errorf("%q: there are flags only, no arguments", args[0])
}

// AtMostOne refuses that more than one of two flags is set; for cobra's PreRunE.
func AtMostOne(a, b string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed(a) && cmd.Flags().Changed(b) {
			return fmt.Errorf("--%s and --%s: only one of them", a, b)
		}
		return nil
	}
}
