// Package telemetry makes OpenTelemetry spans of jobs and receipts, and exports
// them and the metrics over OTLP as the standard OTEL_ variables of the
// environment say:
//
//	https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
//	https://opentelemetry.io/docs/specs/otel/protocol/exporter/
//
// Nothing here ever stops or delays a worker: what is wrong is a notice in its
// log, what cannot be exported is dropped. Spans follow the semantic
// conventions for messaging, and have neither numbers nor text.
package telemetry

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Settings are what the environment asks for.
type Settings struct {
	Traces  bool // are exported
	Metrics bool // are exported, beside what Prometheus reads

	// Notices say which variables are not as they should be, and what holds
	// instead.
	Notices []string

	traces, metrics protocol
	sampler         sampler
}

// protocol is how OTLP travels.
type protocol string

const (
	protocolHTTP protocol = "http/protobuf"
	protocolGRPC protocol = "grpc"
)

// Read reads the environment. Nothing is exported unless an exporter or an
// endpoint is named.
func Read(getenv func(string) string) Settings {
	var s Settings
	env := environment{getenv: getenv, notices: &s.Notices}
	if env.isTrue("OTEL_SDK_DISABLED") {
		return s
	}
	s.Traces, s.traces = env.exporter("TRACES", nil)
	s.Metrics, s.metrics = env.exporter("METRICS", []string{"prometheus"})
	if s.Traces {
		s.sampler = env.sampler()
		env.propagators()
	}
	return s
}

// Sampling names what decides which jobs are traced.
func (s *Settings) Sampling() string { return s.sampler.name }

// environment reads variables and notes what is wrong with them.
type environment struct {
	getenv  func(string) string
	notices *[]string
}

func (e *environment) get(name string) string { return strings.TrimSpace(e.getenv(name)) }

func (e *environment) notice(format string, args ...any) {
	*e.notices = append(*e.notices, fmt.Sprintf(format, args...))
}

// first returns the first variable that is set, and its value.
func (e *environment) first(names ...string) (name, value string) {
	for _, name := range names {
		if v := e.get(name); v != "" {
			return name, v
		}
	}
	return names[0], ""
}

// isTrue reads a boolean: what is not true is false, by the specification.
func (e *environment) isTrue(name string) bool {
	v := e.get(name)
	switch strings.ToLower(v) {
	case "true":
		return true
	case "", "false":
	default:
		e.notice("%s: must be true or false, is %q; taken as false", name, v)
	}
	return false
}

// exporter reads whether and how one signal is exported. there are exporters
// that work without being asked for.
func (e *environment) exporter(signal string, there []string) (on bool, p protocol) {
	name := "OTEL_" + signal + "_EXPORTER"
	endpointName, endpoint := e.first("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	asked := e.get(name)
	if asked == "" {
		on = endpoint != ""
	}
	for one := range strings.SplitSeq(asked, ",") {
		switch one = strings.ToLower(strings.TrimSpace(one)); {
		case one == "otlp":
			on = true
		case one == "", one == "none", slices.Contains(there, one):
		default:
			e.notice("%s: %q is not one of %s; left out", name, one, strings.Join(append([]string{"otlp", "none"}, there...), ", "))
		}
	}
	if !on {
		return false, ""
	}
	if !isEndpoint(endpoint) {
		e.notice("%s: must be an http or https URL, as http://127.0.0.1:4318, is %q; %s are not exported", endpointName, endpoint, strings.ToLower(signal))
		return false, ""
	}
	protocolName, asked := e.first("OTEL_EXPORTER_OTLP_"+signal+"_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	switch p = protocol(strings.ToLower(asked)); p {
	case protocolHTTP, protocolGRPC:
	case "":
		p = protocolHTTP
	default:
		e.notice("%s: must be http/protobuf or grpc, is %q; %s are not exported", protocolName, asked, strings.ToLower(signal))
		return false, ""
	}
	return true, p
}

func isEndpoint(s string) bool {
	if s == "" {
		return true // the exporter's default
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// propagators notes what is not understood: traces travel as W3C Trace Context.
func (e *environment) propagators() {
	if asked := e.get("OTEL_PROPAGATORS"); asked != "" && !slices.Contains(strings.Split(strings.ReplaceAll(asked, " ", ""), ","), "tracecontext") {
		e.notice("OTEL_PROPAGATORS: only tracecontext is understood, is %q; tracecontext holds", asked)
	}
}

// sampler decides which jobs are traced: by their producer's decision where
// there is one and parent says so, else by the rest.
type sampler struct {
	name   string // with its argument
	parent bool
	rest   sdktrace.Sampler
}

// Sampler names, by the specification.
const (
	samplerOn     = "always_on"
	samplerOff    = "always_off"
	samplerRatio  = "traceidratio"
	samplerParent = "parentbased_"
)

func (e *environment) sampler() sampler {
	const name = "OTEL_TRACES_SAMPLER"
	asked := strings.ToLower(e.get(name))
	rest, parent := strings.CutPrefix(asked, samplerParent)
	switch rest {
	case samplerOn:
		return sampler{asked, parent, sdktrace.AlwaysSample()}
	case samplerOff:
		return sampler{asked, parent, sdktrace.NeverSample()}
	case samplerRatio:
		ratio := e.ratio()
		return sampler{fmt.Sprint(asked, " ", ratio), parent, sdktrace.TraceIDRatioBased(ratio)}
	}
	if asked != "" {
		e.notice("%s: %q is not one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio; parentbased_always_on holds", name, asked)
	}
	return sampler{samplerParent + samplerOn, true, sdktrace.AlwaysSample()}
}

func (e *environment) ratio() float64 {
	const name = "OTEL_TRACES_SAMPLER_ARG"
	asked := e.get(name)
	if asked == "" {
		return 1
	}
	ratio, err := strconv.ParseFloat(asked, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		e.notice("%s: must be 0..1, is %q; 1 holds: every job is traced", name, asked)
		return 1
	}
	return ratio
}
