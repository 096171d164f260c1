package app

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// observeWorker registers what alarms need to know of the worker itself.
func observeWorker(meter metric.Meter, status func() Status, ready func() error) error {
	m := maker{meter: meter}
	readiness := m.gauge("shortwire.ready", "1 while the worker can take jobs, as /readyz says")
	reachable := m.gauge("shortwire.dependency.up", "1 while it can be used, by dependency")
	build := m.gauge("shortwire.build", "1, with the version")
	lost := m.gauge("shortwire.ledger.lost.timestamp", "when this worker last saw that Redis had lost what it knew of jobs, Unix time; absent when never", metric.WithUnit("s"))
	if m.err != nil {
		return m.err
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
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
