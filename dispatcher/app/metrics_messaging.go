package app

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/latency"
)

// messages is the metrics that OpenTelemetry's semantic conventions for
// messaging have: what comes and goes, and how long submits take, with traced
// ones for examples. All is read, when somebody asks, from what the pipeline
// counts anyway: an instrument would cost each message a lock. The destination
// is the route, in NATS as at the SMSC: subjects name producers as well.
type messages struct {
	began time.Time
	read  func() []traffic
}

// traffic is what came and went on a route since messages.began.
type traffic struct {
	route     string
	jobs      int64 // deliveries of them
	results   int64 // published
	delivered int64 // receipts and inbound messages
	submits   latency.Counts
	traced    []dispatcher.Exemplar // of submits
}

func (a *App) traffic() (all []traffic) {
	p := a.up.Load()
	if p == nil {
		return nil
	}
	for _, r := range p.routes.all() {
		read, desk := r.dispatcher.Snapshot(), p.desk.RouteStats(r.config().Name)
		t := traffic{
			route: r.config().Name, jobs: read.Received, results: desk.Matched + desk.Unmatched, delivered: desk.Receipts + desk.Inbound,
			traced: r.dispatcher.Exemplars(),
		}
		for _, n := range read.Outcomes {
			t.results += n
		}
		r.dispatcher.Latency(&t.submits)
		all = append(all, t)
	}
	return all
}

// Produce implements sdkmetric.Producer.
func (m *messages) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	var sent, consumed []metricdata.DataPoint[int64]
	var took []metricdata.HistogramDataPoint[float64]
	now := time.Now()
	for _, t := range m.read() {
		count := func(n int64, system, operation string, kind attribute.KeyValue) metricdata.DataPoint[int64] {
			return metricdata.DataPoint[int64]{Attributes: messaging(t.route, system, operation, kind), StartTime: m.began, Time: now, Value: n}
		}
		sent = append(sent,
			count(int64(t.submits.Total()), "smpp", "submit_sm", semconv.MessagingOperationTypeSend),
			count(t.results, "nats", "publish", semconv.MessagingOperationTypeSend))
		consumed = append(consumed,
			count(t.jobs, "nats", "process", semconv.MessagingOperationTypeProcess),
			count(t.delivered, "smpp", "deliver_sm", semconv.MessagingOperationTypeProcess))
		point := durations(&t.submits, t.traced)
		point.Attributes, point.StartTime, point.Time = messaging(t.route, "smpp", "submit_sm", semconv.MessagingOperationTypeSend), m.began, now
		took = append(took, point)
	}
	return []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: "github.com/shortwire-sms/shortwire"},
		Metrics: []metricdata.Metrics{
			{
				Name: messagingconv.ClientSentMessages{}.Name(), Unit: messagingconv.ClientSentMessages{}.Unit(),
				Description: "submit_sm that were accepted, results that were published",
				Data:        metricdata.Sum[int64]{DataPoints: sent, Temporality: metricdata.CumulativeTemporality, IsMonotonic: true},
			},
			{
				Name: messagingconv.ClientConsumedMessages{}.Name(), Unit: messagingconv.ClientConsumedMessages{}.Unit(),
				Description: "jobs with their repeats; receipts and inbound messages",
				Data:        metricdata.Sum[int64]{DataPoints: consumed, Temporality: metricdata.CumulativeTemporality, IsMonotonic: true},
			},
			{
				Name: messagingconv.ClientOperationDuration{}.Name(), Unit: messagingconv.ClientOperationDuration{}.Unit(),
				Description: "from submit_sm to the response that accepted it; the sum is right to an eighth",
				Data:        metricdata.Histogram[float64]{DataPoints: took, Temporality: metricdata.CumulativeTemporality},
			},
		},
	}}, nil
}

func messaging(route, system, operation string, kind attribute.KeyValue) attribute.Set {
	return attribute.NewSet(
		semconv.MessagingSystemKey.String(system), semconv.MessagingOperationName(operation), kind,
		semconv.MessagingDestinationName(route))
}

// The octaves of latencies that are told apart: they end at 256 µs to 67 s.
const (
	firstOctave = 6
	lastOctave  = 24
)

// durations makes octaves into buckets.
func durations(c *latency.Counts, traced []dispatcher.Exemplar) metricdata.HistogramDataPoint[float64] {
	octaves, sum := c.Octaves()
	point := metricdata.HistogramDataPoint[float64]{Count: c.Total(), Sum: sum.Seconds(), BucketCounts: make([]uint64, lastOctave-firstOctave+2)}
	for i := firstOctave; i <= lastOctave; i++ {
		point.Bounds = append(point.Bounds, latency.OctaveEnd(i).Seconds())
	}
	for i, n := range octaves {
		point.BucketCounts[min(max(i-firstOctave, 0), len(point.Bounds))] += n
	}
	for _, e := range traced {
		point.Exemplars = append(point.Exemplars, metricdata.Exemplar[float64]{
			Time: e.Time, Value: e.Latency.Seconds(), TraceID: e.Trace.ID[:], SpanID: e.Trace.Span[:],
		})
	}
	return point
}
