package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheReferencesAreWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	readme := strings.ReplaceAll(read(t, "README.md").text, "`", "")
	_, exits, _ := strings.Cut(rootHelp, "Exit codes:\n")
	_, table, _ := strings.Cut(exitsReference(exits), "|---|---|\n")
	if !strings.Contains(readme, table) {
		t.Errorf("README.md does not have the exit codes as the program's help has them:\n%s", table)
	}
	for what, file := range map[string]string{"metrics": "METRICS.md", "codes": "CODES.md"} {
		want, err := reference(what)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile("../../deploy/" + file)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("stale; run go run ./cmd/shortwire docs %s > deploy/%s (-want +got):\n%s", what, file, diff)
		}
	}
}
