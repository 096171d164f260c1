package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/admin"
)

func TestThePageNeedsNothingBesideItself(t *testing.T) {
	t.Parallel()
	url := serve(t, admin.Deps{})
	resp, err := http.Get(url + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for header, want := range map[string]string{
		"Content-Type":           "^text/html; charset=utf-8$",
		"X-Content-Type-Options": "^nosniff$",
		"Content-Security-Policy": `^default-src 'none'; script-src 'sha256-[A-Za-z0-9+/]{43}='; style-src 'sha256-[A-Za-z0-9+/]{43}='; ` +
			`img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$`,
	} {
		if got := resp.Header.Get(header); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %s", header, got)
		}
	}
	_, page := get(t, url+"/")
	for _, m := range regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?([^"' )>]+)`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[1], "data:") && m[1] != "status" {
			t.Errorf("the page refers to %s", m[1])
		}
	}
	for _, markup := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
		if strings.Contains(page, markup) {
			t.Errorf("the page uses %s: what it shows could become markup", markup)
		}
	}
	if code, _ := get(t, url+"/index.html"); code != http.StatusNotFound {
		t.Errorf("another path is answered %d", code)
	}
}

func TestAPauseIsAskedForAsItWasSaid(t *testing.T) {
	t.Parallel()
	asked := make(chan admin.PauseRequest, 1)
	answer := func(_ context.Context, r admin.PauseRequest) (any, error) {
		asked <- r
		switch r.Route {
		case "none":
			return nil, fmt.Errorf("%w: none", admin.ErrNoRoute)
		case "bad":
			return nil, fmt.Errorf("%w: bad", admin.ErrBadRequest)
		case "away":
			return nil, errors.New("redis is away")
		}
		return "done", nil
	}
	url := serve(t, admin.Deps{Pause: answer, Resume: answer})
	code, body := do(t, "POST", url+"/pause?route=acme&lane=bulk&for=90m&reason=a%0Ab&by=ada%1b")
	got := <-asked
	if got.From == "" || code != http.StatusOK || body != "\"done\"\n" {
		t.Errorf("%d %s from %q", code, body, got.From)
	}
	got.From = ""
	if diff := cmp.Diff(admin.PauseRequest{Route: "acme", Lane: "bulk", For: 90 * time.Minute, Reason: "ab", By: "ada"}, got); diff != "" {
		t.Error(diff)
	}
	for request, want := range map[string]int{
		"/resume?route=none": http.StatusNotFound,
		"/resume?route=bad":  http.StatusBadRequest,
		"/pause?route=away":  http.StatusServiceUnavailable,
	} {
		if code, _ := do(t, "POST", url+request); code != want {
			t.Errorf("%s answers %d", request, code)
		}
		<-asked
	}
	for request, want := range map[string]int{
		"GET /pause?route=acme":          http.StatusMethodNotAllowed,
		"POST /pause":                    http.StatusBadRequest,
		"POST /pause?route=acme&for=1ms": http.StatusBadRequest,
		"POST /pause?route=acme&for=-1h": http.StatusBadRequest,
		"POST /resume?rout=acme":         http.StatusBadRequest,
	} {
		method, path, _ := strings.Cut(request, " ")
		if code, _ := do(t, method, url+path); code != want {
			t.Errorf("%s answers %d", request, code)
		}
	}
	if code, _ := do(t, "POST", url+"/pause?route=acme", "Origin", "http://elsewhere.example"); code != http.StatusForbidden {
		t.Errorf("another site's page is answered %d", code)
	}
	if len(asked) > 0 {
		t.Errorf("asked for %+v", <-asked)
	}
	bare := serve(t, admin.Deps{})
	for _, path := range []string{"/pause?route=acme", "/resume?route=acme", "/trace/acme"} {
		if code, _ := do(t, "POST", bare+path); code == http.StatusOK {
			t.Errorf("%s is answered where there is nothing to do", path)
		}
	}
}
