package receipts

import "strings"

// label is one field of a receipt's text (SMPP 3.4 Appendix B).
type label int

const (
	labelID label = iota
	labelSub
	labelDlvrd
	labelSubmit
	labelDone
	labelStat
	labelErr
	labelText
	labelCount

	noLabel label = -1
)

// spellings lists how SMSCs write the labels, in lower case, without the
// colon. No spelling is the beginning of another.
var spellings = []struct {
	name  string
	label label
}{
	{"id", labelID},
	{"submit date", labelSubmit}, {"submit_date", labelSubmit}, {"submitdate", labelSubmit}, {"sub date", labelSubmit},
	{"sub", labelSub},
	{"dlvrd", labelDlvrd},
	{"done date", labelDone}, {"done_date", labelDone}, {"donedate", labelDone},
	{"status", labelStat}, {"stat", labelStat},
	{"err", labelErr},
	{"text", labelText},
}

// fields are the values of a receipt's text, as offsets into it.
type fields struct {
	body  string
	start [labelCount + 1]int // of the value; 0: no such label
	end   [labelCount + 1]int
	plain bool // nothing of body, and so of no value, needs escapes
}

// labelOther stands for the second id: before text:, when the gateway and the
// SMSC behind it each wrote theirs.
const labelOther = labelCount

// scan finds the labels of body. The first of each counts, in any order. What
// follows text: is the sender's and no label, except that a stat: is looked for
// there when wantStat says so and none came before.
func scan(body string, wantStat bool) fields {
	f := fields{body: body, plain: isPlain(body)}
	open := noLabel // the label whose value runs up to the next one
	closeAt := func(end int) {
		if open != noLabel {
			f.end[open] = end
		}
	}
	for at := 0; at < len(body); at++ {
		l, n := labelAt(body, at)
		if n == 0 || f.start[labelText] > 0 && (l != labelStat || !wantStat || f.start[labelStat] > 0) {
			continue
		}
		closeAt(at)
		open = noLabel
		if l == labelID && f.start[labelID] > 0 {
			l = labelOther
		}
		if f.start[l] == 0 {
			f.start[l], open = at+n, l
		}
		at += n - 1
	}
	closeAt(len(body))
	return f
}

// labelAt returns the label that begins at body[at] and its length with the
// colon, or 0. The byte before it must not be part of a word.
func labelAt(body string, at int) (label, int) {
	switch body[at] | 0x20 {
	case 'i', 's', 'd', 'e', 't':
	default:
		return 0, 0
	}
	if at > 0 && isWord(body[at-1]) {
		return 0, 0
	}
	for _, s := range spellings {
		n := len(s.name)
		if at+n < len(body) && body[at+n] == ':' && equalFoldASCII(body[at:at+n], s.name) {
			return s.label, n + 1
		}
	}
	return 0, 0
}

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
}

// equalFoldASCII compares s with lower-case lower, of the same length. Unicode
// folding would change byte offsets on invalid UTF-8.
func equalFoldASCII(s, lower string) bool {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// whole returns the value up to the next label, trimmed.
func (f *fields) whole(l label) string {
	if f.start[l] == 0 {
		return ""
	}
	v := f.body[f.start[l]:f.end[l]]
	if l == labelText {
		return f.escape(trim(v))
	}
	return f.escape(trimSeparators(v))
}

func (f *fields) escape(v string) string {
	if f.plain {
		return v
	}
	return escape(v)
}

// word returns the value up to the first blank or comma.
func (f *fields) word(l label) string {
	if f.start[l] == 0 {
		return ""
	}
	v := trim(f.body[f.start[l]:f.end[l]])
	if i := strings.IndexAny(v, " ,\t\r\n"); i >= 0 {
		v = v[:i]
	}
	return f.escape(trimSeparators(beforeForeign(v)))
}

// separators are what stands between two fields.
const separators = " \t\r\n,;|"

// beforeForeign cuts off a field that only this SMSC has, and its separator.
func beforeForeign(v string) string {
	for at := 0; ; {
		n := strings.IndexAny(v[at:], ";|")
		if n < 0 {
			return v
		}
		end := at + n
		for at = end + 1; at < len(v) && isWord(v[at]); at++ {
		}
		if at > end+1 && at < len(v) && v[at] == ':' {
			return v[:end]
		}
	}
}

// other returns the second id.
func (f *fields) other() string { return f.word(labelOther) }

// trimSeparators trims blanks, and what some SMSCs put between two fields.
func trimSeparators(v string) string {
	v = trim(v)
	for v != "" && (v[len(v)-1] == ';' || v[len(v)-1] == '|' || v[len(v)-1] == ',') {
		v = trim(v[:len(v)-1])
	}
	return v
}
