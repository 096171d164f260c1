package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// ClientTLSConfig is TLS towards NATS or Redis. Its files are read at each
// connection, so what is rotated on disk holds for the next.
type ClientTLSConfig struct {
	CAFile     string `yaml:"ca_file"`     // PEM. Default the system's authorities
	CertFile   string `yaml:"cert_file"`   // PEM, client certificate; with KeyFile. Default none
	KeyFile    string `yaml:"key_file"`    // PEM. Default none
	ServerName string `yaml:"server_name"` // in SNI and verification. Default the host of the URL
	Held       string `yaml:"-"`           // digests of what Load found in the files
}

func (c *ClientTLSConfig) given() bool {
	return c.CAFile != "" || c.CertFile != "" || c.KeyFile != "" || c.ServerName != ""
}

// held makes the paths of files absolute, checks that they can be read and
// returns digests of what they hold.
func (c *checker) held(path string, files map[string]*string) string {
	for key, name := range files {
		c.file(path+"."+key, name)
	}
	digests := ""
	for _, key := range []string{"ca_file", "client_ca_file", "cert_file", "key_file"} {
		if name := files[key]; name != nil {
			digests += c.files[*name] + " "
		}
	}
	return digests
}

// clientTLS checks the keys under <part>.tls; on says whether the URL asks for TLS.
func (c *checker) clientTLS(part string, t *ClientTLSConfig, on bool, how string) {
	path := part + ".tls"
	if (t.CertFile == "") != (t.KeyFile == "") {
		c.wrong(path, "needs cert_file and key_file together, or neither")
	}
	if t.given() && !on {
		c.wrong(path, "has no effect: %s", how)
	}
	t.Held = c.held(path, map[string]*string{"ca_file": &t.CAFile, "cert_file": &t.CertFile, "key_file": &t.KeyFile})
	if !c.faultsUnder(path) {
		if _, err := t.client(); err != nil {
			c.wrong(path, "%s", err)
		}
	}
}

// client makes the settings from what the files hold now.
func (c *ClientTLSConfig) client() (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	var err error
	if secure.RootCAs, err = c.roots(); err != nil {
		return nil, err
	}
	if c.CertFile != "" {
		cert, err := c.certificate()
		if err != nil {
			return nil, err
		}
		secure.Certificates = []tls.Certificate{cert}
	}
	return secure, nil
}

// roots is nil for the system's.
func (c *ClientTLSConfig) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pool, err := authorities(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	return pool, nil
}

func (c *ClientTLSConfig) certificate() (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return cert, fmt.Errorf("cert_file: %w", err)
	}
	return cert, nil
}
