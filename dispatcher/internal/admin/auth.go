package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Access says who may do what, beside this machine, which may read and change.
// The zero value lets others ask for health only.
type Access struct {
	Token       string      // lets its bearer read, change and profile
	ReadToken   string      // lets its bearer read
	OpenMetrics bool        // everybody reads /metrics
	Writers     []string    // names in client certificates whose holders may change and profile too; the others' read
	TLS         *tls.Config // of the server. Whether there is any is settled when Run is called; default none
}

// grant is what a request may do; each includes those before it.
type grant int

const (
	nothing grant = iota
	reading
	changing
)

// SetAccess replaces what New was given, for all requests from now on.
func (s *Server) SetAccess(a Access) { s.access.Store(&a) }

// needs lets requests through that may do what the handler does.
func (s *Server) needs(g grant, h http.Handler) http.Handler {
	return s.guard(g, h, func(_ *Access, r *http.Request) bool { return local(r) })
}

// proves is needs, but being on this machine does not do.
func (s *Server) proves(g grant, h http.Handler) http.Handler {
	return s.guard(g, h, func(*Access, *http.Request) bool { return false })
}

// metrics lets everybody through when they are open.
func (s *Server) metrics(h http.Handler) http.Handler {
	return s.guard(reading, h, func(a *Access, r *http.Request) bool { return a.OpenMetrics || local(r) })
}

// guard lets a request through by what it shows, or by what free says.
func (s *Server) guard(g grant, h http.Handler, free func(*Access, *http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := s.access.Load()
		shown := a.shown(r)
		if shown >= g || free(a, r) {
			h.ServeHTTP(w, r)
			return
		}
		a.refuse(w, g, shown)
	})
}

// shown is what the request's token or certificate is good for.
func (a *Access) shown(r *http.Request) (g grant) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		g = reading
		if a.writes(r.TLS.VerifiedChains[0][0]) {
			g = changing
		}
	}
	switch {
	case a.Token != "" && holds(r, a.Token):
		g = changing
	case a.ReadToken != "" && holds(r, a.ReadToken):
		g = max(g, reading)
	}
	return g
}

// writes reports whether a certificate has one of the names of Writers.
func (a *Access) writes(c *x509.Certificate) bool {
	names := append([]string{c.Subject.CommonName}, c.DNSNames...)
	names = append(names, c.EmailAddresses...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return slices.ContainsFunc(a.Writers, func(w string) bool { return slices.Contains(names, w) })
}

// refuse says what would be needed (RFC 6750 §3).
func (a *Access) refuse(w http.ResponseWriter, g, shown grant) {
	keys, possible := "admin.token_env or admin.token_file", a.Token != ""
	if g == reading {
		keys, possible = "admin.read_token_env or admin.read_token_file", possible || a.ReadToken != ""
	}
	certificates := a.TLS != nil && a.TLS.ClientCAs != nil
	switch {
	case shown > nothing:
		w.Header().Set("WWW-Authenticate", `Bearer realm="shortwire", error="insufficient_scope"`)
		text(w, http.StatusForbidden, "what was shown is good for reading only; this takes the token of "+keys+", or a certificate named in admin.tls.writers")
	case possible:
		w.Header().Set("WWW-Authenticate", `Bearer realm="shortwire"`)
		text(w, http.StatusUnauthorized, "this takes the token of "+keys+", as Authorization: Bearer")
	case certificates:
		text(w, http.StatusForbidden, "this takes a client certificate of an authority in admin.tls.client_ca_file")
	default:
		text(w, http.StatusForbidden, "this takes a token, and none is configured: set "+keys)
	}
}

// local reports whether a request comes from this machine, and from nobody
// behind it: a proxy here passes on others' requests, and so does a browser that
// another site's page has resolve that site's name to this machine.
func local(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !at.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// holds compares in a time that tells nothing of the token.
func holds(r *http.Request, token string) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(given))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
