package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// From W3C Trace Context, §3.2.3.
const (
	producersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	producersSpan  = "00f067aa0ba902b7"
	traceParent    = "00-" + producersTrace + "-" + producersSpan + "-01"
)

// produce publishes a job with headers, as key, value.
func (r *rig) produce(job string, headers ...string) {
	r.t.Helper()
	js, err := jetstream.New(r.Connect())
	if err != nil {
		r.t.Fatal(err)
	}
	m := &nats.Msg{Subject: "sms.jobs.acme.normal.shop", Header: nats.Header{}, Data: []byte(job)}
	for pair := range slices.Chunk(headers, 2) {
		m.Header[pair[0]] = []string{pair[1]}
	}
	if _, err := js.PublishMsg(r.t.Context(), m); err != nil {
		r.t.Fatal(err)
	}
}

// resultHeaders returns the headers of the results of a job by kind, once it
// has so many results.
func (r *rig) resultHeaders(job string, n int) map[sms.Kind][]nats.Header {
	r.t.Helper()
	js, err := jetstream.New(r.Connect())
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := js.OrderedConsumer(r.t.Context(), sms.Subjects{}.StreamResults(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	var mu sync.Mutex
	found, count := make(map[sms.Kind][]nats.Header), 0
	cc, err := c.Consume(func(m jetstream.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(string(m.Data()), `"job_id":"`+job+`"`) {
			kind := sms.Kind(m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:])
			found[kind] = append(found[kind], m.Headers())
			count++
		}
	})
	if err != nil {
		r.t.Fatal(err)
	}
	apptest.Until(r.t, "the results are published", func() bool { mu.Lock(); defer mu.Unlock(); return count >= n })
	cc.Stop()
	<-cc.Closed()
	return found
}

// under names a span and its parent, and checks that the times make sense.
func under(t *testing.T, child, parent *traces.Span) {
	t.Helper()
	if id(child.TraceId) != id(parent.TraceId) || id(child.ParentSpanId) != id(parent.SpanId) {
		t.Errorf("span %s is not under %s", child.Name, parent.Name)
	}
	if child.StartTimeUnixNano < parent.StartTimeUnixNano || child.EndTimeUnixNano < child.StartTimeUnixNano || child.EndTimeUnixNano > parent.EndTimeUnixNano {
		t.Errorf("span %s %d..%d, its parent %d..%d", child.Name, child.StartTimeUnixNano, child.EndTimeUnixNano, parent.StartTimeUnixNano, parent.EndTimeUnixNano)
	}
}

// carries checks that a result's headers name the span that published it.
func carries(t *testing.T, h nats.Header, published *traces.Span) {
	t.Helper()
	if got, want := h.Get("traceparent"), "00-"+id(published.TraceId)+"-"+id(published.SpanId)+"-01"; got != want {
		t.Errorf("a result carries %s, want %s", got, want)
	}
	if got := h.Get("tracestate"); got != "rojo=00f067aa0ba902b7" {
		t.Errorf("a result carries the tracestate %q", got)
	}
}

func TestOneTraceFromTheProducerToTheReceiptAtAnotherWorker(t *testing.T) {
	c := overGRPC(t)
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000") // ms: nothing is exported before the drain
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "")
	r.smsc.HoldDeliveries()
	stop := r.Worker("w1")
	long := strings.Repeat("Your code is 987654. ", 10) // two parts
	r.produce(`{"id":"j1","to":"+447700900123","text":"`+long+`"}`, "traceparent", traceParent, "tracestate", "rojo=00f067aa0ba902b7")
	r.produce(`{"id":"j2","to":"+447700900123","text":"Your code is 987654."}`)
	r.produce(`{"id":"j3","to":"+447700900123","text":"Your code is 987654."}`, "traceparent", strings.TrimSuffix(traceParent, "1")+"0")
	r.Await("outcomes", func(all []*sms.Result) bool { return len(all) == 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	job := c.await("process sms.jobs.acme.normal.shop", 1)[0]
	stop = r.Worker("w2")
	r.smsc.ReleaseDeliveries()
	headers := r.resultHeaders("j1", 3)
	untraced := r.resultHeaders("j3", 2)
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	if id(job.TraceId) != producersTrace || id(job.ParentSpanId) != producersSpan || job.Kind != traces.Span_SPAN_KIND_CONSUMER || job.TraceState != "rojo=00f067aa0ba902b7" {
		t.Errorf("job span %v", job)
	}
	if len(job.Links) != 1 || id(job.Links[0].SpanId) != producersSpan {
		t.Errorf("job span is linked to %v", job.Links)
	}
	want := map[string]string{
		"messaging.system": "nats", "messaging.operation.name": "process", "messaging.operation.type": "process",
		"messaging.destination.name": "sms.jobs.acme.normal.shop", "messaging.message.id": "j1", "shortwire.route": "acme", "shortwire.lane": "normal",
		"shortwire.producer": "shop", "shortwire.attempt": "", "shortwire.parts": "", "shortwire.end": "submitted",
	}
	if diff := cmp.Diff(want, attributes(job.Attributes)); diff != "" {
		t.Errorf("attributes of the job (-want +got):\n%s", diff)
	}
	for _, name := range []string{"queue", "wait", "claim", "record"} {
		under(t, c.await(name, 1)[0], job)
	}
	submits := c.await("submit_sm acme", 2)
	for _, s := range submits {
		under(t, s, job)
	}
	published := c.await("publish sms.results.shop.acme.submitted", 1)[0]
	under(t, published, job)
	carries(t, headers[sms.KindSubmitted][0], published)

	receipts := c.await("deliver_sm acme", 2)
	for i, s := range receipts {
		at := slices.IndexFunc(submits, func(x *traces.Span) bool { return id(x.SpanId) == id(s.ParentSpanId) })
		if at < 0 || id(s.TraceId) != producersTrace || len(s.Links) != 1 || id(s.Links[0].SpanId) != id(s.ParentSpanId) || s.Kind != traces.Span_SPAN_KIND_CONSUMER {
			t.Fatalf("receipt span %v is not of a submit", s)
		}
		if i > 0 && id(s.ParentSpanId) == id(receipts[0].ParentSpanId) {
			t.Error("both receipts are of the same part")
		}
	}
	for _, p := range c.await("publish sms.results.shop.acme.receipt", 2) {
		at := slices.IndexFunc(receipts, func(x *traces.Span) bool { return id(x.SpanId) == id(p.ParentSpanId) })
		if at < 0 {
			t.Fatal("a receipt is published by no receipt span")
		}
		under(t, p, receipts[at])
		if !slices.ContainsFunc(headers[sms.KindReceipt], func(h nats.Header) bool { return strings.Contains(h.Get("traceparent"), id(p.SpanId)) }) {
			t.Errorf("no receipt carries %s", id(p.SpanId))
		}
	}
	for _, s := range c.all() {
		if id(s.TraceId) != producersTrace {
			t.Errorf("span %s of a job that is not sampled", s.Name)
		}
	}
	for _, h := range untraced[sms.KindSubmitted] {
		if h.Get("traceparent") != "" {
			t.Errorf("a job that is not sampled carries %s", h.Get("traceparent"))
		}
	}
	c.mu.Lock()
	if c.resource["service.name"] != "shortwire" || c.resource["service.instance.id"] != "w2" || c.resource["service.version"] != "test" || c.resource["deployment.environment.name"] != "test" {
		t.Errorf("resource %v", c.resource)
	}
	c.mu.Unlock()
	c.hides("7700900123", "987654")
}

func TestMetricsGoOverOTLPBesideWhatPrometheusReads(t *testing.T) {
	c := overHTTP(t)
	r := newRig(t, smsctest.Config{}, "")
	r.Worker("w1")
	r.produce(`{"id":"j1","to":"447700900123","text":"hello"}`, "traceparent", traceParent)
	r.AwaitKinds("j1", sms.KindSubmitted, sms.KindReceipt)
	submit := c.await("submit_sm acme", 1)[0]
	want := map[string]string{
		"shortwire.outcomes":                  "kind=submitted route=acme",
		"messaging.client.sent.messages":      "messaging.destination.name=acme messaging.operation.name=submit_sm messaging.operation.type=send messaging.system=smpp",
		"messaging.client.consumed.messages":  "messaging.destination.name=acme messaging.operation.name=deliver_sm messaging.operation.type=process messaging.system=smpp",
		"messaging.client.operation.duration": "messaging.destination.name=acme messaging.operation.name=submit_sm messaging.operation.type=send messaging.system=smpp",
	}
	apptest.Until(t, "the collector has the metrics", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for name, labels := range want {
			if !slices.Contains(c.metrics[name], labels) {
				return false
			}
		}
		return true
	})
	page := metricsPage(t, r, "application/openmetrics-text; version=1.0.0")
	exemplar := regexp.MustCompile(`messaging_client_operation_duration_seconds_bucket\{.*\} 1 # \{(.*)\}`).FindStringSubmatch(page)
	if exemplar == nil || !strings.Contains(exemplar[1], `trace_id="`+producersTrace+`"`) || !strings.Contains(exemplar[1], `span_id="`+id(submit.SpanId)+`"`) {
		t.Errorf("exemplar %q, want of span %s", exemplar, id(submit.SpanId))
	}
	for _, line := range []string{
		`messaging_client_sent_messages_total{messaging_destination_name="acme",messaging_operation_name="submit_sm",messaging_operation_type="send",messaging_system="smpp"} 1`,
		`messaging_client_sent_messages_total{messaging_destination_name="acme",messaging_operation_name="publish",messaging_operation_type="send",messaging_system="nats"} 2`,
		`messaging_client_consumed_messages_total{messaging_destination_name="acme",messaging_operation_name="process",messaging_operation_type="process",messaging_system="nats"} 1`,
	} {
		if !strings.Contains(metricsPage(t, r, "text/plain"), line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	c.hides("7700900123", "hello")
}

func metricsPage(t *testing.T, r *rig, accept string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.AdminURL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestJobsThatDoNotEndWellAreTracedWithTheirCode(t *testing.T) {
	c := overHTTP(t)
	t.Setenv("OTEL_TRACES_SAMPLER", "no_such_sampler")
	var tries atomic.Int32
	r := newRig(t, smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		switch {
		case m.Destination == "447700900404":
			return smsctest.Action{Status: 0x0B} // ESME_RINVDSTADR
		case m.Destination == "447700900503" && tries.Add(1) == 1:
			return smsctest.Action{Status: 0x08} // ESME_RSYSERR
		}
		return smsctest.Action{}
	}}, "")
	r.Worker("w1")
	r.produce(`{"id":"refused","to":"447700900404","text":"a secret"}`)
	r.produce(`{"id":"malformed","to":"447700900123","text":"a secret","colour":"447700900123"}`)
	r.produce(`{"to":"447700900123","text":"a secret"}`, "Traceparent", traceParent) // as Go's carrier for HTTP writes it
	r.AwaitKinds("refused", sms.KindFailed)
	r.AwaitKinds("malformed", sms.KindFailed)
	codes := make(map[string]string)
	for _, s := range c.await("process sms.jobs.acme.normal.shop", 3) {
		a := attributes(s.Attributes)
		codes[a["messaging.message.id"]] = a["shortwire.end"] + " " + a["error.type"] + " " + s.Status.Code.String()
	}
	want := map[string]string{
		"refused": "failed rejected STATUS_CODE_ERROR", "malformed": "failed invalid STATUS_CODE_ERROR", "": "failed invalid STATUS_CODE_ERROR",
	}
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	submit := c.await("submit_sm acme", 1)[0]
	r.produce(`{"id":"again","to":"447700900503","text":"a secret"}`)
	r.AwaitKinds("again", sms.KindSubmitted, sms.KindReceipt)
	attempts := c.await("process sms.jobs.acme.normal.shop", 5)[3:]
	if got := attributes(attempts[0].Attributes)["shortwire.end"]; got != "retry" || id(attempts[1].ParentSpanId) != id(attempts[0].SpanId) {
		t.Errorf("the first attempt ends as %q, and the second one is under %x, want %x", got, attempts[1].ParentSpanId, attempts[0].SpanId)
	}
	if got := attributes(submit.Attributes)["shortwire.command_status"]; got != "ESME_RINVDSTADR" {
		t.Errorf("the refused submit says %q", got)
	}
	if r.Logged("trace_id="+producersTrace) != 1 || r.Logged("no_such_sampler") != 1 {
		t.Error("the log names neither the trace of the job that was refused, nor the sampler that there is not, once")
	}
	c.hides("7700900404", "7700900123", "a secret")
}

func TestAMessageFromAHandsetBeginsATrace(t *testing.T) {
	c := overHTTP(t)
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "")
	r.Worker("w1")
	r.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", Destination: "15550100", ShortMessage: []byte("a secret")})
	span, published := c.await("deliver_sm acme", 1)[0], c.await("publish sms.inbound.acme", 1)[0]
	under(t, published, span)
	js, err := jetstream.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	inbound, err := js.Stream(t.Context(), "SMS_INBOUND")
	if err != nil {
		t.Fatal(err)
	}
	m, err := inbound.GetLastMsgForSubject(t.Context(), "sms.inbound.acme")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Header.Get("traceparent"), "00-"+id(published.TraceId)+"-"+id(published.SpanId)+"-03"; got != want {
		t.Errorf("the message carries %q, want %q", got, want)
	}
	if len(span.ParentSpanId) > 0 || len(span.Links) > 0 || span.Kind != traces.Span_SPAN_KIND_CONSUMER {
		t.Errorf("span %v", span)
	}
	var in sms.Inbound
	if err := json.Unmarshal(m.Data, &in); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"messaging.system": "smpp", "messaging.operation.name": "deliver_sm", "messaging.operation.type": "process", "messaging.destination.name": "acme",
		"messaging.message.id": in.ID, "shortwire.route": "acme", "shortwire.bind": in.Bind, "shortwire.parts": "",
	}
	if diff := cmp.Diff(want, attributes(span.Attributes)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	c.hides("7700900123", "a secret")
}

func TestWithoutTelemetryResultsCarryTheTraceOfTheProducer(t *testing.T) {
	c := overHTTP(t)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	r := newRig(t, smsctest.Config{}, "")
	stop := r.Worker("w1")
	r.produce(`{"id":"j1","to":"447700900123","text":"hello"}`, "traceparent", traceParent, "tracestate", "a=1")
	for kind, all := range r.resultHeaders("j1", 2) {
		if h := all[0]; h.Get("traceparent") != traceParent || h.Get("tracestate") != "a=1" {
			t.Errorf("%s carries %v", kind, h)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if c.mu.Lock(); len(c.raw) > 0 {
		t.Errorf("exported %s", c.raw)
	}
	c.mu.Unlock()
}

func TestACollectorThatIsAwayHoldsNothingUpAndIsWarnedOfOnce(t *testing.T) {
	for protocol, failing := range map[string]int{"grpc": 2, "http/protobuf": 2} { // traces and metrics
		t.Run(protocol, func(t *testing.T) {
			for name, value := range map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_TIMEOUT": "100",
				"OTEL_BSP_SCHEDULE_DELAY": "10", "OTEL_METRIC_EXPORT_INTERVAL": "50", "OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5",
			} {
				t.Setenv(name, value)
			}
			r := newRig(t, smsctest.Config{}, "")
			stop := r.Worker("w1")
			r.Publish(apptest.Jobs(200, `{"id":"j%d","to":"447700900123","text":"hello"}`)...)
			r.Await("all results", func(all []*sms.Result) bool { return len(all) == 400 })
			apptest.Until(t, "both are warned of", func() bool { return r.Logged("telemetry cannot be exported") >= failing })
			if err := stop(); err != nil { // within drain_timeout
				t.Error(err)
			}
			if n := r.Logged("telemetry cannot be exported"); n != failing {
				t.Errorf("%d warnings, want %d", n, failing)
			}
		})
	}
}
