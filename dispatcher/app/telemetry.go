package app

import (
	"context"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/internal/telemetry"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts"
)

var (
	_ dispatcher.Tracer  = (*telemetry.Telemetry)(nil)
	_ receipts.Tracer    = (*telemetry.Telemetry)(nil)
	_ sdkmetric.Producer = (*messages)(nil)
)

// forTelemetry bounds the export of what is left at the end; the worker's lease
// is given up meanwhile.
const forTelemetry = 2 * time.Second

// startTelemetry exports what the environment asks for: nil for nothing, and
// when it cannot be. A worker never fails for it.
func (a *App) startTelemetry(ctx context.Context) *telemetry.Telemetry {
	s := telemetry.Read(a.deps.Getenv)
	for _, n := range s.Notices {
		a.log.Warn("telemetry", "notice", n)
	}
	if !s.Traces && !s.Metrics {
		return nil
	}
	t, err := s.Start(ctx, telemetry.Config{
		Worker: a.cfg.Worker.ID, Version: a.deps.Version, Subjects: sms.Subjects{Prefix: a.cfg.NATS.SubjectPrefix},
		Producers: []sdkmetric.Producer{&messages{a.began, a.traffic}}, Logger: a.log,
	})
	if err == nil && t.Meter() != nil {
		err = instrument(t.Meter(), a.Status, a.ready)
	}
	if err != nil {
		a.log.Warn("telemetry is not exported", "err", err)
		endTelemetry(ctx, t)
		return nil
	}
	a.log.Info("telemetry is exported", "traces", s.Traces, "metrics", s.Metrics)
	return t
}

// endTelemetry exports what is left; what cannot be was warned of.
func endTelemetry(ctx context.Context, t *telemetry.Telemetry) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forTelemetry)
	defer cancel()
	_ = t.Shutdown(ctx)
}

// tracers are those of the pipeline and of receipts, nil when nothing is traced.
func (p *parts) tracers() (dispatcher.Tracer, receipts.Tracer) {
	if p.telemetry == nil || !p.telemetry.Traces() {
		return nil, nil
	}
	return p.telemetry, p.telemetry
}

// describeTelemetry says for check what is exported, and what is wrong with the
// variables that say so.
func describeTelemetry(getenv func(string) string, say func(format string, args ...any)) {
	s := telemetry.Read(getenv)
	for _, n := range s.Notices {
		say("notice: %s", n)
	}
	switch {
	case s.Traces && s.Metrics:
		say("telemetry: traces (%s) and metrics over OTLP", s.Sampling())
	case s.Traces:
		say("telemetry: traces over OTLP (%s)", s.Sampling())
	case s.Metrics:
		say("telemetry: metrics over OTLP")
	}
}
