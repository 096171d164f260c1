package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

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
		{"192.0.2.1:1", "secret", "bearer secret", http.StatusOK},
		{"nonsense", "secret", "", http.StatusUnauthorized},
	} {
		paused := 0
		pause := func(context.Context, PauseRequest) (any, error) { paused++; return struct{}{}, nil }
		h := New(Config{Token: c.token}, Deps{Pause: pause, Resume: pause}).handler()
		for _, path := range []string{"/pause?route=acme", "/resume?route=acme"} {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil)
			r.RemoteAddr = c.from
			r.Header.Set("Authorization", c.authorization)
			if h.ServeHTTP(w, r); w.Code != c.want {
				t.Errorf("%s from %s, token %q, %q: %d, want %d: %s", path, c.from, c.token, c.authorization, w.Code, c.want, w.Body)
			}
		}
		if done := paused == 2; done != (c.want == http.StatusOK) || paused == 1 {
			t.Errorf("from %s, token %q, %q: %d of 2 were done", c.from, c.token, c.authorization, paused)
		}
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.RemoteAddr = c.from
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Errorf("health from %s: %d", c.from, w.Code)
		}
	}
}
