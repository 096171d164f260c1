package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheReferencesAreWhatTheProgramSays(t *testing.T) {
	t.Parallel()
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
