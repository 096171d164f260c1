package app_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// collector receives OTLP, as a real one does.
type collector struct {
	collectortraces.UnimplementedTraceServiceServer

	t        *testing.T
	mu       sync.Mutex
	spans    []*traces.Span      // guarded by mu
	resource map[string]string   // of the spans; guarded by mu
	metrics  map[string][]string // labels of the points by the metric's name, "k=v k=v"; guarded by mu
	raw      []string            // all that came, as text; guarded by mu
}

// overGRPC and overHTTP point the environment of the process at a collector.
// Tests that use them run alone.
func overGRPC(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, metrics: make(map[string][]string)}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collectortraces.RegisterTraceServiceServer(s, c)
	collectormetrics.RegisterMetricsServiceServer(s, metricsService{c: c})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-ended })
	c.point("http://"+l.Addr().String(), "grpc")
	return c
}

func overHTTP(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, metrics: make(map[string][]string)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(_ http.ResponseWriter, r *http.Request) {
		req := new(collectortraces.ExportTraceServiceRequest)
		c.read(r, req)
		c.keepSpans(req)
	})
	mux.HandleFunc("POST /v1/metrics", func(_ http.ResponseWriter, r *http.Request) {
		req := new(collectormetrics.ExportMetricsServiceRequest)
		c.read(r, req)
		c.keepMetrics(req)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	c.point(s.URL, "")
	return c
}

func (c *collector) point(url, protocol string) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
		"OTEL_BSP_SCHEDULE_DELAY": "10", "OTEL_METRIC_EXPORT_INTERVAL": "50", // ms
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
	} {
		c.t.Setenv(name, value)
	}
}

func (c *collector) read(r *http.Request, into proto.Message) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			c.cut(err)
			return
		}
	}
	b, err := io.ReadAll(body)
	if err != nil {
		c.cut(err)
		return
	}
	if err := proto.Unmarshal(b, into); err != nil {
		c.t.Error(err)
	}
}

// cut allows for a worker that ended in the middle of an export.
func (c *collector) cut(err error) {
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		c.t.Error(err)
	}
}

func (c *collector) Export(_ context.Context, req *collectortraces.ExportTraceServiceRequest) (*collectortraces.ExportTraceServiceResponse, error) {
	c.keepSpans(req)
	return &collectortraces.ExportTraceServiceResponse{}, nil
}

type metricsService struct {
	collectormetrics.UnimplementedMetricsServiceServer
	c *collector
}

func (s metricsService) Export(_ context.Context, req *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	s.c.keepMetrics(req)
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

func (c *collector) keepSpans(req *collectortraces.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, req.String())
	for _, r := range req.ResourceSpans {
		c.resource = attributes(r.Resource.Attributes)
		for _, s := range r.ScopeSpans {
			c.spans = append(c.spans, s.Spans...)
		}
	}
}

func (c *collector) keepMetrics(req *collectormetrics.ExportMetricsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, req.String())
	for _, r := range req.ResourceMetrics {
		for _, s := range r.ScopeMetrics {
			for _, m := range s.Metrics {
				var all []string
				for _, p := range m.GetSum().GetDataPoints() {
					all = append(all, labels(p.Attributes))
				}
				for _, p := range m.GetGauge().GetDataPoints() {
					all = append(all, labels(p.Attributes))
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					all = append(all, labels(p.Attributes))
				}
				c.metrics[m.Name] = all
			}
		}
	}
}

func attributes(all []*common.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, kv := range all {
		m[kv.Key] = kv.Value.GetStringValue()
	}
	return m
}

func labels(all []*common.KeyValue) string {
	var words []string
	for _, kv := range all {
		words = append(words, kv.Key+"="+kv.Value.GetStringValue())
	}
	return strings.Join(words, " ")
}

// await returns the spans of a name, once there are n.
func (c *collector) await(name string, n int) (found []*traces.Span) {
	c.t.Helper()
	apptest.Until(c.t, "the collector has the spans "+name, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		found = found[:0]
		for _, s := range c.spans {
			if s.Name == name {
				found = append(found, s)
			}
		}
		return len(found) >= n
	})
	return found
}

// all is the spans that came so far.
func (c *collector) all() []*traces.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*traces.Span(nil), c.spans...)
}

// text is all that was exported.
func (c *collector) text() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []byte(strings.Join(c.raw, "\n"))
}

// hides fails the test when something that was exported contains one of these.
func (c *collector) hides(secrets ...string) {
	c.t.Helper()
	for _, secret := range secrets {
		if text := c.text(); bytes.Contains(text, []byte(secret)) {
			c.t.Errorf("exported %q in %s", secret, text)
		}
	}
}

func id(b []byte) string { return hex.EncodeToString(b) }
