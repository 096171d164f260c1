package binds

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

func TestTLSIsVerifiedAgainstTheEndpointsName(t *testing.T) {
	t.Parallel()
	// httptest has a certificate for 127.0.0.1 and example.com.
	web := httptest.NewTLSServer(nil)
	cert, roots := web.TLS.Certificates[0], x509.NewCertPool()
	roots.AddCert(web.Certificate())
	web.Close()

	smsc := smsctest.New(smsctest.Config{})
	t.Cleanup(func() { _ = smsc.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	served := make(chan struct{})
	go func() { defer close(served); _ = smsc.Serve(secure) }()
	t.Cleanup(func() { _ = l.Close(); <-served })

	cfg := Config{Route: "acme", SystemID: "acme", Endpoints: []string{l.Addr().String()}}
	for name, c := range map[string]struct {
		tls  *tls.Config
		hint string
	}{
		"the endpoint's name":         {&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ""},
		"a configured name":           {&tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}, ""},
		"another's name":              {&tls.Config{RootCAs: roots, ServerName: "smsc.example.net", MinVersion: tls.VersionTLS12}, "tls.server_name"},
		"an unknown CA":               {&tls.Config{MinVersion: tls.VersionTLS12}, "tls.ca_file"},
		"plain SMPP on the TLS port ": {nil, "TLS"},
	} {
		cfg.TLS = c.tls
		res, err := Probe(t.Context(), cfg)
		if (err == nil) != (c.hint == "") || !strings.Contains(res.Hint, c.hint) {
			t.Errorf("%s: error %v, hint %q", name, err, res.Hint)
		}
	}
}
