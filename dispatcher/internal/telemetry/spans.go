package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts"
)

// Ends of an attempt that has no outcome.
const (
	endRetry      = "retry"
	endHandedBack = "handed_back"
)

// Handled implements dispatcher.Tracer. The span of the job begins when the
// job was stored; what it waited for, what was sent and what was stored of it
// are spans under it.
func (t *Telemetry) Handled(j *dispatcher.Journey) {
	began := j.Began
	if !j.Stored.IsZero() && j.Stored.Before(began) { // clocks differ
		began = j.Stored
	}
	subject := t.cfg.Subjects.Jobs(j.Origin)
	options := []trace.SpanStartOption{
		trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
			semconv.MessagingDestinationName(subject), semconv.MessagingMessageID(j.Ref.JobID),
			keyRoute.String(j.Ref.Route), keyLane.String(string(j.Origin.Lane)), keyProducer.String(j.Ref.Producer),
			keyAttempt.Int(j.Ref.Attempt), keyParts.Int(j.Parts)),
	}
	ctx := context.Background()
	if parent := remote(&j.Parent); parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
		options = append(options, trace.WithLinks(trace.Link{SpanContext: parent}))
	}
	ctx, span := t.tracer.Start(as(ctx, j.Ref.Trace), "process "+subject, options...)
	if began.Before(j.Began) {
		t.child(ctx, "queue", nil, began, j.Began, nil)
	}
	t.stages(ctx, j)
	if j.Ref.Via != "" {
		span.SetAttributes(keyVia.String(j.Ref.Via))
	}
	switch {
	case j.Outcome != nil:
		span.SetAttributes(keyEnd.String(string(j.Outcome.Kind)))
		if j.Outcome.Code != "" {
			fail(span, string(j.Outcome.Code))
		}
	case !j.Retry.IsZero():
		span.SetAttributes(keyEnd.String(endRetry))
	default:
		span.SetAttributes(keyEnd.String(endHandedBack))
	}
	span.End(trace.WithTimestamp(j.Ended))
}

// stages makes the spans under that of a job. The last submit of a part is the
// one that receipts refer to.
func (t *Telemetry) stages(ctx context.Context, j *dispatcher.Journey) {
	last := make(map[int]int)
	for i := range j.Stages {
		last[j.Stages[i].Part] = i
	}
	for i := range j.Stages {
		s := &j.Stages[i]
		switch s.Name {
		case dispatcher.StageSubmit:
			var id *sms.Trace
			if last[s.Part] == i {
				id = j.Ref.Trace.Child(s.Part)
			}
			t.submit(ctx, s, id)
		case dispatcher.StagePublish:
			t.result(ctx, j.Ref.Trace.Child(dispatcher.SpanPublish), j.Outcome, s.From, s.To, s.Err)
		case dispatcher.StageWait:
			t.child(ctx, "wait", nil, s.From, s.To, s.Err, trace.WithAttributes(append(limits(s.Limits), keyRoute.String(s.Route))...))
		default:
			t.child(ctx, string(s.Name), nil, s.From, s.To, s.Err)
		}
	}
}

// limits says what held a job up: each limit with its seconds, and which held
// longest.
func limits(held map[dispatcher.Limit]time.Duration) (all []attribute.KeyValue) {
	longest := dispatcher.LimitNone
	for l, d := range held {
		if l == dispatcher.LimitNone {
			continue
		}
		all = append(all, attribute.Float64("shortwire.limited."+string(l), d.Seconds()))
		if longest == dispatcher.LimitNone || d > held[longest] {
			longest = l
		}
	}
	return append(all, keyLimit.String(string(longest)))
}

func (t *Telemetry) submit(ctx context.Context, s *dispatcher.Stage, id *sms.Trace) {
	t.child(ctx, "submit_sm "+s.Route, id, s.From, s.To, s.Err, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("smpp"), semconv.MessagingOperationName("submit_sm"), semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(s.Route), keyBind.String(s.Bind), keyPart.Int(s.Part)))
}

// result is the span whose context goes with a result; r may be nil when it
// was not published.
func (t *Telemetry) result(ctx context.Context, id *sms.Trace, r *sms.Result, from, to time.Time, err error) {
	if r == nil {
		t.publish(ctx, id, "", "", from, to, err)
		return
	}
	t.publish(ctx, id, t.cfg.Subjects.Results(r.Producer, r.Route, r.Kind), r.ID, from, to, err)
}

// publish is the span of a message to a subject, which may both be unknown.
func (t *Telemetry) publish(ctx context.Context, id *sms.Trace, subject, message string, from, to time.Time, err error) {
	name := "publish"
	attributes := []attribute.KeyValue{
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend,
	}
	if subject != "" {
		name += " " + subject
		attributes = append(attributes, semconv.MessagingDestinationName(subject), semconv.MessagingMessageID(message))
	}
	t.child(ctx, name, id, from, to, err, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attributes...))
}

// child makes a span under that of ctx, with the id when there is one.
func (t *Telemetry) child(ctx context.Context, name string, id *sms.Trace, from, to time.Time, err error, options ...trace.SpanStartOption) {
	_, span := t.tracer.Start(as(ctx, id), name, append(options, trace.WithTimestamp(from))...)
	if err != nil {
		if e, ok := errors.AsType[*sms.Error](err); ok && e.StatusName != "" {
			span.SetAttributes(keyStatus.String(e.StatusName))
		}
		fail(span, string(sms.CodeOf(err)))
	}
	span.End(trace.WithTimestamp(to))
}

// fail says why, by a code: reasons may quote what an SMSC said.
func fail(span trace.Span, code string) {
	if code == "" {
		code = "_OTHER" // by the convention for error.type
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(code))
	span.SetStatus(codes.Error, code)
}

// Received implements receipts.Tracer. The span is in the trace of the job,
// under its submit, and linked to that: days may lie between them.
func (t *Telemetry) Received(v *receipts.Visit) {
	r, submit := v.Result, remote(v.Submit)
	carrier := r.Route
	if r.Via != "" {
		carrier = r.Via
	}
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), submit)
	ctx, span := t.tracer.Start(as(ctx, v.Trace), "deliver_sm "+carrier,
		trace.WithTimestamp(r.Time), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(trace.Link{SpanContext: submit}),
		trace.WithAttributes(
			semconv.MessagingSystemKey.String("smpp"), semconv.MessagingOperationName("deliver_sm"), semconv.MessagingOperationTypeProcess,
			semconv.MessagingDestinationName(carrier), semconv.MessagingMessageConversationID(r.JobID),
			keyRoute.String(r.Route), keyProducer.String(r.Producer), keyPart.Int(r.Part), keyState.String(string(r.State))))
	t.result(ctx, v.Trace.Child(1), r, v.Publishing, v.Ended, v.Err)
	if v.Err != nil {
		fail(span, string(sms.CodeOf(v.Err)))
	}
	span.End(trace.WithTimestamp(v.Ended))
}

// Arrived implements receipts.Tracer. The span is the first of its trace.
func (t *Telemetry) Arrived(a *receipts.Arrival) {
	m := a.Message
	ctx, span := t.tracer.Start(as(context.Background(), a.Trace), "deliver_sm "+m.Route,
		trace.WithTimestamp(m.Time), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			semconv.MessagingSystemKey.String("smpp"), semconv.MessagingOperationName("deliver_sm"), semconv.MessagingOperationTypeProcess,
			semconv.MessagingDestinationName(m.Route), semconv.MessagingMessageID(m.ID),
			keyRoute.String(m.Route), keyBind.String(m.Bind), keyParts.Int(max(1, m.PartsTotal))))
	t.publish(ctx, a.Trace.Child(1), t.cfg.Subjects.Inbound(m.Route), m.ID, a.Publishing, a.Ended, a.Err)
	if a.Err != nil {
		fail(span, string(sms.CodeOf(a.Err)))
	}
	span.End(trace.WithTimestamp(a.Ended))
}
