package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

const decodeHelp = `Decode PDUs and print each as one line of JSON: command, status with name, meaning
and class, sequence, every field, TLVs by name, text, and the receipt if it is one.

Each argument, or line of standard input, holds PDUs as hexadecimal digits; blanks,
colons, commas and 0x between them are skipped, several PDUs may follow each other.
Hexdumps are read as one stream of PDUs: hexdump -C, xxd, od -A x -t x1, tcpdump -X
and Wireshark's, with or without IP and TCP headers.

"candidates" of a receipt are the ids it is looked up under, in that order: by the
rules of --route, else in every notation that is in use. The "kind" of a receipt is
receipt, intermediate, or, for what a worker takes for a message from a mobile,
sme_delivery_ack, sme_user_ack or untyped.

What cannot be decoded is printed as {"error": ..., "offset": ...}, with what could
be; the offset counts octets from the start of the line or of the capture. Oddities
that were read all the same are in "warnings".

Exit codes:
  0  everything was decoded
  1  at least one line of the output has an error
  2  wrong usage or configuration`

func (p *program) decodeCommand() *cobra.Command {
	var route string
	cmd := &cobra.Command{
		Use:   "decode [HEX...]",
		Short: "Decode PDUs from hexadecimal digits or a capture",
		Long:  decodeHelp,
		Example: `  shortwire decode 00000010800000040000005800000007
  tcpdump -X -r smsc.pcap port 2775 | shortwire decode --route acme --config shortwire.yaml`,
		Args: cobra.ArbitraryArgs,
	}
	p.configFlag(cmd)
	cmd.Flags().StringVar(&route, "route", "", "apply the rules of this route in the configuration")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if route == "" && cmd.Flags().Changed("config") {
			return errors.New("--config has no effect without --route")
		}
		p.began = true
		decoder, err := p.decoder(route)
		if err != nil {
			return err
		}
		return p.decode(cmd.Context(), decoder, args, cmd.InOrStdin())
	}
	return cmd
}

// decoder returns one that follows a route's rules, or no route's. The
// route's secrets play no part, so that they may be missing.
func (p *program) decoder(route string) (*app.Decoder, error) {
	if route == "" {
		return app.NewDecoder(nil), nil
	}
	cfg, err := app.Load(p.config, func(name string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return "not needed"
	})
	if err != nil {
		return nil, err
	}
	r, ok := cfg.Route(route)
	if !ok {
		return nil, &usageError{err: fmt.Errorf("--route: %s has no route %q", p.config, route), command: "shortwire decode"}
	}
	return app.NewDecoder(r), nil
}

// decode prints what the arguments hold, or standard input.
func (p *program) decode(ctx context.Context, decoder *app.Decoder, args []string, stdin io.Reader) error {
	var in io.Reader
	switch {
	case len(args) == 0 || len(args) == 1 && args[0] == "-":
		in = stdin
	case allShort(args):
		in = strings.NewReader(strings.Join(args, " "))
	default:
		in = strings.NewReader(strings.Join(args, "\n"))
	}
	encoder := json.NewEncoder(p.stdout)
	encoder.SetEscapeHTML(false)
	decoded, wrong := 0, 0
	d := dumpReader{decoder: decoder, emit: func(pdu *app.DecodedPDU) error {
		decoded++
		if pdu.Error != "" {
			wrong++
		}
		return encoder.Encode(pdu)
	}}
	if err := d.read(ctx, in); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d could not be decoded", wrong, decoded)
	}
	return nil
}

// allShort reports whether each argument is less than a header: one PDU
// with blanks and no quotes around it.
func allShort(args []string) bool {
	const headerDigits = 32
	for _, a := range args {
		if len(a) >= headerDigits {
			return false
		}
	}
	return true
}
