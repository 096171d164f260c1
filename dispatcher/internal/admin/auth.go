package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"
)

// trusted lets a request through that changes something only when it comes from
// this machine or carries the token: whoever may look need not be allowed to stop
// a route. It goes by the peer's address, so what a proxy on this machine passes
// on counts as its own.
func (s *Server) trusted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case local(r.RemoteAddr), s.cfg.Token != "" && holds(r, s.cfg.Token):
			h.ServeHTTP(w, r)
		case s.cfg.Token == "":
			text(w, http.StatusForbidden, "from another machine this takes a token, and none is configured: set admin.token_env or admin.token_file")
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="shortwire"`)
			text(w, http.StatusUnauthorized, "from another machine this takes the token of admin.token_env or admin.token_file, as Authorization: Bearer")
		}
	})
}

func local(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// holds compares in a time that tells nothing of the token.
func holds(r *http.Request, token string) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(given))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
