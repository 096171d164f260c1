package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// keyPair makes a key and returns its public half and its seed.
func keyPair(t *testing.T, make func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string, seed []byte) {
	t.Helper()
	pair, err := make()
	if err == nil {
		public, err = pair.PublicKey()
	}
	if err == nil {
		seed, err = pair.Seed()
	}
	if err != nil {
		t.Fatal(err)
	}
	return pair, public, seed
}

// credentials are a server's options in which users are known by JWTs, and the
// file of a user.
func credentials(t *testing.T) (opts *server.Options, file []byte) {
	t.Helper()
	operator, operatorID, _ := keyPair(t, nkeys.CreateOperator)
	account, accountID, _ := keyPair(t, nkeys.CreateAccount)
	_, userID, seed := keyPair(t, nkeys.CreateUser)
	system, systemID, _ := keyPair(t, nkeys.CreateAccount)
	_ = system
	limits := jwt.NewAccountClaims(accountID)
	limits.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	accountJWT, err := limits.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	systemJWT, err := jwt.NewAccountClaims(systemID).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	userJWT, err := jwt.NewUserClaims(userID).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	if file, err = jwt.FormatUserConfig(userJWT, seed); err != nil {
		t.Fatal(err)
	}
	resolver := new(server.MemAccResolver)
	for id, text := range map[string]string{accountID: accountJWT, systemID: systemJWT} {
		if err := resolver.Store(id, text); err != nil {
			t.Fatal(err)
		}
	}
	return &server.Options{TrustedKeys: []string{operatorID}, SystemAccount: systemID, AccountResolver: resolver}, file
}

// inDir writes files and returns their directory.
func inDir(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pki is a server's certificate, which is its own authority, a client's, likewise,
// and the server's settings that ask for the latter.
func pki(t *testing.T) (files map[string][]byte, secure *tls.Config) {
	t.Helper()
	files = make(map[string][]byte)
	files["ca.pem"], files["server-key.pem"] = certificate(t, 1)
	files["cert.pem"], files["key.pem"] = certificate(t, 2)
	files["other.pem"], _ = certificate(t, 3)
	pair, err := tls.X509KeyPair(files["ca.pem"], files["server-key.pem"])
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(files["cert.pem"])
	return files, &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
}

func TestNATSKnowsUsByEachOfItsWays(t *testing.T) {
	t.Parallel()
	files, mutual := pki(t)
	oneWay := mutual.Clone()
	oneWay.ClientAuth = tls.NoClientCert
	withCreds, creds := credentials(t)
	_, other := credentials(t)
	_, nkey, seed := keyPair(t, nkeys.CreateUser)
	_, _, strange := keyPair(t, nkeys.CreateUser)
	files["user.creds"], files["other.creds"], files["seed"], files["strange"], files["pw"], files["wrong"] = creds, other, seed, strange, []byte("p@ss:/ä\n"), []byte("x")
	dir := inDir(t, files)
	const known = "ca_file: ca.pem, server_name: smsc.example.net"
	for name, c := range map[string]struct {
		opts  *server.Options
		right string
		wrong map[string]string // keys to hint
	}{
		"password": {&server.Options{Username: "worker", Password: "p@ss:/ä"}, "user: worker, password_file: pw",
			map[string]string{"user: worker, password_file: wrong": "or nats.user and its password", "": "check nats.creds_file"}},
		"nkey": {&server.Options{Nkeys: []*server.NkeyUser{{Nkey: nkey}}}, "nkey_file: seed",
			map[string]string{"nkey_file: strange": "nats.nkey_file", "user: worker, password_file: pw": "nats.nkey_file"}},
		"creds": {withCreds, "creds_file: user.creds",
			map[string]string{"creds_file: other.creds": "check nats.creds_file", "nkey_file: seed": "check nats.creds_file"}},
		"tls": {&server.Options{TLS: true, TLSConfig: oneWay}, "tls: {" + known + "}",
			map[string]string{"": "check nats.tls.ca_file", "tls: {ca_file: other.pem, server_name: smsc.example.net}": "check nats.tls.ca_file", "tls: {ca_file: ca.pem}": "nats.tls.server_name"}},
		"mutual tls": {&server.Options{TLS: true, TLSVerify: true, TLSConfig: mutual}, "tls: {" + known + ", cert_file: cert.pem, key_file: key.pem}",
			map[string]string{"tls: {" + known + "}": "nats.tls.cert_file"}},
		"no tls": {&server.Options{}, "", map[string]string{"tls: {" + known + "}": "the server has no TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.opts.Host, c.opts.Port, c.opts.JetStream, c.opts.StoreDir, c.opts.TLSTimeout = "127.0.0.1", -1, true, t.TempDir(), 10
			n := natsWith(t, c.opts)
			setup := func(keys string) error {
				url := strings.Replace(n.ClientURL(), "tls://", "nats://", 1)
				cfg, err := app.Parse(filepath.Join(dir, "f.yaml"), fmt.Appendf(nil, `
nats: {url: %q, %s}
redis: {url: "redis://127.0.0.1:1"}
routes:
  - {name: acme, endpoints: ["127.0.0.1:1"], system_id: acme, password_env: P}
`, url, keys), func(string) string { return "secret" })
				if err != nil {
					return err
				}
				return app.Setup(t.Context(), cfg, io.Discard)
			}
			if err := setup(c.right); err != nil {
				t.Errorf("%s: %v", c.right, err)
			}
			for keys, hint := range c.wrong {
				err := setup(keys)
				var away *app.DependencyError
				if !errors.As(err, &away) || !strings.Contains(err.Error(), hint) || strings.Contains(err.Error(), "p@ss") {
					t.Errorf("%q: %v, want %q", keys, err, hint)
				}
			}
		})
	}
}

func TestRedisIsReachedByTLSWithAnAuthorityAndACertificateOfOurOwn(t *testing.T) {
	t.Parallel()
	files, _ := pki(t)
	files["users.acl"], files["pw"], files["wrong"] = []byte("user default off\nuser worker on >of-worker ~sw:* +@all\n"), []byte("of-worker\n"), []byte("x")
	dir := inDir(t, files)
	_, port, _ := strings.Cut(redistest.FreeAddr(t), ":")
	path := func(name string) string { return filepath.Join(dir, name) }
	r := redistest.Start(t, "--tls-port", port, "--tls-cert-file", path("ca.pem"), "--tls-key-file", path("server-key.pem"),
		"--tls-ca-cert-file", path("cert.pem"), "--tls-auth-clients", "yes", "--aclfile", path("users.acl"))
	if !r.Real() {
		t.Skip("skip: needs redis-server, the stand-in has no TLS")
	}
	const all = "ca_file: ca.pem, server_name: smsc.example.net, cert_file: cert.pem, key_file: key.pem"
	for keys, want := range map[string]string{
		"tls: {" + all + "}, user: worker, password_file: pw":    "",
		"tls: {" + all + "}, user: worker, password_file: wrong": "WRONGPASS",
		"tls: {" + all + "}": "NOAUTH",
		"tls: {" + strings.Replace(all, "ca.pem", "other.pem", 1) + "}, user: worker, password_file: pw": "certificate",
		"tls: {ca_file: ca.pem, server_name: smsc.example.net}, user: worker, password_file: pw":         "certificate",
		"user: worker, password_file: pw": "certificate",
	} {
		cfg, err := app.Parse(path("f.yaml"), fmt.Appendf(nil, `
redis: {url: "rediss://127.0.0.1:%s/0", %s}
routes:
  - {name: acme, endpoints: ["127.0.0.1:1"], system_id: acme, password_env: P}
`, port, keys), func(string) string { return "secret" })
		if err != nil {
			t.Fatal(err)
		}
		pauses, err := app.NewPauses(t.Context(), cfg)
		if err == nil {
			pauses.Close()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", keys, err, want)
		}
	}
}
