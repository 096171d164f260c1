package jetstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// account makes the options by which client and server know each other.
func (c *Config) account() (opts []nats.Option, err error) {
	switch {
	case c.CredsFile != "":
		if _, err := os.Stat(c.CredsFile); err != nil {
			return nil, fmt.Errorf("nats.creds_file: %w", err)
		}
		opts = append(opts, nats.UserCredentials(c.CredsFile))
	case c.NKeySeed != "":
		pair, err := nkeys.ParseDecoratedNKey([]byte(c.NKeySeed))
		if err != nil {
			return nil, fmt.Errorf("nats.nkey_file: %w", err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("nats.nkey_file: %w", err)
		}
		opts = append(opts, nats.Nkey(public, pair.Sign))
	case c.User != nil:
		opts = append(opts, nats.UserInfoHandler(c.User))
	}
	if c.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	if c.TLS == nil {
		return opts, nil
	}
	opts = append(opts, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.TLS.ServerName}))
	if c.TLS.Roots != nil || c.TLS.Certificate != nil {
		opts = append(opts, nats.ClientTLSConfig(c.TLS.Certificate, c.TLS.Roots))
	}
	return opts, nil
}

// connectFault says why there is no connection, and where to look.
func connectFault(urls string, err error) error {
	hint := "check nats.url, and that the server runs"
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert *net.OpError
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrNkeysNotSupported):
		hint = "check nats.creds_file, nats.nkey_file, or nats.user and its password: whichever the server knows this worker by"
	case errors.As(err, &certificate), errors.As(err, new(x509.UnknownAuthorityError)):
		hint = "check nats.tls.ca_file and nats.tls.server_name"
	case errors.As(err, &alert) && alert.Op == "remote error", errors.Is(err, nats.ErrTLS): // the alert, or the end if that came first
		hint = "the server asks for a client certificate or refuses it: check nats.tls.cert_file and nats.tls.key_file"
	case errors.As(err, &record), errors.Is(err, nats.ErrSecureConnWanted):
		hint = "the server has no TLS: check nats.url and nats.tls"
	}
	return fmt.Errorf("connect to nats at %s: %w (%s)", redact(urls), err, hint)
}

// redact removes passwords and tokens from the server URLs.
func redact(urls string) string {
	all := strings.Split(urls, ",")
	for i, u := range all {
		parsed, err := url.Parse(strings.TrimSpace(u))
		switch {
		case err != nil:
			all[i] = "(not a URL)"
		case parsed.User != nil:
			parsed.User = url.User("xxxxx")
			fallthrough
		default:
			all[i] = parsed.String()
		}
	}
	return strings.Join(all, ",")
}
