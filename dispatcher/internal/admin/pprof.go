package admin

import (
	"context"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"
)

// maxProfile is how long a profile may take: it costs the worker some of its speed.
const maxProfile = 10 * time.Minute

// profiles serves /debug/pprof/. A profile has the worker's memory and what it
// works on in view, so being on this machine does not do.
func (s *Server) profiles(mux *http.ServeMux) {
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.Handle("GET /debug/pprof/"+path, s.proves(changing, unhurried(h)))
	}
}

// unhurried lets a profile take as long as it was asked to, which net/http/pprof
// refuses beyond the server's time for an answer.
func unhurried(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length := 30 * time.Second // pprof's own default
		if v := r.FormValue("seconds"); v != "" {
			seconds, err := strconv.Atoi(v)
			if length = time.Duration(seconds) * time.Second; err != nil || seconds < 1 || length > maxProfile {
				text(w, http.StatusBadRequest, "seconds: must be 1..600")
				return
			}
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(length + writeTimeout))
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, new(http.Server))))
	})
}
