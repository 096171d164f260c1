package telemetry

import (
	"math"
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func read(env string) Settings {
	vars := make(map[string]string)
	for line := range strings.FieldsSeq(env) {
		name, value, _ := strings.Cut(line, "=")
		vars["OTEL_"+name] = value
	}
	return Read(func(name string) string { return vars[name] })
}

func TestTheStandardVariablesSayWhatIsExported(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		env             string
		traces, metrics protocol // empty: not exported
		notice          string   // that is in the one notice; empty: there is none
	}{
		{"", "", "", ""},
		{"EXPORTER_OTLP_ENDPOINT=http://c:4318", protocolHTTP, protocolHTTP, ""},
		{"EXPORTER_OTLP_ENDPOINT=http://c:4318 SDK_DISABLED=TRUE", "", "", ""},
		{"EXPORTER_OTLP_ENDPOINT=http://c:4318 SDK_DISABLED=yes", protocolHTTP, protocolHTTP, "OTEL_SDK_DISABLED"},
		{"EXPORTER_OTLP_ENDPOINT=http://c:4318 METRICS_EXPORTER=none", protocolHTTP, "", ""},
		{"EXPORTER_OTLP_ENDPOINT=http://c:4318 METRICS_EXPORTER=prometheus", protocolHTTP, "", ""},
		{"EXPORTER_OTLP_ENDPOINT=http://c:4318 METRICS_EXPORTER=prometheus,otlp", protocolHTTP, protocolHTTP, ""},
		{"EXPORTER_OTLP_TRACES_ENDPOINT=http://c:4318/v1/traces", protocolHTTP, "", ""},
		{"TRACES_EXPORTER=otlp EXPORTER_OTLP_PROTOCOL=grpc", protocolGRPC, "", ""},
		{"TRACES_EXPORTER=otlp METRICS_EXPORTER=otlp EXPORTER_OTLP_PROTOCOL=grpc EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf", protocolGRPC, protocolHTTP, ""},
		{"METRICS_EXPORTER=otlp", "", protocolHTTP, ""},
		{"TRACES_EXPORTER=none EXPORTER_OTLP_ENDPOINT=http://c:4318 METRICS_EXPORTER=none", "", "", ""},
		{"TRACES_EXPORTER=zipkin", "", "", `OTEL_TRACES_EXPORTER: "zipkin" is not one of otlp, none`},
		{"TRACES_EXPORTER=otlp EXPORTER_OTLP_PROTOCOL=http/json", "", "", "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf or grpc"},
		{"TRACES_EXPORTER=otlp EXPORTER_OTLP_ENDPOINT=collector:4317 METRICS_EXPORTER=none", "", "", "OTEL_EXPORTER_OTLP_ENDPOINT: must be an http or https URL"},
		{"TRACES_EXPORTER=otlp TRACES_SAMPLER=jaeger_remote", protocolHTTP, "", "parentbased_always_on holds"},
		{"TRACES_EXPORTER=otlp TRACES_SAMPLER=traceidratio TRACES_SAMPLER_ARG=1%", protocolHTTP, "", "OTEL_TRACES_SAMPLER_ARG: must be 0..1"},
		{"TRACES_EXPORTER=otlp TRACES_SAMPLER=traceidratio TRACES_SAMPLER_ARG=NaN", protocolHTTP, "", "OTEL_TRACES_SAMPLER_ARG: must be 0..1"},
		{"TRACES_EXPORTER=otlp PROPAGATORS=b3", protocolHTTP, "", "only tracecontext"},
		{"TRACES_EXPORTER=otlp PROPAGATORS=baggage,tracecontext", protocolHTTP, "", ""},
	} {
		s := read(tc.env)
		if s.traces != tc.traces || s.Traces != (tc.traces != "") || s.metrics != tc.metrics || s.Metrics != (tc.metrics != "") {
			t.Errorf("%s: traces %v %q, metrics %v %q", tc.env, s.Traces, s.traces, s.Metrics, s.metrics)
		}
		if tc.notice == "" && len(s.Notices) > 0 || tc.notice != "" && (len(s.Notices) != 1 || !strings.Contains(s.Notices[0], tc.notice)) {
			t.Errorf("%s: notices %q, want one with %q", tc.env, s.Notices, tc.notice)
		}
	}
}

func TestTheSamplerDecidesWhichJobsAreTraced(t *testing.T) {
	t.Parallel()
	const jobs = 20_000
	parent := func(flags byte) sms.Trace { return sms.Trace{ID: [16]byte{1}, Span: [8]byte{2}, Flags: flags} }
	for _, tc := range []struct {
		env                    string
		none, sampled, dropped float64 // share of jobs traced: without a parent, with one that is sampled, with one that is not
	}{
		{"", 1, 1, 0},
		{"TRACES_SAMPLER=always_on", 1, 1, 1},
		{"TRACES_SAMPLER=always_off", 0, 0, 0},
		{"TRACES_SAMPLER=parentbased_always_off", 0, 1, 0},
		{"TRACES_SAMPLER=parentbased_traceidratio TRACES_SAMPLER_ARG=0.1", 0.1, 1, 0},
		{"TRACES_SAMPLER=Traceidratio TRACES_SAMPLER_ARG=0.01", 0.01, 1, 1}, // the parent's id is low
	} {
		tel := &Telemetry{sampler: read("TRACES_EXPORTER=otlp " + tc.env).sampler}
		for name, each := range map[string]struct {
			parent sms.Trace
			want   float64
		}{"no parent": {sms.Trace{}, tc.none}, "sampled": {parent(1), tc.sampled}, "not sampled": {parent(0), tc.dropped}} {
			n := 0
			for range jobs {
				span := tel.Sample(each.parent)
				if span == nil {
					continue
				}
				n++
				if span.Span == each.parent.Span || span.ID == [16]byte{} || !span.Sampled() || !span.Ours || each.parent.ID != [16]byte{} && span.ID != each.parent.ID {
					t.Fatalf("%s, %s: span %+v", tc.env, name, span)
				}
			}
			if got := float64(n) / jobs; math.Abs(got-each.want) > 0.3*each.want {
				t.Errorf("%s, %s: %v are traced, want %v", tc.env, name, got, each.want)
			}
		}
	}
}

func TestToDecideAgainstATraceAllocatesNothing(t *testing.T) {
	for _, env := range []string{"", "TRACES_SAMPLER=parentbased_traceidratio TRACES_SAMPLER_ARG=0", "TRACES_SAMPLER=always_off"} {
		tel := &Telemetry{sampler: read("TRACES_EXPORTER=otlp " + env).sampler}
		parent := sms.Trace{ID: [16]byte{1}, Span: [8]byte{2}}
		if n := testing.AllocsPerRun(100, func() { tel.Sample(parent) }); n != 0 {
			t.Errorf("%s: %v allocations", env, n)
		}
		if env == "" {
			continue
		}
		if n := testing.AllocsPerRun(100, func() { tel.Sample(sms.Trace{}) }); n != 0 {
			t.Errorf("%s, without parent: %v allocations", env, n)
		}
	}
}
