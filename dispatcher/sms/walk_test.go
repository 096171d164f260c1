package sms

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var syntax = []string{
	``, ` `, `{}`, `[]`, `{`, `}`, `[`, `[]]`, `{"a":1}`, `{"a" : 1 , "b":[ ] }`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{1:2}`, `[1,]`, `[,1]`, `[1 2]`,
	`0`, `-0`, `01`, `-`, `-a`, `1.`, `.5`, `1.5`, `1e`, `1e+`, `1E-07`, `1e5.5`, `0x1`, `+1`, `10`, `0.0e00`,
	`true`, `tru`, `truee`, `false`, `null`, `nul`, `True`,
	`""`, `"`, `"a`, `"\"`, `"\n"`, "\"\n\"", "\"\x00\"", "\"\x7f\xff\"", `"\x"`, `"\u12"`, `"\u12g4"`, `"\uABcd"`, `"\u123"x`, `'a'`,
	`[[[{"a":[{}]}]]]`, `{"a":[}]`, "\ufeff{}", "\v{}", `{} x`, ` {} `, "{}\n\t\r ",
}

func TestTheSyntaxAcceptedIsThatOfEncodingJSON(t *testing.T) {
	t.Parallel()
	check := func(b []byte) {
		t.Helper()
		if got, want := validJSON(b), json.Valid(b); got != want {
			t.Fatalf("%q: valid %v, want %v", b, got, want)
		}
	}
	for _, s := range syntax {
		check([]byte(s))
	}
	for _, n := range []int{maxDepth - 1, maxDepth, maxDepth + 1} {
		check([]byte(strings.Repeat("[", n) + strings.Repeat("]", n)))
		check([]byte(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)))
	}
	full, err := os.ReadFile("testdata/golden/job-full.json")
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const odd = "{}[]\",:\\ue0-+.t\n \x00\xff"
	for range 20_000 {
		b := bytes.Clone(full)
		for range 1 + r.IntN(3) {
			b[r.IntN(len(b))] = odd[r.IntN(len(odd))]
		}
		check(b[:len(b)-r.IntN(2)*r.IntN(len(b))])
	}
}

// checkUnquote holds unquote against encoding/json, which replaces where
// unquote refuses.
func checkUnquote(t *testing.T, raw []byte) {
	t.Helper()
	if stringEnd(raw, 0) != len(raw) {
		return
	}
	got, ok := unquote(raw)
	var want string
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	replaced := strings.Count(want, "\ufffd") > bytes.Count(raw, []byte("\ufffd"))+strings.Count(strings.ToLower(string(raw)), `\ufffd`)
	switch {
	case ok && (replaced || !utf8.Valid(raw)):
		t.Errorf("%q: accepted", raw)
	case ok && string(got) != want:
		t.Errorf("%q (-want +got):\n%s", raw, cmp.Diff(want, string(got)))
	case !ok && !replaced && utf8.Valid(raw):
		t.Errorf("%q: refused", raw)
	}
}

var quoted = []string{
	`""`, `"plain"`, `"\"\\\/\b\f\n\r\t"`, `"é\u00e9\u0000\u2028"`, `"\ud83d\ude00"`, `"\uD83D\uDE00x"`, `"\ud83d"`, `"\ude00\ud83d"`,
	`"\ud83d\ud83d\ude00"`, `"\ud83dx"`, `"\ud83d\n"`, `"\ufffd"`, "\"\ufffd\"", "\"a\xff\"", "\"\\n\xff\"", `"\\ud83d"`, `"\\\ud83d"`,
}

func TestStringsReadAsEncodingJSONReadsThemOrNotAtAll(t *testing.T) {
	t.Parallel()
	for _, s := range quoted {
		checkUnquote(t, []byte(s))
	}
}

// FuzzValidJSON: syntax and strings are read as encoding/json reads them.
func FuzzValidJSON(f *testing.F) {
	for _, s := range append(syntax, quoted...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := validJSON(b), json.Valid(b); got != want {
			t.Errorf("valid %v, want %v", got, want)
		}
		checkUnquote(t, b)
	})
}

// FuzzAppendString: strings are written as encoding/json writes them.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a", "12345678", "1234567\"", "<b>&\\", "\x00\x1f \x7f\x80", "\b\f\n\r\t", "é\u2028\u2029\u2027", "\xe2\x80", "AAAAAAAA<"} {
		f.Add(s)
	}
	for c := range 256 {
		f.Add("123456" + string([]byte{byte(c)}) + "8")
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var a appender
		a.string("", s)
		if diff := cmp.Diff(string(want), string(a.b)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", s, diff)
		}
	})
}
