//go:build interop

package interop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// authority is a private CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "A CA of this test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{}
	var der []byte
	a.key, der = sign(t, template, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = writePEM(t, "CERTIFICATE", der)
	return a
}

// sign makes a key and has the authority, or with nil itself, certify it.
func sign(t *testing.T, template *x509.Certificate, by *authority) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// issue returns the files of a certificate for 127.0.0.1 and its key.
func (a *authority) issue(t *testing.T) (cert, key string) {
	t.Helper()
	private, der := sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "one side"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", secret)
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// trust is the TLS configuration of who knows this authority.
func (a *authority) trust() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func TestPoolSpeaksTLSAsTransceiverAndAsPair(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(t)
	s := startNode(t, "--tls-cert", cert, "--tls-key", key)
	for name, pair := range map[string]bool{"transceiver": false, "pair": true} {
		r := startPool(t, s, func(c *binds.Config) { c.TLS, c.Pair = ca.trust(), pair })
		before := len(s.lines(t, "deliver_resp"))
		if pair { // a receipt that comes before the receiver is bound waits
			apptest.Until(t, "both halves are bound", func() bool { return r.Bound() == 1 })
		}
		replies := <-r.send(t, "447700900123", "Grüße: "+name+strings.Repeat(" over TLS", 20), sms.EncodingAuto, 7)
		if len(replies) != 2 || replies[0].Err != nil || replies[1].Err != nil {
			t.Fatalf("%s: %+v", name, replies)
		}
		s.await(t, "deliver_resp", before+3) // one was refused and came again
		r.drain()
		for _, reply := range replies {
			if r.receipts[reply.RawMessageID] != 1 {
				t.Errorf("%s: %d receipts for part %d", name, r.receipts[reply.RawMessageID], reply.Part)
			}
		}
	}
	s.audit(t)
}

func TestPoolRefusesAServerOfAnotherCA(t *testing.T) {
	t.Parallel()
	cert, key := newAuthority(t).issue(t)
	s := startNode(t, "--tls-cert", cert, "--tls-key", key)
	r := startPool(t, s, func(c *binds.Config) { c.TLS = newAuthority(t).trust() })
	s.await(t, "tls_error", 1)
	var st binds.Status
	apptest.Until(t, "the bind backs off", func() bool {
		st = r.Snapshot()[0]
		return st.State == binds.StateBackoff
	})
	if !strings.Contains(st.LastErr, "unknown authority") || !strings.Contains(st.Hint, "tls.ca_file") {
		t.Errorf("last error %q, hint %q", st.LastErr, st.Hint)
	}
	if pdus := s.lines(t, "pdu"); len(pdus) > 0 {
		t.Errorf("the server nevertheless got %+v", pdus)
	}
}

func TestPoolShowsItsCertificateToAServerThatWantsOne(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(t)
	s := startNode(t, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca.file)
	own, err := tls.LoadX509KeyPair(ca.issue(t))
	if err != nil {
		t.Fatal(err)
	}
	with := startPool(t, s, func(c *binds.Config) {
		c.TLS = ca.trust()
		c.TLS.Certificates = []tls.Certificate{own}
	})
	apptest.Until(t, "the bind with a certificate is bound", func() bool { return with.Bound() == 1 })
	with.drain()
	s.audit(t)

	without := startPool(t, s, func(c *binds.Config) { c.TLS = ca.trust() })
	apptest.Until(t, "the bind without one backs off", func() bool { return without.Snapshot()[0].State == binds.StateBackoff })
	if st := without.Snapshot()[0]; st.Sessions != 0 || !strings.Contains(st.Hint, "tls.cert_file") {
		t.Errorf("%d sessions, last error %q, hint %q", st.Sessions, st.LastErr, st.Hint)
	}
	if n := len(s.lines(t, "bind")); n != 1 {
		t.Errorf("%d binds, want 1", n)
	}
}
