package sms

import (
	"iter"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions of this file step over JSON and check its syntax on the way,
// in one pass: encoding/json stops at the first wrong type or unknown field,
// and a producer should hear of all of them. They accept what json.Valid does.
// An offset of malformed says that the JSON is not.

const malformed = -1

// maxDepth is encoding/json's bound on arrays and objects within each other.
const maxDepth = 10_000

// members yields the names, still quoted, and the raw values of the object
// that begins b. Once it has run to its end, *end is the offset behind the
// object; when that is malformed, members before the fault were yielded.
func members(b []byte, end *int) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		*end = malformed
		i := skipSpace(b, 1)
		if at(b, i) == '}' {
			*end = i + 1
			return
		}
		for {
			from, behind, valueAt := i, stringEnd(b, i), 0
			if valueAt = afterColon(b, behind); valueAt < 0 {
				return
			}
			if i = valueEnd(b, valueAt, 2); i < 0 {
				return
			}
			if !yield(b[from:behind], b[valueAt:i]) {
				return
			}
			switch i = skipSpace(b, i); at(b, i) {
			case ',':
				i = skipSpace(b, i+1)
			case '}':
				*end = i + 1
				return
			default:
				return
			}
		}
	}
}

// elements yields the raw values of an array that valueEnd has accepted.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := skipSpace(array, 1); array[i] != ']'; {
			end := valueEnd(array, i, 2)
			if !yield(array[i:end]) {
				return
			}
			if i = skipSpace(array, end); array[i] == ',' {
				i = skipSpace(array, i+1)
			}
		}
	}
}

// validJSON is json.Valid, several times as fast.
func validJSON(b []byte) bool {
	end := valueEnd(b, skipSpace(b, 0), 1)
	return end >= 0 && skipSpace(b, end) == len(b)
}

// at is the octet at offset i, or 0, which no JSON holds outside of faults,
// behind the end.
func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// afterColon returns where the value of a member begins whose name ends at i.
func afterColon(b []byte, i int) int {
	if i < 0 {
		return malformed
	}
	if i = skipSpace(b, i); at(b, i) != ':' {
		return malformed
	}
	return skipSpace(b, i+1)
}

// valueEnd returns the offset behind the value that begins at i and lies
// within depth-1 others.
func valueEnd(b []byte, i, depth int) int {
	switch at(b, i) {
	case '"':
		return stringEnd(b, i)
	case '{':
		return compositeEnd(b, i, depth, '}')
	case '[':
		return compositeEnd(b, i, depth, ']')
	case 't':
		return wordEnd(b, i, "true")
	case 'f':
		return wordEnd(b, i, "false")
	case 'n':
		return wordEnd(b, i, "null")
	}
	return numberEnd(b, i)
}

func wordEnd(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return malformed
	}
	return i + len(word)
}

// compositeEnd steps over an object or an array, as closing says.
func compositeEnd(b []byte, i, depth int, closing byte) int {
	if depth > maxDepth {
		return malformed
	}
	if i = skipSpace(b, i+1); at(b, i) == closing {
		return i + 1
	}
	for {
		if closing == '}' {
			if i = afterColon(b, stringEnd(b, i)); i < 0 {
				return malformed
			}
		}
		if i = valueEnd(b, i, depth+1); i < 0 {
			return malformed
		}
		switch i = skipSpace(b, i); at(b, i) {
		case ',':
			i = skipSpace(b, i+1)
		case closing:
			return i + 1
		default:
			return malformed
		}
	}
}

// inString tells the octets that stand for themselves in a JSON string.
var inString = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return table
}()

func stringEnd(b []byte, i int) int {
	if at(b, i) != '"' {
		return malformed
	}
	for i++; i < len(b); i++ {
		if inString[b[i]] {
			continue
		}
		if b[i] == '"' {
			return i + 1
		}
		if i = escapeEnd(b, i) - 1; i < 0 {
			return malformed
		}
	}
	return malformed
}

// escapeEnd steps over the escape that begins at i, if one does.
func escapeEnd(b []byte, i int) int {
	if b[i] != '\\' {
		return malformed
	}
	switch at(b, i+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if len(b) < i+6 {
			return malformed
		}
		for _, c := range b[i+2 : i+6] {
			if !isDigit(c) && (c|0x20)-'a' > 'f'-'a' {
				return malformed
			}
		}
		return i + 6
	}
	return malformed
}

// numberEnd steps over a number (RFC 8259 §6).
func numberEnd(b []byte, i int) int {
	if at(b, i) == '-' {
		i++
	}
	from := i
	if i = digitsEnd(b, i); i < 0 || b[from] == '0' && i > from+1 {
		return malformed
	}
	if at(b, i) == '.' {
		if i = digitsEnd(b, i+1); i < 0 {
			return malformed
		}
	}
	if at(b, i)|0x20 == 'e' {
		i++
		if c := at(b, i); c == '+' || c == '-' {
			i++
		}
		return digitsEnd(b, i)
	}
	return i
}

// digitsEnd steps over one digit or more.
func digitsEnd(b []byte, i int) int {
	if !isDigit(at(b, i)) {
		return malformed
	}
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

// unquote returns the text of a JSON string that stringEnd has accepted, part
// of raw where nothing is escaped. It is not ok when the string holds invalid
// UTF-8 or half a surrogate pair, which encoding/json would replace silently.
func unquote(raw []byte) (text []byte, ok bool) {
	inner := raw[1 : len(raw)-1]
	escaped, ascii := false, true
	for _, c := range inner {
		escaped = escaped || c == '\\'
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(inner) {
		return nil, false
	}
	if !escaped {
		return inner, true
	}
	text = make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			text = append(text, inner[i])
			continue
		}
		i++
		if inner[i] != 'u' {
			text = append(text, unescaped(inner[i]))
			continue
		}
		r := escapedUnit(inner[i+1:])
		i += 4
		if utf16.IsSurrogate(r) {
			rest := inner[i+1:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return nil, false
			}
			if r = utf16.DecodeRune(r, escapedUnit(rest[2:])); r == utf8.RuneError {
				return nil, false
			}
			i += 6
		}
		text = utf8.AppendRune(text, r)
	}
	return text, true
}

// unescaped is what an escape of one letter stands for.
func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

func escapedUnit(hex []byte) rune {
	u, _ := strconv.ParseUint(string(hex[:4]), 16, 16)
	return rune(u)
}

// kindOf names the JSON type of a raw value for error texts.
func kindOf(raw []byte) string {
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}
