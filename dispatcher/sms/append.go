package sms

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the result to b as json.Marshal writes it, octet for
// octet, at a fraction of its cost: every job publishes at least two results.
// It fails where json.Marshal does: on a malformed Meta and times outside the
// years 0..9999.
func (r *Result) AppendJSON(b []byte) ([]byte, error) {
	a := appender{b: append(b, '{')}
	a.string("id", r.ID)
	a.string("kind", string(r.Kind))
	a.stringIf("job_id", r.JobID)
	a.string("producer", r.Producer)
	a.string("route", r.Route)
	a.time("time", r.Time)
	a.raw("meta", r.Meta)
	a.intIf("attempt", r.Attempt)
	a.boolIf("possible_duplicate", r.PossibleDuplicate)
	a.parts("parts", r.Parts)
	a.stringIf("bind", r.Bind)
	a.floatIf("latency_ms", r.LatencyMS)
	a.stringIf("code", string(r.Code))
	a.intIf("status", int(r.Status))
	a.stringIf("status_name", r.StatusName)
	a.stringIf("reason", r.Reason)
	if r.Receipt != nil {
		r.Receipt.append(&a)
	}
	return append(a.b, '}'), a.err
}

func (r *Receipt) append(a *appender) {
	a.string("message_id", r.MessageID)
	a.intIf("part", r.Part)
	a.intIf("parts_total", r.PartsTotal)
	a.string("state", string(r.State))
	a.bool("final", r.Final)
	a.stringIf("error_code", r.ErrorCode)
	a.stringIf("network_error", r.NetworkError)
	a.timeIf("submit_date", r.SubmitDate)
	a.timeIf("done_date", r.DoneDate)
	a.stringIf("text", r.Text)
	a.stringIf("raw", r.Raw)
	a.stringIf("job_state", string(r.JobState))
}

// appender writes the members of one object; methods ending in If leave
// members with a zero value out. It keeps the first error.
type appender struct {
	b   []byte
	err error
}

func (a *appender) name(name string) {
	if last := a.b[len(a.b)-1]; last != '{' {
		a.b = append(a.b, ',')
	}
	a.b = append(a.b, '"')
	a.b = append(a.b, name...)
	a.b = append(a.b, '"', ':')
}

func (a *appender) string(name, s string) {
	a.name(name)
	for i := range len(s) {
		if !plain(s[i]) {
			a.marshal(s)
			return
		}
	}
	a.b = append(a.b, '"')
	a.b = append(a.b, s...)
	a.b = append(a.b, '"')
}

// plain reports an octet that encoding/json writes as it is.
func plain(c byte) bool {
	return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}

// marshal leaves the rare cases to encoding/json.
func (a *appender) marshal(v any) {
	enc, err := json.Marshal(v)
	if err != nil && a.err == nil {
		a.err = err
	}
	a.b = append(a.b, enc...)
}

func (a *appender) stringIf(name, s string) {
	if s != "" {
		a.string(name, s)
	}
}

func (a *appender) intIf(name string, n int) {
	if n != 0 {
		a.name(name)
		a.b = strconv.AppendInt(a.b, int64(n), 10)
	}
}

func (a *appender) bool(name string, v bool) {
	a.name(name)
	a.b = strconv.AppendBool(a.b, v)
}

func (a *appender) boolIf(name string, v bool) {
	if v {
		a.bool(name, v)
	}
}

func (a *appender) floatIf(name string, f float64) {
	if f == 0 {
		return
	}
	a.name(name)
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		a.b = strconv.AppendFloat(a.b, f, 'f', -1, 64)
		return
	}
	a.marshal(f)
}

func (a *appender) time(name string, t time.Time) {
	a.name(name)
	a.b = append(a.b, '"')
	b, err := t.AppendText(a.b)
	if err != nil {
		if a.err == nil {
			a.err = err
		}
		return
	}
	a.b = append(b, '"')
}

func (a *appender) timeIf(name string, t *time.Time) {
	if t != nil {
		a.time(name, *t)
	}
}

// raw writes JSON as it is when encoding/json would neither compact nor escape
// it.
func (a *appender) raw(name string, v json.RawMessage) {
	if len(v) == 0 {
		return
	}
	a.name(name)
	for _, c := range v {
		if c <= ' ' || c >= utf8.RuneSelf || c == '<' || c == '>' || c == '&' {
			a.marshal(v)
			return
		}
	}
	if !json.Valid(v) {
		a.marshal(v)
		return
	}
	a.b = append(a.b, v...)
}

func (a *appender) parts(name string, parts []Part) {
	if len(parts) == 0 {
		return
	}
	a.name(name)
	for i := range parts {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		a.b = append(a.b, sep, '{')
		a.name("number")
		a.b = strconv.AppendInt(a.b, int64(parts[i].Number), 10)
		a.stringIf("message_id", parts[i].MessageID)
		a.stringIf("raw_message_id", parts[i].RawMessageID)
		a.b = append(a.b, '}')
	}
	a.b = append(a.b, ']')
}
