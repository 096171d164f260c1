package app_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the blocks of README.md that come from files")

const readme = "../../README.md"

// block is a fenced block of the README behind a comment that names its source.
var block = regexp.MustCompile("(?s)<!-- (golden|config): ([a-z0-9_-]+) -->\n(?:\n?```[a-z]*\n(.*?)```\n)?")

func TestReadmeShowsTheGoldenFiles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	updated := block.ReplaceAllFunc(text, func(b []byte) []byte {
		found++
		m := block.FindSubmatch(b)
		file, lang := filepath.Join("../sms/testdata/golden", string(m[2])+".json"), "json"
		if string(m[1]) == "config" {
			file, lang = filepath.Join("testdata", string(m[2])+".yaml"), "yaml"
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(m[3])); diff != "" && !*update {
			t.Errorf("README.md differs from %s; run go test ./dispatcher/app -run Readme -update (-want +got):\n%s", file, diff)
		}
		return fmt.Appendf(nil, "<!-- %s: %s -->\n\n```%s\n%s```\n", m[1], m[2], lang, want)
	})
	if found < 5 {
		t.Errorf("%d blocks found in README.md, want at least 5", found)
	}
	if *update {
		if err := os.WriteFile(readme, updated, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var link = regexp.MustCompile(`(?m)\]\(([^)#:]+)\)|^\| .*\| ` + "`([a-zA-Z_/]+\\.(?:go|yaml))`" + ` \|`)

func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			target := string(m[1]) + string(m[2])
			if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
				t.Errorf("%s: %s is not there", name, target)
			}
		}
	}
}
