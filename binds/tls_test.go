package binds

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	var der []byte
	a.key, der = sign(t, template, template, nil)
	a.cert, _ = x509.ParseCertificate(der)
	return a
}

// sign makes a key and a certificate for it; a nil signer signs itself.
func sign(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue makes a certificate for a name, valid from and until so long from now.
func (a *authority) issue(t *testing.T, name string, from, until time.Duration) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{name}, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
	}
	key, der := sign(t, template, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// listenTLS serves a simulator behind TLS and returns its address.
func listenTLS(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	smsc := smsctest.New(smsctest.Config{})
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = smsc.Serve(l) }()
	t.Cleanup(func() { _ = l.Close(); _ = smsc.Close(); <-served })
	return l.Addr().String()
}

func TestTLSSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t, "our CA"), newAuthority(t, "another CA")
	good := ours.issue(t, "smsc.example.net", -time.Minute, time.Hour)
	client := ours.issue(t, "acme", -time.Minute, time.Hour)
	stranger := theirs.issue(t, "acme", -time.Minute, time.Hour)
	name := func(c *tls.Config) *tls.Config {
		if c.ServerName == "" {
			c.ServerName = "smsc.example.net"
		}
		if c.MinVersion == 0 {
			c.MinVersion = tls.VersionTLS12
		}
		return c
	}
	mutual := &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool()}
	for what, c := range map[string]struct {
		server *tls.Config
		client *tls.Config
		err    string // part of the error, empty for none
		hint   string
	}{
		"a private CA":                {&tls.Config{Certificates: []tls.Certificate{good}}, name(&tls.Config{RootCAs: ours.pool()}), "", ""},
		"a wrong name":                {&tls.Config{Certificates: []tls.Certificate{good}}, name(&tls.Config{RootCAs: ours.pool(), ServerName: "sms.example.org"}), "certificate is valid for smsc.example.net, not sms.example.org", "not for sms.example.org: set tls.server_name"},
		"a certificate that expired":  {&tls.Config{Certificates: []tls.Certificate{ours.issue(t, "smsc.example.net", -time.Hour, -time.Minute)}}, name(&tls.Config{RootCAs: ours.pool()}), "certificate has expired", "the provider must renew it"},
		"a certificate of the future": {&tls.Config{Certificates: []tls.Certificate{ours.issue(t, "smsc.example.net", time.Minute, time.Hour)}}, name(&tls.Config{RootCAs: ours.pool()}), "not yet valid", "check this machine's clock"},
		"an unknown CA":               {&tls.Config{Certificates: []tls.Certificate{good}}, name(&tls.Config{RootCAs: theirs.pool()}), "certificate signed by unknown authority", "set tls.ca_file"},
		"a client certificate":        {mutual, name(&tls.Config{RootCAs: ours.pool(), Certificates: []tls.Certificate{client}}), "", ""},
		"no client certificate":       {mutual, name(&tls.Config{RootCAs: ours.pool()}), "certificate required", "tls.cert_file"},
		"a stranger's certificate":    {mutual, name(&tls.Config{RootCAs: ours.pool(), Certificates: []tls.Certificate{stranger}}), "", "tls.cert_file"},
		"an old version":              {&tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS11}, name(&tls.Config{RootCAs: ours.pool()}), "protocol version", "tls.min_version"},
		"an old version allowed":      {&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, name(&tls.Config{RootCAs: ours.pool(), MinVersion: tls.VersionTLS10}), "", ""},
		"plain SMPP to a TLS port":    {&tls.Config{Certificates: []tls.Certificate{good}}, nil, "", "TLS"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			addr := listenTLS(t, c.server)
			res, err := Probe(t.Context(), Config{Route: "acme", SystemID: "acme", Endpoints: []string{addr}, TLS: c.client, DialTimeout: 5 * time.Second, BindTimeout: 5 * time.Second})
			failed := c.err != "" || c.hint != ""
			if failed != (err != nil) || failed && !strings.Contains(err.Error(), c.err) || !strings.Contains(res.Hint, c.hint) {
				t.Errorf("error %v\nhint %q", err, res.Hint)
			}
		})
	}
}

func TestTheEndpointsHostIsSentAsSNI(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "our CA")
	cert := ca.issue(t, "localhost", -time.Minute, time.Hour)
	var asked atomic.Value
	addr := listenTLS(t, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked.Store(h.ServerName)
		return &cert, nil
	}})
	_, port, _ := net.SplitHostPort(addr)
	cfg := Config{SystemID: "acme", Endpoints: []string{"localhost:" + port}, TLS: &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS12}}
	if _, err := Probe(t.Context(), cfg); err != nil || asked.Load() != "localhost" {
		t.Errorf("asked for %v, error %v", asked.Load(), err)
	}
}

func TestAPoolSaysInItsStatusWhyTLSFails(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t, "our CA"), newAuthority(t, "another CA")
	addr := listenTLS(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(t, "smsc.example.net", -time.Minute, time.Hour)}})
	p, err := New(Config{SystemID: "acme", Endpoints: []string{addr}, TLS: &tls.Config{RootCAs: theirs.pool(), MinVersion: tls.VersionTLS12}}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	intake, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.Run(intake, t.Context()) }()
	defer func() { stop(); <-ended }()
	deadline := time.Now().Add(10 * time.Second)
	for p.Snapshot()[0].Hint == "" && time.Now().Before(deadline) {
		tick := time.NewTimer(5 * time.Millisecond)
		<-tick.C
	}
	if hint := p.Snapshot()[0].Hint; hint == "" {
		t.Errorf("no hint after %q", p.Snapshot()[0].LastErr)
	}
}
