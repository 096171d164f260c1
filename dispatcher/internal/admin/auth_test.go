package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// from is a request of another machine, or of this one.
func from(method, path, remote, authorization string, header ...string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr, r.Host = remote, "127.0.0.1:8080"
	r.Header.Set("Authorization", authorization)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func answered(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestOnlyThisMachineAndWhoHasTheTokenChangesAnything(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, token, authorization string
		want                       int
	}{
		{"127.0.0.1:1", "", "", http.StatusOK},
		{"[::1]:1", "secret", "", http.StatusOK},
		{"[::ffff:127.0.0.1]:1", "", "", http.StatusOK},
		{"192.0.2.1:1", "", "", http.StatusForbidden},
		{"192.0.2.1:1", "", "Bearer ", http.StatusForbidden},
		{"192.0.2.1:1", "secret", "", http.StatusUnauthorized},
		{"192.0.2.1:1", "secret", "Bearer", http.StatusUnauthorized},
		{"192.0.2.1:1", "secret", "Bearer secre", http.StatusUnauthorized},
		{"192.0.2.1:1", "secret", "Basic secret", http.StatusUnauthorized},
		{"192.0.2.1:1", "secret", "Bearer reader", http.StatusForbidden},
		{"192.0.2.1:1", "secret", "bearer secret", http.StatusOK},
		{"nonsense", "secret", "", http.StatusUnauthorized},
	} {
		paused := 0
		pause := func(context.Context, PauseRequest) (any, error) { paused++; return struct{}{}, nil }
		h := New(Config{Access: Access{Token: c.token, ReadToken: "reader"}}, Deps{Pause: pause, Resume: pause}).handler()
		for _, path := range []string{"/pause?route=acme", "/resume?route=acme"} {
			if got := answered(h, from(http.MethodPost, path, c.from, c.authorization)); got != c.want {
				t.Errorf("%s from %s, token %q, %q: %d, want %d", path, c.from, c.token, c.authorization, got, c.want)
			}
		}
		if done := paused == 2; done != (c.want == http.StatusOK) || paused == 1 {
			t.Errorf("from %s, token %q, %q: %d of 2 were done", c.from, c.token, c.authorization, paused)
		}
	}
}

func TestWhoeverIsElsewhereReadsWithATokenAndAsksForHealthWithout(t *testing.T) {
	t.Parallel()
	const ok, unknown, refused = http.StatusOK, http.StatusUnauthorized, http.StatusForbidden
	any := func(context.Context) any { return struct{}{} }
	for name, c := range map[string]struct {
		access                              Access
		authorization                       string
		health, page, status, metrics, prof int
	}{
		"no token configured":          {Access{}, "", ok, ok, refused, refused, refused},
		"and one shown":                {Access{}, "Bearer ", ok, ok, refused, refused, refused},
		"no token shown":               {Access{Token: "writer", ReadToken: "reader"}, "", ok, ok, unknown, unknown, unknown},
		"a wrong token":                {Access{Token: "writer", ReadToken: "reader"}, "Bearer writer2", ok, ok, unknown, unknown, unknown},
		"the read token":               {Access{Token: "writer", ReadToken: "reader"}, "Bearer reader", ok, ok, ok, ok, refused},
		"the write token":              {Access{Token: "writer", ReadToken: "reader"}, "Bearer writer", ok, ok, ok, ok, ok},
		"the write token is all there": {Access{Token: "writer"}, "Bearer writer", ok, ok, ok, ok, ok},
		"only reading is possible":     {Access{ReadToken: "reader"}, "", ok, ok, unknown, unknown, refused},
		"metrics are open":             {Access{Token: "writer", OpenMetrics: true}, "", ok, ok, unknown, ok, unknown},
	} {
		h := New(Config{Access: c.access}, Deps{Fleet: any}).handler()
		for path, want := range map[string]int{
			"/healthz": c.health, "/readyz": c.health, "/": c.page, "/status": c.status, "/fleet": c.status, "/metrics": c.metrics,
			"/debug/pprof/": c.prof, "/debug/pprof/goroutine": c.prof, "/debug/pprof/cmdline": c.prof,
		} {
			if got := answered(h, from(http.MethodGet, path, "192.0.2.1:1", c.authorization)); got != want {
				t.Errorf("%s: %s is answered %d, want %d", name, path, got, want)
			}
		}
	}
}

func TestProfilesTakeTheTokenOnThisMachineToo(t *testing.T) {
	t.Parallel()
	for authorization, want := range map[string]int{"": http.StatusUnauthorized, "Bearer reader": http.StatusForbidden, "Bearer writer": http.StatusOK} {
		h := New(Config{Access: Access{Token: "writer", ReadToken: "reader"}}, Deps{}).handler()
		if got := answered(h, from(http.MethodGet, "/debug/pprof/heap", "127.0.0.1:1", authorization)); got != want {
			t.Errorf("%q: %d, want %d", authorization, got, want)
		}
	}
	h := New(Config{}, Deps{}).handler()
	if got := answered(h, from(http.MethodGet, "/debug/pprof/heap", "127.0.0.1:1", "")); got != http.StatusForbidden {
		t.Errorf("without a token that could be shown: %d", got)
	}
	if got := answered(New(Config{Access: Access{Token: "writer"}}, Deps{}).handler(), from(http.MethodGet, "/debug/pprof/profile?seconds=601", "127.0.0.1:1", "Bearer writer")); got != http.StatusBadRequest {
		t.Errorf("a profile of more than ten minutes: %d", got)
	}
}

// A page whose name its owner lets resolve to 127.0.0.1 is of one origin with
// us, so neither the browser nor CrossOriginProtection keeps it out.
func TestWhatOnlyPassesThroughThisMachineIsNotOfThisMachine(t *testing.T) {
	t.Parallel()
	pause := func(context.Context, PauseRequest) (any, error) { return struct{}{}, nil }
	h := New(Config{Access: Access{Token: "secret"}}, Deps{Pause: pause, Resume: pause}).handler()
	for _, c := range []struct {
		header, value string
		want          int
	}{
		{"Host", "localhost:9999", http.StatusOK},
		{"Host", "[::1]:8080", http.StatusOK},
		{"Host", "[::1]", http.StatusOK},
		{"Host", "127.0.0.1", http.StatusOK},
		{"Host", "evil.example.com:8080", http.StatusUnauthorized},
		{"Host", "127.0.0.1.evil.example.com", http.StatusUnauthorized},
		{"Host", "192.0.2.1:8080", http.StatusUnauthorized},
		{"X-Forwarded-For", "192.0.2.1", http.StatusUnauthorized},
		{"Forwarded", "for=192.0.2.1", http.StatusUnauthorized},
		{"Via", "1.1 proxy", http.StatusUnauthorized},
	} {
		for _, r := range []*http.Request{
			from(http.MethodGet, "/status", "127.0.0.1:1", "", c.header, c.value),
			from(http.MethodPost, "/pause?route=acme", "127.0.0.1:1", "", c.header, c.value),
		} {
			if got := answered(h, r); got != c.want {
				t.Errorf("%s with %s: %s is answered %d, want %d", r.URL, c.header, c.value, got, c.want)
			}
		}
	}
}

func TestTokensThatAreReplacedHoldForTheNextRequest(t *testing.T) {
	t.Parallel()
	s := New(Config{Access: Access{ReadToken: "old"}}, Deps{})
	h := s.handler()
	s.SetAccess(Access{ReadToken: "new"})
	for token, want := range map[string]int{"old": http.StatusUnauthorized, "new": http.StatusOK} {
		if got := answered(h, from(http.MethodGet, "/status", "192.0.2.1:1", "Bearer "+token)); got != want {
			t.Errorf("%s: %d, want %d", token, got, want)
		}
	}
}
