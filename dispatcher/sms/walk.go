package sms

import (
	"encoding/json"
	"iter"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions of this file step over JSON that json.Valid has accepted, and
// so check no syntax. They exist because encoding/json stops at the first
// wrong type or unknown field, and a producer should hear of all of them.

// members yields the names, still quoted, and the raw values of an object.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := skipSpace(object, 1); object[i] != '}'; {
			end := valueEnd(object, i)
			name := object[i:end]
			i = skipSpace(object, skipSpace(object, end)+1) // past the colon
			end = valueEnd(object, i)
			if !yield(name, object[i:end]) {
				return
			}
			i = nextItem(object, end)
		}
	}
}

// elements yields the raw values of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := skipSpace(array, 1); array[i] != ']'; {
			end := valueEnd(array, i)
			if !yield(array[i:end]) {
				return
			}
			i = nextItem(array, end)
		}
	}
}

// nextItem returns where the next item begins, or the closing bracket.
func nextItem(b []byte, end int) int {
	i := skipSpace(b, end)
	if b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns the offset behind the value that begins at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return compositeEnd(b, i)
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', ']', '}', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return i
}

func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func compositeEnd(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			i = stringEnd(b, i) - 1
		}
	}
}

// unquote returns the text of a JSON string. It is not ok when the string holds
// invalid UTF-8 or half a surrogate pair, which encoding/json would replace
// silently.
func unquote(raw []byte) (string, bool) {
	inner := raw[1 : len(raw)-1]
	escaped, ascii := false, true
	for _, c := range inner {
		escaped = escaped || c == '\\'
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(inner) {
		return "", false
	}
	if !escaped {
		return string(inner), true
	}
	if halfSurrogate(inner) {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// halfSurrogate reports a \u escape that is half of a surrogate pair without
// its other half.
func halfSurrogate(inner []byte) bool {
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			continue
		}
		i++
		if inner[i] != 'u' {
			continue
		}
		r := escapedUnit(inner[i+1:])
		i += 4
		if !utf16.IsSurrogate(r) {
			continue
		}
		rest := inner[i+1:]
		if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' || utf16.DecodeRune(r, escapedUnit(rest[2:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
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
