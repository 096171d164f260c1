package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/admin"
)

// AdminConfig is the HTTP server for health, status and metrics. This machine
// may ask for and change everything but profiles, which always take the token;
// others ask for health without a token, and for all else with one, or with a
// client certificate.
type AdminConfig struct {
	Listen        string `yaml:"listen"`          // host:port; port 0 takes any free one. Default 127.0.0.1:8080
	TokenEnv      string `yaml:"token_env"`       // environment variable with the token that lets its bearer read, pause, resume, trace and profile. Default none: only this machine does
	TokenFile     string `yaml:"token_file"`      // or file with it. Default none
	ReadTokenEnv  string `yaml:"read_token_env"`  // environment variable with the token that lets its bearer read: status, fleet and metrics. Default none
	ReadTokenFile string `yaml:"read_token_file"` // or file with it. Default none
	// OpenMetrics lets everybody read /metrics: it has names of routes, counts
	// and durations, and neither accounts nor numbers; the status has more.
	// Default false.
	OpenMetrics bool           `yaml:"open_metrics"`
	TLS         AdminTLSConfig `yaml:"tls"`

	Token     Secret `yaml:"-"` // what Load found there
	ReadToken Secret `yaml:"-"` // likewise
}

// AdminTLSConfig is TLS of the admin server.
type AdminTLSConfig struct {
	CertFile     string   `yaml:"cert_file"`      // PEM, of the server; with KeyFile. Default none: no TLS
	KeyFile      string   `yaml:"key_file"`       // PEM. Default none
	ClientCAFile string   `yaml:"client_ca_file"` // PEM, authorities whose clients may read. Default none: certificates do not count
	Writers      []string `yaml:"writers"`        // names (CN, DNS, e-mail, URI) in certificates of clients that may pause, resume, trace and profile too. Default none
	Held         string   `yaml:"-"`              // digests of what Load found in the files
}

func (a *AdminConfig) setDefaults() { *a = AdminConfig{Listen: "127.0.0.1:8080"} }

// minToken is how long a token must be: it can be guessed at over the network.
const minToken = 16

func (c *checker) admin(a *AdminConfig) {
	if _, port, err := net.SplitHostPort(a.Listen); err != nil || !validPort(port, 0) {
		c.wrong("admin.listen", "must be host:port, is %q", a.Listen)
	}
	a.Token = c.token("token", a.TokenEnv, a.TokenFile)
	a.ReadToken = c.token("read_token", a.ReadTokenEnv, a.ReadTokenFile)
	if a.Token != "" && a.Token == a.ReadToken {
		c.wrong("admin.read_token_"+envOrFile(a.ReadTokenEnv), "is the same as admin.token: whoever may read could change; make two")
	}
	t := &a.TLS
	if (t.CertFile == "") != (t.KeyFile == "") {
		c.wrong("admin.tls", "needs cert_file and key_file together, or neither")
	}
	if t.ClientCAFile != "" && t.CertFile == "" {
		c.wrong("admin.tls.client_ca_file", "has no effect without cert_file and key_file")
	}
	if len(t.Writers) > 0 && t.ClientCAFile == "" {
		c.wrong("admin.tls.writers", "has no effect without client_ca_file")
	}
	for i, name := range t.Writers {
		if strings.TrimSpace(name) == "" {
			c.wrong(fmt.Sprintf("admin.tls.writers[%d]", i), "must be a name that stands in a certificate, is empty")
		}
	}
	t.Held = c.held("admin.tls", map[string]*string{"client_ca_file": &t.ClientCAFile, "cert_file": &t.CertFile, "key_file": &t.KeyFile})
	if !c.faultsUnder("admin.tls") {
		if _, err := t.server(); err != nil {
			c.wrong("admin.tls", "%s", err)
		}
	}
}

// token resolves admin.<key>_env and admin.<key>_file.
func (c *checker) token(key, env, file string) Secret {
	token := c.secret("admin", key, env, file)
	at := "admin." + key + "_" + envOrFile(env)
	if strings.ContainsFunc(string(token), func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.wrong(at, "names a token with blanks or characters that are not ASCII; it could not stand in a header")
	} else if token != "" && len(token) < minToken {
		c.wrong(at, "names a token of %d characters; it must have %d or more: openssl rand -hex 32 makes one", len(token), minToken)
	}
	return token
}

// envOrFile ends the name of the key that was used.
func envOrFile(env string) string {
	if env != "" {
		return "env"
	}
	return "file"
}

// notice says that the server can be reached by those whom it tells nothing.
func (a *AdminConfig) notice() string {
	if a.Token != "" || a.ReadToken != "" || a.TLS.ClientCAFile != "" || loopback(a.Listen) {
		return ""
	}
	what := "status, fleet and metrics"
	if a.OpenMetrics {
		what = "status and fleet"
	}
	return "admin.listen: " + a.Listen + " can be reached from other machines, which get " + what +
		" only with a token: set admin.read_token_env or admin.read_token_file"
}

// loopback reports whether only this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err != nil || thisMachine(host) // what is no address is refused
}

// thisMachine reports whether a host names the machine that asks, whatever a
// resolver makes of it.
func thisMachine(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// access is who may do what at the admin server. It reads the TLS files.
func (a *AdminConfig) access() (admin.Access, error) {
	secure, err := a.TLS.server()
	if err != nil {
		return admin.Access{}, fmt.Errorf("admin.tls: %w", err)
	}
	return admin.Access{
		Token: string(a.Token), ReadToken: string(a.ReadToken), OpenMetrics: a.OpenMetrics, Writers: a.TLS.Writers, TLS: secure,
	}, nil
}

// server makes the TLS settings of the admin server, nil when it is off.
// Clients without a certificate are let in: they may ask for health.
func (c *AdminTLSConfig) server() (*tls.Config, error) {
	if c.CertFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cert_file: %w", err)
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	if c.ClientCAFile != "" {
		if secure.ClientCAs, err = authorities(c.ClientCAFile); err != nil {
			return nil, fmt.Errorf("client_ca_file: %w", err)
		}
		secure.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return secure, nil
}

// authorities reads certificates in PEM.
func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("holds no certificate in PEM")
	}
	return pool, nil
}
