package app

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// observeWorker registers what alarms need to know of the worker itself.
func observeWorker(meter metric.Meter, status func() Status, ready func() error) error {
	var failed error
	gauge := func(name, text string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithDescription(text))
		failed = first(failed, err)
		return g
	}
	readiness := gauge("shortwire.ready", "1 while the worker can take jobs, as /readyz says")
	reachable := gauge("shortwire.dependency.up", "1 while it can be used, by dependency")
	build := gauge("shortwire.build", "1, with the version")
	lost, err := meter.Int64ObservableGauge("shortwire.ledger.lost.timestamp", metric.WithUnit("s"),
		metric.WithDescription("when this worker last saw that Redis had lost what it knew of jobs, Unix time; absent when never"))
	if failed = first(failed, err); failed != nil {
		return fmt.Errorf("instruments: %w", failed)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := status()
		o.ObserveInt64(readiness, oneIf(ready() == nil))
		o.ObserveInt64(reachable, oneIf(s.NATS.OK), metric.WithAttributes(attribute.String("dependency", "nats")))
		o.ObserveInt64(reachable, oneIf(s.Redis.OK), metric.WithAttributes(attribute.String("dependency", "redis")))
		o.ObserveInt64(build, 1, metric.WithAttributes(attribute.String("version", s.Version)))
		if s.LedgerLost != nil {
			o.ObserveInt64(lost, s.LedgerLost.Unix())
		}
		return nil
	}, readiness, reachable, build, lost)
	return err
}
