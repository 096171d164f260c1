package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/admin"
)

// serve runs a server until the test ends and returns its URL.
func serve(t *testing.T, deps admin.Deps) string {
	t.Helper()
	s := admin.New(admin.Config{Listen: "127.0.0.1:0"}, deps)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return "http://" + s.Addr(t.Context()).String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
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

func TestHealthReadinessAndStatusAreServed(t *testing.T) {
	t.Parallel()
	ready, alive := make(chan error, 1), make(chan error, 1)
	url := serve(t, admin.Deps{
		Status: func(context.Context) any { return map[string]int{"in_flight": 3} },
		Ready:  func() error { return <-ready },
		Alive:  func() error { return <-alive },
	})
	type answer struct {
		Code int
		Body string
	}
	ask := func(path string) answer {
		code, body := get(t, url+path)
		return answer{code, body}
	}
	alive <- nil
	if diff := cmp.Diff(answer{200, "ok\n"}, ask("/healthz")); diff != "" {
		t.Error(diff)
	}
	alive <- errors.New("nothing moves")
	if diff := cmp.Diff(answer{503, "nothing moves\n"}, ask("/healthz")); diff != "" {
		t.Error(diff)
	}
	ready <- errors.New("redis is away")
	if diff := cmp.Diff(answer{503, "redis is away\n"}, ask("/readyz")); diff != "" {
		t.Error(diff)
	}
	ready <- nil
	if diff := cmp.Diff(answer{200, "ready\n"}, ask("/readyz")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(answer{200, "{\n  \"in_flight\": 3\n}\n"}, ask("/status")); diff != "" {
		t.Error(diff)
	}
	if got := ask("/nothing").Code; got != 404 {
		t.Errorf("unknown path answers %d", got)
	}
}

func TestMetricsAreServedAsPrometheusText(t *testing.T) {
	t.Parallel()
	m, err := admin.NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	counter, err := m.Meter().Int64Counter("shortwire.outcomes")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 2, metric.WithAttributes(attribute.String("route", "acme")))
	_, body := get(t, serve(t, admin.Deps{Gatherer: m.Gatherer()})+"/metrics")
	for _, want := range []string{`shortwire_outcomes_total{route="acme"} 2`, "go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s in:\n%s", want, body)
		}
	}
}

func TestAPortInUseIsToldByTheKeyOfTheConfiguration(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	err = admin.New(admin.Config{Listen: addr}, admin.Deps{}).Run(t.Context())
	if err == nil || err.Error() != "admin.listen: cannot listen on "+addr+": bind: address already in use" {
		t.Errorf("Run: %v", err)
	}
}

func TestARequestUnderWayDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := admin.New(admin.Config{Listen: "127.0.0.1:0"}, admin.Deps{Status: func(context.Context) any {
		close(entered)
		<-release
		return 0
	}})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	url := "http://" + s.Addr(t.Context()).String()
	go func() {
		resp, err := http.Get(url + "/status")
		if err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}
