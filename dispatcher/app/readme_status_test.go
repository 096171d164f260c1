package app_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds"
)

func TestReadmeShowsTheClassesOfStatus(t *testing.T) {
	// Not parallel: with -update another test writes the file as well.
	const from, to = "<!-- table: status-classes -->\n", "<!-- end: status-classes -->\n"
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), from)
	got, after, closed := strings.Cut(rest, to)
	if !found || !closed {
		t.Fatal("README.md has no place for the table")
	}
	want := "\n" + binds.ClassTable() + "\n"
	if diff := cmp.Diff(want, got); diff != "" && !*update {
		t.Errorf("README.md differs from binds.ClassTable; run go test ./dispatcher/app -run Readme -update (-want +got):\n%s", diff)
	}
	if *update {
		if err := os.WriteFile(readme, []byte(before+from+want+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
