package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var instrumentName = regexp.MustCompile(`"(shortwire\.[a-z_.]+)"`)

func TestTheReferenceHasEveryInstrument(t *testing.T) {
	t.Parallel()
	reference, err := MetricsReference()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") || !strings.Contains(string(source), "otel/metric") {
			continue
		}
		for _, m := range instrumentName.FindAllStringSubmatch(string(source), -1) {
			found++
			if name := strings.ReplaceAll(m[1], ".", "_"); !strings.Contains(reference, "| `"+name) {
				t.Errorf("%s of %s is missing", name, file)
			}
		}
	}
	if found < 30 {
		t.Errorf("%d instruments found in the sources, want them all", found)
	}
	if strings.Contains(reference, " | |") {
		t.Errorf("a metric has no description:\n%s", reference)
	}
}

func TestEveryWordOfAClosedSetIsExplained(t *testing.T) {
	t.Parallel()
	for _, k := range sms.Kinds() {
		if kindMeanings[k] == "" {
			t.Errorf("kind %s", k)
		}
	}
	for _, c := range sms.Codes() {
		if codeMeanings[c] == "" || codeRetried[c] == "" {
			t.Errorf("code %s", c)
		}
	}
	for _, l := range dispatcher.Limits() {
		if limitMeanings[l] == "" {
			t.Errorf("limit %s", l)
		}
	}
}
