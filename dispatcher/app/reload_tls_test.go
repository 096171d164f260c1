package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// certificate makes one that signs itself, and its key, in PEM.
func certificate(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "acme"}, DNSNames: []string{"smsc.example.net"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func TestACertificateThatIsRotatedOnDiskIsTakenByItselfAndByItsRouteAlone(t *testing.T) {
	t.Parallel()
	r := newLiveRig(t, smsctest.Config{}, routeYAML("other"))
	server, serverKey := certificate(t, 1)
	pair, err := tls.X509KeyPair(server, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	var shown atomic.Int64 // serial number of the last client's certificate
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(c tls.ConnectionState) error {
			shown.Store(c.PeerCertificates[0].SerialNumber.Int64())
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.smsc.Serve(l); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(filepath.Dir(r.Path), name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := certificate(t, 2)
	write("ca.pem", server)
	write("cert.pem", cert)
	write("key.pem", key)
	secure := strings.Replace(routeYAML("acme", "tls: {enabled: true, server_name: smsc.example.net, ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem}"),
		"$SMSC", l.Addr().String(), 1)
	other := r.awaitBound("other", 1)
	r.Write(secure + routeYAML("other"))
	r.Setup()
	r.Reload()
	first := r.awaitBound("acme", 1)

	cert, key = certificate(t, 3)
	write("cert.pem", cert) // it does not fit the key that is there
	r.Reload()
	apptest.Until(t, "half a rotation is refused", func() bool { return r.Live.Status().Config.Refused != nil })
	if diff := cmp.Diff(first, r.bound("acme")); diff != "" || shown.Load() != 2 {
		t.Errorf("serial number %d, binds (-want +got):\n%s", shown.Load(), diff)
	}
	write("key.pem", key)
	apptest.Until(t, "the new certificate is shown", func() bool { return shown.Load() == 3 })
	apptest.Until(t, "there is one new bind", func() bool { now := r.bound("acme"); return len(now) == 1 && now[0] != first[0] })
	if diff := cmp.Diff(other, r.bound("other")); diff != "" {
		t.Errorf("binds of the other route (-want +got):\n%s", diff)
	}
	apptest.Until(t, "the status names what changed", func() bool {
		c := r.Live.Status().Config
		return c.Refused == nil && cmp.Equal(c.Changes, []string{"acme.tls.files"})
	})
}
