package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// adminFlags say which worker is asked, and by what the command is known to it.
type adminFlags struct {
	url, tokenFile, caFile, certFile, keyFile string
}

func (f *adminFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "admin", "http://127.0.0.1:8080", "`URL` of the worker's admin server")
	flags.StringVar(&f.tokenFile, "token-file", "", "`file` with the token that it asks for; default what SHORTWIRE_TOKEN holds")
	flags.StringVar(&f.caFile, "ca-file", "", "`file` with the authorities of its certificate, PEM; default the system's")
	flags.StringVar(&f.certFile, "cert-file", "", "`file` with a client certificate, PEM; with --key-file")
	flags.StringVar(&f.keyFile, "key-file", "", "`file` with its key, PEM")
}

// at is whom to ask. What is risky about that is said on stderr.
func (f *adminFlags) at(stderr io.Writer) (app.AdminAt, error) {
	at := app.AdminAt{URL: f.url, Token: app.Secret(os.Getenv("SHORTWIRE_TOKEN"))}
	if !strings.Contains(at.URL, "://") {
		at.URL = "http://" + at.URL
	}
	if err := at.Identify(f.tokenFile, f.caFile, f.certFile, f.keyFile); err != nil {
		return at, err
	}
	if n := at.Notice(); n != "" {
		fmt.Fprintln(stderr, "notice:", n)
	}
	return at, nil
}
