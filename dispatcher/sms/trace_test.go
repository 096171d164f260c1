package sms_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// From W3C Trace Context, §3.2.3.
const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestATraceparentIsReadAsItsStandardSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parent string
		want   string // as it is written again; empty: malformed
	}{
		"sampled":                            {traceParent, traceParent},
		"not sampled":                        {traceParent[:53] + "00", traceParent[:53] + "00"},
		"unknown flags go":                   {traceParent[:53] + "ff", traceParent[:53] + "03"},
		"a later version":                    {"cc" + traceParent[2:], traceParent},
		"a later version with more":          {"cc" + traceParent[2:] + "-more", traceParent},
		"a later version, more without dash": {"cc" + traceParent[2:] + ".more", ""},
		"version 00 with more":               {traceParent + "-more", ""},
		"version ff":                         {"ff" + traceParent[2:], ""},
		"upper case":                         {strings.ToUpper(traceParent), ""},
		"cut":                                {traceParent[:54], ""},
		"no trace id":                        {"00-" + strings.Repeat("0", 32) + traceParent[35:], ""},
		"no span id":                         {traceParent[:36] + strings.Repeat("0", 16) + "-01", ""},
		"other separators":                   {strings.ReplaceAll(traceParent, "-", "_"), ""},
		"none":                               {"", ""},
	} {
		got, ok := sms.ParseTrace(tc.parent, "")
		if ok != (tc.want != "") {
			t.Errorf("%s: read %v", name, ok)
		}
		if ok && got.Parent() != tc.want {
			t.Errorf("%s: %s, want %s", name, got.Parent(), tc.want)
		}
	}
}

func TestATracestateThatNoHeaderCanCarryIsLeftOut(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{
		"rojo=00f067aa0ba902b7,congo=t61": "rojo=00f067aa0ba902b7,congo=t61",
		"a=1\r\nNats-Msg-Id: x":           "",
		"a=" + strings.Repeat("x", 511):   "",
		"a=" + strings.Repeat("x", 510):   "a=" + strings.Repeat("x", 510),
	} {
		got, ok := sms.ParseTrace(traceParent, state)
		if !ok || got.State != want {
			t.Errorf("%q: %q, %v", state, got.State, ok)
		}
	}
}

func TestOnlyATraceOfOursHasSpansUnderIt(t *testing.T) {
	t.Parallel()
	handedOn, _ := sms.ParseTrace(traceParent, "")
	if got := handedOn.Child(3); got.Parent() != traceParent {
		t.Errorf("handed on as %s", got.Parent())
	}
	if (*sms.Trace)(nil).Child(3) != nil {
		t.Error("a span of no trace")
	}
	ours := handedOn
	ours.Ours = true
	seen := map[string]bool{ours.Parent(): true}
	for n := range 300 {
		c := ours.Child(n + 1)
		if seen[c.Parent()] || c.ID != ours.ID || c.Ours {
			t.Errorf("span %d is %s", n, c.Parent())
		}
		seen[c.Parent()] = true
	}
	ours.Span = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	if c := ours.Child(1); c.Span == [8]byte{} {
		t.Error("a span without id")
	}
}

func TestLogLinesNameTheTrace(t *testing.T) {
	t.Parallel()
	trace, _ := sms.ParseTrace(traceParent, "")
	for _, tc := range []struct {
		trace *sms.Trace
		want  string
	}{
		{&trace, `{"msg":"x","job_id":"a","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}`},
		{nil, `{"msg":"x","job_id":"a"}`},
	} {
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}})).Info("x", "job_id", "a", tc.trace.Attr())
		if diff := cmp.Diff(tc.want, strings.TrimSpace(out.String())); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
	}
}
