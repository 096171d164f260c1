package apptest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
)

// Private is what must not stand in an output: numbers and texts in all the
// forms in which they may come to stand there, by what they are.
type Private map[string][]byte

// shortestPrivate is the length, in octets, from which a form is looked for:
// shorter ones stand somewhere by chance.
const shortestPrivate = 6

// PrivateForms are numbers in international notation, without a plus, and texts.
func PrivateForms(numbers, texts []string) Private {
	p := make(Private)
	for _, n := range numbers {
		p.add(n)
		p[n+" without its country"] = []byte(n[2:])
	}
	for _, s := range texts {
		p.add(s)
	}
	return p
}

func (p Private) add(s string) {
	for name, form := range disguises(s) {
		if len(form) >= shortestPrivate {
			p[s+" as "+name] = form
		}
	}
}

// disguises are the forms of a number or text.
func disguises(s string) map[string][]byte {
	units := utf16.Encode([]rune(s))
	be, le := make([]byte, 0, 2*len(units)), make([]byte, 0, 2*len(units))
	for _, u := range units {
		be, le = append(be, byte(u>>8), byte(u)), append(le, byte(u), byte(u>>8))
	}
	escaped, _ := json.Marshal(s)
	forms := map[string][]byte{
		"plain": []byte(s), "quoted": escaped[1 : len(escaped)-1], "ASCII": []byte(strings.Trim(fmt.Sprintf("%+q", s), `"`)),
		"URL": []byte(url.QueryEscape(s)), "path": []byte(url.PathEscape(s)), "UTF-16": be, "UTF-16, other order": le,
	}
	for _, octets := range [][]byte{[]byte(s), be, le} {
		n := fmt.Sprint(len(forms))
		forms["hex "+n] = []byte(hex.EncodeToString(octets))
		forms["HEX "+n] = []byte(strings.ToUpper(hex.EncodeToString(octets)))
		forms["hex, spaced "+n] = []byte(strings.Trim(fmt.Sprintf("% x", octets), " "))
		for at := range 3 { // of a longer string, at any place in it
			code := base64.StdEncoding.EncodeToString(append(make([]byte, at), octets...))
			forms[fmt.Sprintf("base64 %s %d", n, at)] = []byte(code[(at*8+5)/6 : len(code)-4])
		}
	}
	return forms
}

// Find returns what of it stands in an output and where: empty for nothing.
func (p Private) Find(output []byte) (name string, at int) {
	for name, form := range p {
		if i := bytes.Index(output, form); i >= 0 {
			return name, i
		}
	}
	return "", 0
}

// Absent fails the test for what of it stands in an output, and for an output
// with nothing in it.
func (p Private) Absent(t *testing.T, where string, output []byte) {
	t.Helper()
	if len(output) < 20 {
		t.Errorf("%s has nothing in it: %q", where, output)
	}
	if name, i := p.Find(output); name != "" {
		t.Errorf("%s shows %s: ...%s...", where, name, output[max(0, i-60):min(len(output), i+60)])
	}
}
