package sms

import (
	"encoding/binary"
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
	a := appender{b: b}
	a.string(`{"id":`, r.ID)
	a.string(`,"kind":`, string(r.Kind))
	a.stringIf(`,"job_id":`, r.JobID)
	a.string(`,"producer":`, r.Producer)
	a.string(`,"route":`, r.Route)
	a.stringIf(`,"via":`, r.Via)
	a.time(`,"time":`, r.Time)
	a.raw(`,"meta":`, r.Meta)
	a.intIf(`,"attempt":`, r.Attempt)
	a.intIf(`,"replay":`, r.Replay)
	a.trueIf(`,"possible_duplicate":true`, r.PossibleDuplicate)
	a.parts(`,"parts":`, r.Parts)
	a.stringIf(`,"bind":`, r.Bind)
	a.floatIf(`,"latency_ms":`, r.LatencyMS)
	a.stringIf(`,"code":`, string(r.Code))
	a.intIf(`,"status":`, int(r.Status))
	a.stringIf(`,"status_name":`, r.StatusName)
	a.stringIf(`,"reason":`, r.Reason)
	if r.Receipt != nil {
		r.Receipt.append(&a)
	}
	return append(a.b, '}'), a.err
}

func (r *Receipt) append(a *appender) {
	a.string(`,"message_id":`, r.MessageID)
	a.intIf(`,"part":`, r.Part)
	a.intIf(`,"parts_total":`, r.PartsTotal)
	a.string(`,"state":`, string(r.State))
	a.name(`,"final":`)
	a.b = strconv.AppendBool(a.b, r.Final)
	a.stringIf(`,"error_code":`, r.ErrorCode)
	a.stringIf(`,"network_error":`, r.NetworkError)
	a.timeIf(`,"submit_date":`, r.SubmitDate)
	a.timeIf(`,"done_date":`, r.DoneDate)
	a.stringIf(`,"text":`, r.Text)
	a.stringIf(`,"raw":`, r.Raw)
	a.stringIf(`,"job_state":`, string(r.JobState))
}

// appender writes members of objects. Names come with their quotes and what
// separates them from what is before; methods ending in If leave members with
// a zero value out. It keeps the first error.
type appender struct {
	b   []byte
	err error
}

func (a *appender) name(name string) { a.b = append(a.b, name...) }

func (a *appender) string(name, s string) {
	a.b = append(a.b, name...)
	a.b = append(a.b, '"')
	from := len(a.b)
	a.b = append(a.b, s...)
	if !allPlain(a.b[from:]) {
		a.b = appendEscaped(a.b[:from], s)
	}
	a.b = append(a.b, '"')
}

// allPlain reports whether encoding/json writes every octet as it is. It looks
// at eight at once: with every octet of x below 0x80, x-ones has the high bit
// set in octets that are 0 in x, and in none when none is.
func allPlain(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		odd := w | (w - ' '*ones) // beyond ASCII, control characters
		odd |= (w ^ '"'*ones) - ones
		odd |= (w ^ '\\'*ones) - ones
		odd |= (w ^ '&'*ones) - ones
		odd |= ((w | 2*ones) ^ '>'*ones) - ones // '<' is '>' without that bit
		if odd&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if !plain[c] {
			return false
		}
	}
	return true
}

// plain tells the octets that encoding/json writes as they are.
var plain = func() (table [256]bool) {
	for c := range byte(utf8.RuneSelf) {
		table[c] = c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return table
}()

// appendEscaped writes s as encoding/json does, HTML escapes included.
func appendEscaped(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			b = append(b, c)
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(b, `\ufffd`...)
			case r == '\u2028' || r == '\u2029': // line ends in JavaScript
				b = append(b, `\u202`...)
				b = append(b, hexDigits[r&0xF])
			default:
				b = append(b, s[i:i+n]...)
			}
			i += n
			continue
		}
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
		}
		i++
	}
	return b
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

// trueIf writes a whole member.
func (a *appender) trueIf(member string, v bool) {
	if v {
		a.name(member)
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
		if !plain[c] && c != '"' && c != '\\' || c == ' ' {
			a.marshal(v)
			return
		}
	}
	if !validJSON(v) {
		a.marshal(v)
		return
	}
	a.b = append(a.b, v...)
}

// marshal leaves the rare cases to encoding/json.
func (a *appender) marshal(v any) {
	enc, err := json.Marshal(v)
	if err != nil && a.err == nil {
		a.err = err
	}
	a.b = append(a.b, enc...)
}

func (a *appender) parts(name string, parts []Part) {
	if len(parts) == 0 {
		return
	}
	a.name(name)
	sep := `[{"number":`
	for i := range parts {
		a.name(sep)
		a.b = strconv.AppendInt(a.b, int64(parts[i].Number), 10)
		a.stringIf(`,"message_id":`, parts[i].MessageID)
		a.stringIf(`,"raw_message_id":`, parts[i].RawMessageID)
		a.b = append(a.b, '}')
		sep = `,{"number":`
	}
	a.b = append(a.b, ']')
}
