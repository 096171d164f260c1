package admin_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/admin"
)

// lines are a trace that ends with its channel.
type lines struct {
	next    chan string
	stopped chan struct{}
}

func (l *lines) Next(ctx context.Context) ([]byte, error) {
	select {
	case s, ok := <-l.next:
		if !ok {
			return nil, io.EOF
		}
		return []byte(s), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *lines) Stop() { close(l.stopped) }

func do(t *testing.T, method, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestATraceIsStreamedAsItComes(t *testing.T) {
	t.Parallel()
	l := &lines{next: make(chan string), stopped: make(chan struct{})}
	asked := make(chan admin.TraceRequest, 1)
	url := serve(t, admin.Deps{Trace: func(r admin.TraceRequest) (admin.TraceLines, error) { asked <- r; return l, nil }})
	resp, err := http.Post(url+"/trace/acme?for=5s&max=7&unmasked=true&by=eve%0Aroot", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	req := <-asked
	if host, _, _ := strings.Cut(req.From, ":"); host != "127.0.0.1" {
		t.Errorf("asked from %q", req.From)
	}
	req.From = ""
	want := admin.TraceRequest{Route: "acme", For: 5 * time.Second, Max: 7, Unmasked: true, By: "everoot"}
	if diff := cmp.Diff(want, req); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	l.next <- "one"
	line := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, line); err != nil || string(line) != "one\n" {
		t.Errorf("read %q, %v before the next line", line, err)
	}
	close(l.next)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 0 {
		t.Errorf("read %q, %v at the end", rest, err)
	}
	<-l.stopped
}

func TestATraceEndsWhenWhoeverAskedLeaves(t *testing.T) {
	t.Parallel()
	l := &lines{next: make(chan string), stopped: make(chan struct{})}
	url := serve(t, admin.Deps{Trace: func(admin.TraceRequest) (admin.TraceLines, error) { return l, nil }})
	resp, err := http.Post(url+"/trace/acme", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-l.stopped
}

func TestATraceIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	url := serve(t, admin.Deps{
		Trace: func(r admin.TraceRequest) (admin.TraceLines, error) {
			if r.Route == "acme" {
				return nil, admin.ErrTraced
			}
			return nil, admin.ErrNoRoute
		},
		EndTrace: func(route string) bool { return route == "acme" },
	})
	for request, want := range map[string]int{
		"POST /trace/acme":               http.StatusConflict,
		"POST /trace/other":              http.StatusNotFound,
		"POST /trace/acme?for=soon":      http.StatusBadRequest,
		"POST /trace/acme?for=2h":        http.StatusBadRequest,
		"POST /trace/acme?for=0s":        http.StatusBadRequest,
		"POST /trace/acme?max=0":         http.StatusBadRequest,
		"POST /trace/acme?max=100001":    http.StatusBadRequest,
		"POST /trace/acme?unmasked=some": http.StatusBadRequest,
		"GET /trace/acme":                http.StatusMethodNotAllowed,
		"DELETE /trace/acme":             http.StatusOK,
		"DELETE /trace/other":            http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(request, " ")
		if code, body := do(t, method, url+path); code != want {
			t.Errorf("%s answers %d %s, want %d", request, code, body, want)
		}
	}
	if code, _ := do(t, "DELETE", url+"/trace/acme", "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("another site's page is answered %d", code)
	}
}
