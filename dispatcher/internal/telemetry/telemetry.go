package telemetry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts"
)

var (
	_ dispatcher.Tracer = (*Telemetry)(nil)
	_ receipts.Tracer   = (*Telemetry)(nil)
)

// scope names who makes spans and metrics.
const scope = "github.com/shortwire-sms/shortwire"

// Config is what Start is told of the worker.
type Config struct {
	Worker    string               // id
	Version   string               //
	Subjects  sms.Subjects         // of jobs and results
	Producers []sdkmetric.Producer // of metrics that have no instrument
	Logger    *slog.Logger
}

// Telemetry exports until Shutdown.
type Telemetry struct {
	cfg     Config
	sampler sampler
	spans   *sdktrace.TracerProvider // nil: no traces
	tracer  trace.Tracer
	metrics *sdkmetric.MeterProvider // nil: no metrics
}

// Start begins to export what the settings ask for. It connects to nothing yet.
func (s Settings) Start(ctx context.Context, cfg Config) (*Telemetry, error) {
	t := &Telemetry{cfg: cfg, sampler: s.sampler}
	about, err := resource.New(ctx,
		resource.WithHost(), resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("shortwire"), semconv.ServiceVersion(cfg.Version), semconv.ServiceInstanceID(cfg.Worker)),
		resource.WithFromEnv()) // last: it decides
	if err != nil {
		cfg.Logger.Warn("telemetry", "notice", fmt.Sprintf("not all of the resource is known: %v", err))
	}
	if s.Traces {
		exporter, err := s.spanExporter(ctx)
		if err != nil {
			return nil, fmt.Errorf("exporter of traces: %w", err)
		}
		tell(func(error) {}) // of variables of the sampler, which Read has told
		t.spans = sdktrace.NewTracerProvider(
			sdktrace.WithResource(about),
			sdktrace.WithSampler(sdktrace.AlwaysSample()), // Sample has decided
			sdktrace.WithIDGenerator(ids{}),
			sdktrace.WithBatcher(&spanExporter{exporter, condition{log: cfg.Logger, what: "traces"}}))
		t.tracer = t.spans.Tracer(scope, trace.WithInstrumentationVersion(cfg.Version), trace.WithSchemaURL(semconv.SchemaURL))
	}
	tell((&condition{log: cfg.Logger, what: "part of it"}).note)
	if s.Metrics {
		exporter, err := s.metricExporter(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("exporter of metrics: %w", err), t.Shutdown(ctx))
		}
		var options []sdkmetric.PeriodicReaderOption
		for _, p := range cfg.Producers {
			options = append(options, sdkmetric.WithProducer(p))
		}
		t.metrics = sdkmetric.NewMeterProvider(
			sdkmetric.WithResource(about),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(&metricExporter{exporter, condition{log: cfg.Logger, what: "metrics"}}, options...)))
	}
	return t, nil
}

// tell has the SDK tell its faults: it knows one place for the whole process,
// else the standard error output.
func tell(to func(error)) { otel.SetErrorHandler(otel.ErrorHandlerFunc(to)) }

func (s Settings) spanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if s.traces == protocolGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

func (s Settings) metricExporter(ctx context.Context) (sdkmetric.Exporter, error) {
	if s.metrics == protocolGRPC {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

// Meter is where instruments are made whose values are exported, nil when
// none are.
func (t *Telemetry) Meter() metric.Meter {
	if t.metrics == nil {
		return nil
	}
	return t.metrics.Meter(scope)
}

// Traces reports whether spans are exported.
func (t *Telemetry) Traces() bool { return t.spans != nil }

// Shutdown exports what is left, until ctx ends.
func (t *Telemetry) Shutdown(ctx context.Context) (err error) {
	if t.spans != nil {
		err = t.spans.Shutdown(ctx)
	}
	if t.metrics != nil {
		err = errors.Join(err, t.metrics.Shutdown(ctx))
	}
	return err
}

// Sample implements dispatcher.Tracer and receipts.Tracer.
func (t *Telemetry) Sample(parent sms.Trace) *sms.Trace {
	id, known := parent.ID, parent.ID != [16]byte{}
	if !known {
		fill(id[:])
	}
	if known && t.sampler.parent {
		if !parent.Sampled() {
			return nil
		}
	} else if t.sampler.rest.ShouldSample(sdktrace.SamplingParameters{TraceID: id}).Decision != sdktrace.RecordAndSample {
		return nil
	}
	span := &sms.Trace{ID: id, Flags: parent.Flags | sms.TraceSampled, State: parent.State, Ours: true}
	if !known {
		span.Flags |= sms.TraceRandom
	}
	fill(span.Span[:])
	return span
}

// Follow implements receipts.Tracer.
func (t *Telemetry) Follow(submit *sms.Trace) *sms.Trace {
	span := &sms.Trace{ID: submit.ID, Flags: submit.Flags, State: submit.State, Ours: true}
	fill(span.Span[:])
	return span
}

// fill writes a random id of 8 or 16 octets, never zeros. Samplers by ratio do
// not look at the last bit.
func fill(id []byte) {
	for ; len(id) > 0; id = id[8:] {
		binary.BigEndian.PutUint64(id, rand.Uint64()|1)
	}
}

// ids gives spans the ids that were told before they were made.
type ids struct{}

type idKey struct{}

// as returns ctx for a span that is to have the ids of c, nil for any.
func as(ctx context.Context, c *sms.Trace) context.Context {
	return context.WithValue(ctx, idKey{}, c)
}

// NewIDs implements sdktrace.IDGenerator.
func (ids) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	if c, ok := ctx.Value(idKey{}).(*sms.Trace); ok && c != nil {
		return c.ID, c.Span
	}
	fill(id[:])
	fill(span[:])
	return id, span
}

// NewSpanID implements sdktrace.IDGenerator.
func (g ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	_, span := g.NewIDs(ctx)
	return span
}

// remote is a context that came from elsewhere; it is not valid for the zero value.
func remote(c *sms.Trace) trace.SpanContext {
	state, _ := trace.ParseTraceState(c.State) // what cannot be read stays behind
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: c.ID, SpanID: c.Span, TraceFlags: trace.TraceFlags(c.Flags), TraceState: state, Remote: true,
	})
}

// Attributes that the conventions do not have.
const (
	keyRoute    = attribute.Key("shortwire.route")
	keyVia      = attribute.Key("shortwire.via")
	keyLane     = attribute.Key("shortwire.lane")
	keyProducer = attribute.Key("shortwire.producer")
	keyAttempt  = attribute.Key("shortwire.attempt")
	keyParts    = attribute.Key("shortwire.parts")
	keyPart     = attribute.Key("shortwire.part")
	keyEnd      = attribute.Key("shortwire.end")
	keyLimit    = attribute.Key("shortwire.limit")
	keyBind     = attribute.Key("shortwire.bind")
	keyStatus   = attribute.Key("shortwire.command_status")
	keyState    = attribute.Key("shortwire.receipt.state")
)
