package admin

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
	"net/http"
	"strings"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.make(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// make signs with the authority's key, or with its own when there is none.
func (a *authority) make(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	return c, key
}

func (a *authority) issue(name string) tls.Certificate {
	a.t.Helper()
	c, key := a.make(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func TestAClientCertificateReadsAndOneThatIsNamedChanges(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	access := Access{Writers: []string{"operator"}, TLS: &tls.Config{
		Certificates: []tls.Certificate{ca.issue("worker")}, ClientCAs: ca.pool(), ClientAuth: tls.VerifyClientCertIfGiven,
	}}
	pause := func(context.Context, PauseRequest) (any, error) { return struct{}{}, nil }
	s := New(Config{Listen: "127.0.0.1:0", Access: access}, Deps{Pause: pause, Resume: pause})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	url := "https://" + s.Addr(t.Context()).String()
	// ask is from elsewhere, by what it says of itself: 0 when there is no connection.
	ask := func(method, path string, certs ...tls.Certificate) int {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), Certificates: certs}}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", "192.0.2.1")
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, c := range []struct {
		who                          string
		certs                        []tls.Certificate
		health, status, change, prof int
	}{
		{"nobody", nil, 200, 403, 403, 403},
		{"a certificate", []tls.Certificate{ca.issue("prometheus")}, 200, 200, 403, 403},
		{"a certificate that is named", []tls.Certificate{ca.issue("operator")}, 200, 200, 200, 200},
		{"one of another authority", []tls.Certificate{other.issue("operator")}, 0, 0, 0, 0},
	} {
		for path, want := range map[string]int{"GET /healthz": c.health, "GET /status": c.status, "POST /pause?route=acme": c.change, "GET /debug/pprof/heap": c.prof} {
			method, path, _ := strings.Cut(path, " ")
			if got := ask(method, path, c.certs...); got != want {
				t.Errorf("%s: %s %s is answered %d, want %d", c.who, method, path, got, want)
			}
		}
	}

	renewed := newAuthority(t)
	access.TLS = &tls.Config{Certificates: []tls.Certificate{renewed.issue("worker")}}
	s.SetAccess(access)
	if got := ask("GET", "/healthz"); got != 0 {
		t.Errorf("the certificate of before is shown after it was replaced: %d", got)
	}
	ca = renewed
	if got := ask("GET", "/healthz"); got != http.StatusOK {
		t.Errorf("the certificate that replaced it: %d", got)
	}
}
