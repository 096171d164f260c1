package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
)

// usageError is a wrong flag, as opposed to a failure to run.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// options are the flags as given.
type options struct {
	listen, admin      string
	systemID, password string
	maxBinds, window   int
	rate               float64
	burst              int
	latency, jitter    time.Duration
	enquireLink        time.Duration
	faults             smsctest.Faults
	receipts           string
	receiptDelay       time.Duration
	receiptJitter      time.Duration
	receiptRetry       time.Duration
	receiptBefore      bool
	receiptVia         string
	receiptFormat      string
	receiptDuplicates  float64
	ids, receiptIDs    string
	magic              bool
	record, times      string
	seed               int64
}

const example = `  smscsim
  smscsim --system-id acme --password secret --rate 100 --burst 20
  smscsim --latency 20ms --jitter 30ms --receipts DELIVRD=90,UNDELIV=8,EXPIRED=2 --receipt-delay 2s
  smscsim --magic --record smsc.jsonl --admin 127.0.0.1:8775
  curl -s http://127.0.0.1:8775/stats
  curl -X POST 'http://127.0.0.1:8775/stall?for=10s'`

func longHelp() string {
	var b strings.Builder
	b.WriteString(`smscsim is an SMSC simulator for SMPP 3.4. It accepts binds, answers submit_sm,
sends delivery receipts and repeats them until they are answered.

It prints one line when it is ready, and a summary after SIGTERM or SIGINT.

With --admin it serves over HTTP:
  GET  /stats                        counters, as JSON
  GET  /binds                        every bind there was, as JSON
  POST /cut                          drop all connections without unbind; ?bind=N that one of /binds
  POST /unbind                       send unbind on every bind
  POST /stall?for=10s                neither read nor write for a while; without for until /resume
  POST /resume                       end a stall
  POST /refuse?for=10s               close new connections at once; without for until /accept
  POST /accept                       end a refusal
  POST /hold?for=10s                 keep receipts back for a while; without for until /release
  POST /release                      send what was kept back
  POST /mo?system_id=S&from=F&to=T&text=X   send a mobile-originated message

With --magic the end of the destination decides:
`)
	for _, n := range smsctest.MagicNumbers() {
		_, _ = fmt.Fprintf(&b, "  …%s  %s\n", n.Ending, n.Effect)
	}
	return strings.TrimRight(b.String(), "\n")
}

func newCommand(stdout io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "smscsim [flags]",
		Short:         "SMSC simulator",
		Long:          longHelp(),
		Example:       example,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Errorf("unexpected argument %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config()
			if err != nil {
				return &usageError{err}
			}
			return serve(cmd.Context(), &o, cfg, stdout)
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{usage.FlagError(cmd, err)} })
	cmd.CompletionOptions.DisableDefaultCmd = true
	o.flags(cmd)
	return cmd
}

func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", "127.0.0.1:2775", "address to listen on for SMPP; port 0 picks one")
	f.StringVar(&o.admin, "admin", "", "address of the HTTP control; empty for none, port 0 picks one")
	f.StringVar(&o.systemID, "system-id", "", "the account that may bind; empty lets anything bind")
	f.StringVar(&o.password, "password", "", "its password")
	f.IntVar(&o.maxBinds, "max-binds", 0, "binds per system_id, above it ESME_RALYNBD; 0 unlimited")
	f.IntVar(&o.window, "window", 0, "unanswered submit_sm per bind, above it ESME_RMSGQFUL; 0 unlimited")
	f.Float64Var(&o.rate, "rate", 0, "submit_sm per second and system_id, above it ESME_RTHROTTLED; 0 unlimited")
	f.IntVar(&o.burst, "burst", 1, "submit_sm that may come at once over --rate")
	f.DurationVar(&o.latency, "latency", 0, "time to submit_sm_resp")
	f.DurationVar(&o.jitter, "jitter", 0, "most that is added at random to --latency")
	f.DurationVar(&o.enquireLink, "enquire-link", 0, "interval of the simulator's own enquire_link; 0 sends none")
	f.Float64Var(&o.faults.Error, "error-rate", 0, "share (0 to 1) of submit_sm answered with --error-status")
	f.Uint32Var(&o.faults.ErrorStatus, "error-status", smsctest.RSYSERR, "command_status for --error-rate; 0x45 is understood")
	f.Float64Var(&o.faults.Throttle, "throttle-rate", 0, "share of submit_sm answered with ESME_RTHROTTLED")
	f.Float64Var(&o.faults.Drop, "drop-rate", 0, "share of submit_sm neither taken in nor answered")
	f.Float64Var(&o.faults.Mute, "mute-rate", 0, "share of submit_sm taken in (receipts follow) but never answered")
	f.Float64Var(&o.faults.Close, "close-rate", 0, "share of submit_sm after which the connection closes, not taken in")
	f.StringVar(&o.receipts, "receipts", "on", "on, off, or final states with weights: DELIVRD=90,UNDELIV=8,EXPIRED=2")
	f.DurationVar(&o.receiptDelay, "receipt-delay", 0, "time from submit_sm_resp to the receipt")
	f.DurationVar(&o.receiptJitter, "receipt-jitter", 0, "most that is added at random to --receipt-delay")
	f.DurationVar(&o.receiptRetry, "receipt-retry", time.Second, "time after which a refused receipt is sent again")
	f.BoolVar(&o.receiptBefore, "receipt-before", false, "send the receipt ahead of submit_sm_resp")
	f.StringVar(&o.receiptVia, "receipt-via", "submitter", "bind for receipts: submitter, any or other")
	f.StringVar(&o.receiptFormat, "receipt-format", "both", "where receipts carry their facts: text, tlv or both")
	f.Float64Var(&o.receiptDuplicates, "receipt-duplicates", 0, "share of receipts that are sent twice")
	f.StringVar(&o.ids, "id-format", "decimal", "message id in submit_sm_resp: decimal, padded, hex or HEX")
	f.StringVar(&o.receiptIDs, "receipt-id-format", "decimal", "message id in the receipt's text, likewise")
	f.BoolVar(&o.magic, "magic", false, "let destinations decide, see above")
	f.StringVar(&o.record, "record", "", "file for the record, one JSON object per line; replaced if it is there")
	f.StringVar(&o.times, "times", "", "file for the time of each submit_sm and deliver_sm, cheaper than --record; replaced if it is there")
	f.Int64Var(&o.seed, "seed", 1, "seed of the random choices")
}

var (
	vias    = map[string]smsctest.Via{"submitter": smsctest.ViaSubmitter, "any": smsctest.ViaAny, "other": smsctest.ViaOther}
	formats = map[string]smsctest.ReceiptFormat{"both": smsctest.FormatBoth, "text": smsctest.FormatText, "tlv": smsctest.FormatTLV}
	ids     = map[string]smsctest.Notation{"decimal": smsctest.Decimal, "padded": smsctest.DecimalPadded, "hex": smsctest.Hex, "HEX": smsctest.HexUpper}
)

// config turns flags into a configuration and reports every fault at once.
func (o *options) config() (smsctest.Config, error) {
	cfg := smsctest.Config{
		SystemID: o.systemID, Password: o.password, MaxBinds: o.maxBinds,
		Window: o.window, Rate: o.rate, Burst: o.burst, Latency: o.latency, Jitter: o.jitter,
		EnquireLink: o.enquireLink, Faults: o.faults, Magic: o.magic, Seed: o.seed, Keep: -1,
		Receipts: smsctest.ReceiptConfig{
			Delay: o.receiptDelay, Jitter: o.receiptJitter, RetryDelay: o.receiptRetry,
			Before: o.receiptBefore, Duplicates: o.receiptDuplicates,
		},
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch o.receipts {
	case "on":
	case "off":
		cfg.Receipts.Off = true
	default:
		states, err := smsctest.ParseStates(o.receipts)
		if err != nil {
			bad("--receipts: wants on, off or STATE=WEIGHT,…: %w", err)
		}
		cfg.Receipts.States = states
	}
	cfg.Receipts.Via = choose(vias, "--receipt-via", o.receiptVia, bad)
	cfg.Receipts.Format = choose(formats, "--receipt-format", o.receiptFormat, bad)
	cfg.IDs.Submit = choose(ids, "--id-format", o.ids, bad)
	cfg.IDs.Receipt = choose(ids, "--receipt-id-format", o.receiptIDs, bad)
	o.checkNumbers(bad)
	return cfg, errors.Join(errs...)
}

func (o *options) checkNumbers(bad func(string, ...any)) {
	for _, s := range []struct {
		flag  string
		share float64
	}{
		{"--error-rate", o.faults.Error},
		{"--throttle-rate", o.faults.Throttle},
		{"--drop-rate", o.faults.Drop},
		{"--mute-rate", o.faults.Mute},
		{"--close-rate", o.faults.Close},
		{"--receipt-duplicates", o.receiptDuplicates},
	} {
		if s.share < 0 || s.share > 1 {
			bad("%s: must be 0 to 1, is %g", s.flag, s.share)
		}
	}
	for flag, n := range map[string]int{"--max-binds": o.maxBinds, "--window": o.window, "--burst": o.burst} {
		if n < 0 {
			bad("%s: must not be negative, is %d", flag, n)
		}
	}
	if o.rate < 0 {
		bad("--rate: must not be negative, is %g", o.rate)
	}
	for flag, d := range map[string]time.Duration{
		"--latency": o.latency, "--jitter": o.jitter, "--enquire-link": o.enquireLink,
		"--receipt-delay": o.receiptDelay, "--receipt-jitter": o.receiptJitter, "--receipt-retry": o.receiptRetry,
	} {
		if d < 0 {
			bad("%s: must not be negative, is %s", flag, d)
		}
	}
	if o.systemID == "" && o.password != "" {
		bad("--password: needs --system-id")
	}
}

func choose[T any](from map[string]T, flag, name string, bad func(string, ...any)) T {
	v, ok := from[name]
	if !ok {
		bad("%s: unknown value %q", flag, name)
	}
	return v
}
