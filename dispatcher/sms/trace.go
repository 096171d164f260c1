package sms

import (
	"encoding/binary"
	"encoding/hex"
	"log/slog"
)

// Headers of jobs and results that carry a trace (W3C Trace Context, §3.2, §3.3).
const (
	HeaderTraceParent = "traceparent"
	HeaderTraceState  = "tracestate"
)

// Trace is a place in a distributed trace that is sampled. Of others nothing
// is kept. A nil *Trace is none.
type Trace struct {
	ID    [16]byte
	Span  [8]byte
	Flags byte   // trace-flags, of which sampled and random are kept (Level 2, §3.2.2.5)
	State string // tracestate, at most 512 octets; else empty
	Ours  bool   // spans are made under it; else it is handed on as it came
}

// Trace flags.
const (
	TraceSampled byte = 1
	TraceRandom  byte = 2
)

// Lengths in octets: of a traceparent of version 00, and of the longest
// tracestate that is handed on (W3C Trace Context, §3.3.1.5).
const (
	traceParentLen = 55
	maxTraceState  = 512
)

// ParseTrace reads a traceparent, and the tracestate that came with it; what
// is wrong with that one leaves it out. It is not ok when there is none, or it
// is malformed. Later versions are read as far as this one goes (§4.3).
func ParseTrace(parent, state string) (t Trace, ok bool) {
	if len(parent) < traceParentLen || parent[2] != '-' || parent[35] != '-' || parent[52] != '-' {
		return Trace{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], parent[:2]) || !unhex(t.ID[:], parent[3:35]) || !unhex(t.Span[:], parent[36:52]) || !unhex(flags[:], parent[53:55]) {
		return Trace{}, false
	}
	switch tail := parent[traceParentLen:]; {
	case version[0] == 0xFF, version[0] == 0 && tail != "", tail != "" && tail[0] != '-', t.ID == [16]byte{}, t.Span == [8]byte{}:
		return Trace{}, false
	}
	t.Flags = flags[0] & (TraceSampled | TraceRandom)
	if stateOK(state) {
		t.State = state
	}
	return t, true
}

// unhex fails on upper case, as §3.2.2 asks.
func unhex(into []byte, s string) bool {
	for i := range into {
		high, low := nibble(s[2*i]), nibble(s[2*i+1])
		if high > 0xF || low > 0xF {
			return false
		}
		into[i] = high<<4 | low
	}
	return true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xFF
}

// stateOK reports whether a tracestate can stand in a header.
func stateOK(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= maxTraceState
}

// Sampled reports whether its sender records the trace.
func (t *Trace) Sampled() bool { return t.Flags&TraceSampled != 0 }

// Parent is the traceparent, in version 00.
func (t *Trace) Parent() string {
	b := make([]byte, 0, traceParentLen)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t.ID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, t.Span[:])
	b = append(b, '-')
	return string(hex.AppendEncode(b, []byte{t.Flags}))
}

// Child is the n-th span under ours, by a number of the caller's: known before
// the span is made, and to whoever knows ours. What is only handed on has no
// such spans and stays as it is.
func (t *Trace) Child(n int) *Trace {
	if t == nil || !t.Ours {
		return t
	}
	c := *t
	c.Ours = false
	id := binary.BigEndian.Uint64(t.Span[:]) + uint64(n)
	if id == 0 {
		id--
	}
	binary.BigEndian.PutUint64(c.Span[:], id)
	return &c
}

// Attr is what a log line about a job says of its trace, trace_id and span_id:
// nothing when there is none.
func (t *Trace) Attr() slog.Attr {
	if t == nil {
		return slog.Attr{}
	}
	return slog.Attr{Value: slog.GroupValue( // without a name: its members stand alone
		slog.String("trace_id", hex.EncodeToString(t.ID[:])), slog.String("span_id", hex.EncodeToString(t.Span[:])))}
}
