package app

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// observeChanges registers what operators change while a worker runs.
func observeChanges(meter metric.Meter, status func() Status) error {
	m := maker{meter: meter}
	generation := m.gauge("shortwire.config.generation", "changes of the configuration that took effect, and the start")
	refused := m.gauge("shortwire.config.refused", "1 while the configuration file is one that was refused")
	restart := m.gauge("shortwire.config.takes_restart", "keys of the configuration file that take a restart to be in force")
	paused := m.gauge("shortwire.paused", "1 while an operator has paused the lane")
	if m.err != nil {
		return m.err
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := status()
		o.ObserveInt64(generation, int64(s.Config.Generation))
		o.ObserveInt64(refused, oneIf(s.Config.Refused != nil))
		o.ObserveInt64(restart, int64(len(s.Config.TakesRestart)))
		for _, r := range s.Routes {
			for _, lane := range sms.Lanes() {
				o.ObserveInt64(paused, oneIf(pausedBy(r.Pauses, lane)), metric.WithAttributes(attribute.String("route", r.Name), attribute.String("lane", string(lane))))
			}
		}
		return nil
	}, generation, refused, restart, paused)
	return err
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
