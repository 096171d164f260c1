package admin

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Metrics records OpenTelemetry metrics and shows them to Prometheus, together
// with those of the process and the Go runtime.
type Metrics struct {
	provider *sdkmetric.MeterProvider
	registry *prometheus.Registry
}

// NewMetrics returns metrics of their own: two workers in a process share none.
// producers have those that no instrument makes.
func NewMetrics(producers ...sdkmetric.Producer) (*Metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	options := []otelprom.Option{otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo()}
	for _, p := range producers {
		options = append(options, otelprom.WithProducer(p))
	}
	exporter, err := otelprom.New(options...)
	if err != nil {
		return nil, fmt.Errorf("prometheus exporter: %w", err)
	}
	return &Metrics{
		provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter)),
		registry: registry,
	}, nil
}

// Meter returns where instruments are made.
func (m *Metrics) Meter() metric.Meter {
	return m.provider.Meter("github.com/shortwire-sms/shortwire")
}

// Gatherer returns what /metrics shows.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Shutdown ends the recording.
func (m *Metrics) Shutdown(ctx context.Context) error { return m.provider.Shutdown(ctx) }
