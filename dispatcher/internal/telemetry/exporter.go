package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// condition says once when exporting does not work, and once when it works
// again. The SDK would say so at every batch, to nobody's log.
type condition struct {
	log    *slog.Logger
	what   string
	failed atomic.Bool
}

// note swallows the error. What the end of the worker cut short is none.
func (c *condition) note(err error) {
	switch {
	case errors.Is(err, context.Canceled):
	case err == nil && c.failed.CompareAndSwap(true, false):
		c.log.Info("telemetry is exported again", "signal", c.what)
	case err == nil:
	case c.failed.CompareAndSwap(false, true):
		c.log.Warn("telemetry cannot be exported and is dropped, further failures at debug level", "signal", c.what, "err", err)
	default:
		c.log.Debug("telemetry not exported", "signal", c.what, "err", err)
	}
}

type spanExporter struct {
	sdktrace.SpanExporter
	condition condition
}

func (e *spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.condition.note(e.SpanExporter.ExportSpans(ctx, spans))
	return nil
}

type metricExporter struct {
	sdkmetric.Exporter
	condition condition
}

func (e *metricExporter) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	e.condition.note(e.Exporter.Export(ctx, m))
	return nil
}
