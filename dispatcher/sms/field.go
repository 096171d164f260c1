package sms

import (
	"bytes"
	"slices"
	"strings"
)

// fieldIndex finds a member's name among the known ones, -1 when it is not.
func fieldIndex(known []string, quoted []byte) int {
	for i, k := range known {
		if string(quoted[1:len(quoted)-1]) == k {
			return i
		}
	}
	if !bytes.ContainsRune(quoted, '\\') {
		return -1
	}
	name, _ := unquote(quoted)
	return slices.Index(known, string(name))
}

// unknownField names a field that is not in the contract, unless the name looks
// like content that went astray.
func unknownField(path string, quoted []byte, known []string) Fault {
	octets, _ := unquote(quoted)
	name := string(octets)
	shown := name
	if len(name) > 40 || digits(name) > maxSenderDigits || strings.ContainsFunc(name, notFieldRune) || name == "" {
		shown = "?"
	}
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return Fault{path + shown, "unknown field; did you mean " + k + "?"}
		}
	}
	return Fault{path + shown, "unknown field"}
}

func notFieldRune(r rune) bool {
	return r > '~' || !isAlnum(byte(r)) && !strings.ContainsRune("_-.$@", r)
}
