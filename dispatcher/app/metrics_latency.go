package app

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// observeSpreads registers how long things took in the last five seconds.
func observeSpreads(meter metric.Meter, status func() Status) error {
	m, seconds := maker{meter: meter}, metric.WithUnit("s")
	submit := m.number("shortwire.submit.latency", "from submit_sm to the response that accepted it, in the last 5 s, by quantile; absent when there was none", seconds)
	delay := m.number("shortwire.receipts.delay", "from that to the final receipt, of a sample, in the last 5 s, by quantile; absent when there was none", seconds)
	if m.err != nil {
		return m.err
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		observe := func(g metric.Float64ObservableGauge, route string, s SpreadStatus) {
			if s.Count == 0 {
				return
			}
			for quantile, ms := range map[string]float64{"0.5": s.P50MS, "0.99": s.P99MS} {
				o.ObserveFloat64(g, ms/1000, metric.WithAttributes(attribute.String("route", route), attribute.String("quantile", quantile)))
			}
		}
		for _, r := range status().Routes {
			observe(submit, r.Name, r.SubmitLatency)
			observe(delay, r.Name, r.ReceiptDelay)
		}
		return nil
	}, submit, delay)
	return err
}
